"""What this machine has, and since when; inside a container, what the container has.

Sources: cgroup(7), the kernel's documentation of both versions' memory files, and psutil, which
comes with ipykernel.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

_CGROUPS = Path("/sys/fs/cgroup")


class Room(NamedTuple):
    """Bytes: how many are used, of how many."""

    used: int
    total: int


class Disk(NamedTuple):
    """A disk by a folder on it, and its bytes."""

    folder: Path
    free: int
    total: int


@dataclass(frozen=True)
class Machine:
    """This machine at one moment. Times in seconds since 1970, memory in bytes.

    ``started`` is when the machine, or its container, came up; ``kernel_started`` when this process
    did; ``own`` the memory of this process and of those that it has started.
    """

    started: float
    kernel_started: float
    memory: Room
    own: int
    disks: Tuple[Disk, ...]


def look(folders: Sequence[Path]) -> Machine:
    """This machine now; ``folders`` are on the disks that count."""
    import psutil

    me = psutil.Process()
    try:
        started = psutil.Process(1).create_time()
    except psutil.Error:  # not every system tells it to everybody
        started = psutil.boot_time()
    own = sum(family(me.pid).values())
    return Machine(started, me.create_time(), _memory(), own, tuple(_disks(folders)))


def family(pid: int) -> Dict[int, int]:
    """A process and all that it has started, each with its memory in bytes."""
    import psutil

    found: Dict[int, int] = {}
    with suppress(psutil.Error):
        first = psutil.Process(pid)
        for one in [first, *first.children(recursive=True)]:
            with suppress(psutil.Error):
                found[one.pid] = int(one.memory_info().rss)
    return found


def _memory() -> Room:
    """Of the machine, or of the container where that may use less."""
    import psutil

    whole = psutil.virtual_memory()
    rooms = [Room(whole.total - whole.available, whole.total), *cgroup_rooms(_CGROUPS, _of_us())]
    return min(rooms, key=lambda room: room.total)


def _of_us() -> Dict[str, str]:
    """The control groups of this process: by controller, and the one of version 2 as ``""``."""
    with suppress(OSError):
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        parts = [line.split(":", 2) for line in lines]
        return {name: path for part in parts for name in part[1].split(",") for path in part[2:]}
    return {}


def cgroup_rooms(root: Path, groups: Dict[str, str]) -> Iterator[Room]:
    """What each control group above this process may use, of those that have a limit.

    What the system could give back at once, cached files, is not counted as used.
    """
    two = ("memory.max", "memory.current", "inactive_file")
    one = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    places = [(root, groups.get("", "/"), two), (root / "memory", groups.get("memory", "/"), one)]
    for top, path, names in places:
        for place in _upwards(top, path):
            room = _room(place, *names)
            if room is not None:
                yield room


def _upwards(top: Path, path: str) -> List[Path]:
    """The folder of a group and those above it; in a container only the top may be there."""
    folder = top / path.lstrip("/")
    above = [one for one in folder.parents if one == top or top in one.parents]
    return [folder, *above] if folder != top else [top]


def _room(place: Path, limit: str, usage: str, cached: str) -> Optional[Room]:
    try:
        total = int((place / limit).read_text())
        used = int((place / usage).read_text())
        stat = dict(line.split() for line in (place / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # not there, or "max"
        return None
    return Room(max(0, used - int(stat.get(cached, 0))), total)


def _disks(folders: Sequence[Path]) -> Iterator[Disk]:
    """Each disk once."""
    seen = set()
    for folder in folders:
        with suppress(OSError):
            device = os.stat(folder).st_dev  # noqa: PTH116 - a folder of any kind
            usage = shutil.disk_usage(folder)
            if device not in seen:
                seen.add(device)
                yield Disk(folder, usage.free, usage.total)
