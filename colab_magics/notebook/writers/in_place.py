"""The running cell itself becomes the setup cell, or takes in what is pending.

By IPython's ``set_next_input(text, replace=True)``, which JupyterLab, Notebook 7 and VS Code
answer by replacing the running cell; no extension is needed.
"""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

from ...core.display import printable
from ...core.errors import NotebookError
from ...core.host import Host
from ..colab_message import texts
from ..document import several
from ..locate import RunningCell, Site
from .base import Writer


class InPlaceWriter(Writer):
    """Replaces the running cell, where that cell is the setup cell or says ``%setup write``."""

    name = "in place"
    in_place = True
    #: The front ends that are known to replace it.
    kinds: Tuple[str, ...] = ("jupyter", "vscode")
    shell: Any
    cell: RunningCell

    def available(self, host: Host, site: Site, cell: RunningCell) -> Optional[str]:
        """Return None where a front end runs the setup cell, or a cell that says so."""
        if site.kind not in self.kinds:
            return f"not in this front end ({site.kind})"
        if not cell.is_setup and not cell.becomes_setup:
            return "this cell is not the setup cell, and does not say %setup write"
        self.shell, self.cell = host.shell, cell
        return None

    def read(self) -> Optional[str]:
        """Return the running cell, if it is the setup cell."""
        return self.cell.text if self.cell.is_setup else None

    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """Have the front end replace the cell when it ends: ``written``."""
        self.shell.set_next_input(text or "", replace=True)
        return "written"


class ColabWriter(InPlaceWriter):
    """An `InPlaceWriter` that knows the other cells, and reports what became of the text.

    Colab may put the text into a new cell below the running one instead of replacing that: its
    front end is not public. Its own copy of the notebook tells, once the cell has ended.
    """

    name = "colab"
    kinds = ("colab",)

    def read(self) -> Optional[str]:
        """Return the running cell, if it is the setup cell; `NotebookError` if another one is."""
        places = self._places(texts())
        if len(places) > 1:
            raise several(places)
        if places and not self.cell.is_setup:
            raise NotebookError(
                f"Cell {places[0]} is the setup cell already.",
                "Run that cell: it takes in what is new. Delete this one.",
                code="other-setup-cell",
            )
        return super().read()

    def follow_up(self) -> str:
        """Return what became of the text, once a later cell ends."""
        cells = texts()
        if cells is None:
            return "Setup cell: check that it is in the notebook; this session of Colab cannot tell"
        old = [i + 1 for i, text in enumerate(cells) if text.strip() == self.cell.text.strip()]
        new = [i for i in self._places(cells) if i not in old]
        if not new:
            return "Setup cell: Colab did not insert it. Type %setup write in an empty cell again"
        if old:
            return (
                f"Setup cell: Colab put it below, as cell {new[0]}. "
                f"Move that one to the top, and delete cell {old[0]}"
            )
        first = "" if new[0] == 1 else ": move it to the top"
        return f"Setup cell: seen in the notebook, cell {new[0]}{first}"

    def _places(self, cells: Optional[List[str]]) -> List[int]:
        """Return the numbers of the setup cells, from 1; none where Colab does not tell."""
        return [i + 1 for i, text in enumerate(cells or ()) if self.cell.test(text)]


class ShowWriter(Writer):
    """Prints the cell, to be copied, for ``%setup write`` where no other writer applies."""

    name = "show"

    def available(self, host: Host, site: Site, cell: RunningCell) -> Optional[str]:
        """Return None where ``%setup write`` was typed."""
        return None if cell.becomes_setup else "this cell does not say %setup write"

    def read(self) -> Optional[str]:
        """Return None: there is no notebook that it could read."""
        return None

    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """Print the text: ``shown``."""
        print(printable(text or ""))
        return "shown"
