"""Waiting for a job, and showing its log: what is there, or as it comes."""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Callable, List, Optional

from ..core.errors import CommandFailed, usage_error
from ..core.files import open_own
from ..core.host import Host
from ..extension.output import interrupted, say
from ..shell.log import Log
from ..shell.magic import MEMORY, full
from ..shell.magic_output import Heard
from .job import Job, look
from .log import BEFORE
from .magic_start import became, status
from .store import END

#: Seconds between two looks at what a job has written, and at whether its processes are there.
LOOK, STATE = 0.1, 1.0
#: Seconds for the copy of a log that has ended to be complete.
COPY = 60.0
#: Lines of a log that are shown before those that come; bytes in which they are looked for.
FIRST = 20
FAR = 1 << 20
_CHUNK = 1 << 16


def wait(job: Job, timeout: Optional[float], tick: Callable[[], object]) -> Job:
    """Wait for the end of a job and of the copy of its log, and call ``tick`` ten times a second.

    `CommandFailed` where it did not succeed, or runs still after ``timeout`` seconds. Ctrl-C ends
    the waiting, not the job.
    """
    until = time.monotonic() + timeout if timeout is not None else math.inf
    try:
        while job.running:
            if time.monotonic() > until:
                raise CommandFailed(f"{job.name} runs still.", f"Again: %jobs wait {job.name}")
            job = _later(job, tick)
        until = min(until, time.monotonic() + COPY)
        while job.copying and time.monotonic() < until:
            job = _later(job, tick)
    except KeyboardInterrupt:
        if job.running:
            say(f"{job.name} goes on. To end it: %jobs stop {job.name}")
        else:
            say(f"{job.name} has ended; the copy of its log goes on.")
        raise interrupted() from None
    return job


def follow(host: Host, job: Job, timeout: Optional[float], quiet: bool) -> Job:
    """Show the last lines of a job's log and what comes, until it ends."""
    heard = Heard(host, quiet, False, _Kept(job.log))
    tail = _Tail(_there(job.log), FIRST)

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
    heard = Heard(host, quiet, True, _Kept(path))
    tail = _Tail(_there(path), lines)
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
    lines = ""
    with suppress(CommandFailed):  # how it ended is to be said even where the log is not its own
        lines = _Tail(job.log, last).read().decode("utf-8", "replace") if last else ""
    what, hint = f"{job.name}: {became(job, precise)}", f"All of it: %jobs log {job.name} --all"
    if job.state != "stopped" and full(status(job)):
        hint = f"{MEMORY}\n{hint}"
    raise CommandFailed(what, hint, lines, status(job))


def _there(path: Path) -> Path:
    if not path.exists():
        raise usage_error("There is no such log any more.", "See %jobs")
    return path


class _Kept(Log):
    """A log that somebody else writes."""

    whole, named = "All that is kept", "the log that %jobs --json names"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = self._there = path

    def write(self, data: bytes) -> None:
        """It is there already."""

    def flush(self) -> None:
        """It is there already."""

    @property
    def files(self) -> List[Path]:
        """With the part that was put aside."""
        return _parts(self._there)


class _Tail:
    """The end of a log, from so many lines before it (None: from its beginning), and what comes."""

    def __init__(self, path: Path, lines: Optional[int]) -> None:
        self._path = path
        self._stream = _opened(path if lines is not None else _parts(path)[0])
        if lines is not None and self._stream is not None:
            self._stream.seek(_begin(self._stream, lines))

    def read(self) -> bytes:
        """Bytes that were not read yet; none where there are none yet."""
        data = self._stream.read(_CHUNK) if self._stream is not None else b""
        if data or not self._followed():
            return data
        self.close()
        self._stream = _opened(self._path)
        return self._stream.read(_CHUNK) if self._stream is not None else b""

    def close(self) -> None:
        """Read no more."""
        if self._stream is not None:
            self._stream.close()

    def _followed(self) -> bool:
        """Whether the log that was read was put aside, and has begun again."""
        try:
            now = self._path.stat().st_ino
        except FileNotFoundError:  # somebody has deleted it
            return False
        return self._stream is None or now != os.fstat(self._stream.fileno()).st_ino


def _parts(path: Path) -> List[Path]:
    """A log, behind the part of it that was put aside."""
    aside = path.with_name(path.name + BEFORE)
    return [aside, path] if aside.exists() else [path]


def _opened(path: Path) -> Optional[BinaryIO]:
    try:
        return os.fdopen(open_own(path), "rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CommandFailed(
            f"{path} is not shown: {error.strerror}.", "%jobs remove NAME takes it away."
        ) from None


def _begin(stream: BinaryIO, lines: int) -> int:
    """Where the last lines begin; far away from the end, a line is cut rather than looked for."""
    size = stream.seek(0, os.SEEK_END)
    start = max(0, size - FAR)
    stream.seek(start)
    data = stream.read(FAR)
    at = len(data) - 1 if data.endswith(b"\n") else len(data)
    for _ in range(lines):
        at = data.rfind(b"\n", 0, at)
        if at < 0:
            return start
    return start + at + 1


def _later(job: Job, tick: Callable[[], object]) -> Job:
    """The job after a while, or as soon as there is something new."""
    until = time.monotonic() + (STATE if job.running else LOOK)
    while time.monotonic() < until and not (job.running and (job.folder / END).exists()):
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
