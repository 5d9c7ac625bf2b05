"""What ``%shell --background`` and ``%jobs`` share: arguments, the start, words for a state."""

from __future__ import annotations

from argparse import Namespace
from contextlib import contextmanager
from typing import TYPE_CHECKING, ContextManager, Iterator, Tuple

from ..core.arguments import Parser, seconds
from ..core.errors import usage_error
from ..core.redact import redact
from ..shell.state import PersistentShell
from .hooks import EndedJobs
from .job import Job
from .launch import AlreadyRunning, JobSpec, launch

if TYPE_CHECKING:
    from ..extension.session import Session


def parser() -> Parser:
    """Return the arguments of ``%jobs``."""
    tree = Parser("%jobs")
    tree.add_argument("names", nargs="*", help="of jobs; without one, all")
    tree.add_argument("--json", action="store_true", help="print all that is known of each")
    log = tree.add_command("log", "Show the last lines of a job's log.")
    log.add_argument(
        "-n", type=int, default=20, dest="lines", metavar="LINES", help="20 by default"
    )
    log.add_argument(
        "--all", action="store_true", help="all of it; of a very long log the last 100 to 200 MB"
    )
    log.add_argument(
        "--before", action="store_true", help="the log of the job that had the name before"
    )
    follow = tree.add_command("follow", "Show a job's output as it comes, until it ends.")
    wait = tree.add_command("wait", "Wait until a job ends.")
    for command in (follow, wait):
        command.add_argument("--timeout", type=seconds, metavar="SECONDS", help="wait no longer")
    for command in (log, follow, wait):
        command.add_argument("name")
    stop = tree.add_command("stop", "End jobs, with all that they have started.")
    remove = tree.add_command("remove", "Delete jobs that have ended, with their logs.")
    for command in (stop, remove):
        command.add_argument("names", nargs="+", metavar="name")
    return tree


def start(
    session: Session, shell: PersistentShell, options: Namespace, command: str, typed: str
) -> Tuple[Job, str]:
    """Start a job in the state of the shell, unless the same one runs; return it and a message."""
    host = session.host
    copy = str(host.resolve(host.spell_typed(options.log))) if options.log else ""

    @contextmanager
    def prepare() -> Iterator[JobSpec]:
        with shell.prepare_job(command, options.tty) as (words, environment):
            shown = redact(typed.strip())
            yield JobSpec(shown, words, environment, options.timeout, options.tty, copy)

    return start_job(session, options.background, prepare())


def start_job(session: Session, name: str, prepared: ContextManager[JobSpec]) -> Tuple[Job, str]:
    """Start a job, unless the same one runs; return it and a message."""
    if name in parser().commands:
        raise usage_error(
            f"A job cannot be named {name}: %jobs {name} is a command.",
            "Use another name.",
            code="job-name",
        )
    next_step = f"%jobs follow {name}, %jobs stop {name}"
    try:
        with prepared as spec:
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
