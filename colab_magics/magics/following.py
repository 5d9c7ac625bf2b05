"""Waiting for a job, and showing its log: what is there, or as it comes."""

import os
import time
from pathlib import Path
from typing import BinaryIO, Callable, Optional

from ..errors import CommandFailed, usage_error
from ..host import Host
from ..shell.jobs.job import END, Job, look
from ..shell.log import Log
from ._base import say
from .background import became
from .failed import interrupted
from .heard import Heard

__all__ = ["follow", "printed", "unless_done", "wait"]

#: Seconds between two looks at what a job has written, and at whether its processes are there.
LOOK, STATE = 0.1, 1.0
#: Lines of a log that are shown before those that come; bytes in which they are looked for.
FIRST = 20
FAR = 1 << 20
_CHUNK = 1 << 16


def wait(job: Job, timeout: Optional[float], tick: Callable[[], object]) -> Job:
    """Wait for the end of a job, and call ``tick`` meanwhile, ten times a second.

    `CommandFailed` where it did not succeed, or runs still after ``timeout`` seconds. Ctrl-C ends
    the waiting, not the job.
    """
    started = time.monotonic()
    try:
        while job.running:
            if timeout is not None and time.monotonic() - started > timeout:
                raise CommandFailed(f"{job.name} runs still.", f"Again: %jobs wait {job.name}")
            job = _later(job, tick)
    except KeyboardInterrupt:
        say(f"{job.name} goes on. To end it: %jobs stop {job.name}")
        raise interrupted() from None
    return job


def follow(host: Host, job: Job, timeout: Optional[float], quiet: bool) -> Job:
    """Show the last lines of a job's log and what comes, until it ends."""
    heard = Heard(host, quiet, False, _Kept(job.log))
    tail = _Tail(job.log, FIRST)

    def hear() -> None:
        for data in iter(tail.read, b""):
            heard.heard("stdout", data)
        heard.tick()

    try:
        job = wait(job, timeout, hear)
        hear()
    finally:
        tail.close()
        _noted(heard, quiet)
    return job


def printed(host: Host, path: Path, lines: Optional[int], quiet: bool) -> str:
    """Show the last lines of a log, or of all of it what a notebook holds; gives them."""
    if not path.exists():
        raise usage_error("There is no such log.", "See %jobs")
    heard = Heard(host, quiet, True, _Kept(path))
    tail = _Tail(path, lines)
    for data in iter(tail.read, b""):
        heard.heard("stdout", data)
        heard.tick()
    tail.close()
    _noted(heard, quiet)
    return heard.kept()


def unless_done(job: Job, precise: bool, last: int) -> None:
    """`CommandFailed`, with so many last lines of its log, where a job did not succeed."""
    if job.state == "done":
        return
    lines = _Tail(job.log, last).read().decode("utf-8", "replace") if last else ""
    what = f"{job.name}: {became(job, precise)}"
    status = job.status if job.status is not None else -job.signal
    raise CommandFailed(what, f"All of it: %jobs log {job.name} --all", lines, status)


class _Kept(Log):
    """A log that somebody else writes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def write(self, data: bytes) -> None:
        """It is there already."""

    def flush(self) -> None:
        """It is there already."""


class _Tail:
    """The end of a log, from so many lines before it (None: from its beginning), and what comes."""

    def __init__(self, path: Path, lines: Optional[int]) -> None:
        self._path = path
        self._stream = path.open("rb")
        if lines is not None:
            self._stream.seek(_begin(self._stream, lines))

    def read(self) -> bytes:
        """Bytes that were not read yet; none where there are none yet."""
        data = self._stream.read(_CHUNK)
        if data or self._path.stat().st_ino == os.fstat(self._stream.fileno()).st_ino:
            return data
        self._stream.close()
        self._stream = self._path.open("rb")  # the log was put aside, and has begun again
        return self._stream.read(_CHUNK)

    def close(self) -> None:
        """Read no more."""
        self._stream.close()


def _begin(stream: BinaryIO, lines: int) -> int:
    """Where the last lines begin; far away from the end, a line is cut rather than looked for."""
    size = stream.seek(0, os.SEEK_END)
    start = max(0, size - FAR)
    stream.seek(start)
    data = stream.read()
    at = len(data) - 1 if data.endswith(b"\n") else len(data)
    for _ in range(lines):
        at = data.rfind(b"\n", 0, at)
        if at < 0:
            return start
    return start + at + 1


def _later(job: Job, tick: Callable[[], object]) -> Job:
    """The job after a while, or as soon as it has ended."""
    until = time.monotonic() + STATE
    while time.monotonic() < until and not (job.folder / END).exists():
        time.sleep(LOOK)
        tick()
    later = look(job.folder)
    if later is None:
        raise CommandFailed(f"{job.name} was removed.", "See %jobs")
    return later


def _noted(heard: Heard, quiet: bool) -> None:
    notes = heard.close(False)
    if notes and not quiet:
        say(*notes)
