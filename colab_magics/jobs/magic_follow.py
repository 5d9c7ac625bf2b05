"""Waiting for a job, and showing its log: what is there, or as it comes."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from pathlib import Path
from typing import Callable, Optional

from ..core.errors import CommandFailed
from ..core.host import Host
from ..extension.output import interrupted, say
from ..shell.magic_error import MEMORY_HINT, was_killed
from ..shell.magic_output import View
from .description import describe, shell_status
from .job import Job, load_job
from .log import LogReader, list_parts
from .store import END

#: Seconds between two checks of what a job has written, and of its processes.
STEP, STATE_STEP = 0.1, 1.0
#: Seconds for the copy of a log that has ended to be complete.
COPY = 60.0
#: Lines of a log that are shown before those that come.
FIRST = 20


def wait(
    job: Job, timeout: Optional[float], on_tick: Callable[[Job], object] = lambda job: None
) -> Job:
    """Wait for the end of a job and of the copy of its log; return it as it is then.

    ``on_tick`` is called ten times a second. Raise `CommandFailed` if the job still runs after
    ``timeout`` seconds. Ctrl-C ends the waiting, not the job.
    """
    until = time.monotonic() + timeout if timeout is not None else math.inf
    try:
        while job.running:
            if time.monotonic() > until:
                message = f"{job.name} is still running."
                raise CommandFailed(message, f"Wait again: %jobs wait {job.name}", code="timeout")
            job = _wait_for_news(job, on_tick)
        until = min(until, time.monotonic() + COPY)
        while job.copying and time.monotonic() < until:
            job = _wait_for_news(job, on_tick)
    except KeyboardInterrupt:
        if job.running:
            say(f"{job.name} is still running. To end it: %jobs stop {job.name}")
        else:
            say(f"{job.name} has ended; its log is still being copied.")
        raise interrupted() from None
    return job


def _wait_for_news(job: Job, on_tick: Callable[[Job], object]) -> Job:
    until = time.monotonic() + (STATE_STEP if job.running else STEP)
    while time.monotonic() < until and not (job.running and (job.folder / END).exists()):
        time.sleep(STEP)
        on_tick(job)
    later = load_job(job.folder)
    if later is None:
        raise CommandFailed(f"{job.name} was removed.", "See %jobs")
    return later


def follow(host: Host, job: Job, timeout: Optional[float], quiet: bool) -> Job:
    """Show the last lines of a job's log, and what comes, until it ends."""
    log = _Shown(host, job.log, FIRST, quiet)
    try:
        job = wait(job, timeout, lambda job: log.update())
        log.update()
    finally:
        log.close()
    return job


def show_log(host: Host, path: Path, lines: Optional[int], quiet: bool) -> str:
    """Show the last lines of a log, or what a notebook holds of all of it; return them."""
    log = _Shown(host, path, lines, quiet)
    return (log.update() + log.close()).decode("utf-8", "replace")


class _Shown:
    """A log that is shown."""

    def __init__(self, host: Host, path: Path, lines: Optional[int], quiet: bool) -> None:
        self._path, self._quiet = path, quiet
        self._view, self._reader = View(host, quiet), LogReader(path, lines)

    def update(self) -> bytes:
        """Show what is new, and return it without secrets."""
        parts = []
        for data in iter(self._reader.read, b""):
            parts.append(self._view.write("stdout", data))
            self._view.tick()
        self._view.tick()
        return b"".join(parts)

    def close(self) -> bytes:
        """Show the rest, and where all of it is; return the rest."""
        self._reader.close()
        data = self._view.write("stdout", b"", last=True)
        self._view.end()
        if self._view.cut and not self._quiet:
            name = "the log that %jobs --json names"
            say(self._view.describe_log("Complete log", list_parts(self._path), name))
        return data


def raise_unless_done(job: Job, precise: bool, lines: int) -> None:
    """Raise `CommandFailed`, with so many last lines of its log, if a job did not succeed."""
    if job.state == "done":
        return
    details = ""
    with suppress(CommandFailed):  # how it ended matters even if the log is another user's
        details = LogReader(job.log, lines).read().decode("utf-8", "replace") if lines else ""
    hint = f"Complete log: %jobs log {job.name} --all"
    if job.state != "stopped" and was_killed(shell_status(job)):
        hint = f"{MEMORY_HINT}\n{hint}"
    message, status = f"{job.name}: {describe(job, precise)}", shell_status(job)
    raise CommandFailed(message, hint, details, status, code=f"job-{job.state}")
