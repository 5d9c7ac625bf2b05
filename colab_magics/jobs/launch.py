"""Starting a job, and ending one."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from ..core.errors import CommandFailed, usage_error
from ..core.file_lock import alone
from ..core.files import open_own
from ..core.ownership import make_private
from ..core.process import start
from ..core.redact import registered_secrets
from ..core.secret_scan import looks_secret
from ..shell.processes import MARK, unmarked_environment
from .job import Job, find_job, load_job
from .store import STOPPED, folder, list_folders, list_starts

#: Seconds that a supervisor has to start a job; that a job has to end by itself.
PATIENCE, GRACE = 30.0, 5.0
#: A name is a folder, and a word of a line.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: What a supervisor runs, in a clean interpreter: the environment and the current directory may
#: hold other modules of the same names.
BOOTSTRAP = (
    f"import sys; sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r});"
    " from colab_magics.jobs import supervisor; supervisor.main()"
)


class JobSpec(NamedTuple):
    """What is to run: ``shown`` is what people see of it, ``copy`` a path for a copy of its log."""

    shown: str
    words: List[str]
    environment: Mapping[str, str]
    timeout: Optional[float] = None
    tty: bool = True
    copy: str = ""


class AlreadyRunning(Exception):
    """The same job runs; people never see this."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.name)
        self.job = job


def launch(name: str, spec: JobSpec) -> Job:
    """Start a job; the one that had the name before stays, with its log, until the next time.

    Raise `AlreadyRunning` or ``UsageError`` where a job of this name runs, and `CommandFailed`
    where it cannot be started: all is then as it was.
    """
    if not _NAME.fullmatch(name):
        raise usage_error(
            f"{name} cannot be the name of a job.",
            "Use letters, digits and . _ - only.",
            code="job-name",
        )
    place = folder() / name
    try:
        make_private(place)
        if place not in list_folders(folder()):
            raise _not_started(name, "its folder is a link, or others can write it")
        with alone(place / "lock"):
            _check_name_is_free(name, spec.shown)
            numbered = [path for path in list_folders(place) if path.name.isdecimal()]
            number = 1 + max((int(path.name) for path in numbered), default=0)
            made = place / str(number)
            made.mkdir(mode=0o700)
            job = _start(made, spec)
            for old in {*numbered} - {*list_starts(place)[-2:]}:
                shutil.rmtree(old, ignore_errors=True)
            return job
    except OSError as error:
        reason = f"its folder below HOME cannot be written: {error.strerror}"
        raise _not_started(name, reason) from None


def _check_name_is_free(name: str, shown: str) -> None:
    job = find_job(name)
    if job is None or not job.running:
        return
    if job.command == shown:
        raise AlreadyRunning(job)
    hint = "Use another name." if job.elsewhere else f"%jobs stop {name}, or use another name."
    raise usage_error(f"{name} runs already{job.elsewhere}: {job.command}", hint, code="name-taken")


def _start(place: Path, spec: JobSpec) -> Job:
    """Start the job of a folder; if it does not start, nothing is left of it."""
    try:
        answer = _start_supervisor(place, spec)
        job = load_job(place) if answer == "started" else None
        if job is None:
            raise _not_started(place.parent.name, answer or "its supervisor has ended")
        return job
    except BaseException as error:
        job = load_job(place)  # it may have started without an answer
        if job is not None and job.running:
            stop(job)
        shutil.rmtree(place, ignore_errors=True)
        if isinstance(error, OSError):
            raise _not_started(place.parent.name, str(error.strerror)) from None
        raise


def _start_supervisor(place: Path, spec: JobSpec) -> str:
    """Return the answer of a supervisor; once nobody waits for it, it starts no job."""
    environment = {**spec.environment, MARK: uuid.uuid4().hex}
    task: Dict[str, Any] = spec._replace(environment=environment)._asdict()
    task.update(folder=str(place), name=place.parent.name)
    secrets = [value for name, value in spec.environment.items() if looks_secret(name, value)]
    task["secrets"] = [*registered_secrets(), *secrets]
    process = start(
        [sys.executable, "-I", "-S", "-c", BOOTSTRAP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=unmarked_environment(),
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: S101 - pipes
    with process, process.stdin:
        process.stdin.write(json.dumps(task).encode())
        process.stdin.close()
        try:
            if select.select([process.stdout], [], [], PATIENCE)[0]:
                return str(process.stdout.read(), "utf-8", "replace")
            raise TimeoutError(None, f"no answer in {PATIENCE:.0f} s")
        except BaseException:
            process.kill()  # unless it has forked
            raise


def stop(job: Job, grace: float = GRACE) -> Job:
    """End a job and its processes, after ``grace`` seconds by force; return it as it is then."""
    mark = job.folder / STOPPED
    with suppress(OSError):  # the disk is full: who has ended it matters less
        os.close(open_own(mark, os.O_WRONLY | os.O_CREAT))
    try:
        return _end(job, grace)
    except BaseException:
        later = load_job(job.folder)
        if later is not None and later.running:  # it will end in another way
            mark.unlink(missing_ok=True)
        raise


def _end(job: Job, grace: float) -> Job:
    refused: List[int] = []
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, GRACE)):
        refused = job.family.send(number)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            later = load_job(job.folder)
            if later is None or not later.running:
                return later or job
            time.sleep(0.02)
    reason = f": process {refused[0]} is another user's" if refused else ""
    session = job.family.session
    raise CommandFailed(
        f"{job.name} could not be stopped{reason}.", f"See its processes: %shell ps -lg {session}"
    )


def remove(job: Job) -> None:
    """Delete the folder of a job that has ended, with its log."""
    shutil.rmtree(job.folder.parent)


def _not_started(name: str, reason: str) -> CommandFailed:
    return CommandFailed(f"{name} was not started: {reason}", "Nothing runs.", code="not-started")
