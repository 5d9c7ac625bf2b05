"""The memory of what was fetched, so that a glance at a file tells whether it still holds.

One small file for each target, in the user's cache. Nothing is unsafe without it: what exists is
hashed again, or fetched again and compared.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Callable, Iterator, NamedTuple, Tuple

from ..core import files, folders
from ..core.file_lock import alone


class FileStamp(NamedTuple):
    """A file or link that came out of an archive, by its path in the folder."""

    path: str
    size: int
    mtime_ns: int


class Entry(NamedTuple):
    """What is remembered of one target; without a ``sha256`` nothing has arrived there yet.

    ``tag`` is what the server calls this version. ``part`` holds the address and the tag of what
    is half fetched beside the target, ``files`` the addresses that a list consists of, ``cached``
    the folder of the drive that has the file too.
    """

    url: str = ""
    name: str = ""
    sha256: str = ""
    size: int = 0
    mtime_ns: int = 0
    tag: str = ""
    strip: int = 0
    members: Tuple[FileStamp, ...] = ()
    files: Tuple[str, ...] = ()
    part: Tuple[str, ...] = ()
    cached: str = ""


def load(target: Path) -> Entry:
    """Return what is remembered of a target; an empty entry if that is nothing, or unreadable."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        fields = json.loads(files.read_own(_entry_path(target)))
        for name in ("files", "part"):
            fields[name] = tuple(fields[name])
        fields["members"] = tuple([FileStamp(*values) for values in fields["members"]])
        if all(_is_inside(member.path) for member in fields["members"]):
            return Entry(**fields)
    return Entry()


def save(target: Path, entry: Entry) -> None:
    """Remember an entry, and forget an empty one; without a cache that can be written, neither."""
    with suppress(OSError):
        if entry == Entry():
            _entry_path(target).unlink()
        else:
            files.save(_entry_path(target), json.dumps(entry._asdict()))


@contextmanager
def locked(target: Path, on_wait: Callable[[float], None]) -> Iterator[None]:
    """Hold the lock of a target, as `alone` does, and delete it afterwards.

    If the lock cannot be made, go on without it.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            path = _entry_path(target).with_suffix(".lock")
            # Its last holder may have deleted it while this waited, and another made a new one.
            while not _leads_to(path, stack.enter_context(alone(path, on_wait))):
                stack.close()
            stack.callback(_delete, path)
        yield


def _leads_to(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _delete(path: Path) -> None:
    with suppress(OSError):  # Windows keeps what is open
        path.unlink()


def part_path(place: Path) -> Path:
    """Return where the half of a file that has arrived lies: a name that nobody else uses."""
    return place.with_name(f".{place.name}.colab-magics-part")


def digest(path: Path, kind: str = "sha256") -> str:
    """Return the hash of a regular file, up to its first size: a file of /proc may have no end."""
    state = hashlib.new(kind)
    with files.open_regular(path) as stream:
        remaining = os.fstat(stream.fileno()).st_size
        while remaining > 0 and (block := stream.read(min(remaining, 1 << 20))):
            remaining -= len(block)
            state.update(block)
    return state.hexdigest()


def same_content(first: Path, second: Path) -> bool:
    """Tell whether two files hold the same bytes, or two links lead to the same."""
    if first.is_symlink() or second.is_symlink():
        both = first.is_symlink() and second.is_symlink()
        return both and os.readlink(str(first)) == os.readlink(str(second))
    if not first.is_file() or not second.is_file():
        return False
    return first.stat().st_size == second.stat().st_size and digest(first) == digest(second)


def is_folder(place: Path) -> bool:
    """Tell whether a folder is there, and no link to one."""
    return place.is_dir() and not place.is_symlink()


def compare(folder: Path, members: Tuple[FileStamp, ...]) -> Tuple[int, int]:
    """Return how many files of an archive are missing, and how many have changed since."""
    missing = changed = 0
    for path, size, mtime_ns in members:  # thousands: no object is made for any
        try:
            stat = os.lstat(f"{folder}{os.sep}{path}")
        except OSError:
            missing += 1
            continue
        changed += stat.st_size != size or stat.st_mtime_ns != mtime_ns
    return missing, changed


def _is_inside(path: str) -> bool:
    # The paths that were saved lead nowhere else, but somebody may have edited the file.
    if os.name == "nt" and (os.path.splitdrive(path)[0] or "\\" in path):
        return False
    return path[:1] != "/" and (".." not in path or ".." not in path.split("/"))


def _entry_path(target: Path) -> Path:
    return folders.cache_folder("fetches") / f"{folders.hash_path(target)}.json"
