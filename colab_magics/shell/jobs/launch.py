"""Starting a job, and ending one."""

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

from ...errors import CommandFailed, hidden, usage_error
from ...locks import alone
from ..processes import MARK, unmarked
from .job import END, FACTS, LOG, STOPPED, Job, folder, look
from .logs import BEFORE

__all__ = ["GRACE", "Wanted", "launch", "remove", "stop"]

#: Seconds that a keeper has to start a job; that a job has to end by itself.
PATIENCE, GRACE = 30.0, 5.0
#: The log of the job that had the name before.
OLD = "log.before"
#: A name is a folder, and a word of a line.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Nothing of the environment or the current directory is imported: it may hold other modules.
_CODE = "import sys; sys.path.insert(0, {!r}); from colab_magics.shell.jobs import keeper; {}"
_PACKAGE = Path(__file__).resolve().parents[3]


class Wanted(NamedTuple):
    """What is to run: ``shown`` is what is told of it, ``copy`` where its log goes too."""

    shown: str
    words: List[str]
    environment: Mapping[str, str]
    timeout: Optional[float] = None
    tty: bool = True
    copy: str = ""


def launch(name: str, wanted: Wanted) -> Job:
    """Start a job, in the place of one of that name that has ended; its log is kept as the old one.

    ``UsageError`` where one of that name runs, `CommandFailed` where it cannot be started.
    """
    if not _NAME.fullmatch(name):
        raise usage_error(
            f"{name} cannot be the name of a job.", "Letters, digits and . _ - are fine."
        )
    place = folder() / name
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        with alone(place / "lock"):
            before = look(place)
            if before is not None and before.running:
                raise usage_error(
                    f"{name} runs already: {before.command}",
                    f"%jobs stop {name}, or take another name.",
                )
            _clear(place)
            _start(place, wanted)
    except OSError as error:
        raise _failed(name, str(error.strerror)) from None
    job = look(place)
    if job is None:
        raise _failed(name, f"nothing is in {place}")
    return job


def stop(job: Job, grace: float = GRACE) -> Job:
    """End a job and its processes, after ``grace`` seconds by force; gives it as it is then."""
    mark = job.folder / STOPPED
    mark.touch()
    try:
        return _stopped(job, grace)
    except BaseException:
        found = look(job.folder)
        if found is not None and found.running:  # how it ends is not our doing any more
            mark.unlink()
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
    shutil.rmtree(job.folder)


def _clear(place: Path) -> None:
    """Put the log of the job before aside, and forget the rest of it."""
    if (place / LOG).exists():
        os.replace(place / LOG, place / OLD)  # noqa: PTH105
    for name in (FACTS, END, STOPPED, LOG + BEFORE):
        with suppress(FileNotFoundError):
            (place / name).unlink()


def _start(place: Path, wanted: Wanted) -> None:
    told: Dict[str, Any] = {**wanted._asdict(), "folder": str(place), "secrets": hidden()}
    told["environment"] = {**wanted.environment, MARK: uuid.uuid4().hex}
    code = _CODE.format(str(_PACKAGE), "keeper.main()")
    keeper = subprocess.Popen(
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
            said = _answer(keeper)
        except KeyboardInterrupt:  # once it has begun, what it starts has to be known
            job = look(place) if _answer(keeper) == "started" else None
            if job is not None:
                stop(job)
            raise
    if said != "started":
        raise _failed(place.name, said or "its keeper has ended")


def _answer(keeper: "subprocess.Popen[bytes]") -> str:
    """What a keeper says of its job; one that says nothing in all that time is ended."""
    assert keeper.stdout is not None  # noqa: S101 - it was asked for as a pipe
    ready, _, _ = select.select([keeper.stdout], [], [], PATIENCE)
    if ready:
        return keeper.stdout.read().decode("utf-8", "replace")
    with suppress(ProcessLookupError):
        os.killpg(keeper.pid, signal.SIGKILL)
    return f"no answer in {PATIENCE:.0f} s"


def _failed(name: str, why: str) -> CommandFailed:
    return CommandFailed(f"{name} was not started: {why}", "Nothing runs.")
