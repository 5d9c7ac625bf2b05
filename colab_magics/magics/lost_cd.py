"""``!cd somewhere``: its shell goes there and ends; said once for each kernel."""

import os
import re
from pathlib import Path
from typing import Any, Optional

__all__ = ["OFF", "look_after", "lost"]

#: Set to ``off``, it says nothing; ``%env_persist`` keeps that in a notebook.
OFF = "COLAB_MAGICS_CD_NOTICE"

#: A line that does nothing else, as IPython rewrites it; ``!cd src && make`` has its effect there.
_LOST = re.compile(r"get_ipython\(\)\.system\('\s*cd\s+([^\s;&|<>'\\]+)\s*'\)")


def lost(shell: Any, source: str) -> Optional[str]:
    """Where a cell wanted to go by ``!cd``; asking runs nothing."""
    if "!" not in source or "cd" not in source:
        return None
    found = _LOST.search(shell.transform_cell(source))
    return found.group(1) if found else None


def look_after(session: Any, source: str) -> None:
    """Say that it does not last, and what does, unless the kernel is there by another way."""
    wanted = lost(session.host.shell, source)
    if wanted is None or os.environ.get(OFF, "").lower() in {"off", "0", "no", "false"}:
        return
    if session.site.kind == "executor" or session.host.cwd is None or wanted == "-":
        return
    place = wanted
    if not set(wanted) & set("${}*?"):
        path = Path(os.path.normpath(session.host.cwd / Path(wanted).expanduser()))
        if not path.is_dir() or path == session.host.cwd:
            return
        place = session.host.spell(path)
    session.notices.once(
        f"!cd {wanted} ended with its line. To stay there: %cd_persist {place}", key="!cd"
    )
