"""How much is in a folder, or in a packed one, of which the headers are read and not the files."""

from __future__ import annotations

import io
import tarfile
from functools import partial
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from ...core.meter import Meter
from ...core.steps import Progress
from .arguments import JOBS
from .retry import Backoff
from .store import BLOCK, Entry, Store, join

#: Bytes of the largest header that adds to the next one.
_LARGEST_HEADER = 1 << 20


class Usage(NamedTuple):
    """Bytes and files of something."""

    name: str
    size: int
    files: int


def sum_folders(
    store: Store, entries: Sequence[Entry], above: Entry, meter: Meter, progress: Progress
) -> List[Usage]:
    """Return what is in each entry of a folder; subfolders of one depth are listed at once."""
    sums = [[x.size, 1] if x.kind != "folder" else [0, 0] for x in entries]
    level: List[Tuple[int, Entry, Tuple[str, ...]]] = [
        (at, x, (above.id, x.id)) for at, x in enumerate(entries) if x.kind == "folder"
    ]
    while level:
        progress(f"counting: {sum(count for _, count in sums)} files so far")
        work = [partial(store.list, folder) for _, folder, _ in level]
        futures = meter.run_all(work, lambda line: None, JOBS)
        current, level = level, []
        for (at, _, ids), future in zip(current, futures):
            for child in future.result():
                if child.kind != "folder":
                    sums[at][0] += child.size
                    sums[at][1] += 1
                elif child.id not in ids:
                    level.append((at, child, (*ids, child.id)))
    names = (join([x.name]) + "/" * (x.kind == "folder") for x in entries)
    return [Usage(name, size, count) for name, (size, count) in zip(names, sums)]


# ---------------------------------------------------------------------- a packed folder
def sum_packed(store: Store, entry: Entry, backoff: Backoff) -> List[Usage]:
    """Return what is in the folder that a tar holds; nothing where it is no sound tar.

    `DriveError` where it cannot be read.
    """
    sums: Dict[str, Tuple[int, int]] = {}
    try:
        for path, size in _read_members(store, entry, backoff):
            parts = [part for part in path.split("/") if part not in ("", ".")]
            name = join(parts[:2]) + "/" * (len(parts) > 2)
            before = sums.get(name, (0, 0))
            sums[name] = before[0] + size, before[1] + 1
    except (tarfile.TarError, EOFError, ValueError, OverflowError):
        return []
    return [Usage(name, size, count) for name, (size, count) in sums.items()]


def _read_members(store: Store, entry: Entry, backoff: Backoff) -> Iterator[Tuple[str, int]]:
    # Each fill of the buffer is a request: small files are passed over in it, large ones by a seek.
    stream: Any = io.BufferedReader(_Ranges(store, entry, backoff), BLOCK)
    with tarfile.open(
        fileobj=stream, mode="r:", tarinfo=_Header, encoding="utf-8", errors="surrogateescape"
    ) as opened:
        tar: Any = opened
        while (member := tar.next()) is not None:
            if member.size < 0:  # of a header that adds to it: it would lead back
                raise EOFError
            if member.isreg():
                yield member.name, member.size
            tar.members = []  # it would keep each of a million


class _Header(tarfile.TarInfo):
    """A header that is refused where ``tarfile`` would read what a stranger wants into memory."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> _Header:
        header = super().frombuf(buf, encoding, errors)
        is_extra = not (header.isreg() or header.isdir())
        if header.size < 0 or (is_extra and header.size > _LARGEST_HEADER):
            raise EOFError
        return header


class _Ranges(io.RawIOBase):
    """A file of a store, which can be read at any place."""

    def __init__(self, store: Store, entry: Entry, backoff: Backoff) -> None:
        self._store, self._entry, self._backoff, self._at = store, entry, backoff, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._entry.size}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._entry.size)

        def attempt() -> bytes:
            return b"".join(self._store.read(self._entry, self._at, end))

        data = self._backoff.run(attempt) if self._at < end else b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
