"""Which processes belong to a command: those of its session, and those that carry its mark.

A program may leave its process group (``timeout``) and its session (``setsid``, a server that
detaches itself); the environment that it was started with stays readable. Only what has rewritten
that too, and left the session, is not found. A number alone says nothing: it may be another one's
once its process has ended, so that its start counts with it. Source: proc(5). Where there is no
``/proc``, the process group has to do.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import (
    AbstractSet,
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
)

#: The variable whose value marks the processes of one command.
MARK = "COLAB_MAGICS_COMMAND"

_PROC = "/proc"
#: Where these stand behind the name in ``/proc/PID/stat``.
_STATE, _GROUP, _SESSION, _START, _PAGES = 0, 2, 3, 19, 21


class Process(NamedTuple):
    """A process that runs; ``memory`` is what it holds of it, in bytes."""

    pid: int
    group: int
    session: int
    start: str
    memory: int


def read(pid: int) -> Optional[Process]:
    """What the system says of a process; None where it has ended, which may still be listed."""
    try:
        words = _words(pid)
        if words[_STATE] in (b"Z", b"X"):
            return None
        memory = int(words[_PAGES]) * os.sysconf("SC_PAGE_SIZE")
        group, session = int(words[_GROUP]), int(words[_SESSION])
        return Process(pid, group, session, words[_START].decode(), memory)
    except (OSError, IndexError):
        return None


def began(pid: int) -> str:
    """When the process of this number began, one too that has ended and is not waited for yet."""
    try:
        return _words(pid)[_START].decode()
    except (OSError, IndexError):
        return ""


def listed() -> bool:
    """Whether the system lists its processes in ``/proc``."""
    return os.path.exists(f"{_PROC}/self/stat")  # noqa: PTH110 - all here is done with each command


def numbers() -> FrozenSet[int]:
    """The numbers of all processes; none where the system does not list them."""
    if not listed():
        return frozenset()
    return frozenset(int(name) for name in os.listdir(_PROC) if name.isdigit())  # noqa: PTH208


def scan(others: AbstractSet[int] = frozenset()) -> Iterator[Process]:
    """All processes that run, without those that have these numbers."""
    return filter(None, map(read, numbers() - others))


class Family(NamedTuple):
    """The processes of one command: its session is named by what has begun it; 0 is none."""

    session: int
    mark: str = ""
    #: When the process that has begun the session began.
    start: str = ""

    @property
    def held(self) -> int:
        """The number of the session while it is ours; 0 once it may be another one's.

        The system gives it to nobody else before what has begun it was waited for.
        """
        same = not listed() or (self.start and began(self.session) == self.start)
        return self.session if same else 0

    def members(self, among: Callable[[], Iterable[Process]] = scan) -> List[Process]:
        """Those that run, ``among`` all that do."""
        if listed():
            session = self.held
            return [one for one in among() if self._has(one, session)]
        with suppress(ProcessLookupError, PermissionError):
            if self.session:
                os.killpg(self.session, 0)
                return [Process(self.session, self.session, self.session, "", 0)]
        return []

    def send(self, number: int, everywhere: bool = True) -> List[int]:
        """Send a signal to all, or to those of the session; gives those that it may not send to.

        The process group gets it at once, before any of it can start another one.
        """
        session = self.held
        with suppress(ProcessLookupError, PermissionError):
            if session:  # 0 would be our own group
                os.killpg(session, number)
        refused = []
        for one in self.members() if listed() else ():
            if one.group == session or not (everywhere or one.session == session):
                continue
            try:
                if began(one.pid) == one.start:
                    os.kill(one.pid, number)
            except ProcessLookupError:
                continue
            except PermissionError:
                refused.append(one.pid)
        return refused

    def _has(self, process: Process, session: int) -> bool:
        """Whether it is one of them, ``session`` being the one that is ours."""
        if session and process.session == session:
            return True
        with suppress(OSError):  # of another user, or it has just ended
            environment = _contents(process.pid, "environ")
            return bool(self.mark) and f"{MARK}={self.mark}\0".encode() in environment
        return False


def _words(pid: int) -> List[bytes]:
    """What the system says of a process, behind its name, which may hold anything. See above."""
    return _contents(pid, "stat").rpartition(b") ")[2].split()


def _contents(pid: int, name: str) -> bytes:
    """A file of the system about a process. Raises OSError."""
    with open(f"{_PROC}/{pid}/{name}", "rb", buffering=0) as file:  # noqa: PTH123
        return file.readall()


def unmarked() -> Dict[str, str]:
    """This process's environment for what is to outlive a command that this process is part of."""
    return {name: value for name, value in os.environ.items() if name != MARK}
