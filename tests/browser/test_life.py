"""The life of a setup cell in an open notebook: deleted, unmarked, moved, copied, not saved."""

from __future__ import annotations

import json
from typing import Any, List

from support.window import LOAD, Server, Window, steps, until

from .conftest import EVERY, PLAIN, Open, on

DRIVE = LOAD + "\n%drive mount"
A, B = "%env_persist A_A=1", "%env_persist B_B=1"
MARKER = "# colab_magics:setup"

#: Page scripts that change the cell at a place as its person would.
DELETE = "panel.context.model.sharedModel.deleteCell(argument)"
MOVE = "panel.context.model.sharedModel.moveCell(0, argument)"
UNMARK = (
    "const shared = panel.context.model.sharedModel.cells[argument];"
    " const lines = shared.getSource().split('\\n').filter(line => !line.includes(':setup'));"
    " shared.setSource(lines.join('\\n'))"
)
COPY = (
    "const model = panel.context.model.sharedModel;"
    " const { id, ...copy } = model.cells[argument].toJSON(); model.insertCell(argument + 1, copy)"
)


def marked(window: Window) -> List[bool]:
    """Which cells have the marker."""
    return [MARKER in text for text in window.texts]


@on("lab", long=EVERY)
def test_a_deleted_cell_is_brought_back_whole(server: Server, open_notebook: Open) -> None:
    """A later line does not make a cell with less: it says what to type, and that brings all."""
    window = open_notebook(server, f"{LOAD}\n{A}", B, "%setup write")
    window.run(0, "added on top, saved")
    window.js(DELETE, 0)
    shown = window.run(1, "is gone")
    assert "its 1 line: %setup write" in shown
    assert not any(marked(window))
    window.run(2, "brought back")
    until(lambda: window.saved() == [A, B] or window.saved() == [f"{A} B_B=1"], "all lines")
    assert marked(window) == [True, False, False, False]


@on("notebook", long=EVERY)
def test_a_cell_without_its_marker_is_known(server: Server, open_notebook: Open) -> None:
    """The next line goes into it, not into a second one; the marker is back, and that is said."""
    window = open_notebook(server, f"{LOAD}\n{A}", B)
    window.run(0, "added on top, saved")
    window.js(UNMARK, 0)
    until(lambda: not any(marked(window)), "the marker is gone")
    assert "is back" in window.run(2, "Setup cell:")
    assert marked(window) == [True, False, False]
    assert "B_B" in " ".join(window.saved())


@on("lab", long=PLAIN)
def test_a_role_in_a_notebook_of_others_runs_nothing(server: Server, open_notebook: Open) -> None:
    """A restart runs no cell that metadata alone calls a setup cell."""
    evil = "open('ran', 'w').close()\n%reload_ext colab_magics"
    window = open_notebook(server, evil, f"{LOAD}\n%session restart")
    role = {"role": "setup", "version": 1}
    script = "panel.context.model.sharedModel.cells[0].setMetadata('colab_magics', argument)"
    window.js(script, role)
    before = window.js("return kernel.id")
    window.start(1)
    until(lambda: window.js("return kernel.status === 'idle'") and window.idle(), "it is idle")
    assert window.js("return kernel.id") == before
    assert not (server.folder / "ran").exists()


@on("lab", long=EVERY)
def test_a_moved_and_a_copied_cell_are_named(server: Server, open_notebook: Open) -> None:
    """Below other code it is said where it is; two are named; each with what to do."""
    window = open_notebook(server, f"{LOAD}\n{A}", "x = 1", B, "%setup")
    window.run(0, "added on top, saved")
    window.js(MOVE, 2)
    assert marked(window) == [False, False, True, False, False]
    shown = window.run(3, "Setup cell:")
    assert "cell 3" in shown and "move it to the top" in shown
    window.js(COPY, 2)
    until(lambda: sum(marked(window)) == 2, "there are two")
    window.save()
    shown = window.run(5, "both setup cells")
    assert "Cells 3 and 4" in shown and "delete" in shown.lower()


@on("lab-bare")
def test_a_page_from_before_the_extension(server: Server, open_notebook: Open) -> None:
    """It is told to reload; then the line goes into the notebook by itself."""
    window = open_notebook(server, DRIVE, "1 + 1")
    shown = window.run(0, "remembered")
    assert shown.count("reload this page") == 1
    page_config = server.home / "config" / "labconfig" / "page_config.json"
    before = page_config.read_text(encoding="utf-8")
    config = json.loads(before)
    config["disabledExtensions"].pop("colab-magics", None)
    page_config.write_text(json.dumps(config), encoding="utf-8")
    try:
        window.save()
        until(lambda: "%drive mount" in "".join(window.on_disk()), "it is saved")
        reload(window)
        assert "added on top, saved" in window.run(1, "Setup cell:")
    finally:
        page_config.write_text(before, encoding="utf-8")
    assert window.saved() == ["%drive mount"]


@on("lab", long=PLAIN)
def test_what_was_not_saved_is_there_again_after_a_reload(
    server: Server, open_notebook: Open
) -> None:
    """A line whose save never ended is lost with the page, and taken in anew by the next one."""
    held: List[Any] = []

    def hold(route: Any) -> None:
        held.append(route) if route.request.method == "PUT" else route.continue_()

    window = open_notebook(server, DRIVE, "1 + 1")
    window.page.route("**/api/contents/*", hold)
    window.run(0, "not saved yet")
    reload(window)
    assert not any(marked(window)), "the page shows the file"
    window.page.unroute("**/api/contents/*")
    assert "saved" in window.run(1, "Setup cell:")
    assert window.saved() == steps(window.texts[0]) == ["%drive mount"]


def reload(window: Window) -> None:
    """Reload the page as a person does who leaves what is not saved."""
    window.page.once("dialog", lambda dialog: dialog.accept())
    window.page.reload()
    window.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    window.connected()
