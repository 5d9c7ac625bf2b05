"""One process at a time: a lock on a file, which the system takes back however its holder ends."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable, Iterator, Optional, Union

from .ownership import is_own, make_private

#: Neither follow a link nor wait for a pipe; Windows knows neither.
PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def lock(handle: int) -> bool:
    """Lock an open file unless another has; the system unlocks it when all who inherit it end."""
    return try_lock(handle) is not False  # without locks it is as it was before there were any


def try_lock(handle: int) -> Optional[bool]:
    """Tell whether an open file is locked from now on; None: its file system has no locks."""
    try:
        import fcntl
    except ImportError:
        return _try_lock_on_windows(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _try_lock_on_windows(handle: int) -> bool:
    import msvcrt

    try:
        getattr(msvcrt, "locking")(handle, getattr(msvcrt, "LK_NBLCK"), 1)  # noqa: B009
    except OSError:
        return False
    return True


@contextmanager
def alone(path: Path, waiting: Optional[Callable[[float], None]] = None) -> Iterator[int]:
    """Hold the lock of a file, which is made if needed, and yield its open handle.

    While another process holds it, ``waiting`` is called with the seconds so far, and may raise.
    `OSError` where the file cannot be made, is no plain file, or is held by another user: nobody
    waits for a stranger.
    """
    handle = _open(path)
    try:
        start = time.monotonic()
        while not lock(handle):
            if not is_own(os.fstat(handle)):
                raise PermissionError(errno.EPERM, "another user holds its lock", str(path))
            seconds = time.monotonic() - start
            if waiting is not None:
                waiting(seconds)
            time.sleep(min(0.1, 0.005 + seconds / 10))
        yield handle
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    """Open the file of a lock for this user alone: whoever can open it can hold it.

    In a folder that its group may write, as that of an environment of several users, the group
    shares the lock too: it could put another in its place anyway.
    """
    make_private(path.parent.parent)
    above = path.parent.parent.stat().st_mode
    group = 0o070 if above & 0o022 == 0o020 else 0
    with suppress(FileExistsError):
        path.parent.mkdir(0o700)
    _set_mode(path.parent, path.parent.lstat(), 0o700 | group)
    handle = os.open(str(path), os.O_RDWR | os.O_CREAT | PLAIN, 0o600)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a file", str(path))
        _set_mode(handle if os.chmod in os.supports_fd else path, status, 0o600 | group & 0o060)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _set_mode(place: Union[int, Path], status: os.stat_result, mode: int) -> None:
    if is_own(status) and status.st_mode & 0o777 != mode:
        os.chmod(place, status.st_mode & 0o7000 | mode)  # noqa: PTH101 - it may be open
