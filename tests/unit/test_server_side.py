"""What the kernel and a Jupyter server that runs the cells say to each other, without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, Iterator, List, Union, cast

import pytest

from colab_magics.core.errors import ServerError
from colab_magics.core.host import Host
from colab_magics.extension import batch
from colab_magics.notebook import server_side
from colab_magics.notebook.servers import plain_path, servers
from colab_magics.server import restart

pytestmark = pytest.mark.once

Reply = Union[Dict[str, Any], ServerError]


class Server:
    """Gives one reply after another."""

    def __init__(self, *replies: Reply) -> None:
        self.replies, self.requests = list(replies), 0

    def ask(self, *request: object) -> Reply:
        """See `servers.Server`."""
        self.requests += 1
        reply = self.replies.pop(0)
        if isinstance(reply, ServerError):
            raise reply
        return reply


def failure(status: int) -> ServerError:
    """An answer with this status; 0: none came in time."""
    error = ServerError("It does not answer.", "Wait.", code="late" if status == 0 else "failed")
    error.status = status
    return error


def request(number: int) -> Host:
    """The host of a request that no page has sent."""
    return cast(Host, SimpleNamespace(request={"header": {"msg_id": str(number)}, "metadata": {}}))


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Have a server of these replies for this kernel."""
    monkeypatch.setattr(server_side, "_LAST", ("", ""))
    monkeypatch.setattr(server_side, "_ABSENT", set())
    monkeypatch.setattr(server_side, "server_kernel", lambda: "kernel")

    def put(*replies: Reply) -> Server:
        server = Server(*replies)
        monkeypatch.setattr(server_side, "own", lambda: server)
        return server

    yield put


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_without_our_half_is_asked_once(serve: Any, status: int) -> None:
    """A client that sends no cell id costs one request for the kernel's life, not one a cell."""
    server = serve(failure(status), {"status": "ok"})
    assert [server_side.runs_on_server(request(i)) for i in range(3)] == [False] * 3
    assert server.requests == 1


def test_a_server_that_is_late_still_runs_the_cells(serve: Any) -> None:
    """What was seen holds until it answers again; it is asked for each cell, and once for one."""
    server = serve({"status": "ok"}, failure(0), {"status": "not-running"})
    seen = [server_side.runs_on_server(request(i)) for i in (1, 1, 2, 3)]
    assert (seen, server.requests) == ([True, True, True, False], 3)


@pytest.mark.parametrize(
    ("path", "plain"),
    [("RTC:a/b.ipynb", "a/b.ipynb"), ("Lecture 3:trees.ipynb", "Lecture 3:trees.ipynb")],
)
def test_a_colon_in_a_name_is_part_of_it(path: str, plain: str) -> None:
    """Only the mark of those that are edited together is taken off: else it is another notebook."""
    assert plain_path(path) == plain


def test_reasons_are_known_until_the_last_restart_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kernel whose cells ask for one another's restart is not restarted without end."""

    async def ended() -> None:
        tasks = [asyncio.ensure_future(asyncio.sleep(0)) for _ in range(2)]
        monkeypatch.setattr(restart, "_TASKS", dict.fromkeys(tasks, "kernel"))
        monkeypatch.setattr(restart, "_BUSY", {"kernel": {"numpy", "torch"}})
        known: List[bool] = []
        for task in tasks:
            restart._forget(cast("asyncio.Task[None]", task))
            known.append("kernel" in restart._BUSY)
        await asyncio.gather(*tasks)
        assert known == [True, False]

    asyncio.run(ended())


def test_cells_from_before_the_extension_are_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing tells when they ran; of later ones those that ran without a pause are one batch."""
    now = [0.0]
    monkeypatch.setattr(batch, "time", SimpleNamespace(monotonic=lambda: now[0]))
    history = SimpleNamespace(input_hist_raw=["", "old", "load"])
    cells = batch.Batch(SimpleNamespace(history_manager=history))
    assert cells.sources == ["load"]
    for source, pause in (("a", 0.1), ("b", 9.0), ("c", 0.1)):
        cells.cell_ends()
        now[0] += pause
        cells.cell_begins()
        history.input_hist_raw.append(source)  # by IPython, behind its event
    assert cells.sources == ["b", "c"]


def test_what_serves_tools_is_no_server_of_notebooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of jupyter-server-mcp is passed over; a Jupyter server's beside it is not."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr("colab_magics.notebook.servers.Server.alive", True)
    for name in ("jpserver-mcp-1.json", "jpserver-2.json"):
        (tmp_path / name).write_text('{"url": "http://127.0.0.1:1/", "pid": 1}')
    assert len(servers()) == 1
