"""A folder as one tar, which is made while it is read: any part of it, again and again the same.

Source: POSIX, "pax Interchange Format": a header of 512 bytes before each file, which is filled up
to a multiple of that, and two empty blocks at the end.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from bisect import bisect_right
from typing import Iterator, List, NamedTuple, Tuple

from ...core.errors import DriveError
from .local import LocalStore
from .store import BLOCK, REASONS, Entry, join, refuse_name

#: What the name of a packed folder ends in.
SUFFIX = ".tar"
_MOST_PARTS = 100


class Member(NamedTuple):
    """A file or a folder in the tar: where its header begins, its header, and what it is."""

    start: int
    header: bytes
    entry: Entry


class Pack:
    """A folder of this machine in one stream, as a source for a store; ``files`` are in it.

    What is no plain file is left out, and named in ``passed_over``. `DriveError` where a file has a
    name that no other machine can have.
    """

    md5 = ""

    def __init__(self, folder: Entry) -> None:
        self._folder, self._store = folder, LocalStore()
        self.passed_over: List[str] = []
        self.files = 0
        self.mtime_ns = 0
        self._members: List[Member] = []
        self._end, state = 0, hashlib.sha256()
        for path, entry in self._walk(folder, (folder.name,)):
            header = _header(path, entry)
            state.update(f"{path!r} {entry.size} {entry.mtime_ns} {header!r}\n".encode())
            self._members.append(Member(self._end, header, entry))
            self._end += len(header) + _padded(entry.size)
            self.mtime_ns = max(self.mtime_ns, entry.mtime_ns)
            self.files += entry.kind == "file"
        self.size = _padded(self._end + 2 * tarfile.BLOCKSIZE, tarfile.RECORDSIZE)
        self.version = state.hexdigest()
        self._starts = [member.start for member in self._members]

    @property
    def id(self) -> str:
        """The path of the folder."""
        return self._folder.id

    @property
    def name(self) -> str:
        """The name of the tar."""
        return f"{self._folder.name}{SUFFIX}"

    def is_alike(self, entry: Entry) -> bool:
        """Return False: a file in it that was renamed changes neither size nor time."""
        return False

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yield a part of the tar; `DriveError` if a file of it has changed."""
        buffer = bytearray()  # thousands of small writes would be slow
        for block in self._read_blocks(start, end):
            buffer += block
            if len(buffer) >= BLOCK:
                yield bytes(buffer)
                buffer.clear()
        if buffer:
            yield bytes(buffer)

    def _read_blocks(self, start: int, end: int) -> Iterator[bytes]:
        at = max(bisect_right(self._starts, start) - 1, 0)
        while start < end and at < len(self._members) and start < self._end:
            for block in self._read_member(self._members[at], start, end):
                start += len(block)
                yield block
            at += 1
        while start < end:  # behind the last file
            block = bytes(min(BLOCK, end - start))
            start += len(block)
            yield block

    def _read_member(self, member: Member, start: int, end: int) -> Iterator[bytes]:
        """Yield what is between two places of the tar in one member of it."""
        data, size = member.start + len(member.header), member.entry.size
        after = data + _padded(size)
        if start < data:
            block = member.header[start - member.start : end - member.start]
            start += len(block)
            yield block
        if start < min(data + size, end):
            stop = min(data + size, end)
            yield from self._store.read(member.entry, start - data, stop - data)
            start = stop
        if start < min(after, end):
            yield bytes(min(after, end) - start)

    def _walk(self, folder: Entry, parts: Tuple[str, ...]) -> Iterator[Tuple[str, Entry]]:
        """Yield the paths in the tar, folders before what is in them."""
        yield "/".join(parts), folder
        for entry in self._store.list(folder):
            path = (*parts, entry.name)
            reason = refuse_name(entry.name)
            if reason or len(path) > _MOST_PARTS:
                reason = reason or "it is too deep"
                raise DriveError(f"{join(path)}: {reason}.", "Rename it.", code="bad-name")
            if entry.kind == "folder":
                yield from self._walk(entry, path)
            elif entry.kind == "file":
                yield "/".join(path), entry
            else:
                self.passed_over.append(f"{join(path)}: {REASONS[entry.kind]}")


def _header(path: str, entry: Entry) -> bytes:
    info = tarfile.TarInfo(path)
    info.mtime = entry.mtime_ns // 10**9
    try:
        info.mode = stat.S_IMODE(os.lstat(entry.id).st_mode) & 0o777
    except OSError:
        info.mode = 0o644
    if entry.kind == "folder":
        info.type = tarfile.DIRTYPE
    else:
        info.size = entry.size
    return info.tobuf(tarfile.PAX_FORMAT)


def _padded(size: int, block: int = tarfile.BLOCKSIZE) -> int:
    return -(-size // block) * block
