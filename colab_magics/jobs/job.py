"""A job as its folder describes it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Literal, Optional

from ..core.files import open_own
from ..core.redact import redact_secrets
from ..shell.ansi import render
from ..shell.processes import Family, Process, has_proc, scan
from . import store
from .store import END, FACTS, LOG, SEEN, STOPPED, Record

#: ``elsewhere``: running on another machine that has this home too. ``killed``: by a signal, or
#: together with its supervisor. ``lost``: with the machine that it ran on.
State = Literal["running", "elsewhere", "done", "failed", "stopped", "killed", "lost"]
#: Seconds between two reports of a supervisor; without one for so long, its machine is gone.
BEAT, SILENT = 30.0, 180.0
#: Bytes at the end of a log in which its last line is searched.
_LAST = 4096

_Scan = Callable[[], Iterable[Process]]


@dataclass(frozen=True)
class Job:
    """A job at one moment.

    ``started`` is in seconds since 1970, ``seconds`` how long it has run, ``memory`` what its
    processes hold now, in bytes. ``copying``: it has ended, the copy of its log has not.
    """

    name: str
    command: str
    folder: Path
    state: State
    started: float
    seconds: float
    status: Optional[int]
    signal: int
    timed_out: bool
    memory: int
    family: Family
    supervisor: int
    host: str
    copy: str
    copying: bool
    trouble: str

    @property
    def log(self) -> Path:
        """The file of its output."""
        return self.folder / LOG

    @property
    def running(self) -> bool:
        """Whether it runs, here or elsewhere."""
        return self.state in ("running", "elsewhere")

    @property
    def elsewhere(self) -> str:
        """Where it runs, if that is another machine; else empty."""
        return f" on {self.host}, another machine" if self.state == "elsewhere" else ""

    @property
    def last_line(self) -> str:
        """The last line of its output that is not empty."""
        try:
            with os.fdopen(open_own(self.log), "rb") as stream:
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - _LAST))
                text = stream.read(_LAST).decode("utf-8", "replace")
        except OSError:
            return ""
        lines = (render(line).strip() for line in reversed(text.split("\n")))
        return redact_secrets(next((line for line in lines if line), ""))

    def to_dict(self) -> Dict[str, Any]:
        """Return the job as JSON has it."""
        fields = asdict(self)
        session = fields.pop("family")[0]
        paths = {"folder": str(self.folder), "log": str(self.log)}
        return {**fields, **paths, "session": session, "last": self.last_line}


def list_jobs() -> List[Job]:
    """Return all jobs that this user has on this machine, the oldest first."""
    scan_once = lru_cache(maxsize=None)(lambda: [*scan()])
    jobs = (_load_latest(name, scan_once) for name in store.list_names())
    return sorted((job for job in jobs if job is not None), key=lambda job: job.started)


def find_job(name: str) -> Optional[Job]:
    """Return the job of a name, if it is one of `list_names`: what is typed may be a path."""
    return _load_latest(name, scan) if name in store.list_names() else None


def load_job(place: Path, scan: _Scan = scan) -> Optional[Job]:
    """Return the job of one start, from its folder; None if there is none."""
    facts = store.read_record(place, FACTS)
    if not facts:
        return None
    # A supervisor waits for the first process of the session when all others have ended.
    own = has_proc() or store.process_start(facts["session"]) == facts["start"]
    family = Family(facts["session"] if own else 0, facts["mark"], facts["start"])
    processes = None
    if not (_is_copied(place, facts) and store.read_record(place, END)):  # else nothing can change
        processes = _find_processes(place, facts, family, scan)
    # Read after the scan of the processes: it may end in between.
    end, copied = store.read_record(place, END), _is_copied(place, facts)
    last_sign = max(_modified(place / LOG), _modified(place / SEEN))
    now = last_sign if processes is None else time.time()
    trouble = [store.read_record(place, SEEN).get("trouble", "")]
    if not copied and processes is None:
        trouble.append("The end of the log may be missing in its copy")
    return Job(
        name=place.parent.name,
        command=facts["command"],
        folder=place,
        state=_state(place, facts, end, processes is not None),
        started=facts["started"],
        seconds=max(0.0, end.get("ended", now) - facts["started"]),
        status=end.get("status"),
        signal=end.get("signal", 0),
        timed_out=end.get("timed_out", False),
        memory=0 if end else sum(process.memory for process in processes or ()),
        family=family,
        supervisor=facts["supervisor"],
        host=facts["host"],
        copy=facts["copy"],
        copying=bool(end) and not copied and processes is not None,
        trouble=". ".join(filter(None, trouble)),
    )


def _load_latest(name: str, scan: _Scan) -> Optional[Job]:
    jobs = (load_job(place, scan) for place in reversed(store.list_starts(store.folder() / name)))
    return next((job for job in jobs if job is not None), None)


def _is_copied(place: Path, facts: Record) -> bool:
    """Return whether its log needs no copy, or the copy is complete."""
    return bool(not facts["copy"] or store.read_record(place, SEEN).get("copied"))


def _find_processes(
    place: Path, facts: Record, family: Family, scan: _Scan
) -> Optional[List[Process]]:
    """Return its running processes; None if its supervisor does not run either."""
    if facts["boot"] == store.boot_id():
        members = family.members(scan)
        supervised = store.process_start(facts["supervisor"]) == facts["supervisor_start"]
        return members if members or supervised else None
    # It may run on another machine; one of the same name is this one before it was started again.
    reported = time.time() - _modified(place / SEEN) < SILENT
    return [] if facts["host"] != store.host_name() and reported else None


def _state(place: Path, facts: Record, end: Record, runs: bool) -> State:
    here = facts["boot"] == store.boot_id()
    if not end and runs:
        return "running" if here else "elsewhere"
    if (place / STOPPED).exists():
        return "stopped"
    if not end:
        return "killed" if here else "lost"
    if end["signal"]:
        return "killed"
    return "failed" if end.get("status") or end["timed_out"] else "done"


def _modified(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
