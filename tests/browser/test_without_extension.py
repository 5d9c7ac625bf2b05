"""A server without our extension: nothing is written behind the page."""

from __future__ import annotations

from support.window import LOAD, Server, setup_on_top, until

from .conftest import Open, on

DRIVE = LOAD + "\n%drive mount"


@on("lab-bare", long=("notebook-bare", "lab-rtc-bare", "notebook-rtc-bare"))
def test_the_file_is_left_alone_until_a_cell_asks(server: Server, open_notebook: Open) -> None:
    """Nothing is written behind the page; ``%setup write`` makes its cell the setup cell."""
    window = open_notebook(server, "%setup write", DRIVE)
    before, saves = window.path.read_bytes(), window.saves
    shown = window.run(1, "Setup cell: remembered")
    assert "%setup write" in shown
    if window.saves == saves and not server.collaboration:  # else the page has saved its outputs
        assert window.path.read_bytes() == before
    assert window.on_disk() == window.texts == ["%setup write", DRIVE]
    replaced = window.start(0)
    until(lambda: list(setup_on_top(window.texts)) == ["%drive mount"], "the cell is replaced")
    assert "this cell is it now" in window.finish(replaced, "this cell is it now")
    window.save()
    until(lambda: window.saved() == ["%drive mount"], "the cell is saved")
    assert len(window.texts) == 2
    assert window.dialogs == 0
