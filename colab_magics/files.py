"""Reading and replacing a file that others may be writing too."""

import errno
import hashlib
import os
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, Optional, Tuple

from .errors import NotebookError

__all__ = [
    "MEMORY",
    "Conflict",
    "cache",
    "create",
    "named",
    "private_folder",
    "read",
    "replace",
    "roomy",
    "state_folder",
    "told",
    "with_room",
]

#: Linux keeps in memory what is written there.
MEMORY = Path("/dev/shm")  # noqa: S108 - each folder that is made there is private
#: What a few small files may take, in bytes; and how many they are.
_ROOM, _FEW = 2**20, 10
#: Seconds to wait for a writer that truncates in place (Jupyter Server does) to finish.
PATIENCE = 2.0
#: Bytes that are compared at once.
_PIECE = 2**20
#: Bytes of the largest file that is read; reading it as JSON takes several times as much memory.
LARGEST = 2**29


class Conflict(Exception):
    """What was to be replaced is not what was read; nothing was written.

    Raised by a writer for `setup.record`, which reads again; people never see it.
    """


def read(path: Path) -> bytes:
    """The bytes of a file; an empty one is read again for a while, since it may be being saved."""
    until = time.monotonic() + PATIENCE
    while True:
        data = _bytes(path)
        if data or time.monotonic() > until:
            return data
        time.sleep(0.02)


def _bytes(path: Path) -> bytes:
    """The bytes of a regular file; opening a pipe could wait for ever, and a device has no end."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(str(path), flags), "rb") as stream:
            about = os.fstat(stream.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise NotebookError(f"{path.name} is a device or a pipe.", "Name a file.")
            if about.st_size > LARGEST:
                raise NotebookError(f"{path.name} is larger than 512 MB.", "Name a smaller file.")
            # What /proc lists has no size, and perhaps no end.
            return stream.read() if about.st_size else b""
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


def replace(path: Path, data: bytes, expected: bytes) -> bool:
    """Put ``data`` in the place of ``expected``, whole or not at all; False: it was there already.

    Keeps mode, owner and symbolic links. Refused with `NotebookError`, nothing changed, when the
    file is read-only, does not hold ``expected`` any more, or has no space. Proved by reading back.
    """
    with told(path):
        return _replace(path, data, expected)


def _replace(path: Path, data: bytes, expected: bytes) -> bool:
    target = path.resolve()
    if data == expected and _holds(target, data):
        return False
    was = target.stat()
    if not was.st_mode & stat.S_IWUSR or not os.access(target, os.W_OK):
        raise NotebookError(f"{path.name} is read-only.", "Make it writable, or save a copy.")
    handle, temporary = _beside(target)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if hasattr(os, "chown"):
            with suppress(OSError):  # only root may give a file to its owner
                os.chown(temporary, was.st_uid, was.st_gid)
        temporary.chmod(stat.S_IMODE(was.st_mode))
        if not _holds(target, expected):
            raise NotebookError(
                f"{path.name} was changed by something else meanwhile; it was not overwritten.",
                "Run this again: it starts from the file as it is now.",
            )
        temporary.replace(target)
    finally:
        temporary.unlink() if temporary.exists() else None
    if not _holds(target, data):
        raise NotebookError(f"{path.name} does not hold what was written.", "Check the disk.")
    return True


def _holds(path: Path, data: bytes) -> bool:
    """Whether these are the bytes of a file; piece by piece, since both may be large."""
    if not data or path.stat().st_size != len(data):
        return read(path) == data  # one that is being saved has none for a moment
    with path.open("rb") as stream:
        pieces = range(0, len(data), _PIECE)
        same = all(stream.read(_PIECE) == data[at : at + _PIECE] for at in pieces)
        return same and not stream.read(1)


def create(path: Path, data: bytes) -> bool:
    """Put a file where none is, whole or not at all; False: it was there already, like that.

    `NotebookError` where something else is there, which is left as it is.
    """
    with told(path, "nothing was made", "name another place"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            taken = path.open("xb")  # nobody else can take the place from now on
        except FileExistsError:
            if path.is_file() and read(path) == data:
                return False
            raise NotebookError(
                f"{path.name} is there and differs; it was left alone.", "Name another place."
            ) from None
        try:
            with taken:
                taken.write(b" ")
            return _replace(path, data, expected=b" ")
        except BaseException:
            if path.exists() and path.read_bytes() in (b"", b" "):
                path.unlink()
            raise


@contextmanager
def told(
    path: Path, left: str = "it is as it was", todo: str = "save a copy elsewhere"
) -> Iterator[None]:
    """`NotebookError` in the place of an OSError that says why a file was not written."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        todo = f"Make space, or {todo}" if full else todo.capitalize()
        raise NotebookError(
            f"{path.name} could not be written: {error.strerror or error}; {left}.", f"{todo}."
        ) from None


def _beside(target: Path) -> Tuple[int, Path]:
    """A new file in the folder of another, opened."""
    try:
        handle, name = tempfile.mkstemp(prefix=".~", suffix=".tmp", dir=target.parent)
    except PermissionError:
        raise NotebookError(
            f"The folder of {target.name} may not be written.", "Save a copy elsewhere."
        ) from None
    return handle, Path(name)


def cache(kind: str) -> Path:
    """The folder of this user for what can be had again; it may not be there yet."""
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("colab-magics", appauthor=False)) / kind


def state_folder(kind: str) -> Path:
    """The folder of this user for what is true of this machine; it may not be there yet."""
    from platformdirs import user_state_dir

    return Path(user_state_dir("colab-magics", appauthor=False)) / kind


def named(path: Path) -> str:
    """A name for what is kept about a path: the same each time, and short."""
    return hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def private_folder(prefix: str, place: Optional[Path] = None) -> Path:
    """A new folder that only this user can read; in the one for temporary files, if not told."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=place))


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
