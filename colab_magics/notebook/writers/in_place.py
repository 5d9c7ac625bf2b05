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


# ---------------------------------------------------------------------- Colab
# Colab may put the text into a new cell below instead of replacing the running one (its front end
# is not public). Its own copy of the notebook says which, once the cell has ended.
class ColabWriter(InPlaceWriter):
    """Like `InPlaceWriter`; knows the other cells, and says what became of the text."""

    name = "colab"
    kinds = ("colab",)

    def read(self) -> Optional[str]:
        """See `Writer`; `NotebookError` where another cell is the setup cell already."""
        places = self._places(texts())
        if len(places) > 1:
            raise several(places)
        if places and not self.cell.is_setup:
            raise NotebookError(
                f"Cell {places[0]} is the setup cell already.",
                "Run that one, it takes in what is new; this cell can go.",
            )
        return super().read()

    def follow_up(self) -> str:
        """What became of the text, asked when a later cell ends."""
        cells = texts()
        if cells is None:
            return "Setup cell: look whether it is there; this session of Colab does not say"
        left = [i + 1 for i, text in enumerate(cells) if text.strip() == self.cell.text.strip()]
        new = [i for i in self._places(cells) if i not in left]
        if not new:
            return "Setup cell: Colab did not take it. Type %setup write in an empty cell again"
        if left:
            return (
                f"Setup cell: Colab put it below, as cell {new[0]}. "
                f"Move that one to the top, and delete cell {left[0]}"
            )
        first = "" if new[0] == 1 else ": move it to the top"
        return f"Setup cell: seen in the notebook, cell {new[0]}{first}"

    def _places(self, cells: Optional[List[str]]) -> List[int]:
        """The numbers of the setup cells, from 1; none where Colab does not say."""
        return [i + 1 for i, text in enumerate(cells or ()) if self.cell.test(text)]


# ---------------------------------------------------------------------- show
# The text of the setup cell, to copy: where nothing can write it, someone asked for it.
class ShowWriter(Writer):
    """Prints the cell for ``%setup write``; there is no notebook that it could read."""

    name = "show"

    def available(self, host: Host, site: Site, cell: RunningCell) -> Optional[str]:
        """None where ``%setup write`` was typed and no other writer applies."""
        return None if cell.becomes_setup else "this cell does not say %setup write"

    def read(self) -> Optional[str]:
        """See `Writer`."""
        return None

    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """See `Writer`: ``shown``; printed plainly, so that it is copied as it stands."""
        print(printable(text or ""))
        return "shown"
