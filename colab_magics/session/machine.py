"""What this machine has, and since when; inside a container, what the container has.

Sources: cgroup(7), the kernel's documentation of both versions' memory files, and psutil, which
comes with ipykernel.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence

_CGROUPS = Path("/sys/fs/cgroup")


class Memory(NamedTuple):
    """Bytes: how many are used, of how many."""

    used: int
    total: int


class Disk(NamedTuple):
    """A disk by a folder on it, and its bytes."""

    folder: Path
    free: int
    total: int


def read_start() -> float:
    """Return when the machine, or its container, came up, in seconds since 1970."""
    import psutil

    try:
        return float(psutil.Process(1).create_time())
    except psutil.Error:  # some systems hide the first process
        return float(psutil.boot_time())


def read_family(pid: int) -> Dict[int, int]:
    """Return a process and all that it has started, each with its memory in bytes."""
    import psutil

    sizes: Dict[int, int] = {}
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):
                sizes[member.pid] = int(member.memory_info().rss)
    return sizes


def read_memory() -> Memory:
    """Return the memory of the machine, or of the container where that may use less."""
    import psutil

    machine = psutil.virtual_memory()
    rooms = [Memory(machine.total - machine.available, machine.total)]
    rooms += read_cgroups(_CGROUPS, _read_own_cgroups())
    return min(rooms, key=lambda room: room.total)


def _read_own_cgroups() -> Dict[str, str]:
    """Return the control groups of this process by controller, that of version 2 as ``""``."""
    with suppress(OSError):
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        parts = [line.split(":", 2) for line in lines]
        return {name: path for part in parts for name in part[1].split(",") for path in part[2:]}
    return {}


def read_cgroups(root: Path, groups: Dict[str, str]) -> Iterator[Memory]:
    """Yield what each control group of this process, and above it, may use, if it has a limit.

    Cached files, which the system could give back at once, do not count as used.
    """
    v2 = ("memory.max", "memory.current", "inactive_file")
    v1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    for top, path, names in (
        (root, groups.get("", "/"), v2),
        (root / "memory", groups.get("memory", "/"), v1),
    ):
        folder = top / path.lstrip("/")  # in a container only the top may be there
        for place in [folder, *folder.parents]:
            room = _read_cgroup(place, *names) if place == top or top in place.parents else None
            if room is not None:
                yield room


def _read_cgroup(place: Path, limit: str, usage: str, cached: str) -> Optional[Memory]:
    try:
        total = int((place / limit).read_text())
        used = int((place / usage).read_text())
        stat = dict(line.split() for line in (place / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # not there, or "max"
        return None
    return Memory(max(0, used - int(stat.get(cached, 0))), total)


def read_disks(folders: Sequence[Path]) -> List[Disk]:
    """Return the disks that these folders are on, each once."""
    disks: Dict[int, Disk] = {}
    for folder in folders:
        with suppress(OSError):
            usage = shutil.disk_usage(folder)
            device = os.stat(folder).st_dev  # noqa: PTH116 - a folder of any kind
            disks.setdefault(device, Disk(folder, usage.free, usage.total))
    return list(disks.values())
