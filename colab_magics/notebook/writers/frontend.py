"""The notebook that is open: its setup cell is read from and put into the front end's own model.

Nothing is written behind the front end's back, so nothing that was typed there is lost.
"""

from typing import Any, Dict, Optional

from ...errors import NotebookError
from ...files import Conflict
from ...host import Host
from ..frontend import ask, present
from ..locate import RunningCell, Site, saved_as

__all__ = ["FrontEndWriter"]


class FrontEndWriter:
    """Writes through the extension in JupyterLab 4 and Notebook 7."""

    name = "front end"
    host: Host

    def available(self, host: Host, site: Site, cell: RunningCell) -> Optional[str]:
        """None where the extension answers in the window that runs this cell."""
        if site.kind != "front end":
            return f"no front end ({site.kind})"
        if not site.jupyter:
            return "not a window of JupyterLab or Notebook"
        if not present(host):
            return "the extension does not answer: pip install colab-magics beside the server"
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
        saved = answer.get("saved") and saved_as(str(answer.get("path", "")), text)
        return "saved" if saved else "written"

    def _ask(self, action: str, **data: Optional[str]) -> Dict[str, Any]:
        answer = ask(self.host, action, **data)
        status = answer.get("status") if answer else "silent"
        if answer is not None and status == "ok":
            return answer
        if status == "conflict":
            raise Conflict(action)
        if answer is not None and status == "several":
            numbers = " and ".join(map(str, answer["cells"]))
            raise NotebookError(
                f"Cells {numbers} are both setup cells; nothing was written.",
                "Delete the one that you do not want.",
            )
        if status == "read-only":
            raise NotebookError("The notebook is read-only.", "Save a copy, and run this there.")
        why = str(answer.get("why", "")) if answer else ""
        raise NotebookError(
            f"The front end did not take the setup cell ({status}).",
            "Reload the page, and run this again.",
            why,
        )
