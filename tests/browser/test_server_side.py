"""Notebooks whose cells the Jupyter server runs: jupyter-server-nbmodel, jupyter-server-documents.

Neither lives with the other, nor with the packages of the other tests: `tests/run.py` makes an
environment for each.
"""

from __future__ import annotations

import json
import urllib.error
from pathlib import Path
from typing import Any, Dict, List

import pytest
from support.notebooks import notebook, source, whole
from support.window import KERNEL, LOAD, Server, setup_on_top, steps, until

from colab_magics.server.document import write_metadata

from .conftest import Open, executor, on
from .test_restart import Machine, Ran, cells, index, machine, made, run_to_the_end

__all__ = ["index", "machine", "made"]

DRIVE = LOAD + "\n%drive mount"
WHERE = LOAD + "\nprint('writer', get_ipython().run_line_magic('setup', 'where -v'))"


class Closed:
    """A notebook that no window has open, and what runs its cells: an agent, or a script."""

    def __init__(
        self, server: Server, name: str, *texts: str, kernel: str = "", spec: str = "python3"
    ) -> None:
        self.server = server
        self.path = notebook(server.folder / f"{name}.ipynb", *texts, **KERNEL)
        body: Any = {"path": self.path.name, "name": self.path.name, "type": "notebook"}
        body["kernel"] = {"id": kernel} if kernel else {"name": spec}
        self.kernel = server.api("sessions", "POST", **body)["kernel"]["id"]

    @property
    def _room(self) -> str:
        if executor() == "jupyter_server_nbmodel":
            where = f"collaboration/session/{self.path.name}"
            entry = self.server.api(where, "PUT", format="json", type="notebook")
            return f"json:notebook:{entry['fileId']}"
        entry = self.server.api(f"fileid/index?path={self.path.name}", "POST")
        return f"json:notebook:{entry['id']}"

    def run(self, *texts: str) -> None:
        """Have the server run the cells of these texts."""
        ids = {source(cell): cell["id"] for cell in whole(self.path)["cells"]}
        where, room = f"kernels/{self.kernel}/execute", self._room
        if executor() == "jupyter_server_nbmodel":
            for text in texts:
                metadata = {"cell_id": ids[text], "document_id": room}
                self.server.api(where, "POST", code=text, metadata=metadata)
        else:
            from jupyter_server_documents.rooms.ynotebook_room import _source_hash

            requests = [{"cell_id": ids[t], "source_hash": _source_hash(t)} for t in texts]
            self.server.api(where, "POST", document_id=room, cells=requests)

    def saved(self) -> List[str]:
        """The steps of the setup cell in the file."""
        try:
            return list(setup_on_top([source(cell) for cell in whole(self.path)["cells"]]))
        except ValueError:  # it is being written
            return []


def request(server: Server, kernel: str, **data: Any) -> Dict[str, Any]:
    """Ask the server's half of ours, as a kernel does."""
    body = json.dumps(data).encode()
    address = f"http://127.0.0.1:{server.port}/colab-magics/kernels/{kernel}"
    headers = {"Authorization": "token token"}
    asked = urllib.request.Request(address, data=body, headers=headers, method="POST")
    with urllib.request.urlopen(asked, timeout=30) as answer:
        reply: Dict[str, Any] = json.loads(answer.read())
    return reply


@on("lab-server")
def test_two_windows(server: Server, open_notebook: Open) -> None:
    """The cell is added, saved, updated from the other window; what is typed there stays."""
    window = open_notebook(server, DRIVE, "%cd_persist drive:", "")
    other = open_notebook(server, name=window.path.stem)
    other.type(2, "typed = 1")
    assert "added on top, saved" in window.run(0, "Setup cell")
    assert window.saved() == ["%drive mount"]
    until(lambda: len(other.texts) == 4, "the other window has the cell")
    assert "%cd_persist drive: - saved" in other.run(2, "Setup cell")
    assert window.saved() == ["%drive mount", "%cd_persist drive:"]
    until(lambda: steps(window.texts[0]) == window.saved(), "the first window has the line")
    assert "Setup cell" not in other.run(2, "already in drive:")
    assert window.on_disk()[3] == "typed = 1"
    assert window.dialogs == other.dialogs == 0


@on("lab-server")
def test_run_all_restarts_and_goes_on(
    server: Server, machine: Machine, open_notebook: Open
) -> None:
    """All cells end in order in a new process, and no display stays at what it was at first."""
    window, ran = run_to_the_end(server, machine, open_notebook)
    assert window.saved() == ["%pin tinypkg==2.0"]
    identity = window.js("return panel.content.widgets[2].model.id")
    until(lambda: "installed" in window.shown(identity) or "hold" in window.shown(identity), "it")
    assert "installing" not in window.shown(identity)
    window.run(5, "")
    assert ran.names == "a|abcdee", "the page can still run cells"
    assert window.dialogs == 0


@on("lab-server")
def test_no_window(server: Server) -> None:
    """Nobody has the notebook open: the cell is added, saved, and gets the next line."""
    closed = Closed(server, "closed", DRIVE, "%cd_persist drive:")
    closed.run(DRIVE)
    until(lambda: closed.saved() == ["%drive mount"], "the cell is on disk")
    until(lambda: server.api(f"kernels/{closed.kernel}")["execution_state"] == "idle", "it ends")
    closed.run("%cd_persist drive:")
    until(lambda: len(closed.saved()) == 2, "the line is on disk")


@on("lab-server")
def test_no_window_restarts_and_goes_on(server: Server, machine: Machine) -> None:
    """Nobody has the notebook open, and the cells that were sent together all end."""
    ran = Ran(server)
    closed = Closed(server, "again", *cells(), spec=machine.name)
    closed.run(*cells()[:3])
    ran.become("a|abc")
    assert closed.saved() == ["%pin tinypkg==2.0"]


@on("lab-server")
def test_two_notebooks_on_a_kernel(server: Server) -> None:
    """Only the notebook whose cell runs is written; the kernel of another says nothing."""
    first = Closed(server, "first", DRIVE)
    second = Closed(server, "second", "1", DRIVE, kernel=first.kernel)
    before = first.path.read_bytes()
    second.run(DRIVE)
    until(lambda: second.saved() == ["%drive mount"], "the cell is on disk")
    assert first.path.read_bytes() == before


@on("lab-server")
def test_strangers(server: Server) -> None:
    """Outside the run of a cell, for another kernel, and without the token, nothing is done."""
    go = server.folder / "go"
    wait = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)"
    closed = Closed(server, "strangers", wait)
    kernel, text = closed.kernel, "# colab_magics:setup v1"
    put = {"action": "put", "text": text, "expected": None}
    assert request(server, kernel, **put)["status"] != "ok"
    closed.run(wait)
    until(lambda: request(server, kernel, action="read")["status"] == "ok", "the cell runs")
    for data in ({**put, "text": "import os"}, {**put, "text": 1}, {"action": "run"}, {}):
        assert request(server, kernel, **data)["status"] == "refused"
    for value in (7, "evil", "lock-version"):
        reply = request(server, kernel, action="keep", what="lock", value=value)
        assert reply["status"] == "refused"
    assert request(server, kernel, **{**put, "expected": "other"})["status"] == "conflict"
    unknown = "0" * 8 + kernel[8:]
    assert request(server, unknown, **put)["status"] in ("not-running", "no-notebook")
    address = f"http://127.0.0.1:{server.port}/colab-magics/kernels/{kernel}"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(address, data=b"{}", timeout=10)
    assert request(server, kernel, action="whole")["notebook"]["cells"][0]["source"] == wait
    go.touch()


def test_metadata_is_written_as_in_the_page() -> None:
    """The table of cases that Python and the front end share holds in a shared document."""
    documents = pytest.importorskip("jupyter_ydoc", reason="elsewhere: no shared documents")
    table = json.loads((Path(__file__).parents[1] / "cases" / "metadata.json").read_text())
    for case in table:
        shared = documents.YNotebook()
        content = {"cells": [], "metadata": case["before"], "nbformat": 4, "nbformat_minor": 5}
        shared.set(content)
        assert write_metadata(shared, case["what"], case["value"])["status"] == "ok"
        added = ("kernelspec", "language_info")  # by every shared notebook
        after = {k: v for k, v in shared.get()["metadata"].items() if k not in added}
        assert after == case["after"], case


@on(long=("lab-server-bare",))
def test_without_our_half(server: Server, open_notebook: Open) -> None:
    """``%setup where`` says that no page has sent the cell, and what to do; nothing is written."""
    window = open_notebook(server, WHERE)
    shown = window.run(0, "writer None")
    assert "no page has sent this cell" in shown
    assert window.texts == [WHERE]
