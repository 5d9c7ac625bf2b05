"""What is written down of jobs: a folder for each name, in it one for each start, files in that.

Each start has its own, so that one that fails, or a keeper that still copies, harms no other one.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from math import isfinite
from pathlib import Path
from typing import Any, Callable, Dict, List

from ..core.files import open_own
from ..core.folders import user_path
from ..core.ownership import is_own, is_private
from ..core.process import run
from ..shell import processes

# ---------------------------------------------------------------------- identity
# Who a process is: its number alone may be another one's tomorrow, or on another machine.
#
# Sources: proc(5). Where there is no ``/proc``, ``ps`` and ``sysctl`` are asked.
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
    if not processes.listed():
        return _said("ps", "-o", "lstart=", "-p", str(pid))
    process = processes.read(pid)
    return process.start if process is not None else ""


def _said(*command: str) -> str:
    environment: Dict[str, str] = {**os.environ, "LC_ALL": "C"}
    try:
        done = run(command, environment, timeout=5)
    except OSError:  # of the program, or of the time
        return ""
    return "\n".join(done.lines)


# ---------------------------------------------------------------------- store
#: Who runs since when; what its keeper says of it now and then; what it writes; how it ended; and
#: that it was told to.
FACTS, SEEN, LOG, END, STOPPED = "job.json", "seen.json", "log", "end.json", "stopped"


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _number(value: Any) -> bool:
    """Whether it may be the number of a process that is not the system's own."""
    return type(value) is int and 1 < value < 2**31


def _time(value: Any) -> bool:
    return isinstance(value, float) and isfinite(value)


def _mark(value: Any) -> bool:
    return _text(value) and bool(re.fullmatch(r"[0-9a-f]{32}", value))


def _begun(value: Any) -> bool:
    """Whether it says when a process has begun: a number, or a date where ``ps`` says it."""
    return _text(value) and bool(re.fullmatch(r"\d+|[\w :]{8,40}", value))


#: What a file of these says at least; anybody may have written it, and processes are ended by it.
_KINDS: Dict[str, Dict[str, Callable[[Any], bool]]] = {
    FACTS: {
        **{"command": _text, "copy": _text, "started": _time, "host": _text, "boot": _text},
        **{"session": _number, "start": _begun, "mark": _mark},
        **{"keeper": _number, "keeper_start": _begun},
    },
    SEEN: {"trouble": _text, "copied": _flag},
    END: {
        **{"signal": lambda value: type(value) is int and 0 <= value < 128},
        **{"status": lambda value: value is None or (type(value) is int and abs(value) < 2**31)},
        **{"timed_out": _flag, "ended": _time},
    },
}

#: Bytes that a file of these has at least, so that room for it can be kept; and at most.
_SIZE, _MOST = 1024, 1 << 22

Record = Dict[str, Any]


def folder() -> Path:
    """Where the jobs of this user are; `NotOwn` where others could put theirs into it."""
    return user_path("state", "jobs")


def hold(place: Path) -> int:
    """Open the folder of a start, to write its files wherever that name leads later.

    `PermissionError` where it is not this user's.
    """
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    if not is_own(os.fstat(handle)):
        os.close(handle)
        raise PermissionError(errno.EPERM, "another user's folder", str(place))
    return handle


def starts(place: Path) -> List[Path]:
    """The starts of a name, from its folder, that came to something; the latest one last."""
    found = (path for path in folders(place) if path.name.isdecimal() and (path / FACTS).exists())
    return sorted(found, key=lambda path: int(path.name))


def names() -> List[str]:
    """The names of all jobs, without a look at how they are."""
    return sorted(path.name for path in folders(folder()) if starts(path))


def folders(place: Path) -> List[Path]:
    """The folders in a folder that only this user can write; a link could lead anywhere."""
    try:
        found = [place / entry.name for entry in os.scandir(place)]
        return [path for path in found if _is_folder(path.lstat())]
    except OSError:
        return []


def _is_folder(about: os.stat_result) -> bool:
    return stat.S_ISDIR(about.st_mode) and is_private(about)


def read(place: Path, name: str) -> Record:
    """What a file of a start says; nothing where it does not say all that is asked of it."""
    try:
        with os.fdopen(open_own(place / name), "rb") as stream:
            ours = is_private(os.fstat(stream.fileno()))
            found = json.loads(stream.read(_MOST)) if ours else None
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    whole = all(key in found and sound(found[key]) for key, sound in _KINDS[name].items())
    return found if whole else {}


def put(place: int, name: str, record: Record) -> None:
    """Write a file of a start (see `hold`), whole or not at all; into the room that was kept."""
    _write(place, name, json.dumps(record).encode().ljust(_SIZE))
    os.replace(_new(name), name, src_dir_fd=place, dst_dir_fd=place)


def reserve(place: int, name: str, more: int = 0) -> None:
    """Keep room for a file of a start, and ``more`` bytes: a job may fill the disk at once."""
    _write(place, name, b" " * (_SIZE + more))


def _write(place: int, name: str, data: bytes) -> None:
    handle = open_own(_new(name), os.O_WRONLY | os.O_CREAT, folder=place)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.truncate()


def _new(name: str) -> str:
    return str(Path(name).with_suffix(".new"))
