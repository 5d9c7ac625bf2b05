"""The setup cell is edited by hand while a magic is about to write into it; and foreign texts."""

from __future__ import annotations

from support.window import LOAD, Server, Window, until

from .conftest import EVERY, PLAIN, Open, on

SETUP = "# colab_magics:setup v1\n%reload_ext colab_magics\n%drive mount"
#: From the extension's answer to "read" on, wait for a file before "put" is asked.
SLOW = """\
%load_ext colab_magics
import itertools, os, pathlib, time
from colab_magics.notebook import comm
from colab_magics.notebook.writers import frontend as writer
numbers, real = itertools.count(), comm.ask
def slow(host, action, **data):
    if action == "put":
        number = next(numbers)
        if number < {times}:
            pathlib.Path(f"{name}-asked-{{number}}").touch()
            while not os.path.exists(f"{name}-go-{{number}}"):
                time.sleep(0.02)
    return real(host, action, **data)
comm.ask = slow
if hasattr(writer, "ask"):
    writer.ask = slow
"""
HOSTILE = """\
import copy, uuid
earlier = copy.deepcopy(get_ipython().kernel.get_parent("shell"))
from ipykernel.comm import Comm
from colab_magics.notebook import comm
from colab_magics.core.host import Host
host = Host(get_ipython())
say = lambda **data: (comm.ask(host, **data) or {}).get("status")
print("foreign text", say(action="put", text="rm -rf", expected=None))
print("unknown action", say(action="run"))
"""
FORGED = """\
kernel = get_ipython().kernel
another = copy.deepcopy(kernel.get_parent("shell"))
another["header"]["session"] = "somebody-else"
keep = {"action": "keep", "what": "gpu", "value": "T4"}
put = {"action": "put", "expected": None, "text": "# colab_magics:setup v1\\nprint('hostile')"}
for parent in (another, earlier):
    for data in (put, keep, {"action": "read"}, {"action": "whole"}):
        content = {"comm_id": uuid.uuid4().hex, "target_name": "colab_magics",
                   "data": {**data, "nonce": uuid.uuid4().hex, "patience": 20}}
        kernel.session.send(kernel.iopub_socket, "comm_open", content, parent=parent)
print("sent")
"""


def edit(window: Window, name: str, number: int) -> None:
    """Type a line into the setup cell, and let the write that waits go on."""
    window.type(0, f"\n# edit {number}")
    (window.server.folder / f"{name}-go-{number}").touch()


@on("lab-rtc", long=EVERY)
def test_an_edit_meanwhile_and_the_new_line_are_both_there(
    server: Server, open_notebook: Open
) -> None:
    """An edit after the cell was read, before it is written, stays, and the line is added."""
    window = open_notebook(
        server, SETUP, SLOW.format(name=server.folder / "once", times=1), "%cd_persist drive:"
    )
    window.run(0, "drive")
    window.run(1, "")
    writing = window.start(2)
    asked = server.folder / "once-asked-0"
    until(lambda: asked.exists() or window.ended(writing), "the cell is about to be written")
    assert asked.exists(), window.shown(writing)
    edit(window, "once", 0)
    window.finish(writing, "%cd_persist drive: - saved")
    assert sorted(window.on_disk()[0].split("\n")) == sorted(
        [*SETUP.split("\n"), "# edit 0", "%cd_persist drive:"]
    )
    assert window.texts[0] == window.on_disk()[0]
    assert window.dialogs == 0
    for file in server.folder.glob("once-*"):
        file.unlink()


@on("notebook", long=PLAIN)
def test_edits_again_and_again_stand(server: Server, open_notebook: Open) -> None:
    """Where each attempt meets a fresh edit the magic gives up, says so, and the edits stand."""
    window = open_notebook(
        server, SETUP, SLOW.format(name=server.folder / "often", times=99), "%cd_persist drive:"
    )
    window.run(0, "drive")
    window.run(1, "")
    writing = window.start(2)
    said = "The setup cell is being edited; nothing was written into it."
    number = 0

    def given_up() -> bool:
        nonlocal number
        if (server.folder / f"often-asked-{number}").exists():
            edit(window, "often", number)
            number += 1
        return window.ended(writing)

    until(given_up, "the magic gives up")
    assert said in window.shown(writing)
    assert number >= 2
    edits = [f"# edit {i}" for i in range(number)]
    assert window.texts[0].split("\n") == [*SETUP.split("\n"), *edits]
    assert window.dialogs == 0
    for file in server.folder.glob("often-*"):
        file.unlink()


@on("lab-rtc", long=EVERY)
def test_line_ends_of_another_system(server: Server, open_notebook: Open) -> None:
    """A setup cell with Windows line ends gets the line, as page and file say; keeps its outputs,
    and can be edited on.
    """
    cells = (LOAD, "%cd_persist drive:", "%setup forget cd")
    window = open_notebook(server, SETUP.replace("\n", "\r\n"), *cells)
    ran = window.run(0, "drive")
    window.run(1, "")
    window.run(2, "%cd_persist drive: - saved")
    expected = SETUP + "\n%cd_persist drive:"
    assert window.texts[0] == window.on_disk()[0] == expected
    assert window.js("return panel.content.widgets[0].outputArea.node.innerText") == ran
    window.type(0, "\n# mine")
    window.run(3, "forgotten: %cd_persist drive:")
    until(lambda: window.on_disk()[0] == SETUP + "\n# mine", "the page and the file agree")
    assert window.texts[0] == SETUP + "\n# mine" and len(window.texts) == 4
    assert window.dialogs == 0


@on("lab", long=PLAIN)
def test_two_setup_cells_are_refused(server: Server, open_notebook: Open) -> None:
    """Where two setup cells stand nothing is written, and the cells are named."""
    drive = LOAD + "\n%drive mount"
    window = open_notebook(server, SETUP, SETUP, drive)
    shown = window.run(2, "Setup cell: not written")
    assert "Cells 1 and 2 are both setup cells" in shown
    assert window.texts == window.on_disk() == [SETUP, SETUP, drive]


@on("notebook", long=EVERY)
def test_hostile_messages_change_nothing(server: Server, open_notebook: Open) -> None:
    """A text without our marker, an unknown action, another window's session, a cell that has
    ended: all refused, and told nothing of the notebook.
    """
    window = open_notebook(server, HOSTILE, FORGED, "print('after')")
    window.js(
        "window.told = []; const send = kernel.sendInputReply.bind(kernel);"
        " kernel.sendInputReply = (content, header) => {"
        " window.told.push(JSON.parse(content.value)); return send(content, header); }"
    )
    shown = window.run(0, "unknown action")
    assert "foreign text refused" in shown and "unknown action refused" in shown
    window.run(1, "sent")
    window.run(2, "after")
    until(lambda: window.js("return window.told.length") >= 6, "the page has answered each")
    told = window.js("return window.told")
    assert all("text" not in one and "notebook" not in one for one in told), told
    assert [one["status"] for one in told] == ["refused"] * 2 + ["gone"] * 4
    assert window.texts == [HOSTILE, FORGED, "print('after')"]
    assert window.js("return panel.context.model.sharedModel.getMetadata('accelerator')") is None
