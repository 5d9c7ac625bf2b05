"""The setup cell appears in the notebook that is open, and nothing that was typed is lost."""

from __future__ import annotations

import json
from pathlib import Path

from kernel.files import whole

from .conftest import Open
from .window import Server, Window, setup_on_top, steps, until

LOAD = "%load_ext colab_magics"
DRIVE = LOAD + "\n%drive mount"
HOSTILE = """\
import uuid
from ipykernel.comm import Comm
from colab_magics.notebook import frontend
from colab_magics.host import Host
host = Host(get_ipython())
say = lambda **data: (frontend.ask(host, **data) or {}).get("status")
print("foreign text", say(action="put", text="rm -rf", expected=None))
print("unknown action", say(action="run"))
"""
FORGED = """\
import copy, uuid
kernel = get_ipython().kernel
parent = copy.deepcopy(kernel.get_parent("shell"))
parent["header"]["session"] = "somebody-else"
content = {"comm_id": uuid.uuid4().hex, "target_name": "colab_magics",
  "data": {"action": "put", "nonce": uuid.uuid4().hex, "expected": None,
           "text": "# colab_magics:setup v1\\nprint('hostile')"}}
kernel.session.send(kernel.iopub_socket, "comm_open", content, parent=parent)
print("sent")
"""


def saved(window: Window) -> list[str]:
    """The steps of the setup cell in the file."""
    return list(setup_on_top(window.on_disk()))


def test_added_on_top_saved_and_updated(server: Server, open_notebook: Open) -> None:
    """A magic puts the cell on top and saves; a later one adds its line; again changes nothing."""
    window = open_notebook(server, DRIVE, "%cd_persist drive:", "")
    window.type(2, "unsaved = 1")
    shown = window.run(0, "Setup cell")
    assert "added on top, saved" in shown
    assert saved(window) == ["%drive mount"]
    assert window.on_disk()[3] == "unsaved = 1", "what was typed is saved along"

    assert "%cd_persist drive: - saved" in window.run(2, "Setup cell")
    assert saved(window) == ["%drive mount", "%cd_persist drive:"]
    assert "Setup cell" not in window.run(2, "already in drive:")
    assert saved(window) == ["%drive mount", "%cd_persist drive:"]
    assert window.dialogs == 0
    assert steps(window.texts[0]) == saved(window)


def test_nothing_typed_meanwhile_is_lost(server: Server, open_notebook: Open) -> None:
    """Sixty characters typed while the cell is written all stand there, on the page and on disk."""
    window = open_notebook(server, DRIVE, "")
    text = "typed = '" + "abcdefghij" * 6 + "'"
    window.cell(0).locator(".cm-content").click()
    window.page.keyboard.press("Control+Enter")
    last = window.page.locator(".jp-Notebook .jp-Cell").last
    last.locator(".cm-content").click()
    window.page.keyboard.type(text, delay=10)
    until(lambda: saved(window), "the setup cell is on disk")
    assert window.texts[-1] == text
    window.save()
    until(lambda: window.on_disk()[-1:] == [text], "what was typed is on disk")
    assert window.dialogs == 0


def test_undo_takes_it_back(server: Server, open_notebook: Open) -> None:
    """Undo in the notebook removes the cell that was added."""
    window = open_notebook(server, DRIVE, "")
    window.run(0, "added on top")
    assert len(window.texts) == 3
    window.page.keyboard.press("Escape")
    window.page.keyboard.press("z")
    until(lambda: len(window.texts) == 2, "the cell is gone")
    assert window.texts[0] == DRIVE


def test_forget_takes_the_cell_out(server: Server, open_notebook: Open) -> None:
    """``%setup forget --all`` takes the cell out of the open notebook, and saves."""
    window = open_notebook(server, DRIVE, "%setup forget --all")
    window.run(0, "added on top")
    window.run(2, "forgotten: %drive mount")
    until(lambda: len(window.on_disk()) == 2, "the cell is gone from the file")
    assert window.texts == [DRIVE, "%setup forget --all"]


def test_a_cell_of_yesterday_gets_a_line_and_loses_none(
    server: Server, open_notebook: Open
) -> None:
    """In a fresh kernel one magic adds its line to the cell that stands there, edits and all."""
    old = "# colab_magics:setup v1\n%reload_ext colab_magics\n# mine\n%pin packaging  # any\nx = 1"
    window = open_notebook(server, old, DRIVE)
    window.run(1, "Setup cell: %drive mount - saved")
    text = window.on_disk()[0]
    assert text == old.replace("# mine", "%drive mount\n# mine") or sorted(
        text.split("\n")
    ) == sorted([*old.split("\n"), "%drive mount"])


def test_two_setup_cells_are_refused(server: Server, open_notebook: Open) -> None:
    """Where two setup cells stand nothing is written, and the cells are named."""
    cell = "# colab_magics:setup v1\n%reload_ext colab_magics"
    window = open_notebook(server, cell, cell, DRIVE)
    shown = window.run(2, "Setup cell: not written")
    assert "Cells 1 and 2 are both setup cells" in shown
    assert window.texts == [cell, cell, DRIVE]


def test_format_4_4_stays(server: Server, open_notebook: Open) -> None:
    """A notebook of an older minor format keeps it, and gets no cell ids."""
    window = open_notebook(server, DRIVE, minor=4)
    window.run(0, "added on top, saved")
    found = whole(window.path)
    assert found["nbformat_minor"] == 4
    assert not any("id" in cell for cell in found["cells"])


def test_the_cell_has_our_role_and_no_trust(server: Server, open_notebook: Open) -> None:
    """The new cell says what it is, and nothing else: it makes nothing trusted."""
    window = open_notebook(server, DRIVE)
    window.run(0, "added on top, saved")
    metadata = whole(window.path)["cells"][0]["metadata"]
    assert metadata.pop("colab_magics") == {"role": "setup", "version": 1}
    assert metadata.pop("tags") == ["nbval-ignore-output"]
    assert not metadata.get("trusted")


def test_renamed_while_open(server: Server, open_notebook: Open) -> None:
    """A notebook that was renamed while open gets the cell under its new name."""
    window = open_notebook(server, DRIVE)
    name = "renamed-" + window.path.name
    window.page.evaluate("name => window.jupyterapp.shell.currentWidget.context.rename(name)", name)
    window.path = window.path.with_name(name)
    until(window._idle, "the session has the new name")
    window.run(0, "added on top, saved")
    assert saved(window) == ["%drive mount"]


def test_two_notebooks_on_one_kernel(server: Server, open_notebook: Open) -> None:
    """Only the notebook that asked is written."""
    first = open_notebook(server, DRIVE, name=f"first-{server.app}")
    other = server.folder / f"second-{server.app}.ipynb"
    other.write_text(json.dumps({**whole(first.path)}), encoding="utf-8")
    kernel = first._session()["kernel"]["id"]
    server.api(
        "sessions",
        "POST",
        path=other.name,
        name=other.name,
        type="notebook",
        kernel={"id": kernel},
    )
    second = open_notebook(server, name=other.stem)
    first.run(0, "added on top, saved")
    assert saved(first) == ["%drive mount"]
    assert second.texts == [DRIVE] and second.on_disk() == [DRIVE]
    second.run(0, "added on top, saved")
    assert saved(second) == ["%drive mount"]


def test_hostile_messages_change_nothing(server: Server, open_notebook: Open) -> None:
    """A text without our marker, an unknown action, another window's session: all refused."""
    window = open_notebook(server, HOSTILE, FORGED, "print('after')")
    shown = window.run(0, "unknown action")
    assert "foreign text refused" in shown and "unknown action refused" in shown
    window.run(1, "sent")
    window.run(2, "after")
    assert window.texts == [HOSTILE.rstrip("\n"), FORGED.rstrip("\n"), "print('after')"] or (
        len(window.texts) == 3 and "hostile')" not in window.texts[0].split("\n")
    )


def test_without_the_extension_the_file_is_left_alone(
    bare_server: Server, open_notebook: Open
) -> None:
    """Without it nothing is written behind the page; ``%setup write`` makes its cell the one."""
    window = open_notebook(bare_server, "%setup write", DRIVE)
    before = window.path.read_bytes()
    shown = window.run(1, "Setup cell: remembered")
    assert "%setup write" in shown
    assert window.path.read_bytes() == before or not Path(window.path).read_text().count(
        ":setup v1"
    )
    window.run(0, "this cell is it now")
    assert list(setup_on_top(window.texts)) == ["%drive mount"]
    window.save()
    until(lambda: saved(window) == ["%drive mount"], "the cell is saved")
    assert window.dialogs == 0
