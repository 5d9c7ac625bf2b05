"""What an archive holds, as a stream of members: nothing in here writes a file.

Sources: PKWARE's APPNOTE.TXT (zip), POSIX's pax (tar), and the first bytes that gzip (RFC 1952),
bzip2, xz, Zstandard (RFC 8878) and 7z begin with.
"""

from __future__ import annotations

import io
import re
import struct
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Iterator, Optional

from ..core.errors import SourceError
from . import seven_zip
from .compressed import uncompressed
from .member import Counted, Expect, Member, blocks, encrypted, kind_of, seconds, sound

_MAGIC = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gz"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
)
#: How a zip may be compressed for Python to read it; large ones of Windows often are not so.
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_METHODS.add(getattr(zipfile, "ZIP_ZSTANDARD", zipfile.ZIP_STORED))
#: What the end of a name tells where the bytes do not: an empty tar, a program that is a zip.
_SUFFIXES = {".tar": "tar", ".zip": "zip", ".exe": "zip"}
_PACKED = re.compile(r"(.+)\.(gz|bz2|xz|zst)", re.I)
_TAR = re.compile(r"\.(tar\.\w+|tgz|tbz2?|txz|tzst)$", re.I)
#: What may stand before a member of a tar and tell more of it, which is never as long as this.
_BEFORE = {
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
}
_HEAD = 1 << 20
#: Name, mode, size, time, checksum, kind and the path before the name.
_USTAR = struct.Struct("100s 8s 16x 12s 12s 8s c 188x 155s 12x")
#: What the members of a tar are; all else is refused.
_KINDS = {
    **dict.fromkeys(tarfile.REGULAR_TYPES, "file"),
    **{tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink"},
}


def members(archive: Path, label: str, expect: Expect) -> Iterator[Member]:
    """What an archive holds, in its order; `SourceError` where it is none, or damaged."""
    with sound(label):
        with archive.open("rb") as stream:
            kind = _kind(stream.read(512), label)
        if kind == "zip":
            yield from _zip(archive, label, expect)
        elif kind == "7z":
            yield from seven_zip.members(archive, label, expect)
        else:
            yield from _stream(archive, label, kind)


def _kind(head: bytes, label: str) -> str:
    """The kind of an archive by its first bytes, else by its name."""
    found = next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")
    if not found and _is_header(head):
        found = "tar"
    found = found or _SUFFIXES.get(Path(label).suffix.lower(), "")
    if not found:
        raise SourceError(
            f"{label} is no archive that can be unpacked.",
            "It may be zip, tar or 7z, and what gzip, bzip2, xz and zstd make.",
        )
    return found


# ---------------------------------------------------------------------- zip
def _zip(archive: Path, label: str, expect: Expect) -> Iterator[Member]:
    with zipfile.ZipFile(str(archive)) as found:
        entries = found.infolist()
        end = 0
        for entry in sorted(entries, key=lambda one: one.header_offset):
            if entry.header_offset < end:
                raise EOFError("members that share their bytes: a bomb")
            end = entry.header_offset + 30 + entry.compress_size
            if entry.flag_bits & 1:
                raise encrypted(label)
        if not {entry.compress_type for entry in entries} <= _METHODS:
            yield from seven_zip.members(archive, label, expect)
            return
        expect(sum(entry.file_size for entry in entries))
        for entry in entries:
            yield _of_zip(found, entry, label).pointing()


def _of_zip(found: zipfile.ZipFile, entry: zipfile.ZipInfo, label: str) -> Member:
    name, mode = entry.filename, entry.external_attr >> 16
    if not entry.flag_bits & 0x800:  # many write UTF-8 and do not say so
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    if entry.create_system == 0:  # Windows, where some write these
        name = name.replace("\\", "/")
    kind = "folder" if name.endswith("/") else kind_of(mode)
    data = blocks(lambda: found.open(entry), label)
    return Member(name, kind, mode, seconds((*entry.date_time, 0, 0, -1)), data=data)


# ---------------------------------------------------------------------- tar, and one file alone
class _Header(tarfile.TarInfo):
    """The head of a member; ``tarfile`` takes a bad one for the end, and a long one into memory."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> _Header:
        """One block, read; `EOFError` where it is neither a head nor the end."""
        plain = cls._plain(buf, encoding, errors) if len(buf) == tarfile.BLOCKSIZE else None
        if plain is not None:
            return plain
        try:
            found = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if bytes(buf).count(0) == tarfile.BLOCKSIZE:
                raise  # the end, as it should be
            raise EOFError(str(error)) from None
        if found.size < 0 or (found.type in _BEFORE and found.size > _HEAD):
            raise EOFError("no such head is in a sound archive")
        return found

    @classmethod
    def _plain(cls, buf: bytes, encoding: str, errors: str) -> Optional[_Header]:
        """The head of a regular file, which most are: ``tarfile`` takes four times as long.

        None where it is anything else, or not written in the plain form of POSIX's ustar.
        """
        name, mode, size, mtime, checksum, kind, prefix = _USTAR.unpack(buf)
        if kind != tarfile.REGTYPE:
            return None
        try:
            octal = [int(text.split(b"\0")[0] or b"0", 8) for text in (mode, size, mtime, checksum)]
        except ValueError:  # large numbers are in base 256
            return None
        if octal[3] != 256 + sum(buf[:148]) + sum(buf[156:]) or min(octal) < 0:
            return None
        found = cls()
        found.mode, found.size, found.mtime, found.chksum = octal
        found.type = kind
        parts = [part.split(b"\0")[0] for part in (prefix, name) if part[0]]
        found.name = b"/".join(parts).decode(encoding, errors)
        return found


def _is_header(block: bytes) -> bool:
    """Whether a tar begins like this; an empty one does not."""
    try:
        return bool(tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape"))
    except tarfile.HeaderError:
        return False


def _stream(archive: Path, label: str, kind: str) -> Iterator[Member]:
    """What is read from its beginning to its end: a tar, or one file alone."""
    with uncompressed(archive, kind, label) as raw:
        stream = Counted(raw, archive, label)
        if kind == "tar" or _is_header(stream.head) or _TAR.search(label):
            yield from _tar(stream, label)
        else:
            name = re.split(r"[/\\]", label)[-1]
            packed = _PACKED.fullmatch(name)
            yield Member(packed[1] if packed else name, "file", data=_rest(stream, label))
        for _ in stream.rest():
            pass  # only at the very end it is known that all of it was sound


def _rest(stream: Counted, label: str) -> Iterator[bytes]:
    with sound(label):
        yield from stream.rest()


class _Forward:
    """A stream as ``tarfile`` reads it: as many bytes as it asks for, and never backwards."""

    def __init__(self, stream: Counted) -> None:
        self._read, self._at = io.BufferedReader(stream, 1 << 18).read, 0

    def read(self, size: int) -> bytes:
        """That many bytes, fewer at the end."""
        block = self._read(size)
        self._at += len(block)
        return block

    def tell(self) -> int:
        """How much was read."""
        return self._at

    def seek(self, to: int) -> None:
        """Read on to there."""
        while self._at < to and self.read(min(to - self._at, 1 << 20)):
            pass


def _tar(stream: Counted, label: str) -> Iterator[Member]:
    read: Any = _Forward(stream)
    with tarfile.open(
        fileobj=read,
        mode="r:",
        tarinfo=_Header,
        encoding="utf-8",
        errors="surrogateescape",
    ) as found:
        kept: Any = found
        for entry in found:
            if entry.size < 0:  # of a pax header; all that follows would be read at once
                raise EOFError("no such size is in a sound archive")
            yield _of_tar(found, read, entry, label)
            kept.members = []  # it would hold each of a million


def _of_tar(found: tarfile.TarFile, stream: _Forward, entry: tarfile.TarInfo, label: str) -> Member:
    kind = _KINDS.get(entry.type, "other")
    if entry.issparse():
        data = blocks(lambda: found.extractfile(entry), label)
    else:
        data = _content(stream, entry.size, label)
    return Member(entry.name, kind, entry.mode, float(entry.mtime), entry.linkname, data)


def _content(stream: _Forward, size: int, label: str) -> Iterator[bytes]:
    """What follows the head of a member, before the next one is asked for."""
    while size:
        with sound(label):
            block = stream.read(min(size, 1 << 20))
            if not block:
                raise EOFError("it ends within a member")
        size -= len(block)
        yield block
