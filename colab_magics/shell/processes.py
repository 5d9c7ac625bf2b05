"""Which processes belong to a command: those of its session, and those that carry its mark.

A program may leave its process group (``timeout``) and its session (``setsid``, a daemon); the
environment that it was started with stays readable. Only a program that has rewritten that too, and
left the session, is missed. A number may be another process's once its own has ended: the start
time is compared with it. Source: proc(5). Without ``/proc`` the process group has to do.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Callable, Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional

#: The variable whose value marks the processes of one command.
MARK = "COLAB_MAGICS_COMMAND"

_PROC = "/proc"
#: The places of these fields behind the name in ``/proc/PID/stat``.
_STATE, _GROUP, _SESSION, _START, _PAGES = 0, 2, 3, 19, 21


class Process(NamedTuple):
    """A running process; ``start`` is in ticks of the system, ``memory`` in bytes."""

    pid: int
    group: int
    session: int
    start: str
    memory: int


def read_process(pid: int) -> Optional[Process]:
    """Return a process; None where it has ended, even if nobody has waited for it."""
    try:
        fields = _stat(pid)
        if fields[_STATE] in (b"Z", b"X"):
            return None
        memory = int(fields[_PAGES]) * os.sysconf("SC_PAGE_SIZE")
        group, session = int(fields[_GROUP]), int(fields[_SESSION])
        return Process(pid, group, session, fields[_START].decode(), memory)
    except (OSError, IndexError):
        return None


def start_time(pid: int) -> str:
    """Return when a process started, also of one that has ended and was not waited for."""
    try:
        return _stat(pid)[_START].decode()
    except (OSError, IndexError):
        return ""


def has_proc() -> bool:
    """Return whether the system lists its processes in ``/proc``."""
    return os.path.exists(f"{_PROC}/self/stat")  # noqa: PTH110 - runs with each command


def list_pids() -> FrozenSet[int]:
    """Return the numbers of all processes; none without ``/proc``."""
    names = os.listdir(_PROC) if has_proc() else []  # noqa: PTH208
    return frozenset(int(name) for name in names if name.isdigit())


def scan(but: FrozenSet[int] = frozenset()) -> Iterator[Process]:
    """Yield all running processes but those of some numbers."""
    return filter(None, map(read_process, list_pids() - but))


class Family(NamedTuple):
    """The processes of one command; ``session`` is the number of its first process, or 0."""

    session: int
    mark: str = ""
    #: When the first process started.
    start: str = ""

    @property
    def own_session(self) -> int:
        """The session; 0 once the number may be another one's, after it was waited for."""
        same = not has_proc() or (self.start and start_time(self.session) == self.start)
        return self.session if same else 0

    def members(self, scan: Callable[[], Iterable[Process]] = scan) -> List[Process]:
        """Return the running ones among what ``scan`` yields."""
        if has_proc():
            session = self.own_session
            return [process for process in scan() if self._includes(process, session)]
        with suppress(ProcessLookupError, PermissionError):
            if self.session:
                os.killpg(self.session, 0)
                return [Process(self.session, self.session, self.session, "", 0)]
        return []

    def send(self, number: int, everywhere: bool = True) -> List[int]:
        """Send a signal to all, or to those of the session; return the pids that may not get it.

        The process group gets it first, at once, before any of it can start another process.
        """
        session = self.own_session
        with suppress(ProcessLookupError, PermissionError):
            if session:  # 0 would be our own group
                os.killpg(session, number)
        refused = []
        for process in self.members() if has_proc() else ():
            if process.group == session or not (everywhere or process.session == session):
                continue
            try:
                if start_time(process.pid) == process.start:
                    os.kill(process.pid, number)
            except ProcessLookupError:
                continue
            except PermissionError:
                refused.append(process.pid)
        return refused

    def _includes(self, process: Process, session: int) -> bool:
        if session and process.session == session:
            return True
        mark = f"{MARK}={self.mark}\0".encode()
        with suppress(OSError):  # of another user, or it has just ended
            return bool(self.mark) and mark in _read(process.pid, "environ")
        return False


def _stat(pid: int) -> List[bytes]:
    """Return the fields of a process behind its name, which may hold anything."""
    return _read(pid, "stat").rpartition(b") ")[2].split()


def _read(pid: int, name: str) -> bytes:
    with open(f"{_PROC}/{pid}/{name}", "rb", buffering=0) as file:  # noqa: PTH123
        return file.readall()


def unmarked_environment() -> Dict[str, str]:
    """Return our environment for a program that outlives a command which we may be part of."""
    return {name: value for name, value in os.environ.items() if name != MARK}
