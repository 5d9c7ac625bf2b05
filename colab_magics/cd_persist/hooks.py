"""One line below a ``!cd``, once for each kernel: it does not last, and ``%cd_persist`` does."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ..core.arguments import quote
from ..extension.session import Hook

#: Set to ``off``, nothing is shown; ``%env_persist`` keeps that in a notebook.
SETTING = "COLAB_MAGICS_CD_NOTICE"

#: A line that is ``!cd``, one folder, and nothing else.
_LINE = re.compile(r"""^!(cd[ \t]+(?:"([^"$]+)"|'([^']+)'|([^\s"'$]+)))[ \t]*$""", re.MULTILINE)


class LostCd(Hook):
    """Show what to type in the place of a ``!cd``."""

    def cell_recorded(self, result: Any) -> None:
        """Search the cell that has run for the line; in one that failed it must be the first."""
        host, match = self.session.host, _LINE.search(self.session.source)
        if match is None or host.cwd is None or result.error_before_exec is not None:
            return
        if match.start() and result.error_in_exec is not None:  # it may not have run
            return
        if os.environ.get(SETTING, "").lower() in {"off", "0", "no", "false"}:
            return
        path = os.path.expanduser(match[2] or match[3] or match[4])  # noqa: PTH111 - never fails
        folder = Path(os.path.normpath(host.cwd / path))
        if not folder.is_dir() or folder == host.cwd or self.session.site.kind == "executor":
            return
        # IPython rewrites a command; a line that it does not rewrite is part of a string.
        code = host.shell.transform_cell(self.session.source)
        if f"get_ipython().system({match[1]!r})" in code.splitlines():
            typed = quote(host.spell_here(folder))
            message = f"!cd lasts for one line only; %cd_persist {typed} stays."
            self.session.notices.once(message, key="!cd")
