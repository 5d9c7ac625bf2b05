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
from ..shell.processes import MARK, unmarked
from .job import ELSEWHERE, Job, find, look
from .store import STOPPED, folder, folders, starts

#: Seconds that a keeper has to start a job; that a job has to end by itself.
PATIENCE, GRACE = 30.0, 5.0
#: A name is a folder, and a word of a line.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Nothing of the environment or the current directory is imported: it may hold other modules.
_CODE = "import sys; sys.path.insert(0, {!r}); from colab_magics.jobs import supervisor; {}"
_PACKAGE = Path(__file__).resolve().parents[2]


class Wanted(NamedTuple):
    """What is to run: ``shown`` is what is told of it, ``copy`` where its log goes too."""

    shown: str
    words: List[str]
    environment: Mapping[str, str]
    timeout: Optional[float] = None
    tty: bool = True
    copy: str = ""


class RunsAlready(Exception):
    """The very same one does; ``job`` is it. People never see this."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.name)
        self.job = job


def free(name: str, shown: str) -> None:
    """`RunsAlready` or ``UsageError`` where a job of this name runs."""
    before = find(name)
    if before is None or not before.running:
        return
    if before.command == shown:
        raise RunsAlready(before)
    if before.state == ELSEWHERE:
        raise usage_error(
            f"{name} runs already on {before.host}, another machine: {before.command}",
            "Take another name.",
        )
    raise usage_error(
        f"{name} runs already: {before.command}", f"%jobs stop {name}, or take another name."
    )


def launch(name: str, wanted: Wanted) -> Job:
    """Start a job; the one that had the name before is kept, with its log, until the next time.

    See `free`. `CommandFailed` where it cannot be started: all is then as it was.
    """
    if not _NAME.fullmatch(name):
        raise usage_error(
            f"{name} cannot be the name of a job.", "Letters, digits and . _ - are fine."
        )
    place = folder() / name
    try:
        make_private(place)
        if place not in folders(folder()):
            raise _failed(name, "its folder is a link, or others can write it")
        with alone(place / "lock"):
            free(name, wanted.shown)
            job = _started(_next(place), wanted)
            for old in set(_numbered(place)) - set(starts(place)[-2:]):
                shutil.rmtree(old, ignore_errors=True)
            return job
    except OSError as error:
        raise _failed(name, f"its folder below HOME cannot be written: {error.strerror}") from None


def stop(job: Job, grace: float = GRACE) -> Job:
    """End a job and its processes, after ``grace`` seconds by force; gives it as it is then."""
    mark = job.folder / STOPPED
    with suppress(OSError):  # the disk is full: to be told who has ended it matters less
        os.close(open_own(mark, os.O_WRONLY | os.O_CREAT))
    try:
        return _stopped(job, grace)
    except BaseException:
        found = look(job.folder)
        if found is not None and found.running:  # how it ends is not our doing any more
            mark.unlink(missing_ok=True)
        raise


def _stopped(job: Job, grace: float) -> Job:
    refused: List[int] = []
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, GRACE)):
        refused = job.family.send(number)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = look(job.folder)
            if found is None or not found.running:
                return found or job
            time.sleep(0.02)
    why = f": process {refused[0]} is another user's" if refused else ""
    raise CommandFailed(
        f"{job.name} could not be stopped{why}.", f"What it waits for: %shell ps -lg {job.session}"
    )


def remove(job: Job) -> None:
    """Delete what is known of a job that has ended, its log too."""
    shutil.rmtree(job.folder.parent)


def _numbered(place: Path) -> List[Path]:
    """The folders of all starts, whatever came of them."""
    return [path for path in folders(place) if path.name.isdecimal()]


def _next(place: Path) -> Path:
    """A folder for one more start."""
    number = 1 + max((int(path.name) for path in _numbered(place)), default=0)
    made = place / str(number)
    made.mkdir(mode=0o700)
    return made


def _started(place: Path, wanted: Wanted) -> Job:
    """The job that a folder is for; where it does not come to be, nothing is left of it."""
    try:
        said = _start(place, wanted)
        job = look(place) if said == "started" else None
        if job is None:
            raise _failed(place.parent.name, said or "its keeper has ended")
        return job
    except BaseException as error:
        begun = look(place)  # it may have, and we have not heard of it
        if begun is not None and begun.running:
            stop(begun)
        shutil.rmtree(place, ignore_errors=True)
        if isinstance(error, OSError):
            raise _failed(place.parent.name, str(error.strerror)) from None
        raise


def _start(place: Path, wanted: Wanted) -> str:
    """What a keeper says that is to start it; once nobody hears it any more, it starts none."""
    told: Dict[str, Any] = {**wanted._asdict(), "folder": str(place), "name": place.parent.name}
    told["environment"] = {**wanted.environment, MARK: uuid.uuid4().hex}
    told["secrets"] = [*registered_secrets(), *_secret(wanted.environment)]
    code = _CODE.format(str(_PACKAGE), "supervisor.main()")
    keeper = start(
        [sys.executable, "-I", "-S", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=unmarked(),
    )
    assert keeper.stdin is not None  # noqa: S101 - it was asked for as a pipe
    with keeper, keeper.stdin:
        keeper.stdin.write(json.dumps(told).encode())
        keeper.stdin.close()
        try:
            return _answer(keeper)
        except BaseException:
            keeper.kill()  # unless it has left its place to the one that stays
            raise


def _secret(environment: Mapping[str, str]) -> List[str]:
    """What looks like a secret, also where no %secret has made it known yet."""
    return [value for name, value in environment.items() if looks_secret(name, value)]


def _answer(keeper: subprocess.Popen[bytes]) -> str:
    """What a keeper says of its job."""
    assert keeper.stdout is not None  # noqa: S101 - it was asked for as a pipe
    ready, _, _ = select.select([keeper.stdout], [], [], PATIENCE)
    if ready:
        return keeper.stdout.read().decode("utf-8", "replace")
    raise TimeoutError(None, f"no answer in {PATIENCE:.0f} s")


def _failed(name: str, why: str) -> CommandFailed:
    return CommandFailed(f"{name} was not started: {why}", "Nothing runs.")
