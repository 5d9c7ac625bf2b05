"""Windows and kernels: several of them, other names, and pages that nobody looks at."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from support.notebooks import whole
from support.window import LOAD, Server, steps, until

from .conftest import EVERY, PLAIN, Open, on

DRIVE = LOAD + "\n%drive mount"
ASKS = "print('got', input('? '))"
WAIT = "import os, time\nwhile not os.path.exists('{0}'): time.sleep(0.02)\n"


@on("notebook", long=EVERY)
def test_two_notebooks_on_one_kernel(server: Server, open_notebook: Open) -> None:
    """Only the notebook that asked is written."""
    first = open_notebook(server, DRIVE, name="first")
    other = server.folder / "second.ipynb"
    other.write_text(json.dumps(whole(first.path)), encoding="utf-8")
    body: Any = {"path": other.name, "name": other.name, "type": "notebook"}
    server.api("sessions", "POST", **body, kernel={"id": first.kernel})
    second = open_notebook(server, name=other.stem)
    assert second.kernel == first.kernel
    first.connected()
    first.run(0, "added on top, saved")
    assert first.saved() == ["%drive mount"]
    assert second.texts == [DRIVE] and second.on_disk() == [DRIVE]
    second.run(0, "added on top, saved")
    assert second.saved() == ["%drive mount"]


@on("lab", long=EVERY)
def test_another_connection_had_the_kernel_first(server: Server, open_notebook: Open) -> None:
    """Where comms are handled by a console that was there first, the cell is written as well."""
    window = open_notebook(server, DRIVE)
    if server.app == "lab":
        other = """
          const console = await app.commands.execute('console:create',
            { kernelPreference: { name: 'python3', autoStartDefault: true }, activate: false });
          await console.sessionContext.ready;
          return console.sessionContext.session.kernel.id;"""
    else:
        other = """
          window.other = await app.serviceManager.sessions.startNew(
            { path: 'console', name: 'console', type: 'console', kernel: { name: 'python3' } });
          return window.other.kernel.id;"""
    identity = window.js(other)
    assert identity != window.kernel
    window.js("await panel.sessionContext.changeKernel({ id: argument })", identity)
    until(lambda: window.kernel == identity, "the notebook has the console's kernel")
    window.js("app.shell.activateById(panel.id)")
    window.connected()
    assert window.js("return kernel.handleComms") is False
    window.run(0, "added on top, saved")
    assert window.saved() == ["%drive mount"]


@on("notebook", long=EVERY)
def test_renamed_while_open(server: Server, open_notebook: Open) -> None:
    """A notebook that was renamed while open gets the cell under its new name."""
    window = open_notebook(server, DRIVE)
    old, name = window.path, "renamed-" + window.path.name
    window.js("return panel.context.rename(argument)", name)
    window.path = old.with_name(name)
    until(window.idle, "the session has the new name")
    window.run(0, "added on top, saved")
    assert window.saved() == ["%drive mount"]
    assert not old.exists()


@on("lab", long=EVERY)
def test_moved_away_while_open(server: Server, open_notebook: Open) -> None:
    """What is said is true, the cell is on the page, and the file that was moved stays whole."""
    window = open_notebook(server, DRIVE)
    moved = window.path.with_name("moved-" + window.path.name)
    window.path.rename(moved)
    before = moved.read_bytes()
    identity = window.start(0)

    def told() -> bool:
        # jupyter-collaboration reads a file anew that was gone: what a cell then shows may be lost.
        lost = server.collaboration and window.ended(identity)
        return lost or "Setup cell:" in window.shown(identity)

    until(told, "the magic says what became of it")
    shown = window.shown(identity)
    assert steps(window.texts[0]) == ["%drive mount"]
    assert window.texts[1] == DRIVE
    named = server.folder / window.js("return panel.context.path").rpartition(":")[2]
    window.path = named
    if "Setup cell:" not in shown:
        until(window.saved, "the cell is on disk")
    elif re.search(r"(?<!not )saved", shown):
        assert window.saved() == ["%drive mount"]
    else:
        assert "not saved yet" in shown
    if named != moved:  # with jupyter-collaboration the page may follow the file
        assert moved.read_bytes() == before


@on("lab", long=EVERY)
def test_a_tab_in_the_background(server: Server, open_notebook: Open) -> None:
    """A page that is hidden while the cell runs writes and saves all the same."""
    window = open_notebook(server, LOAD + "\n" + WAIT.format("hidden") + "%drive mount")
    go = server.folder / "hidden"
    identity = window.start(0)
    window.page.context.new_page().bring_to_front()
    window.js(
        "for (const [name, value] of [['hidden', true], ['visibilityState', 'hidden']])"
        " Object.defineProperty(document, name, { get: () => value });"
        " document.dispatchEvent(new Event('visibilitychange'))"
    )
    go.touch()
    until(window.saved, "the cell is on disk")
    assert "added on top, saved" in window.finish(identity, "Setup cell:")
    assert window.dialogs == 0
    go.unlink()


@on("lab", long=EVERY)
def test_a_clock_that_is_set(server: Server, open_notebook: Open) -> None:
    """A page whose clock jumps an hour ahead, or back, is not deaf to what comes after."""
    window = open_notebook(server, DRIVE, "%cd_persist drive:", "%setup forget cd")
    window.run(0, "added on top, saved")
    window.js("const now = Date.now; Date.now = () => now() + 3600000")
    window.run(2, "%cd_persist drive: - saved")
    window.js("const now = Date.now; Date.now = () => now() - 7200000")
    window.run(3, "forgotten: %cd_persist drive:")
    until(lambda: window.saved() == ["%drive mount"], "the line is gone on disk")


@on("lab", long=PLAIN)
@pytest.mark.parametrize(
    "known",
    [False, pytest.param(True, marks=pytest.mark.long)],
    ids=["at first", "later"],
)
def test_a_frozen_tab(server: Server, open_notebook: Open, known: bool) -> None:
    """The cell ends in time without the page, says so, and the next magic writes both lines.

    ``known``: the kernel has found out before that the extension is there.
    """
    go = server.folder / f"go-{known}"
    ask = "\n%setup where -v" if known else ""
    cells = [LOAD + ask, WAIT.format(go) + "%drive mount", "%cd_persist drive:", ASKS]
    window = open_notebook(server, *cells)
    window.run(0, "front end" if known else "")
    frozen = window.start(1)
    tools = window.page.context.new_cdp_session(window.page)
    tools.send("Debugger.enable")
    tools.send("Debugger.pause")  # no script runs in the page any more; its messages wait
    go.touch()
    until(window.idle, "the magic ends without the page", 20)
    assert "colab_magics:setup" not in window.path.read_text(encoding="utf-8")
    tools.send("Debugger.disable")
    shown = window.finish(frozen, "Setup cell:")
    assert "saved" not in shown and ("not written" in shown or "remembered" in shown)
    assert len(window.texts) == 4
    window.run(2, "saved")
    assert window.saved() == ["%drive mount", "%cd_persist drive:"]
    asking = window.start(4)
    window.answer("mine")
    assert "got mine" in window.finish(asking, "got")
