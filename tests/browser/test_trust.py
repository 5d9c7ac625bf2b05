"""What a notebook is besides its text: its trust, its outputs, whether it may be written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
from nbformat.sign import NotebookNotary
from support.notebooks import code, state
from support.window import KERNEL, LOAD, Server, Window

from .conftest import EVERY, PLAIN, Open, on

DRIVE = LOAD + "\n%drive mount"
HTML = "<b>{0}</b><script>window.ran = 1</script>"


def with_output(path: Path) -> Any:
    """A notebook whose first cell has an output that only trust makes live."""
    html = {"text/html": [HTML.format(path.stem)], "text/plain": [path.stem]}
    output = {"output_type": "display_data", "data": html, "metadata": {}}
    cells = [{**code("1 + 1"), "outputs": [output]}, code(DRIVE, at=1)]
    whole = {"cells": cells, "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(whole), encoding="utf-8")
    return nbformat.read(path, as_version=4)


def trusted(server: Server, path: Path) -> bool:
    """Whether the server has signed the notebook as it stands on disk."""
    notary = NotebookNotary(data_dir=str(server.data))
    try:
        return bool(notary.check_signature(nbformat.read(path, as_version=4)))
    finally:
        notary.store.close()


@on("lab", long=PLAIN)
def test_trust_is_kept(server: Server, open_notebook: Open) -> None:
    """A notebook that was trusted still is after our write."""
    path = server.folder / f"trusted-{server.app}.ipynb"
    notary = NotebookNotary(data_dir=str(server.data))
    notary.sign(with_output(path))
    notary.store.close()
    assert trusted(server, path)
    window = open_notebook(server, name=path.stem)
    assert window.js("return window.ran === 1"), "the page took it for trusted"
    window.run(1, "added on top, saved")
    assert window.saved() == ["%drive mount"]
    assert trusted(server, path)


@on("lab", long=PLAIN)
def test_no_trust_is_given(server: Server, open_notebook: Open) -> None:
    """A notebook that nobody trusted is as little trusted after our write, and runs no script."""
    path = server.folder / f"untrusted-{server.app}.ipynb"
    with_output(path)
    window = open_notebook(server, name=path.stem)
    window.run(1, "added on top, saved")
    assert window.saved() == ["%drive mount"]
    assert not trusted(server, path)
    assert not window.js("return window.ran")


@on("notebook", long=EVERY)
def test_the_cell_has_our_role_and_no_trust(server: Server, open_notebook: Open) -> None:
    """The new cell says what it is, and nothing else: it makes nothing trusted."""
    window = open_notebook(server, DRIVE)
    window.run(0, "added on top, saved")
    metadata = json.loads(window.path.read_text(encoding="utf-8"))["cells"][0]["metadata"]
    assert metadata.pop("colab_magics") == {"role": "setup", "version": 1}
    assert metadata.pop("tags") == ["nbval-ignore-output"]
    assert not metadata.get("trusted")


@on("lab", long=EVERY)
def test_opening_changes_and_runs_nothing(server: Server, open_notebook: Open) -> None:
    """A notebook of ours, opened again and left alone for longer than an autosave, is as it was."""
    window = open_notebook(server, DRIVE, "%cd_persist drive:")
    window.run(0, "added on top, saved")
    window.run(2, "%cd_persist drive: - saved")
    window.js("return panel.context.save()")
    window.page.close()
    server.end_kernels()
    before = window.path.read_bytes()

    again = open_notebook(server, name=window.path.stem)
    again.page.evaluate("() => new Promise(done => setTimeout(done, 7000))")  # autosave is at 5 s
    count = "return kernel.requestExecute({code: '1', store_history: true}).done"
    reply = again.js(f"const done = await (async () => {{ {count} }})(); return done.content")
    assert reply["execution_count"] == 1, "nothing was executed before"
    assert len(again.texts) == 3
    assert again.saves == 0 and again.dialogs == 0
    assert window.path.read_bytes() == before


def read_only(page: Any) -> None:
    """Let the server say that no notebook may be written, as it does without the permission."""

    def answer(route: Any) -> None:
        if route.request.method != "GET":
            route.fulfill(status=403, json={"message": "Permission denied"})
            return
        response = route.fetch()
        model = response.json()
        route.fulfill(response=response, json={**model, "writable": False})

    page.route("**/api/contents/*.ipynb?*", answer)


@on("notebook", long=PLAIN)
def test_a_read_only_notebook_is_left_alone(server: Server, open_notebook: Open) -> None:
    """Where the notebook may not be written that is said, and neither page nor file changes."""
    window: Window = open_notebook(server, DRIVE, before=read_only)
    assert window.js("return panel.context.contentsModel.writable") is False
    before = state(server.folder)[window.path.name]
    shown = window.run(0, "Setup cell:")
    assert "read-only" in shown, window.js(
        "return JSON.stringify([panel.context.model.readOnly, panel.context.contentsModel])"
    )
    assert window.texts == [DRIVE]
    assert window.dialogs == 0
    assert state(server.folder)[window.path.name] == before
