"""Folders of ours: this user's, for what is kept, and this process's, for what is not.

Both are safe from other users: nobody else can write them, or put another in their place.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Dict, List, Literal, Optional

from .errors import NotOwn
from .file_lock import PLAIN, try_lock
from .ownership import is_own, is_private, make_private, others_write

Purpose = Literal["cache", "state", "data", "config"]
#: Linux keeps in memory what is written there.
MEMORY = Path("/dev/shm")  # noqa: S108 - each folder that is made there is private
#: What a few small files may take, in bytes; and how many they are.
_ROOM, _FEW = 2**20, 10
#: Scratch folders of this process, with the open handles that lock them.
_SCRATCH: Dict[Path, int] = {}


# ---------------------------------------------------------------------- of this user
def cache_folder(kind: str) -> Path:
    """Return a folder, made if needed, for what can be had again; `OSError` where none can be."""
    path = user_path("cache", kind)
    if not path.exists():
        make_private(path)
        user_path("cache", kind)
    return path


def user_path(purpose: Purpose, name: str) -> Path:
    """Return the path, perhaps not made yet, of a file or folder of this user's.

    ``state`` is for what is true of this machine alone, ``data`` for what takes long to make again,
    ``config`` for what the user has written. `NotOwn` where others can write it, or where a link is
    in its place.
    """
    import platformdirs

    base = getattr(platformdirs, f"user_{purpose}_dir")("colab-magics", appauthor=False)
    path = Path(base, name)
    for folder, is_safe in ((path.parent.parent, _is_held), (path.parent, _close), (path, _close)):
        if not is_safe(folder):
            name = f"The folder for {path.parent.name}/{path.name}"
            raise NotOwn(
                f"{name} is another user's, or others can write it.",
                f"Take it away, or have XDG_{purpose.upper()}_HOME name a folder of your own.",
                str(folder),
            )
    return path


def _is_held(folder: Path) -> bool:
    """Tell whether nobody else can replace what is in a folder, which may be root's, and a link."""
    try:
        link = folder.lstat()
        target = folder.stat() if stat.S_ISLNK(link.st_mode) else link
    except OSError:  # nothing is kept, or read, where nothing can be looked at
        return True
    trusted = all(is_own(status) or status.st_uid == 0 for status in (link, target))
    return trusted and not (others_write(target) and not target.st_mode & stat.S_ISVTX)


def _close(place: Path) -> bool:
    """Tell whether a place is this user's, and no link; close it to others if it is a folder."""
    try:
        status = place.lstat()
    except OSError:  # nothing is there yet, or can be had
        return True
    if not is_own(status) or stat.S_ISLNK(status.st_mode):
        return False
    if os.name != "nt" and stat.S_ISDIR(status.st_mode) and status.st_mode & 0o022:
        place.chmod(0o700)
    return True


def claim_folder(path: Path) -> Path:
    """Make a folder that only this user can write; return a new one where another has the name."""
    with suppress(FileExistsError):
        path.mkdir(0o700)
    status = os.lstat(path)
    if stat.S_ISDIR(status.st_mode) and is_private(status):
        return path
    return scratch_folder(f"{path.name}-", path.parent)


def hash_path(path: Path) -> str:
    """Return a short name for what is kept about a path: the same each time."""
    return hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:16]


# ---------------------------------------------------------------------- of this process
def scratch_folder(prefix: str, place: Optional[Path] = None) -> Path:
    """Make a private folder that nobody needs when this process has ended.

    The next one then takes it away: it is locked until its process ends. It gets its name after
    that, so that the name tells what is locked.
    """
    for folder in [folder for folder in [*_SCRATCH] if not folder.exists()]:
        with suppress(KeyError):  # another thread has
            os.close(_SCRATCH.pop(folder))
    fresh = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    ours = re.compile(re.escape(prefix) + r"[a-z0-9_]{8}\.scratch")
    for around in {fresh.parent, MEMORY}:
        remove_abandoned(around, ours)
    folder = fresh.with_name(f"{fresh.name}.scratch")
    with suppress(OSError):  # Windows opens no folder
        handle = os.open(str(fresh), os.O_RDONLY)
        if try_lock(handle):
            fresh.rename(folder)
            _SCRATCH[folder] = handle
            return folder
        os.close(handle)
    return fresh


def remove_abandoned(folder: Path, names: re.Pattern[str]) -> None:
    """Delete what this user's processes have left that have ended: nobody holds its lock."""
    paths: List[Path] = []
    with suppress(OSError):
        paths = [Path(entry.path) for entry in os.scandir(folder) if names.fullmatch(entry.name)]
    for path in paths:
        with suppress(OSError):
            handle = os.open(str(path), os.O_RDONLY | PLAIN)
            try:
                status = os.fstat(handle)
                if not is_own(status) or not try_lock(handle):
                    continue
                if stat.S_ISREG(status.st_mode):
                    path.unlink()
                elif status.st_mode & 0o777 == 0o700:
                    shutil.rmtree(path)
            finally:
                os.close(handle)


def find_room(size: int) -> Optional[Path]:
    """Return where so many bytes in some small files fit: among temporary files, else in memory.

    A user whose disk is full is to be able to make space. None where they fit in neither.
    """
    places = [MEMORY]
    with suppress(OSError):  # it has tried all, and none can be written
        places.insert(0, Path(tempfile.gettempdir()))
    return next((place for place in places if has_room(place, size)), None)


def has_room(folder: Path, size: int) -> bool:
    """Tell whether a folder may be written, and its disk has space for this and a few files."""
    try:
        free = shutil.disk_usage(folder).free
        inodes = os.statvfs(folder) if hasattr(os, "statvfs") else None
    except OSError:
        return False
    if inodes and inodes.f_files and inodes.f_favail < _FEW:  # full of files, not of bytes
        return False
    return free > size + _ROOM and os.access(folder, os.W_OK)
