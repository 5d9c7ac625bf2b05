"""Reading and replacing a file that others may be writing too."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Iterator, Optional, Set, Tuple, Union

from .errors import NotebookError, NotOwn
from .file_lock import PLAIN, alone, try_lock
from .folders import cache_folder, hash_path, remove_abandoned
from .ownership import is_own, is_private

#: Seconds to wait for a writer that truncates in place (Jupyter Server does) to finish.
PATIENCE = 2.0
#: Bytes that are compared at once: so few stay in the processor's cache.
_PIECE = 2**16
#: Bytes of the largest file that is read; reading it as JSON takes several times as much memory.
LARGEST = 2**29
#: Seconds to wait for another process that writes the same file.
WAIT = 30.0
#: The threads that hold a lock, each with its file.
_LOCKED: Set[Tuple[int, Path]] = set()
_BINARY = getattr(os, "O_BINARY", 0)


class Conflict(NotebookError):
    """What was to be replaced is not what was read. `record.edit` reads again, and merges anew."""

    code = "conflict"

    def __init__(self, name: str = "The notebook") -> None:
        super().__init__(
            f"{name} was changed by something else meanwhile; it was not overwritten.",
            "Run this again: it starts from the file as it is now.",
        )


# ---------------------------------------------------------------------- reading
def read(path: Path) -> bytes:
    """Return the bytes of a file; an empty one is read again for a while: it may be being saved."""
    until = time.monotonic() + PATIENCE
    while True:
        data = content(path)
        if data or time.monotonic() > until:
            return data
        time.sleep(0.02)


def content(path: Path) -> bytes:
    """Return the bytes of a regular file; `NotebookError` where it cannot be read, or is huge."""
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size <= LARGEST:
                return stream.read() if size else b""  # what /proc lists may have no end
        problem, hint, code = "is larger than 512 MB", "Name a smaller file.", "too-large"
    except FileNotFoundError:
        raise NotebookError(
            f"There is no {path.name}.", "Check the path.", code="not-found"
        ) from None
    except IsADirectoryError:
        problem, hint, code = "is a folder", "Name a file.", "not-a-file"
    except PermissionError:
        problem, hint, code = "may not be read", "Check its owner.", "not-readable"
    except OSError as error:
        problem, hint = f"cannot be read: {error.strerror or error}", "Check the path."
        code = "not-readable"
    except ValueError:  # a zero byte, or half a character that this system's names cannot hold
        raise NotebookError(
            "No file can have this name.", "Check the path.", code="not-found"
        ) from None
    raise NotebookError(f"{path.name or path} {problem}.", hint, code=code)


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read it; not a pipe, which could wait for ever, nor an endless device."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY
    stream = os.fdopen(os.open(str(path), flags), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise NotebookError(
            f"{path.name} is a device or a pipe.", "Name a file.", code="not-a-file"
        )
    return stream


def open_own(
    path: Union[str, Path],
    flags: int = os.O_RDONLY,
    mode: int = 0o600,
    folder: Optional[int] = None,
) -> int:
    """Open a plain file of this user's, and nothing else; return its handle, as `os.open` does.

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
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode) and is_own(status) and status.st_nlink < 2:
        return handle
    os.close(handle)
    raise refused


def read_own(path: Path) -> bytes:
    """Return the bytes of a small file that only this user can write; wait for no other kind.

    `NotOwn` where others can, `OSError` where it is a link.
    """
    with os.fdopen(os.open(str(path), os.O_RDONLY | PLAIN | _BINARY), "rb") as stream:
        status = os.fstat(stream.fileno())
        if not (stat.S_ISREG(status.st_mode) and is_private(status)):
            raise NotOwn(
                f"{path.name} is another user's, or others can write it.",
                "Take it away, or make it yours alone: chmod 600",
                str(path),
            )
        return stream.read(LARGEST)


# ---------------------------------------------------------------------- writing
def refuse_planted(path: Path) -> None:
    """Raise `NotebookError` where a path is no file, or a link that another user has made.

    `OSError` where nothing is there.
    """
    link, target = path.lstat(), path.stat()
    if stat.S_ISLNK(link.st_mode) and not is_own(link) and link.st_uid:
        raise NotebookError(
            f"{path.name} is a link of another user's; it was not followed.",
            "Name the file that it leads to, or another one.",
            code="not-own",
        )
    if not stat.S_ISREG(target.st_mode):
        raise NotebookError(
            f"{path.name} is a device, a pipe or a folder.", "Name a file.", code="not-a-file"
        )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Write a file as the only process of this user, from reading it on until it is replaced.

    What another one writes in between would be lost. `NotebookError` after `WAIT` seconds.
    """
    target = path.resolve()
    holder = (threading.get_ident(), target)
    if holder in _LOCKED:
        yield
        return

    def waiting(seconds: float) -> None:
        if seconds > WAIT:
            raise NotebookError(
                f"{path.name} is being written by another program.",
                "Run this when it has ended.",
                code="busy",
            )

    with ExitStack() as stack:
        with suppress(OSError):  # without the lock where its file cannot be made
            lock = cache_folder("writing") / f"{hash_path(target)}.lock"
            stack.enter_context(alone(lock, waiting))
        _LOCKED.add(holder)
        stack.callback(_LOCKED.remove, holder)
        yield


@contextmanager
def explain_write_errors(
    path: Path, state: str = "it is as it was", hint: str = "save a copy elsewhere"
) -> Iterator[None]:
    """Raise `NotebookError` in the place of an OSError that says why a file was not written."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = f"Make space, or {hint}" if full else hint.capitalize()
        raise NotebookError(
            f"{path.name} could not be written: {error.strerror or error}; {state}.",
            f"{hint}.",
            code="no-space" if full else "not-written",
        ) from None


def replace(path: Path, data: bytes, expected: bytes) -> bool:
    """Put ``data`` in the place of ``expected``, whole or not at all; False: it was there already.

    Keeps mode, owner, attributes and links. Refused with `NotebookError`, nothing changed, when the
    file is read-only or has no space; with `Conflict` where it does not hold ``expected`` any more.
    Proved by reading back.
    """
    with explain_write_errors(path), locked(path):
        refuse_planted(path)
        target = path.resolve()
        if data == expected and _holds(target, data):
            return False
        before = os.lstat(target)
        if not before.st_mode & stat.S_IWUSR or not os.access(target, os.W_OK):
            raise NotebookError(
                f"{path.name} is read-only.", "Make it writable, or save a copy.", code="read-only"
            )
        with _write_beside(target, data) as (stream, beside):
            alike = _make_alike(stream.fileno(), target, before)
            if not _holds(target, expected) or not os.path.samestat(before, os.lstat(target)):
                raise Conflict(path.name)
            if alike:
                _move(stream, beside, target)
            else:
                _write_into(target, before, data, expected)
        if not _holds(target, data):
            raise Conflict(path.name)
        return True


def _holds(path: Path, data: bytes) -> bool:
    """Tell whether these are the bytes of a file; piece by piece, since both may be large."""
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
    with explain_write_errors(path, "nothing was made", "name another place"), locked(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and read(path) == data:
            return False
        if os.path.lexists(path):
            raise _exists(path)
        with _write_beside(path, data, 0o666) as (stream, beside):
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


# ---------------------------------------------------------------------- a file in another's place
@contextmanager
def _write_beside(target: Path, data: bytes, mode: int = 0o600) -> Iterator[Tuple[BinaryIO, Path]]:
    """Yield a new file in the folder of another, with its bytes on the disk; deleted in the end.

    It is locked as long as its writer lives, so that the next one can tell what a kill has left.
    """
    start = f".~{target.name if len(os.fsencode(target.name)) < 200 else hash_path(target)}-"
    remove_abandoned(target.parent, re.compile(re.escape(start) + r"[0-9a-f]{16}\.tmp"))
    beside = target.with_name(f"{start}{secrets.token_hex(8)}.tmp")
    try:
        handle = os.open(str(beside), os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, mode)
    except PermissionError:
        raise NotebookError(
            f"The folder of {target.name} may not be written.",
            "Save a copy elsewhere.",
            code="read-only",
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


def _move(stream: BinaryIO, beside: Path, target: Path, over: bool = True) -> None:
    """Put a new file in its place if it still is what was written."""
    if not os.path.samestat(os.fstat(stream.fileno()), os.lstat(beside)):
        raise Conflict(target.name)
    stream.close()  # not all file systems move an open one
    if over:
        beside.replace(target)
        return
    try:
        os.link(beside, target)  # unlike a move it takes no place that somebody took meanwhile
    except FileExistsError:
        raise _exists(target) from None
    except OSError:  # a file system without links
        target.touch(exist_ok=False)
        beside.replace(target)


def _make_alike(handle: int, target: Path, before: os.stat_result) -> bool:
    """Give a new file what an old one has beside its bytes; tell whether it has all of it."""
    if not hasattr(os, "fchown"):
        return True  # Windows
    mode = before.st_mode & 0o777  # and no bit that would lend somebody our rights
    with suppress(OSError):  # only root may give a file to its owner
        os.fchown(handle, before.st_uid, before.st_gid)
    with suppress(OSError):
        os.fchmod(handle, mode)
    has_attributes = _copy_attributes(handle, target)
    now = os.fstat(handle)
    same = (now.st_uid, now.st_gid, now.st_mode & 0o777) == (before.st_uid, before.st_gid, mode)
    return same and has_attributes and before.st_nlink == 1


def _copy_attributes(handle: int, target: Path) -> bool:
    """Copy extended attributes and access lists; tell whether that was possible."""
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


def _write_into(target: Path, before: os.stat_result, data: bytes, expected: bytes) -> None:
    """Write into a file of another owner, or of several names, which a new one would not have.

    A kill in between may leave a part of each: the new bytes are on the disk beside it then. What
    was longer is first written over by white space: before it is cut off, a notebook reads well.
    """
    flags = os.O_RDWR | PLAIN | _BINARY
    with os.fdopen(os.open(str(target), flags), "r+b", buffering=0) as stream:
        if not os.path.samestat(before, os.fstat(stream.fileno())) or stream.read() != expected:
            raise Conflict(target.name)
        try:
            _fill(stream, data.ljust(len(expected), b"\n"), len(data))
        except BaseException:
            _fill(stream, expected, len(expected))  # it has that room already
            raise


def _fill(stream: FileIO, data: bytes, size: int) -> None:
    """Write over all of an open file, and cut it to a size."""
    stream.seek(0)
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]
    stream.truncate(size)
    os.fsync(stream.fileno())


def _exists(path: Path) -> NotebookError:
    return NotebookError(
        f"{path.name} is there and differs; it was left alone.",
        "Name another place.",
        code="exists",
    )
