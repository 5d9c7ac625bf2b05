"""The running cell itself becomes the setup cell, or takes in what is pending.

By IPython's ``set_next_input(text, replace=True)``, which JupyterLab, Notebook 7 and VS Code
answer by replacing the running cell; no extension is needed.
"""

from typing import Any, Optional, Tuple

from ...core.host import Host
from ..locate import RunningCell, Site


class InPlaceWriter:
    """Replaces the running cell, where that cell is the setup cell or asks to become it."""

    name = "in place"
    in_place = True
    #: The front ends of which it is known that they replace.
    kinds: Tuple[str, ...] = ("jupyter", "vscode")
    shell: Any
    cell: RunningCell

    def available(self, host: Host, site: Site, cell: RunningCell) -> Optional[str]:
        """None where a front end runs the setup cell, or a cell that says ``%setup write``."""
        if site.kind not in self.kinds:
            return f"not in this front end ({site.kind})"
        if not cell.is_setup and not cell.becomes_setup:
            return "this cell is not the setup cell, and does not say %setup write"
        self.shell, self.cell = host.shell, cell
        return None

    def read(self) -> Optional[str]:
        """See `Writer`: the running cell, if it is the setup cell."""
        return self.cell.text if self.cell.is_setup else None

    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """See `Writer`: ``written``; the front end replaces the cell when it ends."""
        self.shell.set_next_input(text or "", replace=True)
        return "written"
