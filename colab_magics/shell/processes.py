"""Which processes belong to a command: those of its session, and those that carry its mark.

A program may leave its process group (``timeout``) and its session (``setsid``, a server that
detaches itself); the environment that it was started with stays readable. Only what has rewritten
that too, and left the session, is not found. Source: proc(5). Where there is no ``/proc``, the
process group has to do.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional

__all__ = ["MARK", "Family", "Process", "listed", "read", "scan", "unmarked"]

#: The variable whose value marks the processes of one command.
MARK = "COLAB_MAGICS_COMMAND"

_PROC = Path("/proc")
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
        words = (_PROC / str(pid) / "stat").read_bytes().rpartition(b") ")[2].split()
        if words[_STATE] in (b"Z", b"X"):
            return None
        memory = int(words[_PAGES]) * os.sysconf("SC_PAGE_SIZE")
        group, session = int(words[_GROUP]), int(words[_SESSION])
        return Process(pid, group, session, words[_START].decode(), memory)
    except (OSError, IndexError):
        return None


def listed() -> bool:
    """Whether the system lists its processes in ``/proc``."""
    return (_PROC / "self/stat").exists()


def scan(least: int = 0) -> Iterator[Process]:
    """All processes that run, of those whose numbers are not below this."""
    for name in os.listdir(_PROC):  # noqa: PTH208 - with each command
        process = read(int(name)) if name.isdigit() and int(name) >= least else None
        if process is not None:
            yield process


class Family(NamedTuple):
    """The processes of one command: its session is named by what has begun it; 0 is none."""

    session: int
    mark: str = ""

    def members(self, among: Callable[[], Iterable[Process]] = scan) -> List[Process]:
        """Those that run, ``among`` all that do."""
        if listed():
            return [one for one in among() if self._has(one)]
        with suppress(ProcessLookupError, PermissionError):
            if self.session:
                os.killpg(self.session, 0)
                return [Process(self.session, self.session, self.session, "", 0)]
        return []

    def lives(self) -> bool:
        """Whether any runs; soon, since only those are looked at that are younger than it."""
        return any(map(self._has, scan(self.session))) if listed() else bool(self.members())

    def send(self, number: int, everywhere: bool = True) -> List[int]:
        """Send a signal to all, or to those of the session; gives those that it may not send to.

        The process group gets it at once, before any of it can start another one.
        """
        with suppress(ProcessLookupError, PermissionError):
            if self.session:  # 0 would be our own group
                os.killpg(self.session, number)
        refused = []
        for one in self.members() if listed() else ():
            if one.group == self.session or not (everywhere or one.session == self.session):
                continue
            try:
                os.kill(one.pid, number)
            except ProcessLookupError:
                continue
            except PermissionError:
                refused.append(one.pid)
        return refused

    def _has(self, process: Process) -> bool:
        """Whether it is one of them."""
        if self.session and process.session == self.session:
            return True
        with suppress(OSError):  # of another user, or it has just ended
            environment = (_PROC / str(process.pid) / "environ").read_bytes()
            return bool(self.mark) and f"{MARK}={self.mark}\0".encode() in environment
        return False


def unmarked() -> Dict[str, str]:
    """This process's environment for what is to outlive a command that this process is part of."""
    return {name: value for name, value in os.environ.items() if name != MARK}
