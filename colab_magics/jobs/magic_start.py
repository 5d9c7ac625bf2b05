"""``%shell --background``, and the words for what became of a job."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Tuple

from ..core.display import duration
from ..core.errors import usage_error
from ..core.redact import redact
from ..shell.magic_error import MEMORY_HINT, describe_status, signal_name, was_killed
from ..shell.state import PersistentShell
from .hooks import EndedJobs
from .job import Job
from .launch import AlreadyRunning, JobSpec, launch
from .magic_arguments import parser

if TYPE_CHECKING:
    from ..extension.recorder import Session


def start(
    session: Session, shell: PersistentShell, options: Namespace, command: str, typed: str
) -> Tuple[Job, str]:
    """Start a job in the state of the shell, unless the same one runs; return it and a message."""
    name, shown = options.background, redact(typed.strip())
    if name in parser().commands:
        raise usage_error(
            f"A job cannot be named {name}: %jobs {name} is a command.",
            "Use another name.",
            code="job-name",
        )
    next_step = f"%jobs follow {name}, %jobs stop {name}"
    copy = str(session.host.resolve(options.log)) if options.log else ""
    try:
        with shell.prepare_job(command, options.tty) as (words, environment):
            spec = JobSpec(shown, words, environment, options.timeout, options.tty, copy)
            job = launch(name, spec)
    except AlreadyRunning as same:
        return same.job, f"{name} runs already{same.job.elsewhere}: {next_step}"
    if session.host.live:  # executors compare outputs, and it may end below any cell
        session.hooks.of(EndedJobs).names.add(name)
    return job, f"{name} runs in the background: {next_step}"


def mark_reported(session: Session, job: Job) -> None:
    """Report the end of a job no more, since it is being shown."""
    if not job.running:
        session.hooks.of(EndedJobs).names.discard(job.name)


def describe(job: Job, precise: bool = True) -> str:
    """Return what became of a job, or that it runs; ``precise``: with the time that took."""
    time = f" {'for' if job.running else 'after'} {duration(job.seconds)}" if precise else ""
    text: str = job.state
    if job.timed_out:
        text = "ended by --timeout"
    elif job.state == "failed":
        text = f"failed with {describe_status(shell_status(job))}"
    elif job.state == "killed" and job.signal:
        text = f"killed by {signal_name(shell_status(job))}"
    elif job.state == "lost":
        text = "lost, the machine went away"
    elif job.running:
        text = f"running{job.elsewhere}"
    return text + time


def list_notes(job: Job) -> Tuple[str, ...]:
    """Return what else there is to say of a job, a line each."""
    notes = [job.trouble]
    if job.copying:
        notes.append("The copy of its log is not complete yet")
    if job.state in ("failed", "killed") and was_killed(shell_status(job)):
        notes.append(MEMORY_HINT)
    return tuple(f"{job.name}: {line}" for line in notes if line)


def shell_status(job: Job) -> int:
    """Return a job's status as ``%shell`` has it: below 0 for a signal."""
    return job.status if job.status is not None else -job.signal
