"""What the readers of archives share: members, the stream they are read from, and its limits."""

from __future__ import annotations

import io
import os
import stat
import time
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Callable, Iterable, Iterator, NamedTuple, Optional

from ..core.display import amount
from ..core.errors import SourceError

#: The content of a member, in blocks.
Data = Iterable[bytes]
#: Called with the total size that an archive declares, before its members are read; may raise.
CheckSize = Callable[[int], None]

#: An archive may grow to this many times its size; up to HARMLESS bytes are always allowed.
RATIO, HARMLESS = 200, 10**9
#: Bytes that are read at once. The content of a smaller member is one block.
BLOCK = 1 << 20
_KINDS = {0: "file", stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symlink"}


class Member(NamedTuple):
    """A member of an archive: a ``file``, ``folder``, ``symlink``, ``hardlink`` or ``other``.

    ``data`` must be read before the next member is requested, or not at all.
    """

    name: str
    kind: str
    mode: int = 0
    mtime: Optional[float] = None
    target: str = ""
    data: Data = ()

    def with_target(self) -> Member:
        """Return a symbolic link with its content as its target, as zip and 7z store it."""
        if self.kind != "symlink":
            return self
        return self._replace(target=os.fsdecode(next(iter(self.data), b"")))


class SizeLimit:
    """How many bytes may come out of an archive; what it declares itself may be a lie."""

    def __init__(self, archive: Path, label: str) -> None:
        self._label, self._size = label, archive.stat().st_size
        self.limit = max(HARMLESS, RATIO * self._size)

    def check(self, size: int) -> None:
        """Raise `SourceError` if so many bytes are too many."""
        if size > self.limit:
            raise SourceError(
                f"{self._label} ({amount(self._size)}) unpacks to more than {amount(self.limit)}; "
                "none of it was kept.",
                "Such an archive is made to fill a disk. If you trust it, unpack it by hand.",
                code="archive-too-large",
            )


class Stream:
    """The uncompressed bytes of an archive, read forwards only and counted.

    ``tarfile`` reads it as a file. ``head`` are its first bytes.
    """

    def __init__(self, raw: IO[bytes], limit: SizeLimit) -> None:
        self._buffered: Any = io.BufferedReader(raw, 1 << 18)
        self._limit, self._position = limit, 0
        self.head = self._pushed = self._buffered.read(512)

    def read(self, size: int) -> bytes:
        """Return so many bytes, fewer at the end."""
        if self._pushed:
            block = self._pushed[:size]
            self._pushed = self._pushed[size:]
            if len(block) < size:
                block += self._buffered.read(size - len(block))
        else:
            block = self._buffered.read(size)
        self._position += len(block)
        if self._position > self._limit.limit:
            self._limit.check(self._position)
        return block

    def unread(self, block: bytes) -> None:
        """Take back the block that was read last."""
        self._pushed = block + self._pushed
        self._position -= len(block)

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._position

    def seek(self, position: int) -> None:
        """Read on to a position."""
        while self._position < position and self.read(min(position - self._position, BLOCK)):
            pass

    def blocks(self, size: int) -> Iterator[bytes]:
        """Yield the next ``size`` bytes; `EOFError` if there are fewer."""
        while size:
            block = self.read(min(size, BLOCK))
            if not block:
                raise EOFError("it ends within a member")
            size -= len(block)
            yield block

    def rest(self) -> Iterator[bytes]:
        """Return all bytes up to the end, in blocks."""
        return iter(lambda: self.read(BLOCK), b"")


@contextmanager
def damage_reported(label: str) -> Iterator[None]:
    """Raise every error of a reader as `SourceError`: on damaged input they raise all kinds."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the disk's
        message = f"{label} is damaged or cut off; none of it was kept."
        hint = "Fetch it again. If that does not help, the file is damaged at its source."
        raise SourceError(message, hint, code="archive-damaged") from error


def kind_of(mode: int) -> str:
    """Return the kind of member that a POSIX mode says; many archives say nothing for files."""
    return _KINDS.get(stat.S_IFMT(mode), "other")


@lru_cache(256)  # the members of an archive share few, and the system is slow at it
def seconds(*local: int) -> float:
    """Return a local time (year, month, day, hour, minute, second) as POSIX time, 0 if invalid."""
    try:
        return time.mktime((*local, 0, 0, -1))  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return 0.0


def encrypted(label: str) -> SourceError:
    """Return the error for an archive that needs a password."""
    return SourceError(
        f"{label} is encrypted.", "Unpack it by hand, with its password.", code="archive-encrypted"
    )
