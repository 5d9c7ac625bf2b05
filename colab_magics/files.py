"""Reading and replacing a file that others may be writing too."""

import hashlib
import os
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Tuple

from .errors import NotebookError

__all__ = [
    "Conflict",
    "cache",
    "create",
    "named",
    "private_folder",
    "read",
    "replace",
    "state_folder",
]

#: Seconds to wait for a writer that truncates in place (Jupyter Server does) to finish.
PATIENCE = 2.0


class Conflict(Exception):
    """What was to be replaced is not what was read; nothing was written.

    Raised by a writer for `setup.record`, which reads again; people never see it.
    """


def read(path: Path) -> bytes:
    """The bytes of a file; an empty one is read again for a while, since it may be being saved."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise NotebookError(f"There is no {path.name}.", "Check the path.") from None
        except IsADirectoryError:
            raise NotebookError(f"{path.name} is a folder.", "Name a file.") from None
        except PermissionError:
            raise NotebookError(f"{path.name} may not be read.", "Check its owner.") from None
        if data or time.monotonic() > until:
            return data
        time.sleep(0.02)


def replace(path: Path, data: bytes, expected: bytes) -> bool:
    """Put ``data`` in the place of ``expected``, whole or not at all; False: it was there already.

    Keeps mode, owner and symbolic links. Refused with `NotebookError`, nothing changed, when the
    file is read-only or does not hold ``expected`` any more. Proved by reading back.
    """
    target = path.resolve()
    if data == expected == read(target):
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
        if read(target) != expected:
            raise NotebookError(
                f"{path.name} was changed by something else meanwhile; it was not overwritten.",
                "Run this again: it starts from the file as it is now.",
            )
        temporary.replace(target)
    finally:
        temporary.unlink() if temporary.exists() else None
    if read(target) != data:
        raise NotebookError(f"{path.name} does not hold what was written.", "Check the disk.")
    return True


def create(path: Path, data: bytes) -> bool:
    """Put a file where none is, whole or not at all; False: it was there already, like that.

    `NotebookError` where something else is there, which is left as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as stream:  # nobody else can take the place from now on
            stream.write(b" ")
    except FileExistsError:
        if path.is_file() and read(path) == data:
            return False
        raise NotebookError(
            f"{path.name} is there and differs; it was left alone.", "Name another place."
        ) from None
    try:
        return replace(path, data, expected=b" ")
    except BaseException:
        if path.exists() and path.read_bytes() == b" ":
            path.unlink()
        raise


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


def private_folder(prefix: str) -> Path:
    """A new folder that only this user can read."""
    return Path(tempfile.mkdtemp(prefix=prefix))
