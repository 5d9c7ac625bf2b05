"""Which processes belong to a command: those of its session, and those that carry its mark.

A program may leave its process group (``timeout``) and its session (``setsid``, a server that
detaches itself); the environment that it was started with stays readable. Only what has rewritten
that too, and left the session, is not found. Source: proc(5). Where there is no ``/proc``, the
process group has to do.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional

__all__ = ["MARK", "Family", "Process", "listed", "read", "unmarked"]

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


class Family(NamedTuple):
    """The processes of one command: a session is named by the process that has begun it."""

    session: int
    mark: str = ""

    def members(self) -> List[Process]:
        """Those that run."""
        if listed():
            return list(self._found(0))
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.session, 0)
            return [Process(self.session, self.session, self.session, "", 0)]
        return []

    def lives(self) -> bool:
        """Whether any runs; soon, since only those are looked at that are younger than it."""
        return any(self._found(self.session)) if listed() else bool(self.members())

    def send(self, number: int, everywhere: bool = True) -> List[int]:
        """Send a signal to all, or to those of the session; gives those that it may not send to.

        The process group gets it at once, before any of it can start another one.
        """
        with suppress(ProcessLookupError, PermissionError):
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

    def _found(self, least: int) -> Iterator[Process]:
        """Those whose numbers are not below this."""
        for name in os.listdir(_PROC):  # noqa: PTH208 - with each command
            if not name.isdigit() or int(name) < least:
                continue
            process = read(int(name))
            if process and (process.session == self.session or self._marked(name)):
                yield process

    def _marked(self, name: str) -> bool:
        with suppress(OSError):  # of another user, or it has just ended
            environment = (_PROC / name / "environ").read_bytes()
            return bool(self.mark) and f"{MARK}={self.mark}\0".encode() in environment
        return False


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


def unmarked() -> Dict[str, str]:
    """This process's environment for what is to outlive a command that this process is part of."""
    return {name: value for name, value in os.environ.items() if name != MARK}
