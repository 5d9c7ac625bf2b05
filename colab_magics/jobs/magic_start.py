"""``%shell --background``, and the line that says that such a job has ended."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

from ..core.display import duration
from ..core.errors import usage_error
from ..core.redact import redact
from ..shell.magic import MEMORY, full, signalled, worded
from ..shell.state import Lasting
from .hooks import EndedJobs
from .job import ELSEWHERE, Job
from .launch import RunsAlready, Wanted, free, launch

#: What ``%jobs`` does with jobs, and so no name of one.
VERBS = ("log", "follow", "wait", "stop", "remove")


class Asked(NamedTuple):
    """A job as it was typed: ``command`` is what is run, ``typed`` what stands in the cell."""

    name: str
    command: str
    typed: str
    timeout: Optional[float]
    tty: bool
    log: str


def start(session: Any, shell: Lasting, asked: Asked) -> Tuple[Job, str]:
    """Start a job where the shell stands, unless the same one runs; and what is to be said."""
    name, shown = asked.name, redact(asked.typed.strip())
    if name in VERBS:
        raise usage_error(f"%jobs {name} means something else.", "Take another name.")
    follow = f"%jobs follow {name}, %jobs stop {name}"
    try:
        free(name, shown)
        copy = str(session.host.resolve(asked.log)) if asked.log else ""
        with shell.apart(asked.command, asked.tty) as (words, given):
            job = launch(name, Wanted(shown, words, given, asked.timeout, asked.tty, copy))
    except RunsAlready as same:
        return same.job, f"{name} runs already{_where(same.job)}: {follow}"
    if session.host.live:  # executors compare outputs, and it may end below any cell
        session.hooks.of(EndedJobs).names.add(name)
    return job, f"{name} runs in the background: {follow}"


def told(session: Any, job: Job) -> None:
    """What became of it is being shown: nothing more is to be said of it."""
    if not job.running:
        session.hooks.of(EndedJobs).names.discard(job.name)


def became(job: Job, precise: bool = True) -> str:
    """What became of a job, or that it runs; ``precise``: with how long that was."""
    if not precise:
        return _how(job)
    return f"{_how(job)} {'for' if job.running else 'after'} {duration(job.seconds)}"


def notes(job: Job) -> Tuple[str, ...]:
    """What else there is to say of a job, a line each."""
    said = [job.trouble]
    if job.copying:
        said.append("The copy of its log is not complete yet")
    if job.state in ("failed", "killed") and full(status(job)):
        said.append(MEMORY)
    return tuple(f"{job.name}: {line}" for line in said if line)


def status(job: Job) -> int:
    """What it ended with, as a command of ``%shell`` does: below 0 for a signal."""
    return job.status if job.status is not None else -job.signal


def _how(job: Job) -> str:
    if job.timed_out:
        return "ended by --timeout"
    if job.state == "failed":
        return f"failed with {worded(status(job))}"
    if job.state == "killed" and job.signal:
        return f"killed by {signalled(status(job))}"
    if job.state == "lost":
        return "lost, the machine went away"
    return f"running{_where(job)}" if job.running else job.state


def _where(job: Job) -> str:
    return f" on {job.host}, another machine" if job.state == ELSEWHERE else ""
