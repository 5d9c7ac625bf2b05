"""Reading an archive as a stream of members; nothing in this module writes a file.

Sources: PKWARE's APPNOTE.TXT (zip), POSIX's pax (tar), and the first bytes that gzip (RFC 1952),
bzip2, xz, Zstandard (RFC 8878) and 7z begin with.
"""

from __future__ import annotations

import re
import struct
import tarfile
import zipfile
import zlib
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Callable, Iterator, Optional, Tuple

from ..core.errors import SourceError
from . import seven_zip
from .compressed import uncompressed
from .member import BLOCK, CheckSize, Data, Member, SizeLimit, Stream, encrypted, kind_of, seconds

_MAGIC = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gz"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
)
#: Compression methods of zip that Python reads; 7-Zip reads the others, such as Windows' Deflate64.
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_METHODS.add(getattr(zipfile, "ZIP_ZSTANDARD", zipfile.ZIP_STORED))
#: Kinds by suffix, where the first bytes do not tell: an empty tar, a program that is a zip.
_SUFFIXES = {".tar": "tar", ".zip": "zip", ".exe": "zip"}
_COMPRESSED = re.compile(r"(.+)\.(gz|bz2|xz|zst)", re.I)
_TAR = re.compile(r"\.(tar\.\w+|tgz|tbz2?|txz|tzst)$", re.I)
#: Headers of a tar that only add to the header of the next member, and their largest size.
_EXTENSIONS = {
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
}
_LARGEST_EXTENSION = 1 << 20
#: Name, mode, size, time, checksum, type and the folder of the name.
_USTAR = struct.Struct("100s 8s 16x 12s 12s 8s c 188x 155s 12x")
_TAR_KINDS = {
    **dict.fromkeys(tarfile.REGULAR_TYPES, "file"),
    **{tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink"},
}


def read_members(archive: Path, label: str, check_size: CheckSize) -> Iterator[Member]:
    """Yield the members of an archive in its order; any exception if it is damaged."""
    with archive.open("rb") as stream:
        kind = _detect_kind(stream.read(512), label)
    if kind == "zip":
        yield from _read_zip(archive, label, check_size)
    elif kind == "7z":
        yield from seven_zip.read_members(archive, label, check_size)
    else:
        yield from _read_stream(archive, label, kind)


def _detect_kind(head: bytes, label: str) -> str:
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    kind = "tar" if _is_tar(head) else _SUFFIXES.get(Path(label).suffix.lower(), "")
    if not kind:
        message = f"{label} is not an archive that can be unpacked."
        hint = "Supported: zip, tar, 7z, and files compressed by gzip, bzip2, xz or zstd."
        raise SourceError(message, hint, code="archive-unknown")
    return kind


# ---------------------------------------------------------------------- zip
def _read_zip(archive: Path, label: str, check_size: CheckSize) -> Iterator[Member]:
    with archive.open("rb", 1 << 18) as stream, zipfile.ZipFile(stream) as zipped:
        entries = zipped.infolist()
        end = 0
        for entry in sorted(entries, key=lambda entry: entry.header_offset):
            if entry.header_offset < end:
                raise EOFError("members that share their bytes: a bomb")
            end = entry.header_offset + 30 + entry.compress_size
            if entry.flag_bits & 1:
                raise encrypted(label)
        if not {entry.compress_type for entry in entries} <= _METHODS:
            yield from seven_zip.read_members(archive, label, check_size)
            return
        check_size(sum(entry.file_size for entry in entries))
        for entry in entries:
            yield _zip_member(entry, _zip_data(zipped, stream, entry)).with_target()


def _zip_member(entry: zipfile.ZipInfo, data: Data) -> Member:
    name, mode = entry.filename, entry.external_attr >> 16
    if not entry.flag_bits & 0x800 and not name.isascii():  # many write UTF-8 and do not say so
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    if entry.create_system == 0:  # Windows, where some programs write these
        name = name.replace("\\", "/")
    kind = "folder" if name.endswith("/") else kind_of(mode)
    return Member(name, kind, mode, seconds(*entry.date_time), data=data)


def _zip_data(zipped: zipfile.ZipFile, stream: IO[bytes], entry: zipfile.ZipInfo) -> Data:
    """Return the content of a member; that of a small file at once, for speed."""
    deflated = entry.compress_type == zipfile.ZIP_DEFLATED
    plain = deflated or entry.compress_type == zipfile.ZIP_STORED
    if not plain or max(entry.file_size, entry.compress_size) > BLOCK:
        return _blocks(partial(zipped.open, entry))
    stream.seek(entry.header_offset)
    signature, name_size, extra_size = struct.unpack("<4s22xHH", stream.read(30))
    stream.seek(name_size + extra_size, 1)
    data = stream.read(entry.compress_size)
    if deflated:
        data = zlib.decompressobj(-15).decompress(data, entry.file_size + 1)
    if signature != b"PK\3\4" or len(data) != entry.file_size or zlib.crc32(data) != entry.CRC:
        raise zipfile.BadZipFile(entry.filename)
    return (data,)


def _blocks(open_content: Callable[[], Any]) -> Iterator[bytes]:
    with open_content() as content:
        yield from iter(lambda: content.read(BLOCK), b"")


# ---------------------------------------------------------------------- tar, and one file alone
def _read_stream(archive: Path, label: str, kind: str) -> Iterator[Member]:
    with uncompressed(archive, kind, label) as raw:
        stream = Stream(raw, SizeLimit(archive, label))
        if kind == "tar" or _is_tar(stream.head) or _TAR.search(label):
            yield from _read_tar(stream)
        else:
            yield Member(name_inside(label), "file", data=stream.rest())
        for _ in stream.rest():
            pass  # the check sum is behind the last byte


def name_inside(label: str) -> str:
    """Return the name of the file in an archive that has none, by that of the archive."""
    name = re.split(r"[/\\]", label)[-1]
    compressed = _COMPRESSED.fullmatch(name)
    return compressed[1] if compressed else name


def _is_tar(head: bytes) -> bool:
    """Tell whether these are the first bytes of a tar that is not empty."""
    try:
        return bool(tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape"))
    except tarfile.HeaderError:
        return False


class _Header(tarfile.TarInfo):
    """A header that is refused where ``tarfile`` would end without a word, or fill the memory."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> _Header:
        """Read one block; `EOFError` if it is neither a header nor the end."""
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if bytes(buf).count(0) == tarfile.BLOCKSIZE:
                raise  # the end, as it should be
            raise EOFError(str(error)) from None
        if header.size < 0 or (header.type in _EXTENSIONS and header.size > _LARGEST_EXTENSION):
            raise EOFError("not a header of a sound archive")
        return header


def _read_tar(stream: Stream) -> Iterator[Member]:
    source: Any = stream
    with tarfile.open(
        fileobj=source, mode="r:", tarinfo=_Header, encoding="utf-8", errors="surrogateescape"
    ) as opened:
        tar: Any = opened
        while (entry := tar.next()) is not None:
            if entry.size < 0:  # of a pax header; all that follows would be read at once
                raise EOFError("not a size of a sound archive")
            kind = _TAR_KINDS.get(entry.type, "other")
            data: Data = ()
            if entry.issparse():
                data = _blocks(partial(tar.extractfile, entry))
            elif kind == "file":
                data = stream.blocks(entry.size)
            yield Member(entry.name, kind, entry.mode, float(entry.mtime), entry.linkname, data)
            tar.members = []  # it would keep each of a million
            stream.seek(tar.offset)
            if tar.pax_headers.keys() <= {"comment"}:  # others hold for all that follow
                yield from _read_plain_files(stream)
                tar.offset = stream.tell()


def _read_plain_files(stream: Stream) -> Iterator[Member]:
    """Yield the members up to the first that needs ``tarfile``, which takes five times as long."""
    while True:
        block = stream.read(tarfile.BLOCKSIZE)
        header = _parse_plain_header(block)
        if header is None:
            stream.unread(block)
            return
        name, mode, size, mtime = header
        end = stream.tell() + size + -size % tarfile.BLOCKSIZE
        if size > BLOCK:
            yield Member(name, "file", mode, mtime, data=stream.blocks(size))
            stream.seek(end)
        else:
            content = stream.read(size + -size % tarfile.BLOCKSIZE)
            if len(content) < size:
                raise EOFError("it ends within a member")
            yield Member(name, "file", mode, mtime, data=(content[:size],))


def _parse_plain_header(block: bytes) -> Optional[Tuple[str, int, int, int]]:
    """Return name, mode, size and time of a regular file; None for all but POSIX's plain form."""
    if len(block) != tarfile.BLOCKSIZE:
        return None
    raw_name, *fields, kind, folder = _USTAR.unpack(block)
    if kind != tarfile.REGTYPE:
        return None
    try:
        numbers = [int(field.rstrip(b"\0 ") or b"0", 8) for field in fields]
    except ValueError:  # large numbers are in base 256
        return None
    mode, size, mtime, checksum = numbers
    total = (zlib.adler32(block) & 0xFFFF) - 1  # C adds up the bytes, modulo 65521
    if min(numbers) < 0 or (total - sum(fields[3]) + 8 * ord(" ") - checksum) % 65521:
        return None
    parts = [part.partition(b"\0")[0] for part in (folder, raw_name) if part[0]]
    return b"/".join(parts).decode("utf-8", "surrogateescape"), mode, size, mtime
