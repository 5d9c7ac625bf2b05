"""A job as its folder tells of it, and what became of it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Callable, Iterable, List, Optional

from ..core.files import open_own
from ..core.redact import redact_secrets
from ..shell.ansi import drawn
from ..shell.processes import Family, Process, listed, scan
from .store import (
    END,
    FACTS,
    LOG,
    SEEN,
    STOPPED,
    Record,
    boot,
    folder,
    host,
    names,
    read,
    since,
    starts,
)

#: The state of a job that runs on another machine.
ELSEWHERE = "elsewhere"
#: Seconds between two words of a keeper; after so many without one, its machine counts as gone.
BEAT, SILENT = 30.0, 180.0
#: Bytes from the end of a log in which its last line is looked for.
_LAST = 4096

_Scan = Callable[[], Iterable[Process]]


@dataclass(frozen=True)
class Job:
    """A job at one moment.

    ``state`` is one of: ``running``; ``elsewhere``, running on another machine, ``host``, that has
    this home too; ``done``; ``failed``, with a ``status`` that is not 0; ``stopped``, by ``%jobs
    stop``; ``killed``, by a ``signal`` or together with its keeper; ``lost``, with the machine that
    it ran on. ``started`` is in seconds since 1970, ``seconds`` how long it has run, ``memory``
    what its processes hold now, in bytes. ``copying``: it has ended, the copy of its log has not.
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
    start: str
    keeper: int
    host: str
    copy: str
    copying: bool
    trouble: str
    timed_out: bool

    @property
    def log(self) -> Path:
        """What it has written."""
        return self.folder / LOG

    @property
    def family(self) -> Family:
        """Its processes."""
        return Family(self.session, self.mark, self.start)

    @property
    def running(self) -> bool:
        """Whether it goes on, here or elsewhere."""
        return self.state in ("running", ELSEWHERE)

    @property
    def last(self) -> str:
        """The last line that it has written."""
        try:
            with os.fdopen(open_own(self.log), "rb") as stream:
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - _LAST))
                text = stream.read(_LAST).decode("utf-8", "replace")
        except OSError:
            return ""
        lines = (drawn(line).strip() for line in reversed(text.split("\n")))
        return redact_secrets(next((line for line in lines if line), ""))


def every() -> List[Job]:
    """All jobs that this user has on this machine, the oldest first."""
    once = lru_cache(maxsize=None)(lambda: [*scan()])  # not for each of them again
    found = [_latest(name, once) for name in names()]
    return sorted((job for job in found if job is not None), key=lambda job: job.started)


def find(name: str) -> Optional[Job]:
    """The job of this name, where it is one of `names`: what is typed may be a path."""
    return _latest(name, scan) if name in names() else None


def look(place: Path) -> Optional[Job]:
    """The job of one start; None where there is none."""
    return _job(place, scan)


def _latest(name: str, among: _Scan) -> Optional[Job]:
    found = (_job(place, among) for place in reversed(starts(folder() / name)))
    return next((job for job in found if job is not None), None)


def _job(place: Path, among: _Scan) -> Optional[Job]:
    facts = read(place, FACTS)
    if not facts:
        return None
    family = _family(facts)
    runs = None if _settled(place, facts) else _running(place, facts, family, among)
    # Read after the look at its processes: it may have ended between the two.
    end, seen = read(place, END), read(place, SEEN)
    copied = not facts["copy"] or seen.get("copied", False)
    state = _state(place, facts, end, runs)
    now = time.time() if runs is not None else _heard_of(place)
    return Job(
        name=place.parent.name,
        command=facts["command"],
        folder=place,
        state=state,
        started=facts["started"],
        seconds=max(0.0, end.get("ended", now) - facts["started"]),
        status=end.get("status"),
        signal=end.get("signal", 0),
        memory=0 if end else sum(one.memory for one in runs or ()),
        session=family.session,
        mark=family.mark,
        start=family.start,
        keeper=facts["keeper"],
        host=facts["host"],
        copy=facts["copy"],
        copying=bool(end) and not copied and runs is not None,
        trouble=_trouble(seen, copied or runs is not None),
        timed_out=end.get("timed_out", False),
    )


def _settled(place: Path, facts: Record) -> bool:
    """Whether all is there that its keeper had to say of it: nobody has to be looked for then."""
    copied = not facts["copy"] or read(place, SEEN).get("copied", False)
    return bool(copied and read(place, END))


def _state(place: Path, facts: Record, end: Record, runs: Optional[List[Process]]) -> str:
    if not end and runs is not None:
        return "running" if _here(facts) else ELSEWHERE
    if (place / STOPPED).exists():
        return "stopped"
    if not end:
        return "killed" if _here(facts) else "lost"
    if end["signal"]:
        return "killed"
    return "failed" if end.get("status") or end["timed_out"] else "done"


def _trouble(seen: Record, whole: bool) -> str:
    said = [seen.get("trouble", ""), "" if whole else "The copy of the log may lack its end"]
    return ". ".join(filter(None, said))


def _family(facts: Record) -> Family:
    """Its processes. Its keeper waits for what has begun its session when all others have ended."""
    ours = listed() or since(facts["session"]) == facts["start"]
    return Family(facts["session"] if ours else 0, facts["mark"], facts["start"])


def _kept(facts: Record) -> bool:
    """Whether its keeper lives."""
    return bool(since(facts["keeper"]) == facts["keeper_start"])


def _running(place: Path, facts: Record, family: Family, among: _Scan) -> Optional[List[Process]]:
    """Its processes; None where neither they nor its keeper are there any more."""
    if not _here(facts):
        return [] if _elsewhere(place, facts) else None
    found = family.members(among)
    return found if found or _kept(facts) else None


def _here(facts: Record) -> bool:
    """Whether this is the machine that it was started on, without a restart since."""
    return bool(facts["boot"] == boot())


def _elsewhere(place: Path, facts: Record) -> bool:
    """Whether its keeper lives on another machine that has this home too: it was heard of lately.

    A machine of the name of this one is this one before it was started again.
    """
    return facts["host"] != host() and time.time() - _changed(place / SEEN) < SILENT


def _heard_of(place: Path) -> float:
    """When there was a sign of it at last."""
    return max(_changed(place / LOG), _changed(place / SEEN))


def _changed(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
