"""What becomes of the setup cell when a line is recorded: it is gone, or has lost its marker."""

from __future__ import annotations

from typing import List, Optional

import pytest
from support.setup_cells import MARKER, pin

from colab_magics.notebook.writers.base import Writer
from colab_magics.record.cell import is_setup, parse
from colab_magics.record.merge import forget
from colab_magics.record.record import MARKED, add, edit

CELL = f"#@title Setup\n{MARKER}\n%reload_ext colab_magics\n%pin a==1\n%pin b==1 -r r.txt"
UNMARKED = CELL.replace(f"{MARKER}\n", "")

pytestmark = pytest.mark.once


class Memory(Writer):
    """A notebook that is one cell, or none."""

    name = "memory"

    def __init__(self, text: Optional[str]) -> None:
        self.text, self.puts = text, 0

    def read(self) -> Optional[str]:
        """See `Writer`."""
        return self.text

    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """See `Writer`."""
        assert expected == self.text
        self.text, self.puts = text, self.puts + 1
        return "saved"


def lines(text: Optional[str]) -> List[str]:
    """The lines of a cell that are there."""
    assert text is not None
    return text.split("\n")


def test_a_cell_that_is_gone_is_not_made_again_with_less() -> None:
    """Nothing is written where a cell with lines was deleted, and their number is known."""
    writer = Memory(None)
    record = add(writer, [(pin("c==1"), "")], before=parse(CELL))
    assert (record.state, record.lines) == ("gone", 2)
    assert writer.puts == 0


def test_a_cell_that_is_gone_is_brought_back_whole() -> None:
    """With what is new; and where nothing is new, too."""
    writer = Memory(None)
    record = add(writer, [(pin("c==1"), "")], before=parse(CELL), restore=True)
    assert record.state == "saved" and record.created
    assert [x for x in lines(writer.text) if "c==1" not in x] == lines(CELL)[:-1]
    writer = Memory(None)
    add(writer, [], before=parse(CELL), restore=True)
    assert writer.text == CELL


@pytest.mark.parametrize("before", ["", f"{MARKER}\n%reload_ext colab_magics\nx = 1"])
def test_a_cell_without_lines_of_ours_is_not_missed(before: str) -> None:
    """A new one is made where there was none, or none that holds anything."""
    writer = Memory(None)
    assert add(writer, [(pin("c==1"), "")], before=parse(before)).created
    assert is_setup(writer.text or "") and lines(writer.text)[-1] == "%pin c==1"


@pytest.mark.parametrize("name", ["a==1", "c==1"], ids=["known", "new"])
def test_a_lost_marker_is_put_back_below_the_title(name: str) -> None:
    """A cell that its writer knows by its role gets it with the next line, and that is said."""
    writer = Memory(UNMARKED)
    record = add(writer, [(pin(name), "")])
    assert MARKED in record.changes
    assert lines(writer.text)[0] == "#@title Setup" and is_setup(writer.text or "")
    assert lines(writer.text)[2:4] == ["%reload_ext colab_magics", "%pin a==1"]
    assert add(writer, [(pin(name), "")]).state == "unchanged"


def test_a_lost_marker_is_put_back_by_an_edit_that_changes_something() -> None:
    """Forgetting a line does it too; naming none that is there writes nothing."""
    writer = Memory(UNMARKED)
    assert not edit(writer, lambda old: forget(old or [], ["pin", "x"])).changes and not writer.puts
    edit(writer, lambda old: forget(old or [], ["pin", "a"]))
    assert is_setup(writer.text or "") and "%pin a==1" not in lines(writer.text)
