"""Colab: the running cell becomes the setup cell, if Colab lets it; looked at afterwards.

Colab may put the text into a new cell below instead of replacing the running one (its front end
is not public). Its own copy of the notebook says which, once the cell has ended.
"""

from typing import List, Optional

from ...core.errors import NotebookError
from ..colab_message import texts
from ..document import several
from .in_place import InPlaceWriter


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
