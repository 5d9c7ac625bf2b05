"""The notebook that is open: its setup cell is read from and put into the front end's own model.

Nothing is written behind the front end's back, so nothing that was typed there is lost.
"""

from __future__ import annotations

import time
from typing import Any, Dict, Optional

from ...core.errors import NotebookError
from ...core.files import Conflict
from ...core.host import Host
from ..comm import absence, ask, present
from ..document import several
from ..locate import RunningCell, Site
from ..reading import holds
from ..servers import saved_as
from .base import Writer

#: Seconds that a file which was saved may take to show it.
PROOF = 2.0


class FrontEndWriter(Writer):
    """Writes through the extension in JupyterLab 4 and Notebook 7."""

    name = "front end"
    can_keep = True
    host: Host

    def available(self, host: Host, site: Site, cell: RunningCell) -> Optional[str]:
        """None where the extension answers in the window that runs this cell."""
        if site.kind != "jupyter":
            return f"not a window of JupyterLab or Notebook ({site.kind})"
        if not present(host):
            return absence()
        self.host = host
        return None

    def read(self) -> Optional[str]:
        """See `Writer`."""
        answer = self._ask("read")
        text: Optional[str] = answer["text"]
        return text

    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """See `Writer`: ``saved`` where the file was read back, else ``written``."""
        answer = self._ask("put", text=text, expected=expected)
        self._put, self.told = (str(answer["path"]), text, expected), bool(answer["saved"])
        until = time.monotonic() + (PROOF if self.told else 0)
        while self.saved is False and time.monotonic() < until:  # edited together: saved later
            time.sleep(0.02)
        return "saved" if self.saved else "written"

    @property
    def saved(self) -> Optional[bool]:
        """Whether the file that the front end names is as it was put, by now; None: not known."""
        return saved_as(*self._put)

    def keep(self, what: str, value: Optional[str]) -> str:
        """See `Writer`: ``saved`` where the file was read back, else ``written``."""
        answer = self._ask("keep", what=what, value=value)
        until = time.monotonic() + (PROOF if answer["saved"] else 0)
        while True:
            there = holds(str(answer["path"]), what, value)
            if there or time.monotonic() >= until:
                return "saved" if there or (there is None and answer["saved"]) else "written"
            time.sleep(0.02)

    def _ask(self, action: str, **data: Optional[str]) -> Dict[str, Any]:
        answer = ask(self.host, action, **data)
        status = answer.get("status") if answer else "silent"
        if answer is not None and status == "ok":
            return answer
        if status == "conflict":
            raise Conflict
        if answer is not None and status == "several":
            raise several(answer["cells"])
        if status == "read-only":
            raise NotebookError("The notebook is read-only.", "Save a copy, and run this there.")
        if status == "line-ends":
            raise NotebookError(
                "The setup cell has line ends of another system, and runs: nothing was written.",
                "Run this again in another cell.",
            )
        why = str(answer.get("why", "")) if answer else ""
        raise NotebookError(
            f"The front end did not take the setup cell ({status}).",
            "Reload the page, and run this again.",
            why,
        )
