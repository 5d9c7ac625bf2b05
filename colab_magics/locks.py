"""One process at a time: a lock on a file, which the system takes back however its holder ends."""

import os
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Callable, ContextManager, Iterator, Optional

__all__ = ["alone", "alone_if_possible", "lock"]


def lock(handle: int) -> bool:
    """Lock an open file unless another has; the system unlocks it when all who inherit it end."""
    try:
        import fcntl
    except ImportError:
        return _on_windows(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks: as it was before there were any
    return True


@contextmanager
def alone(path: Path, waiting: Optional[Callable[[float], None]] = None) -> Iterator[int]:
    """Hold the lock of a file, which is made; gives its open handle.

    While another holds it, ``waiting`` is told again and again for how many seconds that has
    been, and may raise. `OSError` where the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(str(path), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        since = time.monotonic()
        while not lock(handle):
            if waiting is not None:
                waiting(time.monotonic() - since)
            time.sleep(0.1)
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


def _on_windows(handle: int) -> bool:
    import msvcrt

    try:
        getattr(msvcrt, "locking")(handle, getattr(msvcrt, "LK_NBLCK"), 1)  # noqa: B009
    except OSError:
        return False
    return True
