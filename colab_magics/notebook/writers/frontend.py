"""The notebook that is open: its setup cell is read from and put into the front end's own model.

Nothing is written behind the front end's back, so nothing that was typed there is lost.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Optional

from ...core.errors import NotebookError
from ...core.files import Conflict
from ...core.host import Host
from ..comm import absence, ask, present
from ..document import Document, several
from ..locate import RunningCell, Site
from ..metadata_keys import READERS
from ..servers import own
from .base import Writer

#: Seconds that a file which was saved may take to show it.
PROOF = 2.0

#: Status of an answer -> what is wrong, and what to do.
_REFUSALS = {
    "read-only": ("The notebook is read-only.", "Save a copy, and run this there."),
    "line-ends": (
        "The setup cell has line ends of another system, and runs: nothing was written.",
        "Run this again in another cell.",
    ),
}


class FrontEndWriter(Writer):
    """Writes through the extension in JupyterLab 4 and Notebook 7."""

    name = "front end"
    can_set_metadata = True
    #: What to do where it did not answer as it should.
    retry = "Reload the page, and run this again."
    host: Host

    def available(self, host: Host, site: Site, cell: RunningCell) -> Optional[str]:
        """Return None where the extension answers in the window that runs this cell."""
        if site.kind != "jupyter":
            return f"not a window of JupyterLab or Notebook ({site.kind})"
        if not present(host):
            return absence(host)
        self.host = host
        return None

    def read(self) -> Optional[str]:
        """Return the text of the setup cell in the model."""
        text: Optional[str] = self._ask("read")["text"]
        return text

    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """Replace the cell in the model; ``saved`` where the file was read back."""
        answer = self._ask("put", text=text, expected=expected)
        self.reports_saving = bool(answer["saved"])

        def is_done(document: Document) -> bool:
            sources = map(document.source, document.heads)
            # The front end gives and takes the line ends of Unix.
            texts = [source.replace("\r\n", "\n").replace("\r", "\n") for source in sources]
            return expected not in texts if text is None else text in texts

        self._check = _file_check(str(answer["path"]), is_done)
        return "saved" if self._wait(self.reports_saving) else "written"

    @property
    def saved(self) -> Optional[bool]:
        """Whether the file that the front end names is by now as it was put; None: not known."""
        return self._check()

    def set_metadata(self, name: str, value: Optional[str]) -> str:
        """Set a value in the metadata of the model; ``saved`` where the file has it."""
        answer = self._ask("keep", what=name, value=value)
        path, is_saved = str(answer["path"]), bool(answer["saved"])
        self._check = _file_check(path, lambda document: READERS[name](document.metadata) == value)
        proof = self._wait(is_saved)
        return "saved" if proof or (proof is None and is_saved) else "written"

    def _wait(self, is_saved: bool) -> Optional[bool]:
        """Wait until the file shows what was put: one that is edited together is saved later."""
        until = time.monotonic() + (PROOF if is_saved else 0)
        while self._check() is False and time.monotonic() < until:
            time.sleep(0.02)
        return self._check()

    def _ask(self, action: str, **data: Optional[str]) -> Dict[str, Any]:
        answer = ask(self.host, action, **data) or {"status": "silent"}
        status = answer.get("status")
        if status == "ok":
            return answer
        if status == "conflict":
            raise Conflict
        if status == "several":
            raise several(answer["cells"])
        message, hint = _REFUSALS.get(
            str(status),
            (
                f"The {self.name} did not take the setup cell ({status}).",
                self.retry,
            ),
        )
        raise NotebookError(message, hint, str(answer.get("why", "")), code=f"page-{status}")


def _file_check(path: str, check: Callable[[Document], bool]) -> Callable[[], Optional[bool]]:
    """Return a function that tells whether the file at a path of the server passes a check.

    It returns None where the file cannot be seen, as where the server is on another machine.
    """

    def run() -> Optional[bool]:
        server = own()
        try:
            return None if server is None else check(Document.load(server.file(path)))
        except NotebookError:
            return False

    return run
