"""Numbers of processes may become others': only what has our mark, or our start, is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

from colab_magics.jobs import launch
from colab_magics.jobs.job import find_job
from colab_magics.shell.processes import MARK, Family, read_process, start_time
from colab_magics.shell.reaper import Reaper
from colab_magics.shell.runner import Listener, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere: Linux")

#: What a process of ours carries in these tests.
OURS = "0123456789abcdef.1"
_LAST = Path("/proc/sys/kernel/ns_last_pid")


def sleeper(mark: str = "", **options: Any) -> subprocess.Popen[bytes]:
    """A process that goes on until it is ended, in a session of its own, with a mark or without."""
    environment = {**os.environ, **({MARK: mark} if mark else {})}
    return subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True, **options)


def ended(process: subprocess.Popen[bytes], seconds: float = 10.0) -> int:
    """The status that it ends with."""
    return process.wait(seconds)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process with a number that one of ours had before."""
    with recycled() as process:
        yield process
        process.kill()


def recycled() -> subprocess.Popen[bytes]:
    """A process of nobody's that has the number of one that has just ended, and was waited for."""
    for _ in range(50):
        with sleeper() as gone:
            gone.kill()
        try:
            _LAST.write_text(str(gone.pid - 1))
        except OSError:
            pytest.skip("elsewhere: where the next number can be chosen")
        process = sleeper()
        if process.pid == gone.pid:
            return process
        process.kill()
        process.wait()
    raise AssertionError("the number was taken each time")


# ---------------------------------------------------------------------- a family
@pytest.mark.parametrize("start", ["", "1"])
def test_a_number_alone_is_nobody_s(stranger: subprocess.Popen[bytes], start: str) -> None:
    """A session whose number is another one's by now is not signalled, and has no members."""
    family = Family(stranger.pid, OURS, start)
    assert family.members() == [] and family.own_session == 0
    for number in (signal.SIGTERM, signal.SIGKILL):
        assert family.send(number) == []
    assert stranger.poll() is None


def test_marks_and_the_held_session_are_ours() -> None:
    """A process that left the session is found by its mark, one without it while the session is."""
    script = "env -i sleep 60 & setsid sleep 60 & echo; wait"
    with subprocess.Popen(
        ["sh", "-c", script],
        env={**os.environ, MARK: OURS},
        start_new_session=True,
        stdout=subprocess.PIPE,
    ) as shell:
        assert shell.stdout is not None and shell.stdout.readline()
        family = Family(shell.pid, OURS, start_time(shell.pid))
        until(lambda: len(family.members()) == 3)
        shell.kill()
        os.waitid(os.P_PID, shell.pid, os.WEXITED | os.WNOWAIT)
        assert len(family.members()) == 2  # it has ended, but its number is still its own
        family.send(signal.SIGKILL)
        until(lambda: not family.members())


def test_a_number_that_changes_hands_meanwhile(
    stranger: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ends between the look at all and the signal may have given its number away."""
    before = read_process(stranger.pid)
    assert before is not None
    monkeypatch.setattr(Family, "members", lambda family: [before._replace(start="1")])
    assert Family(0, OURS).send(signal.SIGKILL) == [] and stranger.poll() is None


# ---------------------------------------------------------------------- the reaper of a kernel
def kernel_ends(folder: Path, known: Callable[[Reaper], object]) -> None:
    """A kernel that ends: its reaper knows what it was told, and does its work."""
    reaper = Reaper(folder, "0123456789abcdef.")
    reaper.end_command()
    known(reaper)
    process = reaper._process
    assert process is not None and process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 0 and not folder.exists()


def test_the_reaper_leaves_a_recycled_number_alone(
    stranger: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """What a command had left has ended, and its number and group are another one's: it lives."""
    (tmp_path / "folder").mkdir()
    process = read_process(stranger.pid)
    assert process is not None
    gone = process._replace(start=str(int(process.start) - 1))

    def known(reaper: Reaper) -> None:
        reaper._background = [(gone.pid, gone.start)]
        reaper.add(Family(gone.pid, OURS, gone.start))

    kernel_ends(tmp_path / "folder", known)
    assert stranger.poll() is None


def test_the_reaper_ends_what_is_ours(tmp_path: Path) -> None:
    """By the mark wherever it went, and by the number of what was told with when it began."""
    (tmp_path / "folder").mkdir()
    with sleeper(OURS) as marked, sleeper() as told, sleeper("other.1") as other:
        process = read_process(told.pid)
        assert process is not None
        kernel_ends(tmp_path / "folder", lambda reaper: reaper.end_command([process]))
        assert ended(marked) < 0 and ended(told) < 0 and other.poll() is None
        other.kill()


def test_a_command_tells_what_it_leaves() -> None:
    """A process without the mark too, which only its session tells; it outlives its command."""
    script = "env -i sleep 60 >/dev/null 2>&1 & sleep 60 >/dev/null 2>&1 &"
    families: List[Family] = []
    done = run(["sh", "-c", script], {**os.environ, MARK: OURS}, Listener(), families.append)
    try:
        assert done.status == 0 and done.background and len(done.remains) == 2
        assert families[0].own_session == 0  # it was waited for: its number is anybody's
        assert all(start_time(one.pid) == one.start for one in done.remains)
    finally:
        for one in done.remains:
            os.kill(one.pid, signal.SIGKILL)


# ---------------------------------------------------------------------- jobs
def test_a_job_s_number_is_held_while_anything_of_it_goes_on(home: Path) -> None:
    """What it left without a mark is still its own, is stopped with it, and nobody else is."""
    words = ["sh", "-c", "env -i sleep 60 >/dev/null 2>&1 &"]
    job = launch.launch("one", launch.JobSpec("x", words, dict(os.environ), tty=False))
    until(lambda: read_process(job.family.session) is None)  # what has begun it has ended
    now = find_job("one")
    assert now is not None and now.running and now.family.own_session == now.family.session
    (left,) = now.family.members()
    assert launch.stop(now, 5).state == "stopped"
    until(lambda: read_process(left.pid) is None)


def until(true: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for something to be true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)
    return true()
