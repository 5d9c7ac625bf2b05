"""Ways to run cells: all at once, the setup cell itself, and cells that ask for input."""

from __future__ import annotations

from support.window import LOAD, Server, until

from .conftest import EVERY, PLAIN, Open, on

SETUP = "# colab_magics:setup v1\n%reload_ext colab_magics\n%drive mount"
DRIVE = LOAD + "\n%drive mount"
ASK = "\nname = input('name? ')\nprint('got', name)"


@on("lab-rtc", "notebook", long=EVERY)
def test_run_all_adds_a_line_once(server: Server, open_notebook: Open) -> None:
    """Run All ends in every cell, and the line is there; a second one changes nothing."""
    window = open_notebook(server, SETUP, "x = 1\nx", "%cd_persist drive:", "print('last', x)")
    shown = window.run_all()
    assert "Setup cell: %cd_persist drive: - saved" in shown[2]
    assert "last 1" in shown[3]
    written = SETUP + "\n%cd_persist drive:"
    assert window.on_disk()[0] == window.texts[0] == written

    again = window.run_all()
    assert not any("Setup cell:" in text for text in again)
    assert "last 1" in again[3]
    assert window.on_disk()[0] == window.texts[0] == written
    assert window.dialogs == 0


@on("notebook", long=EVERY)
def test_the_setup_cell_takes_in_what_is_pending(server: Server, open_notebook: Open) -> None:
    """What could not be written for two setup cells goes in when the one left is run."""
    empty = SETUP.replace("\n%drive mount", "")
    window = open_notebook(server, empty, empty, DRIVE)
    assert "Cells 1 and 2 are both setup cells" in window.run(2, "Setup cell: not written")
    assert window.texts == [empty, empty, DRIVE]
    window.js("panel.context.model.sharedModel.deleteCell(1)")
    assert "%drive mount - saved" in window.run(0, "Setup cell:")
    assert window.on_disk() == window.texts == [SETUP, DRIVE]


@on("lab", long=EVERY)
def test_a_satisfied_setup_cell_stays_as_it_is(server: Server, open_notebook: Open) -> None:
    """Running the setup cell, also twice, changes none of its text."""
    mine = SETUP.replace("%drive", "# mine\n%drive") + "   # here\n\ny = 2"
    window = open_notebook(server, mine, "y")
    for _ in range(2):
        assert "Setup cell" not in window.run(0, "drive")
        assert window.texts[0] == mine
    window.js("return panel.context.save()")
    assert window.on_disk()[0] == mine


@on("notebook", long=EVERY)
def test_input_gets_what_the_user_types(server: Server, open_notebook: Open) -> None:
    """A question in the cell of a magic, and one in the next cell, get the user's answers."""
    window = open_notebook(server, DRIVE + ASK, "%cd_persist drive:" + ASK)
    asking = window.start(0)
    window.answer("first")
    shown = window.finish(asking, "added on top, saved")
    assert "got first" in shown
    asking = window.start(2)
    window.answer("second")
    assert "got second" in window.finish(asking, "%cd_persist drive: - saved")
    assert window.saved() == ["%drive mount", "%cd_persist drive:"]


@on("lab", long=PLAIN)
def test_questions_under_run_all(server: Server, open_notebook: Open) -> None:
    """Run All, with questions after our write: each is answered by the user alone."""
    window = open_notebook(server, DRIVE, "%cd_persist drive:" + ASK, "print('last')")
    window.js("void app.commands.execute('notebook:run-all-cells')")
    window.answer("third")
    until(lambda: "last" in window.page.locator(".jp-Notebook").inner_text(), "the last cell ends")
    until(lambda: len(window.saved()) == 2, "both lines are on disk")
    assert "got third" in window.page.locator(".jp-Notebook").inner_text()
