"""The running cell itself becomes the setup cell, or takes in what is pending.

By IPython's ``set_next_input(text, replace=True)``, which JupyterLab, Notebook 7 and VS Code
answer by replacing the running cell; no extension is needed.
"""

import re
from typing import Any, Optional

from ...host import Host
from ..locate import Site

__all__ = ["InPlaceWriter"]

_MARKER = re.compile(r"(?m)\A(?:#.*\n|\s*\n)*#\s*colab_magics:setup v\d")
_WRITE = re.compile(r"(?m)^%setup\s+write\s*$")


class InPlaceWriter:
    """Replaces the running cell, where that cell is the setup cell or asks to become it."""

    name = "in place"
    shell: Any
    cell: str

    def available(self, host: Host, site: Site, cell: str) -> Optional[str]:
        """None where a front end runs a setup cell, or ``%setup write`` alone in a cell."""
        if site.kind != "front end":
            return f"no front end shows this cell ({site.kind})"
        if not _MARKER.match(cell) and not _WRITE.search(cell):
            return "this cell is not the setup cell"
        self.shell, self.cell = host.shell, cell
        return None

    def read(self) -> Optional[str]:
        """See `Writer`: the running cell, if it is the setup cell."""
        return self.cell if _MARKER.match(self.cell) else None

    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """See `Writer`: ``written``; the front end replaces the cell when it ends."""
        self.shell.set_next_input(text or "", replace=True)
        return "written"
