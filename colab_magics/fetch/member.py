"""What the readers of archives share: a member, how much may come, and what damage is."""

from __future__ import annotations

import io
import os
import stat
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Callable, Iterator, NamedTuple, Optional

from ..core.display import amount
from ..core.errors import SourceError

#: Is told how much an archive says that it holds, before anything of it is read; may raise.
Expect = Callable[[int], None]

#: An archive may grow to this many times its size; what stays below the second is never suspected.
RATIO, HARMLESS = 200, 10**9
#: Bytes that are read at once.
_BLOCK = 1 << 20


class Member(NamedTuple):
    """One thing in an archive: a ``file``, ``folder``, ``symlink``, ``hardlink`` or ``other``.

    ``data`` is read before the next member is asked for, or not at all.
    """

    name: str
    kind: str
    mode: int = 0
    mtime: Optional[float] = None
    target: str = ""
    data: Iterator[bytes] = iter(())

    def pointing(self) -> Member:
        """A symbolic link whose target is its content, as in zip and 7z; others as they are."""
        if self.kind != "symlink":
            return self
        return self._replace(target=os.fsdecode(next(self.data, b"")))


class Budget:
    """How much may come out of an archive, counted as it comes: what it says of itself may lie."""

    def __init__(self, archive: Path, label: str) -> None:
        self._label, self._size = label, archive.stat().st_size
        self._limit = max(HARMLESS, RATIO * self._size)
        self.spent = 0

    def spend(self, count: int) -> None:
        """That much more; `SourceError` where it is too much."""
        self.spent += count
        self.allow(self.spent)

    def allow(self, size: int) -> None:
        """`SourceError` where so much in all is too much."""
        if size > self._limit:
            raise SourceError(
                f"{self._label} ({amount(self._size)}) grows to more than {amount(self._limit)}; "
                "nothing of it was kept.",
                "Such an archive is made to fill a disk; if you trust it, unpack it by hand.",
            )


class Counted(io.RawIOBase):
    """A stream whose bytes are counted, and whose ``head`` can be looked at before it is read."""

    def __init__(self, stream: IO[bytes], archive: Path, label: str) -> None:
        self._stream, self._budget = stream, Budget(archive, label)
        self.head = self._unread = stream.read(512)

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def read(self, size: int = -1) -> bytes:
        """At most that many bytes; none at the end."""
        if self._unread:
            block, self._unread = self._unread[:size], self._unread[size:]
            return block
        block = self._stream.read(size)
        self._budget.spend(len(block))
        return block

    def rest(self) -> Iterator[bytes]:
        """All that is left, in blocks."""
        return iter(lambda: self.read(_BLOCK), b"")


@contextmanager
def sound(label: str) -> Iterator[None]:
    """Whatever goes wrong in reading is the fault of the archive: its readers raise all sorts."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the disk's
        raise SourceError(
            f"{label} is damaged or cut off; nothing of it was kept.",
            "Fetch it again; if that does not help, it is damaged where it comes from.",
        ) from error


def blocks(opened: Callable[[], Any], label: str) -> Iterator[bytes]:
    """What a stream holds, opened when it is asked for the first time."""
    with sound(label), opened() as stream:
        while block := stream.read(_BLOCK):
            yield block


def kind_of(mode: int) -> str:
    """What a mode says that something is; many say nothing, and mean files."""
    kinds = {0: "file", stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symlink"}
    return kinds.get(stat.S_IFMT(mode), "other")


def seconds(local: Any) -> float:
    """A time of this machine's zone, as files have it; 0 where there is no such time."""
    try:
        return time.mktime(local)
    except (ValueError, OverflowError):
        return 0.0


def encrypted(label: str) -> SourceError:
    """What is said where a password is missing."""
    return SourceError(f"{label} is encrypted.", "Unpack it by hand, with its password.")
