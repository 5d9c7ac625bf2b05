"""The files of jobs: a folder for each name, in it one for each start.

Each start has its own folder, so that one that fails, or a supervisor that still copies a log,
harms no other start. The number of a process may be another one's tomorrow, or on another machine,
so that its start time and the boot of the machine are compared too.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any, Callable, Dict, List

from ..core.files import open_own
from ..core.folders import user_path
from ..core.ownership import is_own, is_private
from ..core.process import run
from ..shell.processes import has_proc, read_process

#: What runs since when; what its supervisor reports; the output; how it ended; a mark of `stop`.
FACTS, SEEN, LOG, END, STOPPED = "job.json", "seen.json", "log", "end.json", "stopped"
#: Bytes that room is reserved for in each file, and the most that is read of one.
_SIZE, _LIMIT = 1024, 1 << 22

Record = Dict[str, Any]


def _text(pattern: str = ".*") -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value, re.DOTALL))


def _number(first: int, end: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and first <= value < end


def _time(value: Any) -> bool:
    return isinstance(value, float) and isfinite(value)


#: A process that is not the system's own; ticks of the system, or a date of ``ps``.
_PID, _START = _number(2, 2**31), _text(r"\d+|[\w :]{8,40}")
#: The fields of each file. Anybody may have written it, and processes are ended by it.
_FIELDS: Dict[str, Dict[str, Callable[[Any], bool]]] = {
    FACTS: {
        **dict.fromkeys(("command", "copy", "host", "boot"), _text()),
        **dict.fromkeys(("session", "supervisor"), _PID),
        **dict.fromkeys(("start", "supervisor_start"), _START),
        "mark": _text("[0-9a-f]{32}"),
        "started": _time,
    },
    SEEN: {"trouble": _text(), "copied": lambda value: isinstance(value, bool)},
    END: {
        "signal": _number(0, 128),
        "status": lambda value: value is None or _number(1 - 2**31, 2**31)(value),
        "timed_out": lambda value: isinstance(value, bool),
        "ended": _time,
    },
}


def boot_id() -> str:
    """Return what tells this boot of this machine; a container that starts again is another one.

    The kernel's own identity is that of the machine below a container, so that the first process
    of the container and its name space count too.
    """
    try:
        machine = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{machine}:{process_start(1)}:{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return _output("sysctl", "-n", "kern.bootsessionuuid")


def host_name() -> str:
    """Return the name of this machine."""
    return os.uname().nodename


def process_start(pid: int) -> str:
    """Return when a running process started, as something to compare; empty if it does not run."""
    if not has_proc():
        return _output("ps", "-o", "lstart=", "-p", str(pid))
    process = read_process(pid)
    return process.start if process is not None else ""


def _output(*command: str) -> str:
    with suppress(OSError):  # of the program, or of the time
        return "\n".join(run(command, {**os.environ, "LC_ALL": "C"}, timeout=5).lines)
    return ""


def folder() -> Path:
    """Return where the jobs of this user are; raise `NotOwn` where others can write it."""
    return user_path("state", "jobs")


def list_names() -> List[str]:
    """Return the names of all jobs."""
    return sorted(path.name for path in list_folders(folder()) if list_starts(path))


def list_starts(place: Path) -> List[Path]:
    """Return the folders of the starts of a name that have a job; the latest one is last."""
    starts = (path for path in list_folders(place) if path.name.isdecimal())
    return sorted((path for path in starts if (path / FACTS).exists()), key=lambda p: int(p.name))


def list_folders(place: Path) -> List[Path]:
    """Return the folders in a folder that only this user can write; a link could lead anywhere."""
    try:
        paths = [place / entry.name for entry in os.scandir(place)]
        status = [(path, path.lstat()) for path in paths]
    except OSError:
        return []
    return [path for path, about in status if stat.S_ISDIR(about.st_mode) and is_private(about)]


def open_folder(place: Path) -> int:
    """Open the folder of a start, to write its files wherever that name leads later.

    `PermissionError` where it is not this user's.
    """
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    if not is_own(os.fstat(handle)):
        os.close(handle)
        raise PermissionError(errno.EPERM, "another user's folder", str(place))
    return handle


def read_record(place: Path, name: str) -> Record:
    """Return a file of a start; an empty record where a field is missing or wrong."""
    try:
        with os.fdopen(open_own(place / name), "rb") as stream:
            private = is_private(os.fstat(stream.fileno()))
            record = json.loads(stream.read(_LIMIT)) if private else None
    except (OSError, ValueError, RecursionError):
        return {}
    fields = _FIELDS[name].items()
    if not isinstance(record, dict) or not all(f in record and ok(record[f]) for f, ok in fields):
        return {}
    return record


def write_record(place: int, name: str, record: Record) -> None:
    """Write a file of a start (see `open_folder`) atomically, into the room that was reserved."""
    _write(place, name, json.dumps(record).encode().ljust(_SIZE))
    os.replace(_temporary(name), name, src_dir_fd=place, dst_dir_fd=place)


def rewrite_record(place: int, name: str, record: Record) -> None:
    """Write a file of a start again and again; the room of the last one is kept for the next."""
    last = str(Path(name).with_suffix(".last"))
    with suppress(FileNotFoundError):
        os.unlink(last, dir_fd=place)  # of a report that was cut off
    with suppress(OSError):  # it is the first, or the file system has no hard links
        os.link(name, last, src_dir_fd=place, dst_dir_fd=place, follow_symlinks=False)
    write_record(place, name, record)
    try:
        os.replace(last, _temporary(name), src_dir_fd=place, dst_dir_fd=place)
    except FileNotFoundError:
        reserve(place, name)


def reserve(place: int, name: str, more: int = 0) -> None:
    """Reserve room for a file of a start, and ``more`` bytes: a job may fill the disk at once."""
    _write(place, name, b" " * (_SIZE + more))


def _write(place: int, name: str, data: bytes) -> None:
    handle = open_own(_temporary(name), os.O_WRONLY | os.O_CREAT, folder=place)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.truncate()


def _temporary(name: str) -> str:
    return str(Path(name).with_suffix(".new"))
