"""One process at a time: a lock on a file, which the system takes back however its holder ends."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Callable, ContextManager, Iterator, Optional, Union

#: Neither follow a link nor wait for a pipe; Windows knows neither.
PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def lock(handle: int) -> bool:
    """Lock an open file unless another has; the system unlocks it when all who inherit it end."""
    return try_lock(handle) is not False  # without locks it is as it was before there were any


def try_lock(handle: int) -> Optional[bool]:
    """Whether an open file is locked from now on; None where its file system has no locks."""
    try:
        import fcntl
    except ImportError:
        return _on_windows(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def alone(path: Path, waiting: Optional[Callable[[float], None]] = None) -> Iterator[int]:
    """Hold the lock of a file, which is made; gives its open handle.

    While another holds it, ``waiting`` is told again and again for how many seconds that has
    been, and may raise. `OSError` where the file cannot be made, is none, or is another user's who
    holds it: nobody waits for a stranger.
    """
    handle = _open(path)
    try:
        since = time.monotonic()
        while not lock(handle):
            if not is_own(os.fstat(handle)):
                raise PermissionError(errno.EPERM, "another user holds its lock", str(path))
            if waiting is not None:
                waiting(time.monotonic() - since)
            time.sleep(min(0.1, 0.005 + (time.monotonic() - since) / 10))
        yield handle
    finally:
        os.close(handle)


def alone_if_possible(
    path: Path, waiting: Optional[Callable[[float], None]] = None
) -> ContextManager[object]:
    """`alone`, and without the lock where its file cannot be made."""
    held = ExitStack()
    with suppress(OSError):
        held.enter_context(alone(path, waiting))
    return held


def _open(path: Path) -> int:
    """The file of a lock, and its folder: of this user alone, since who opens it can hold it.

    In a folder that its group may write, as that of an environment of several users, the group
    shares the lock too: it could put another in its place anyway.
    """
    make_private(path.parent.parent)
    above = path.parent.parent.stat().st_mode
    group = 0o070 if above & 0o022 == 0o020 else 0
    with suppress(FileExistsError):
        path.parent.mkdir(0o700)
    _allow(path.parent, path.parent.lstat(), 0o700 | group)
    handle = os.open(str(path), os.O_RDWR | os.O_CREAT | PLAIN, 0o600)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a file", str(path))
        _allow(handle if os.chmod in os.supports_fd else path, found, 0o600 | group & 0o060)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _allow(place: Union[int, Path], found: os.stat_result, mode: int) -> None:
    """Give one's own file or folder just this mode."""
    if is_own(found) and found.st_mode & 0o777 != mode:
        os.chmod(place, found.st_mode & 0o7000 | mode)  # noqa: PTH101 - it may be open


def is_own(found: os.stat_result) -> bool:
    """Whether this user owns a file; where users are not told apart, it counts as theirs."""
    return not hasattr(os, "geteuid") or found.st_uid == os.geteuid()


def is_private(found: os.stat_result) -> bool:
    """Whether this user owns a file that nobody else may write, of any group."""
    return is_own(found) and (os.name == "nt" or not found.st_mode & 0o022)


def others_write(found: os.stat_result) -> bool:
    """Whether users beside this one may write a file; the group that is this user's own is none."""
    if os.name == "nt":
        return False
    return bool(found.st_mode & 0o002 or (found.st_mode & 0o020 and not _is_of_one(found.st_gid)))


def is_trusted(program: os.stat_result) -> bool:
    """Whether only this user or root can have written a program."""
    return (is_own(program) or program.st_uid == 0) and not others_write(program)


def _is_of_one(group: int) -> bool:
    """Whether a group is this user's own: many systems give each user one of the same name."""
    import grp
    import pwd

    try:
        found, name = grp.getgrgid(group), pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return False
    return found.gr_name == name and {*found.gr_mem} <= {name}


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing: each 0700, whatever the umask."""
    for one in reversed([folder, *folder.parents]):
        if not one.exists():
            with suppress(FileExistsError):
                one.mkdir(0o700)


def _on_windows(handle: int) -> bool:
    import msvcrt

    try:
        getattr(msvcrt, "locking")(handle, getattr(msvcrt, "LK_NBLCK"), 1)  # noqa: B009
    except OSError:
        return False
    return True
