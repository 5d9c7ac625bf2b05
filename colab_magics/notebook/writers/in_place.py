"""The running cell itself becomes the setup cell, or takes in what is pending.

By IPython's ``set_next_input(text, replace=True)``, which JupyterLab, Notebook 7 and VS Code
answer by replacing the running cell; no extension is needed.
"""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

from ...core.display import printable
from ...core.errors import NotebookError
from ...core.host import Host
from ..colab_message import texts
from ..document import several
from ..locate import RunningCell, Site
from ..server_side import runs_on_server
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
        if site.kind == "jupyter" and runs_on_server(host):
            return "the Jupyter server, which runs this cell, replaces none"
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

    Colab may add one or two cells below the running one instead of replacing that (colabtools
    #5176): its front end is not public. Its own copy of the notebook tells, once the cell has
    ended. Where it was seen to add, the text is printed from then on: no further cell is added.
    """

    name = "colab"
    kinds = ("colab",)
    #: Whether this kernel has seen Colab add a cell; of the class, since a writer lasts one cell.
    adds = False
    host: Host

    def available(self, host: Host, site: Site, cell: RunningCell) -> Optional[str]:
        """See `InPlaceWriter`."""
        self.host = host
        return super().available(host, site, cell)

    def read(self) -> Optional[str]:
        """Return the running cell, if it is the setup cell; `NotebookError` if another one is."""
        places = self._places(texts(self.host) or ())
        if len(places) > 1:
            raise several(places)
        if places and not self.cell.is_setup:
            raise NotebookError(
                f"Cell {places[0]} is the setup cell already.",
                "Run that cell: it takes in what is new. Delete this one.",
                code="other-setup-cell",
            )
        return super().read()

    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """Hand the text to Colab: ``sent``; ``shown`` where that would add a cell."""
        if ColabWriter.adds:
            print("Setup cell: Colab adds cells here. Replace the text of this cell by:\n")
            print(printable(text or ""))
            return "shown"
        super().put(text, expected)
        self._text, self._ran = (text or "").strip(), len(self._like_running(texts(self.host)))
        return "sent"

    def follow_up(self) -> str:
        """Return where the text is and which cells to delete, once a later cell ends."""
        cells = texts(self.host)
        if cells is None:
            return (
                "Setup cell: see whether it is in place of that cell or below it: this session of "
                "Colab cannot tell. Keep one, and delete the others"
            )
        ran = self._like_running(cells)
        if len(ran) < self._ran:
            ran = []  # it was replaced; the others, which read the same, are left alone
        new = [i for i in self._places(cells) if i not in ran]
        if not new:
            return "Setup cell: not in the notebook. Type %setup write in an empty cell again"
        copies = [i for i in new if cells[i - 1].strip() == self._text]
        ColabWriter.adds = bool(ran) or len(copies) > 1
        place = (copies or new)[0]
        rest = sorted({*ran, *new} - {place})
        on_top = {*range(1, place)} <= {*rest}
        if not rest:
            move = "" if on_top else ": move it to the top"
            return f"Setup cell: seen in the notebook, cell {place}{move}"
        label = f"cell {rest[0]}" if len(rest) == 1 else f"cells {' and '.join(map(str, rest))}"
        move = "" if on_top else ", and move the new one to the top"
        return (
            f"Setup cell: the new one is cell {place}, counted from the top as it is now. "
            f"Delete {label}{move}"
        )

    def _like_running(self, cells: Optional[Sequence[str]]) -> List[int]:
        """Return the numbers of the cells that read as the running one."""
        text = self.cell.text.strip()
        return [i + 1 for i, other in enumerate(cells or ()) if other.strip() == text]

    def _places(self, cells: Sequence[str]) -> List[int]:
        """Return the numbers of the setup cells, from 1."""
        return [i + 1 for i, text in enumerate(cells) if self.cell.test(text)]


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
