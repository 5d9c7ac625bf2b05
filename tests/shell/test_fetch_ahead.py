"""Downloads of a setup cell begin while its earlier lines work, and nothing else is different."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from pathlib import Path
from typing import Any, List

import pytest
from doubles.files_server import Server
from doubles.git_server import Server as GitServer
from support.cells import Cells, Child

from colab_magics.core.errors import SourceError
from colab_magics.core.folders import cache_folder
from colab_magics.fetch import prefetch

from .test_fetch import files_below

DATA = os.urandom(300_000)
MARKER = "# colab_magics:setup v1"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def until(server: Server, run: Cells, asked: int = 1) -> None:
    """Let ``wait()`` in a cell end when the server has been asked so often, and has answered."""

    def wait() -> None:
        for _ in range(600):
            if len(server.asked) >= asked and server.at_once == 0 and not _going():
                return
            threading.Event().wait(0.05)
        raise AssertionError(f"asked: {server.paths()}")

    run.shell.user_ns["wait"] = wait


def _going() -> List[str]:
    return [one.name for one in threading.enumerate() if type(one).__module__ == prefetch.__name__]


def cached() -> List[str]:
    """What lies in the cache of downloads that have begun."""
    folder = cache_folder("ahead")
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def cell(*lines: str) -> str:
    return "\n".join([MARKER, "%env_persist A=1", *lines])


def test_it_begins_while_an_earlier_line_works(run: Cells, server: Server) -> None:
    """All of them arrive before their lines, which take them over and ask for nothing more."""
    lines = []
    for name in ("a", "b"):
        url = server.put(f"/{name}.bin", DATA + name.encode())
        lines.append(f"%fetch {url} data/ --sha256 {sha(DATA + name.encode())}")
    until(server, run, 2)
    shown = run(cell("wait()", *lines))
    assert "data/a.bin fetched, 300.0 kB" in shown and "data/b.bin fetched" in shown
    assert files_below() == ["data/a.bin", "data/b.bin"] and cached() == [] and not _going()
    assert Path("data/b.bin").read_bytes() == DATA + b"b"
    assert sorted(server.paths()) == ["/a.bin", "/b.bin"]
    run(cell(*lines))
    assert len(server.paths()) == 2 and cached() == []


def test_a_line_waits_for_what_has_begun(run: Cells, server: Server) -> None:
    """What is under way is not asked for a second time, and an archive is unpacked as ever."""
    url = server.put("/a.bin", DATA, stall=1000)
    run.shell.user_ns["begun"] = server.stalled
    run.shell.user_ns["go_on"] = lambda: threading.Timer(0.3, server.go_on.set).start()
    shown = run(cell("assert begun.wait(30); go_on()", f"%fetch {url} --sha256 {sha(DATA)}"))
    assert "a.bin fetched, 300.0 kB" in shown and server.paths() == ["/a.bin"]
    assert Path("a.bin").read_bytes() == DATA and files_below() == ["a.bin"] and cached() == []


def test_nothing_is_made_where_a_clone_goes(
    run: Cells,
    server: Server,
    tmp_path: Path,
) -> None:
    """A file for a folder of a repository comes before the clone, and is not in its way."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed: apt install git")
    url = server.put("/a.bin", DATA)
    until(server, run)
    git = GitServer(tmp_path / "git")
    try:
        clone = f"%github clone {git.make('project', README='hello')}"
        fetch = f"%fetch {url} project/data/ --sha256 {sha(DATA)}"
        run(cell("wait(); import os; assert not os.path.exists('project')", clone, fetch))
    finally:
        git.close()
    assert Path("project/README").read_text() == "hello"
    assert Path("project/data/a.bin").read_bytes() == DATA and server.paths() == ["/a.bin"]


@pytest.mark.parametrize("stall", [0, 1000])
def test_a_cell_that_fails_before_leaves_nothing(
    run: Cells,
    server: Server,
    stall: int,
) -> None:
    """Neither a file nor a download that goes on, whether all of it had arrived or not."""
    url = server.put("/a.bin", DATA, stall=stall)
    until(server, run)
    run.shell.user_ns["begun"] = server.stalled
    wait = "assert begun.wait(30)" if stall else "wait()"
    reply = run.attempt(cell(wait, "1 / 0", f"%fetch {url} data/ --sha256 {sha(DATA)}"))
    assert isinstance(reply.error, ZeroDivisionError)
    assert files_below() == [] and cached() == [] and not _going() and not Path("data").exists()


@pytest.mark.parametrize(
    ("answer", "code"),
    [({"status": [404, 404]}, "absent"), ({"data": b"other"}, "hash-differs")],
)
def test_a_failure_is_said_by_its_own_line(
    run: Cells,
    server: Server,
    answer: Any,
    code: str,
) -> None:
    """What fails ahead is said by its line, as ever, and nothing of it stays."""
    url = server.put("/a.bin", **{"data": DATA, **answer})
    until(server, run)
    reply = run.attempt(cell("wait()", f"%fetch {url} data/ --sha256 {sha(DATA)}"))
    assert isinstance(reply.error, SourceError) and reply.error.code == code
    assert files_below() == [] and cached() == []


def test_what_a_kill_has_left_is_gone_on_with(run: Cells, server: Server) -> None:
    """What had arrived when the kernel was killed is not asked for again by the next one."""
    url = server.put("/a.bin", DATA, stall=200_000)
    lines = ("import time; time.sleep(60)", f"%fetch {url} --sha256 {sha(DATA)}")
    with Child({**os.environ, "PWD": os.getcwd()}) as killed:
        killed.ask(cell(*lines))
        assert server.stalled.wait(60)
        while not cached() or (cache_folder("ahead") / cached()[0]).stat().st_size < 150_000:
            threading.Event().wait(0.02)
        killed.process.kill()
    server.go_on.set()
    until(server, run, 2)
    run(cell("wait()", lines[1]))
    asked = server.asked[1].headers["range"]
    assert 150_000 <= int(asked[len("bytes=") : -1]) <= 200_000 and len(server.asked) == 2
    assert Path("a.bin").read_bytes() == DATA and cached() == []


def test_nothing_begins_that_needs_more(run: Cells, server: Server) -> None:
    """Not with a token, not for what is there in part or whole, and not in another cell."""
    (url, other, there) = (server.put(f"/{name}.bin", DATA) for name in "abc")
    run(f"%fetch {there}")
    Path(".b.bin.colab-magics-part").write_bytes(b"x")
    lines = [f"%fetch {url} --token MY_TOKEN", f"%fetch {other}", f"%fetch {there}"]
    for text in (cell("1 / 0", *lines), "\n".join(["%env_persist A=1", "1 / 0", *lines])):
        assert isinstance(run.attempt(text).error, ZeroDivisionError)
    assert server.paths() == ["/c.bin"] and cached() == []
