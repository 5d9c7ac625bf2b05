"""Who a process is: its number alone may be another one's tomorrow, or on another machine.

Sources: proc(5). Where there is no ``/proc``, ``ps`` and ``sysctl`` are asked.
"""

import os
from pathlib import Path
from typing import Dict

from ..core.process import run
from ..shell.processes import listed, read


_PROC = Path("/proc")


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
    if not listed():
        return _said("ps", "-o", "lstart=", "-p", str(pid))
    process = read(pid)
    return process.start if process is not None else ""


def _said(*command: str) -> str:
    environment: Dict[str, str] = {**os.environ, "LC_ALL": "C"}
    try:
        done = run(command, environment, timeout=5)
    except OSError:  # of the program, or of the time
        return ""
    return "\n".join(done.lines)
