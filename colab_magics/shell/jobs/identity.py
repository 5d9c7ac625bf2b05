"""Who a process is: its number alone may be another one's tomorrow, or on another machine.

Sources: proc(5). Where there is no ``/proc``, ``ps`` and ``sysctl`` are asked.
"""

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

__all__ = ["Process", "boot", "host", "members", "scan", "since"]

_PROC = Path("/proc")
#: Where these stand behind the name in ``/proc/PID/stat``.
_STATE, _SESSION, _START, _PAGES = 0, 3, 19, 21


class Process(NamedTuple):
    """A process that runs; ``memory`` is what it holds of it, in bytes."""

    pid: int
    session: int
    start: str
    memory: int


def boot() -> str:
    """This machine since it came up; a container that is started again counts as another one.

    The kernel's own identity is that of the machine below a container, so that the first process
    of the container and its name space count too.
    """
    try:
        machine = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{machine}:{since(1)}:{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return _said("sysctl", "-n", "kern.bootsessionuuid")


def host() -> str:
    """What this machine is called."""
    return os.uname().nodename


def since(pid: int) -> str:
    """When a process started, as something to compare; empty where none of that number runs."""
    if not _listed():
        return _said("ps", "-o", "lstart=", "-p", str(pid))
    process = _read(pid)
    return process.start if process is not None else ""


def scan() -> List[Process]:
    """All processes that run."""
    found = (_read(int(path.name)) for path in _PROC.glob("[0-9]*"))
    return [process for process in found if process is not None]


def members(session: int, among: Callable[[], List[Process]] = scan) -> List[Process]:
    """The processes of a session that run."""
    if not _listed():
        with suppress(ProcessLookupError):
            os.killpg(session, 0)
            return [Process(session, session, "", 0)]
        return []
    return [process for process in among() if process.session == session]


def _read(pid: int) -> Optional[Process]:
    """What the system says of a process; None where it has ended, which may still be listed."""
    try:
        words = (_PROC / str(pid) / "stat").read_bytes().rpartition(b") ")[2].split()
        if words[_STATE] in (b"Z", b"X"):
            return None
        memory = int(words[_PAGES]) * os.sysconf("SC_PAGE_SIZE")
        return Process(pid, int(words[_SESSION]), words[_START].decode(), memory)
    except (OSError, IndexError):
        return None


def _listed() -> bool:
    return (_PROC / "self/stat").exists()


def _said(*command: str) -> str:
    environment: Dict[str, str] = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=5, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
