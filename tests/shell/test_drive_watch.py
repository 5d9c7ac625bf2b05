"""``%drive sync --watch``: two folders are kept in step beside the cells, and it ends with them."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Iterator, List, Set

import pytest
from doubles import google_drive as fake
from doubles.google_drive import GoogleDrive
from support.cells import PACKAGE, TESTS, Cells
from support.drive_client import Client

from colab_magics.core.errors import ColabMagicsError
from colab_magics.core.host import Host
from colab_magics.core.meter import Meter
from colab_magics.drive.hooks import Watches
from colab_magics.drive.transfer.places import locate_here
from colab_magics.drive.transfer.sync import watch as watching
from colab_magics.drive.transfer.sync.plan import Limits
from colab_magics.drive.transfer.sync.run import Ends, SyncResult
from colab_magics.drive.transfer.sync.watch import Watch

pytestmark = pytest.mark.once
#: Seconds after which a test that waits has failed.
LONG = 60


class Notes:
    """What the watches of a kernel note, as it comes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.all: queue.Queue[Any] = queue.Queue()
        for name in ("note", "fail"):
            monkeypatch.setattr(Watches, name, self._wrap(getattr(Watches, name)))

    def _wrap(self, method: Any) -> Any:
        def wrapped(*arguments: Any) -> None:
            method(*arguments)
            self.all.put(arguments[-1])

        return wrapped

    def next(self) -> Any:
        """Wait for the next one."""
        return self.all.get(timeout=LONG)


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Notes:
    """Pauses are short."""
    monkeypatch.setattr(watching, "PACE", 0.02)
    monkeypatch.setattr(watching, "REMOTE_PACE", 0.1)
    monkeypatch.setattr(watching, "PAUSE", 0.1)
    return Notes(monkeypatch)


@pytest.fixture
def kernel(run: Cells, notes: Notes) -> Iterator[Cells]:
    """A shell whose watches end with the test."""
    yield run
    run("%drive sync --stop")
    assert threads() == set()


def put(path: str, text: str) -> None:
    """Write a file at once: a watch that sees the half of it sends it twice."""
    Path("new").write_text(text)
    os.replace("new", path)


def threads() -> Set[str]:
    return {x.name for x in threading.enumerate() if x.name == "drive sync"}


def show_notes(run: Cells, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is shown below the next cell, a person being there."""
    with monkeypatch.context() as patch:
        patch.setattr(Host, "live", True)
        return run("None")


# ---------------------------------------------------------------------- in a notebook
def test_both_sides_are_kept_in_step_and_the_next_cell_says_so(
    kernel: Cells, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is edited on a side comes to the other; one line, once."""
    Path("a").mkdir()
    put("a/x", "1")
    steps = kernel.steps()
    shown = kernel("%drive sync a b --watch").splitlines()
    assert shown[0].startswith("1 file sent") and "--stop" in shown[1]
    assert "already" in kernel("%drive sync ./b a --watch") and len(threads()) == 1
    put("a/y", "2")
    assert notes.next().copied == 1
    assert Path("b/y").read_text() == "2"
    put("b/z", "33")
    assert notes.next().received == 1
    assert Path("a/z").read_text() == "33"
    shown = show_notes(kernel, monkeypatch).splitlines()
    assert shown == ["a and b: 1 file sent, 1 file received, 3 B"]
    assert show_notes(kernel, monkeypatch) == ""
    assert kernel.steps() == steps


def test_stop_ends_it(kernel: Cells, notes: Notes) -> None:
    """One pair, or all; what is not kept in step is said."""
    for name in "abcd":
        Path(name).mkdir()
    assert "Nothing" in kernel("%drive sync --stop")
    kernel("%drive sync a b --watch")
    kernel("%drive sync c d --watch")
    assert "c and d" in kernel("%drive sync c d --stop")
    assert "Nothing" in kernel("%drive sync c d --stop")
    put("a/x", "1")
    assert notes.next().copied == 1
    assert kernel("%drive sync --stop") == "Not kept in step any more: a and b"
    assert threads() == set()


def test_a_side_that_goes_is_not_filled_anew(
    kernel: Cells, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a drive that is unmounted: the watch ends, and says it."""
    Path("a").mkdir()
    put("a/x", "1")
    kernel("%drive sync a b --watch")
    os.rename("b", "gone")
    while notes.next().code != "root-gone":  # it may go in the middle of a sync
        pass
    assert "b is gone" in show_notes(kernel, monkeypatch)
    assert not Path("b").exists()


def test_it_ends_when_the_extension_is_unloaded(kernel: Cells, notes: Notes) -> None:
    """And may be started again."""
    Path("a").mkdir()
    kernel("%drive sync a b --watch")
    kernel("%unload_ext colab_magics")
    assert threads() == set()
    kernel("%load_ext colab_magics")
    kernel("%drive sync a b --watch")
    put("b/x", "1")
    assert notes.next().received == 1


@pytest.mark.parametrize(
    ("line", "code"),
    [("a --watch", "no-target"), ("a --stop", "no-target"), ("a a/b --watch", "nested")],
)
def test_a_wrong_line_starts_nothing(kernel: Cells, line: str, code: str) -> None:
    """It has one clear error."""
    os.makedirs("a/b")
    assert getattr(kernel.attempt(f"%drive sync {line}").error, "code", "") == code
    assert threads() == set()


# ---------------------------------------------------------------------- when it syncs
class Watched:
    """A watch whose steps are taken one by one, at times that are made up."""

    def __init__(self, ends: Ends) -> None:
        self.results: List[SyncResult] = []
        self.errors: List[ColabMagicsError] = []
        self.now = 0.0
        self.watch = Watch(
            ends,
            Limits(),
            Meter(),
            2,
            self.results.append,
            self.errors.append,
            lambda: self.now,
        )

    def step(self, now: float) -> int:
        """Take a step; return how many files were copied so far."""
        self.now = now
        self.watch.step()
        return sum(result.copied for result in self.results)


def test_what_is_being_written_is_not_sent_yet(home: Path) -> None:
    """A sync waits until the folder rests, but not for ever."""
    Path("a").mkdir()
    Path("b").mkdir()
    host, now = Host(start=Path.cwd()), 0.0
    watched = Watched(Ends(locate_here("a", host), locate_here("b", host)))
    assert watched.step(now) == 0
    for _ in range(3):
        now += 2
        Path("a/log").write_text("x" * int(now))
        assert watched.step(now) == 0
    now += 2
    assert watched.step(now) == 1
    for _ in range(14):
        now += 2
        Path("a/log").write_text("x" * int(now))
        assert watched.step(now) == 1
    now += 10
    Path("a/log").write_text("")
    assert watched.step(now) == 2


def test_the_drive_is_asked_seldom_and_by_few_requests(home: Path) -> None:
    """None while nothing changes here, until its turn has come; then two."""
    Path("p").mkdir()
    now = 0.0
    with GoogleDrive() as drive:
        client = Client(drive.url, lambda fresh: fake.TOKEN)
        top = drive.add_folder("p")
        watched = Watched(Ends(client.locate("p"), client.locate("drive:p")))
        watched.step(now)
        drive.add_file("x", b"1", top)
        drive.reset()
        for _ in range(7):
            now += 2
            assert watched.step(now) == 0
        assert drive.count() == 0
        now += 2
        assert watched.step(now) == 1
        assert drive.count() == drive.count("list", "changes", "media") == 3


# ---------------------------------------------------------------------- the end of the program
CHILD = """
import sys, threading
from support.drive_client import Client
from colab_magics.drive.transfer.sync import watch
from colab_magics.drive.transfer.sync.plan import Limits
from colab_magics.drive.transfer.sync.run import Ends
client = Client(sys.argv[1], lambda fresh: sys.argv[2])
ends = Ends(client.locate("p"), client.locate("drive:p"))
print("begins", flush=True)
kept = watch.Watch(ends, Limits(), client.meter, 2, print, print)
thread = watch.WatchThread(kept, client.meter)
sys.stdin.readline()
"""


def child(*words: str, **options: Any) -> subprocess.Popen[str]:
    seen = [str(TESTS)] if PACKAGE.name == "site-packages" else [str(TESTS), str(PACKAGE)]
    return subprocess.Popen(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(seen)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_program_that_ends_does_not_wait_for_a_transfer(home: Path) -> None:
    """Though the server is silent; the next sync sends the file."""
    Path("p").mkdir()
    Path("p/x").write_bytes(b"1")
    sending = threading.Event()
    with GoogleDrive() as drive:

        def stall(request: fake.Request) -> Any:
            if request.action == "multipart":
                sending.set()
                return fake.slow(20)
            return None

        drive.add_folder("p")
        drive.faults.choose = stall
        process = child("-c", CHILD, drive.url, fake.TOKEN)
        assert sending.wait(LONG)
        process.communicate("\n", timeout=10)
        assert process.returncode == 0
        drive.faults.clear()
        assert Client(drive.url, lambda fresh: fake.TOKEN).sync("p", "drive:p").copied == 1


def test_in_a_terminal_it_runs_until_ctrl_c(home: Path) -> None:
    """A line for each sync, with the time; the status is that of an interrupted command."""
    Path("a").mkdir()
    Path("b").mkdir()
    process = child("-m", "colab_magics", "drive", "sync", "a", "b", "--watch")
    assert process.stdout is not None
    while "Ctrl-C" not in (line := process.stdout.readline()):
        assert line
    Path("b/x").write_text("1")
    Path("a/y").write_text("1")
    while not (Path("a/x").exists() and Path("b/y").exists()):
        assert re.match(r"\d\d:\d\d:\d\d 1 file (sent|received)", process.stdout.readline())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LONG)
    assert process.returncode == 130
