"""Reading and replacing a file that others may be writing too."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO, ContextManager, Dict, Iterator, List, Optional, Tuple, Union

from .errors import NotebookError, NotOwn
from .file_lock import (
    PLAIN,
    alone_if_possible,
    is_own,
    is_private,
    make_private,
    others_write,
    try_lock,
)

#: Linux keeps in memory what is written there.
MEMORY = Path("/dev/shm")  # noqa: S108 - each folder that is made there is private
#: What a few small files may take, in bytes; and how many they are.
_ROOM, _FEW = 2**20, 10
#: Seconds to wait for a writer that truncates in place (Jupyter Server does) to finish.
PATIENCE = 2.0
#: Bytes that are compared at once: so few stay in the processor's cache.
_PIECE = 2**16
#: Bytes of the largest file that is read; reading it as JSON takes several times as much memory.
LARGEST = 2**29
#: Seconds to wait for another process that writes the same file.
WAIT = 30.0
#: What this thread has locked already.
_LOCKED = threading.local()
#: Folders of this process, with the open handles that lock them.
_SCRATCH: Dict[Path, int] = {}
_BINARY = getattr(os, "O_BINARY", 0)


class Conflict(NotebookError):
    """What was to be replaced is not what was read. `record.edit` reads again, and merges anew."""

    def __init__(self, name: str = "The notebook") -> None:
        super().__init__(
            f"{name} was changed by something else meanwhile; it was not overwritten.",
            "Run this again: it starts from the file as it is now.",
        )


def read(path: Path) -> bytes:
    """The bytes of a file; an empty one is read again for a while, since it may be being saved."""
    until = time.monotonic() + PATIENCE
    while True:
        data = content(path)
        if data or time.monotonic() > until:
            return data
        time.sleep(0.02)


def content(path: Path) -> bytes:
    """The bytes of a regular file of some size."""
    try:
        with opened(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > LARGEST:
                raise NotebookError(f"{path.name} is larger than 512 MB.", "Name a smaller file.")
            # What /proc lists has no size, and perhaps no end.
            return stream.read() if size else b""
    except FileNotFoundError:
        raise NotebookError(f"There is no {path.name}.", "Check the path.") from None
    except IsADirectoryError:
        raise NotebookError(f"{path.name} is a folder.", "Name a file.") from None
    except PermissionError:
        raise NotebookError(f"{path.name} may not be read.", "Check its owner.") from None
    except OSError as error:
        raise NotebookError(
            f"{path.name} cannot be read: {error.strerror or error}.", "Check the path."
        ) from None
    except ValueError:  # a zero byte, or half a character that this system's names cannot hold
        raise NotebookError("No file can have this name.", "Check the path.") from None


def opened(path: Path) -> BinaryIO:
    """A regular file, to be read; opening a pipe could wait for ever, and a device has no end."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY
    stream = os.fdopen(os.open(str(path), flags), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise NotebookError(f"{path.name} is a device or a pipe.", "Name a file.")
    return stream


def open_own(
    path: Union[str, Path],
    flags: int = os.O_RDONLY,
    mode: int = 0o600,
    folder: Optional[int] = None,
) -> int:
    """Open a plain file of this user's, and nothing else; gives its handle, as `os.open` does.

    `PermissionError`, at once, for a link, a pipe, a device, a file of another user's, and one that
    has a second name: whoever can write the folder may have put it there.
    """
    refused = PermissionError(errno.EPERM, "a link, no plain file, or another user's", str(path))
    try:
        handle = os.open(str(path), flags | PLAIN | _BINARY, mode, dir_fd=folder)
    except OSError as error:  # what a link gives, on BSD too, and a pipe that nobody reads
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO):
            raise refused from None
        raise
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode) and is_own(found) and found.st_nlink < 2:
        return handle
    os.close(handle)
    raise refused


def refuse_planted(path: Path) -> None:
    """`NotebookError` where what is to be replaced is no file, or a link of another user's.

    `OSError` where nothing is there.
    """
    link, found = path.lstat(), path.stat()
    if stat.S_ISLNK(link.st_mode) and not is_own(link) and link.st_uid:
        raise NotebookError(
            f"{path.name} is a link of another user's; it was not followed.",
            "Name the file that it leads to, or another one.",
        )
    if not stat.S_ISREG(found.st_mode):
        raise NotebookError(f"{path.name} is a device, a pipe or a folder.", "Name a file.")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Write a file as the only process of this user, from reading it on until it is replaced.

    What another one writes in between would be lost. `NotebookError` after `WAIT` seconds.
    """
    target, mine = path.resolve(), _LOCKED.__dict__.setdefault("targets", set())
    if target in mine:
        yield
        return

    def waiting(seconds: float) -> None:
        if seconds > WAIT:
            raise NotebookError(
                f"{path.name} is being written by another program.", "Run this when it has ended."
            )

    held: ContextManager[object] = nullcontext()
    with suppress(OSError):
        held = alone_if_possible(cache("writing") / f"{named(target)}.lock", waiting)
    with held:
        mine.add(target)
        try:
            yield
        finally:
            mine.remove(target)


def replace(path: Path, data: bytes, expected: bytes) -> bool:
    """Put ``data`` in the place of ``expected``, whole or not at all; False: it was there already.

    Keeps mode, owner, attributes and links. Refused with `NotebookError`, nothing changed, when the
    file is read-only or has no space; with `Conflict` where it does not hold ``expected`` any more.
    Proved by reading back.
    """
    with told(path), locked(path):
        refuse_planted(path)
        target = path.resolve()
        if data == expected and _holds(target, data):
            return False
        was = os.lstat(target)
        if not was.st_mode & stat.S_IWUSR or not os.access(target, os.W_OK):
            raise NotebookError(f"{path.name} is read-only.", "Make it writable, or save a copy.")
        with _beside(target, data) as (stream, beside):
            alike = _make_alike(stream.fileno(), target, was)
            if not _holds(target, expected) or not os.path.samestat(was, os.lstat(target)):
                raise Conflict(path.name)
            if alike:
                _move(stream, beside, target)
            else:
                _write_into(target, was, data, expected)
        if not _holds(target, data):
            raise Conflict(path.name)
        return True


def _holds(path: Path, data: bytes) -> bool:
    """Whether these are the bytes of a file; piece by piece, since both may be large."""
    if not data or path.stat().st_size != len(data):
        return read(path) == data  # one that is being saved has none for a moment
    with path.open("rb") as stream:
        pieces = range(0, len(data), _PIECE)
        same = all(data.startswith(stream.read(_PIECE), at) for at in pieces)
        return same and stream.tell() == len(data) and not stream.read(1)


def create(path: Path, data: bytes) -> bool:
    """Put a file where none is, whole or not at all; False: it was there already, like that.

    `NotebookError` where something else is there, which is left as it is.
    """
    with told(path, "nothing was made", "name another place"), locked(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and read(path) == data:
            return False
        if os.path.lexists(path):
            raise _differs(path)
        with _beside(path, data, 0o666) as (stream, beside):
            _move(stream, beside, path, over=False)
        if read(path) != data:
            raise Conflict(path.name)
        return True


def save(path: Path, data: Union[str, bytes]) -> None:
    """Put a small file for this user alone in its place, whole or not at all; never through a link.

    For one that is written by one process at a time: what a killed one left is taken away. It is
    not waited for that the disk has it.
    """
    fresh = path.with_name(f"{path.name}.new")
    with suppress(FileNotFoundError):
        fresh.unlink()
    handle = os.open(str(fresh), os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data.encode("utf-8") if isinstance(data, str) else data)
        fresh.replace(path)
    except BaseException:
        fresh.unlink()
        raise


def clear(place: Path) -> None:
    """Take away what lies where a folder is to be made, as far as can be; follows no link."""
    if place.is_symlink():
        place.unlink()
    shutil.rmtree(place, ignore_errors=True)


@contextmanager
def told(
    path: Path, left: str = "it is as it was", hint: str = "save a copy elsewhere"
) -> Iterator[None]:
    """`NotebookError` in the place of an OSError that says why a file was not written."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = f"Make space, or {hint}" if full else hint.capitalize()
        raise NotebookError(
            f"{path.name} could not be written: {error.strerror or error}; {left}.", f"{hint}."
        ) from None


@contextmanager
def _beside(target: Path, data: bytes, mode: int = 0o600) -> Iterator[Tuple[BinaryIO, Path]]:
    """A new file in the folder of another, with its new bytes on the disk; deleted in the end.

    It is locked as long as its writer lives, so that the next one can tell what a kill has left.
    """
    start = f".~{target.name if len(os.fsencode(target.name)) < 200 else named(target)}-"
    ours = re.compile(re.escape(start) + r"[0-9a-f]{16}\.tmp")
    _remove_abandoned(target.parent, ours)
    beside = target.with_name(f"{start}{secrets.token_hex(8)}.tmp")
    try:
        handle = os.open(str(beside), os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, mode)
    except PermissionError:
        raise NotebookError(
            f"The folder of {target.name} may not be written.", "Save a copy elsewhere."
        ) from None
    try:
        with os.fdopen(handle, "wb") as stream:
            try_lock(handle)
            stream.write(data)
            stream.flush()
            os.fsync(handle)
            yield stream, beside
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _remove_abandoned(folder: Path, ours: re.Pattern[str]) -> None:
    """Delete what this user's processes have left that have ended: nobody holds its lock."""
    found: List[Path] = []
    with suppress(OSError):
        found = [Path(one.path) for one in os.scandir(folder) if ours.fullmatch(one.name)]
    for path in found:
        with suppress(OSError):
            handle = os.open(str(path), os.O_RDONLY | PLAIN)
            try:
                of = os.fstat(handle)
                if not is_own(of) or not try_lock(handle):
                    continue
                if stat.S_ISREG(of.st_mode):
                    path.unlink()
                elif of.st_mode & 0o777 == 0o700:
                    shutil.rmtree(path)
            finally:
                os.close(handle)


def _move(stream: BinaryIO, beside: Path, target: Path, over: bool = True) -> None:
    """Put a new file in its place if it still is what was written.

    It is closed before: not all file systems move an open one.
    """
    if not os.path.samestat(os.fstat(stream.fileno()), os.lstat(beside)):
        raise Conflict(target.name)
    stream.close()
    if over:
        beside.replace(target)
        return
    try:
        os.link(beside, target)  # unlike a move it takes no place that somebody took meanwhile
    except FileExistsError:
        raise _differs(target) from None
    except OSError:  # a file system without links
        target.touch(exist_ok=False)
        beside.replace(target)


def _make_alike(handle: int, target: Path, was: os.stat_result) -> bool:
    """Give a new file what an old one has beside its bytes; whether it has all of it."""
    if not hasattr(os, "fchown"):
        return True  # Windows
    mode = was.st_mode & 0o777  # and no bit that would lend somebody our rights
    with suppress(OSError):  # only root may give a file to its owner
        os.fchown(handle, was.st_uid, was.st_gid)
    with suppress(OSError):
        os.fchmod(handle, mode)
    attributes = _copy_attributes(handle, target)
    now = os.fstat(handle)
    same = (now.st_uid, now.st_gid, now.st_mode & 0o777) == (was.st_uid, was.st_gid, mode)
    return same and attributes and was.st_nlink == 1


def _copy_attributes(handle: int, target: Path) -> bool:
    """Give a new file the extended attributes and access lists of another, where there are such."""
    if not hasattr(os, "listxattr"):
        return True
    try:
        names = os.listxattr(target, follow_symlinks=False)
    except OSError:
        return True
    try:
        has = os.listxattr(handle)  # of the folder, which gives them to what is new in it
        for name in {*has} - {*names}:
            os.removexattr(handle, name)
        for name in names:
            value = os.getxattr(target, name, follow_symlinks=False)
            if name not in has or os.getxattr(handle, name) != value:
                os.setxattr(handle, name, value)
    except OSError:
        return False
    return True


def _write_into(target: Path, was: os.stat_result, data: bytes, expected: bytes) -> None:
    """Write into a file of another owner, or of several names, which a new one would not have.

    A kill in between may leave a part of each: the new bytes are on the disk beside it then. What
    was longer is first written over by white space: before it is cut off, a notebook reads well.
    """
    flags = os.O_RDWR | PLAIN | _BINARY
    with os.fdopen(os.open(str(target), flags), "r+b", buffering=0) as stream:
        if not os.path.samestat(was, os.fstat(stream.fileno())) or stream.read() != expected:
            raise Conflict(target.name)
        try:
            _fill(stream, data.ljust(len(expected), b"\n"), len(data))
        except BaseException:
            _fill(stream, expected, len(expected))  # it has that room already
            raise


def _fill(stream: FileIO, data: bytes, size: int) -> None:
    """Write over all of an open file, and cut it to a size."""
    stream.seek(0)
    left = memoryview(data)
    while left:
        left = left[stream.write(left) :]
    stream.truncate(size)
    os.fsync(stream.fileno())


def _differs(path: Path) -> NotebookError:
    return NotebookError(
        f"{path.name} is there and differs; it was left alone.", "Name another place."
    )


def cache(kind: str) -> Path:
    """The folder of this user for what can be had again; `OSError` where there can be none."""
    from platformdirs import user_cache_dir

    return own_folder(Path(user_cache_dir("colab-magics", appauthor=False), kind), "CACHE")


def state_folder(kind: str) -> Path:
    """The folder of this user for what is true of this machine; it may not be there yet.

    `NotOwn` where others can write it.
    """
    from platformdirs import user_state_dir

    return _unshared(Path(user_state_dir("colab-magics", appauthor=False), kind), "STATE")


def data_folder(kind: str) -> Path:
    """The same for what was made for this user, and cannot be had again so soon."""
    from platformdirs import user_data_dir

    return _unshared(Path(user_data_dir("colab-magics", appauthor=False), kind), "DATA")


def config_file(name: str) -> Path:
    """The same for a file that this user has written, or had written."""
    from platformdirs import user_config_dir

    return _unshared(Path(user_config_dir("colab-magics", appauthor=False), name), "CONFIG")


def named(path: Path) -> str:
    """A name for what is kept about a path: the same each time, and short."""
    return hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def private_folder(prefix: str, place: Optional[Path] = None) -> Path:
    """A new folder that only this user can read; in the one for temporary files, if not told."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=place))


def scratch_folder(prefix: str, place: Optional[Path] = None) -> Path:
    """`private_folder` that nobody needs when this process has ended: the next one takes it away.

    It is locked until then. It gets its name after that, so that the name tells what is locked.
    """
    for folder in [folder for folder in [*_SCRATCH] if not folder.exists()]:
        with suppress(KeyError):  # another thread has
            os.close(_SCRATCH.pop(folder))
    fresh = private_folder(prefix, place)
    ours = re.compile(re.escape(prefix) + r"[a-z0-9_]{8}\.scratch")
    for around in {fresh.parent, MEMORY}:
        _remove_abandoned(around, ours)
    folder = fresh.with_name(f"{fresh.name}.scratch")
    with suppress(OSError):  # Windows opens no folder
        handle = os.open(str(fresh), os.O_RDONLY)
        if try_lock(handle):
            fresh.rename(folder)
            _SCRATCH[folder] = handle
            return folder
        os.close(handle)
    return fresh


def own_folder(path: Path, purpose: str) -> Path:
    """A folder in the one of ours that only this user can write, made with those above it.

    `NotOwn` where it, or the one that it is in, is a link or another user's, or where others can
    put another in their place. ``purpose`` is the part of XDG's name for what both lie in.
    """
    if not _unshared(path, purpose).exists():
        make_private(path)
        _unshared(path, purpose)
    return path


def _unshared(path: Path, purpose: str) -> Path:
    """The path of such a folder, or of a file in one of ours; it may not be there yet.

    Our folders are closed to others; a link is none of ours.
    """
    for folder, sound in ((path.parent.parent, _keeps), (path.parent, _closed), (path, _closed)):
        if not sound(folder):
            hint = f"Take it away, or have XDG_{purpose}_HOME name a folder of your own."
            raise _not_own(f"The folder for {path.parent.name}/{path.name}", hint, folder)
    return path


def _keeps(folder: Path) -> bool:
    """Whether what a folder holds stays its owner's: nobody else can put another in its place.

    It may be root's, and a link.
    """
    try:
        link = folder.lstat()
        found = folder.stat() if stat.S_ISLNK(link.st_mode) else link
    except OSError:  # nothing is kept, or read, where nothing can be looked at
        return True
    trusted = all(is_own(one) or one.st_uid == 0 for one in (link, found))
    return trusted and not (others_write(found) and not found.st_mode & stat.S_ISVTX)


def _closed(place: Path) -> bool:
    """Whether something is this user's, and no link; a folder is closed to others then."""
    try:
        found = place.lstat()
    except OSError:  # nothing is there yet, or can be had
        return True
    if not is_own(found) or stat.S_ISLNK(found.st_mode):
        return False
    if os.name != "nt" and stat.S_ISDIR(found.st_mode) and found.st_mode & 0o022:
        place.chmod(0o700)
    return True


def read_own(path: Path) -> bytes:
    """The bytes of a small file that only this user can write; nothing else is waited for.

    `NotOwn` where it is another one, `OSError` where it is a link.
    """
    with os.fdopen(os.open(str(path), os.O_RDONLY | PLAIN | _BINARY), "rb") as stream:
        found = os.fstat(stream.fileno())
        if not (stat.S_ISREG(found.st_mode) and is_private(found)):
            raise _not_own(path.name, "Take it away, or make it yours alone: chmod 600", path)
        return stream.read(LARGEST)


def _not_own(name: str, hint: str, path: Path) -> NotOwn:
    return NotOwn(f"{name} is another user's, or others can write it.", hint, str(path))


def own_or_new(path: Path) -> Path:
    """A folder that only this user can write: this one, made; a new one where that is another's."""
    with suppress(FileExistsError):
        path.mkdir(0o700)
    found = os.lstat(path)
    if stat.S_ISDIR(found.st_mode) and is_private(found):
        return path
    return scratch_folder(f"{path.name}-", path.parent)


def with_room(size: int) -> Optional[Path]:
    """Where so many bytes in some small files fit: among temporary files, else in memory.

    A user whose disk is full is to be able to make space. None where they fit in neither.
    """
    places = [MEMORY]
    with suppress(OSError):  # it has tried all, and none can be written
        places.insert(0, Path(tempfile.gettempdir()))
    return next((place for place in places if roomy(place, size)), None)


def roomy(folder: Path, size: int) -> bool:
    """Whether a folder may be written, and its disk has space for this and some small files."""
    try:
        free = shutil.disk_usage(folder).free
        inodes = os.statvfs(folder) if hasattr(os, "statvfs") else None
    except OSError:
        return False
    if inodes and inodes.f_files and inodes.f_favail < _FEW:  # full of files, not of bytes
        return False
    return free > size + _ROOM and os.access(folder, os.W_OK)
