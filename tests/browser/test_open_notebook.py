"""The setup cell appears in the notebook that is open, and nothing that was typed is lost."""

from __future__ import annotations

from typing import Any, List

from support.notebooks import whole
from support.window import LOAD, Server, steps, until

from .conftest import EVERY, PLAIN, Open, on

DRIVE = LOAD + "\n%drive mount"


@on("lab-rtc", "notebook", long=EVERY)
def test_added_on_top_saved_and_updated(server: Server, open_notebook: Open) -> None:
    """A magic puts the cell on top and saves; a later one adds its line; again changes nothing."""
    window = open_notebook(server, DRIVE, "%cd_persist drive:", "")
    window.type(2, "unsaved = 1")
    shown = window.run(0, "Setup cell")
    assert "added on top, saved" in shown
    assert window.saved() == ["%drive mount"]
    assert window.on_disk()[3] == "unsaved = 1", "what was typed is saved along"

    assert "%cd_persist drive: - saved" in window.run(2, "Setup cell")
    assert window.saved() == ["%drive mount", "%cd_persist drive:"]
    assert "Setup cell" not in window.run(2, "already in drive:")
    assert window.saved() == ["%drive mount", "%cd_persist drive:"]
    assert window.dialogs == 0
    assert steps(window.texts[0]) == window.saved()


@on("lab", long=EVERY)
def test_an_autosave_later_asks_nothing(server: Server, open_notebook: Open) -> None:
    """The front end's own save after ours finds nothing to ask about, and keeps the cell."""
    window = open_notebook(server, DRIVE, "")
    window.run(0, "added on top, saved")
    before = window.on_disk()[0]
    for text in ("later = 1", "; again = 2"):
        window.type(2, text)
        until(lambda text=text: window.on_disk()[2:][:1] and text in window.on_disk()[2], text)
        assert window.dialogs == 0
    assert window.on_disk() == [before, DRIVE, "later = 1; again = 2"]
    assert window.texts == window.on_disk()


@on("notebook", long=PLAIN)
def test_an_autosave_meanwhile_asks_nothing(server: Server, open_notebook: Open) -> None:
    """One that is asked for while ours is under way waits for it: nothing asks "overwrite?"."""
    window = open_notebook(server, DRIVE, "")
    window.js(
        "const once = (context, state) => { if (state !== 'started') return;"
        " context.saveState.disconnect(once);"
        " globalThis.second = new Promise(d => setTimeout(() => d(context.save()), 0)); };"
        " panel.context.saveState.connect(once)"
    )
    assert "added on top, saved" in window.run(0, "added on top")
    window.js("return Promise.race([globalThis.second, new Promise(d => setTimeout(d, 9000))])")
    assert window.dialogs == 0 and window.saved() == ["%drive mount"]
    assert not window.js("return Object.hasOwn(panel.context, 'save')")


@on("notebook-rtc", long=EVERY)
def test_nothing_typed_meanwhile_is_lost(server: Server, open_notebook: Open) -> None:
    """Sixty characters typed while the cell is written all stand there, on the page and on disk."""
    window = open_notebook(server, DRIVE, "")
    text = "typed = '" + "abcdefghij" * 6 + "'"
    window.start(0)
    last = window.page.locator(".jp-Notebook .jp-Cell").last
    last.locator(".cm-content").click()
    window.page.keyboard.type(text, delay=10)
    until(window.saved, "the setup cell is on disk")
    assert window.texts[-1] == text
    window.save()
    until(lambda: window.on_disk()[-1:] == [text], "what was typed is on disk")
    assert window.dialogs == 0, window.page.locator(".jp-Dialog").all_inner_texts()


@on("notebook", long=EVERY)
def test_undo_takes_it_back(server: Server, open_notebook: Open) -> None:
    """Undo in the notebook removes the cell that was added."""
    window = open_notebook(server, DRIVE, "")
    window.run(0, "added on top")
    assert len(window.texts) == 3
    window.page.keyboard.press("Escape")
    window.page.keyboard.press("z")
    until(lambda: len(window.texts) == 2, "the cell is gone")
    assert window.texts[0] == DRIVE


@on("lab", long=EVERY)
def test_forget_takes_the_cell_out(server: Server, open_notebook: Open) -> None:
    """``%setup forget --all`` takes the cell out of the open notebook, and saves."""
    window = open_notebook(server, DRIVE, "%setup forget --all")
    window.run(0, "added on top")
    window.run(2, "forgotten: %drive mount")
    until(lambda: len(window.on_disk()) == 2, "the cell is gone from the file")
    assert window.texts == [DRIVE, "%setup forget --all"]


@on("notebook", long=EVERY)
def test_a_cell_of_yesterday_gets_a_line_and_loses_none(
    server: Server, open_notebook: Open
) -> None:
    """In a fresh kernel one magic adds its line to the cell that stands there, edits and all."""
    old = "# colab_magics:setup v1\n%reload_ext colab_magics\n# mine\n%pin packaging  # any\nx = 1"
    window = open_notebook(server, old, DRIVE)
    window.run(1, "Setup cell: %drive mount - saved")
    lines = window.on_disk()[0].split("\n")
    assert [line for line in lines if line != "%drive mount"] == old.split("\n")
    assert lines.count("%drive mount") == 1


@on("lab", long=EVERY)
def test_after_a_restart_one_line_is_added(server: Server, open_notebook: Open) -> None:
    """A kernel that was restarted knows nothing, and adds its line to the cell that is there."""
    window = open_notebook(server, DRIVE, LOAD + "\n%cd_persist drive:")
    window.run(0, "added on top, saved")
    before = window.on_disk()[0]
    window.js("return panel.sessionContext.restartKernel()")
    window.connected()
    window.run(2, "Setup cell: %cd_persist drive: - saved")
    assert window.on_disk()[0] == before + "\n%cd_persist drive:"


@on("notebook", long=PLAIN)
def test_format_4_4_stays(server: Server, open_notebook: Open) -> None:
    """A notebook of an older minor format keeps it, and gets no cell ids."""
    window = open_notebook(server, DRIVE, minor=4)
    window.run(0, "added on top, saved")
    found = whole(window.path)
    assert found["nbformat_minor"] == 4
    assert not any("id" in cell for cell in found["cells"])


@on("lab", long=PLAIN)
def test_a_slow_save_is_told_when_it_is_done(server: Server, open_notebook: Open) -> None:
    """Where the file takes long the cell does not wait; a later one finishes what was said."""
    held: List[Any] = []

    def hold(route: Any) -> None:
        held.append(route) if route.request.method == "PUT" else route.continue_()

    window = open_notebook(server, DRIVE, "1 + 1")
    window.page.route("**/api/contents/*", hold)
    asking = window.start(0)
    assert "added on top, not saved yet" in window.finish(asking, "added on top")
    assert window.saved() == []
    while held:
        held.pop().continue_()
    window.page.unroute("**/api/contents/*")
    until(lambda: window.saved() == ["%drive mount"], "the file is written")
    window.run(2, "2")
    assert "added on top, saved" in window.shown(asking)
