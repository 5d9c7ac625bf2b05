"""What is remembered of what was fetched, so that a glance at a file tells that it still holds.

One small file for each target in the user's cache. Losing it loses no safety: what is there is
hashed again, or fetched again and compared.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple, Tuple

from ..core.file_lock import alone
from ..core.files import open_regular, read_own, save
from ..core.folders import cache_folder, hash_path

#: Bytes that are read at once.
_BLOCK = 1 << 20


class Member(NamedTuple):
    """A file or link that came out of an archive, by its path in the folder."""

    path: str
    size: int
    mtime_ns: int


class Entry(NamedTuple):
    """One target; an empty ``sha256`` means that nothing has arrived there yet.

    ``tag`` is what the server calls this version; ``part`` are the address and the tag of what
    lies half fetched beside the target; ``files`` are the addresses that a list consists of.
    """

    url: str = ""
    name: str = ""
    sha256: str = ""
    size: int = 0
    mtime_ns: int = 0
    tag: str = ""
    strip: int = 0
    members: Tuple[Member, ...] = ()
    files: Tuple[str, ...] = ()
    part: Tuple[str, ...] = ()


def recall(target: Path) -> Entry:
    """What is remembered of a target; an empty entry where nothing is, or nothing readable."""
    try:
        known = json.loads(read_own(_place(target)))
        known["members"] = tuple([Member(*one) for one in known.get("members", ())])
        if not all(_is_inside(one.path) for one in known["members"]):
            return Entry()
        known["files"], known["part"] = tuple(known["files"]), tuple(known["part"])
        return Entry(**known)
    except (OSError, ValueError, TypeError, KeyError):
        return Entry()


def keep(target: Path, entry: Entry) -> None:
    """Remember it, whole or not at all, and nothing where there is nothing to be remembered.

    A cache that cannot be written is done without.
    """
    with suppress(OSError):
        place = _place(target)
        if entry == Entry():
            place.unlink()
            return
        save(place, json.dumps(entry._asdict()))


@contextmanager
def only(target: Path, waiting: Callable[[float], None]) -> Iterator[None]:
    """Alone with a target, as `alone` is; its lock is gone afterwards.

    Where the lock cannot be made, without it. One that was waited for may have been taken away
    meanwhile, and another made in its place: then that one is waited for.
    """
    with ExitStack() as held:
        with suppress(OSError):
            path = _place(target).with_suffix(".lock")
            while not _leads_to(path, held.enter_context(alone(path, waiting))):
                held.close()
            held.callback(_unlinked, path)
        yield


def _leads_to(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _unlinked(path: Path) -> None:
    with suppress(OSError):  # Windows keeps what is open
        path.unlink()


def part_of(place: Path) -> Path:
    """Where what has arrived of a file lies beside it: a name that nobody else gives."""
    return place.with_name(f".{place.name}.colab-magics-part")


def stamp(path: Path) -> Tuple[int, int]:
    """Size and time of a file, by which a change is seen; ``(-1, 0)`` where there is none.

    Of a link that leads nowhere they are its own.
    """
    for look in (path.stat, path.lstat):
        with suppress(OSError):
            found = look()
            return found.st_size, found.st_mtime_ns
    return -1, 0


def digest(path: Path, kind: str = "sha256") -> str:
    """The hash of a regular file, as long as it was at first: what /proc lists may have no end."""
    made = hashlib.new(kind)
    with open_regular(path) as stream:
        left = os.fstat(stream.fileno()).st_size
        while left > 0:
            block = stream.read(min(left, _BLOCK))
            left = left - len(block) if block else 0
            made.update(block)
    return made.hexdigest()


def same(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes, or two links lead to the same."""
    if one.is_symlink() or other.is_symlink():
        both = one.is_symlink() and other.is_symlink()
        return both and os.readlink(str(one)) == os.readlink(str(other))
    files = one.is_file() and other.is_file()
    return files and stamp(one)[0] == stamp(other)[0] and digest(one) == digest(other)


def is_folder(place: Path) -> bool:
    """Whether it is a folder itself, and no link to one."""
    return place.is_dir() and not place.is_symlink()


def looked_at(folder: Path, members: Tuple[Member, ...]) -> Tuple[List[str], List[str]]:
    """Which of the files of an archive are missing, and which have been changed since."""
    missing: List[str] = []
    changed: List[str] = []
    base = f"{folder}{os.sep}"
    for path, size, mtime_ns in members:  # thousands: no object is made for any
        try:
            found: Any = os.lstat(base + path)
        except OSError:
            missing.append(path)
            continue
        if found.st_size != size or found.st_mtime_ns != mtime_ns:
            changed.append(path)
    return missing, changed


def _is_inside(path: str) -> bool:
    """Whether a member's path leads nowhere out of its folder; what we write ourselves does not."""
    if os.name == "nt" and (os.path.splitdrive(path)[0] or "\\" in path):
        return False
    return path[:1] != "/" and (".." not in path or ".." not in path.split("/"))


def _place(target: Path) -> Path:
    return cache_folder("fetches") / f"{hash_path(target)}.json"
