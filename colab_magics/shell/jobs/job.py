"""A job as its folder tells of it, and what became of it."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

from ...files import state_folder
from ..processes import Family, Process
from ..terminal import drawn
from .identity import boot, since

__all__ = ["END", "FACTS", "LOG", "STOPPED", "Job", "every", "find", "folder", "look", "put"]

#: What is in the folder of a job.
FACTS, LOG, END, STOPPED = "job.json", "log", "end.json", "stopped"
#: Bytes from the end of a log in which its last line is looked for.
_LAST = 4096


@dataclass(frozen=True)
class Job:
    """A job at one moment.

    ``state`` is one of: ``running``; ``done``; ``failed``, with a ``status`` that is not 0;
    ``stopped``, by ``%jobs stop``; ``killed``, by a ``signal`` or together with its keeper;
    ``lost``, with the machine that it ran on. ``started`` is in seconds since 1970, ``seconds``
    how long it has run, ``memory`` what its processes hold now, in bytes.
    """

    name: str
    command: str
    folder: Path
    state: str
    started: float
    seconds: float
    status: Optional[int]
    signal: int
    memory: int
    session: int
    mark: str
    keeper: int
    copy: str
    trouble: str
    timed_out: bool

    @property
    def log(self) -> Path:
        """What it has written."""
        return self.folder / LOG

    @property
    def family(self) -> Family:
        """Its processes."""
        return Family(self.session, self.mark)

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.state == "running"

    @property
    def last(self) -> str:
        """The last line that it has written."""
        try:
            with self.log.open("rb") as stream:
                stream.seek(max(0, self.log.stat().st_size - _LAST))
                text = stream.read().decode("utf-8", "replace")
        except OSError:
            return ""
        lines = (drawn(line).strip() for line in reversed(text.split("\n")))
        return next((line for line in lines if line), "")


def folder() -> Path:
    """Where the folders of this user's jobs are."""
    return state_folder("jobs")


def every() -> List[Job]:
    """All jobs that this user has on this machine, the oldest first."""
    found = [look(path.parent) for path in folder().glob(f"*/{FACTS}")]
    return sorted((job for job in found if job is not None), key=lambda job: job.started)


def find(name: str) -> Optional[Job]:
    """The job of this name."""
    return look(folder() / name)


def look(place: Path) -> Optional[Job]:
    """The job of a folder; None where none was started there."""
    facts = _json(place / FACTS)
    if not facts:
        return None
    runs = _running(facts)
    end = _json(place / END)  # after the look at its processes: it may have ended between the two
    state = _ended(place, facts, end) if end or runs is None else "running"
    ended = float(end["ended"]) if end else _written(place) if runs is None else time.time()
    return Job(
        name=place.name,
        command=str(facts["command"]),
        folder=place,
        state=state,
        started=float(facts["started"]),
        seconds=max(0.0, ended - float(facts["started"])),
        status=end.get("status"),
        signal=int(end.get("signal", 0)),
        memory=sum(one.memory for one in runs or ()),
        session=int(facts["session"]),
        mark=str(facts["mark"]),
        keeper=int(facts["keeper"]),
        copy=str(facts["copy"]),
        trouble=str(end.get("trouble", "")),
        timed_out=bool(end.get("timed_out", False)),
    )


def _ended(place: Path, facts: Dict[str, Any], end: Dict[str, Any]) -> str:
    """What became of a job that does not run."""
    if (place / STOPPED).exists():
        return "stopped"
    if not end:
        return "killed" if _here(facts) else "lost"
    if end["signal"]:
        return "killed"
    return "failed" if end["status"] or end["timed_out"] else "done"


def _running(facts: Dict[str, Any]) -> Optional[List[Process]]:
    """Its processes; None where neither they nor its keeper are there any more."""
    if not _here(facts):
        return None
    found = Family(facts["session"], facts["mark"]).members()
    first = next((one for one in found if one.pid == facts["session"]), None)
    # The number of a session is not given away again while a process of it lives.
    if first is not None and first.start and first.start != facts["start"]:
        found = []
    kept = since(facts["keeper"]) == facts["keeper_start"]
    return found if found or kept else None


def _here(facts: Dict[str, Any]) -> bool:
    """Whether this is the machine that it was started on, without a restart since."""
    return bool(facts["boot"] == boot())


def _written(place: Path) -> float:
    """When it was last heard of."""
    try:
        return (place / LOG).stat().st_mtime
    except OSError:
        return 0.0


def _json(path: Path) -> Dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def put(path: Path, values: Dict[str, Any]) -> None:
    """Write a file whole or not at all."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(values), encoding="utf-8")
    os.replace(new, path)  # noqa: PTH105
