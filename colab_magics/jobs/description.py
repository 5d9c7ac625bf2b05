"""What became of a job, in words."""

from __future__ import annotations

from typing import Tuple

from ..core.display import duration
from ..shell.magic_error import MEMORY_HINT, describe_status, signal_name, was_killed
from .job import Job


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
