"""What an archive holds, one member after the other, whatever kind it is.

A kind is told by how the file begins, since names lie. Nothing is trusted here: see `unpack`.
"""

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
import zipfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Callable, Dict, Iterator, NamedTuple

from ...errors import SourceError

__all__ = ["DAMAGED", "Member", "members"]

#: What Python's own readers raise for a file that is cut off or changed.
DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, EOFError, ValueError),
    *(NotImplementedError, RuntimeError),
)

_TAR = (".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".txz")
#: Blocks of 64 kB behind the last member that are read.
_PADDING = 1000
_SEVEN = ("7z", "7zz", "7za", "bsdtar")
#: Suffix of a single file → what reads it, and how it begins.
_SINGLE: Dict[str, Any] = {
    ".gz": (gzip.open, b"\x1f\x8b"),
    ".bz2": (bz2.open, b"BZh"),
    ".xz": (lzma.open, b"\xfd7zXZ\x00"),
}


class Member(NamedTuple):
    """One member. ``kind``: file, folder, link (symbolic), hard (to another member), other."""

    name: str
    kind: str
    mode: int = 0o644
    #: Where a link leads, as it says.
    leads: str = ""
    open: Callable[[], IO[bytes]] = io.BytesIO


def members(
    archive: Path, name: str, scratch: Path, watch: Callable[[Path], None]
) -> Iterator[Member]:
    """The members of an archive that was called ``name``; each is to be read before the next.

    ``scratch`` is a folder for a program that can only unpack whole, and ``watch`` is told of it
    again and again meanwhile, and may raise.
    """
    with archive.open("rb") as stream:
        begins = stream.read(8)
    if begins.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(archive, name)
    if begins.startswith(b"7z\xbc\xaf\x27\x1c"):
        return _by_program(archive, name, scratch, watch)
    if begins.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstd(archive, name)
    try:
        with tarfile.open(archive) as found:
            if found.next() is None and not name.endswith(_TAR):  # zeros are an empty tar
                raise EOFError
        return _tar(archive, begins)
    except (tarfile.TarError, *DAMAGED, OSError):
        return _single(archive, name, begins)


def _zip(archive: Path, name: str) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as found:
        for one in found.infolist():
            if one.flag_bits & 1:
                raise SourceError(f"{name} asks for a password.", "Fetch it without --unpack.")
            mode = one.external_attr >> 16
            path = one.filename.replace("\\", "/")  # made on Windows
            if one.is_dir() or path.endswith("/"):
                yield Member(path, "folder")
            elif stat.S_ISLNK(mode):
                yield Member(path, "link", leads=os.fsdecode(found.read(one)))
            else:
                yield Member(path, "file", mode or 0o644, "", partial(found.open, one))


def _tar(archive: Path, begins: bytes) -> Iterator[Member]:
    with ExitStack() as stack:
        stream = stack.enter_context(archive.open("rb"))
        for opened, start in _SINGLE.values():
            if begins.startswith(start):
                stream = stack.enter_context(opened(archive))
        found = stack.enter_context(tarfile.open(fileobj=stream, mode="r|"))
        yield from _of_tar(found)
        # What tells whether all was right stands at the end, which tarfile does not read.
        for _ in range(_PADDING):
            if not stream.read(1 << 16):
                break


def _of_tar(found: tarfile.TarFile) -> Iterator[Member]:
    for one in found:
        if one.isreg():
            yield Member(one.name, "file", one.mode, "", partial(_opened, found, one))
        elif one.isdir():
            yield Member(one.name, "folder")
        elif one.issym():
            yield Member(one.name, "link", leads=one.linkname)
        else:
            yield Member(one.name, "hard" if one.islnk() else "other", leads=one.linkname)


def _opened(found: tarfile.TarFile, one: tarfile.TarInfo) -> IO[bytes]:
    stream = found.extractfile(one)
    assert stream is not None  # noqa: S101 - a regular file has one
    return stream


def _single(archive: Path, name: str, begins: bytes) -> Iterator[Member]:
    """One file that was compressed: it is called as the archive, without the suffix."""
    for suffix, (opened, start) in _SINGLE.items():
        if begins.startswith(start):
            # A broken archive of many files is no file of its own.
            if name.endswith(_TAR):
                raise EOFError
            path = name[: -len(suffix)] if name.endswith(suffix) else name
            return iter([Member(path, "file", 0o644, "", partial(opened, archive))])
    raise SourceError(f"{name} is no archive that can be unpacked.", "Fetch it without --unpack.")


def _zstd(archive: Path, name: str) -> Iterator[Member]:
    """Through the program of that name: Python reads it only from 3.14 on."""
    program = shutil.which("zstd")
    if program is None:
        raise SourceError(f"{name} is packed by zstd, which is not installed.", "First: %apt zstd")
    with ExitStack() as stack:
        running = subprocess.Popen(
            [program, "-dcq", str(archive)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        stack.callback(running.wait)
        stack.callback(running.kill)
        assert running.stdout is not None  # noqa: S101
        if name.endswith((".tar.zst", ".tzst")):
            with tarfile.open(fileobj=running.stdout, mode="r|") as found:
                yield from _of_tar(found)
        else:
            stream = running.stdout
            yield Member(name[:-4] if name.endswith(".zst") else name, "file", open=lambda: stream)
        if running.wait():
            raise EOFError


def _by_program(
    archive: Path, name: str, scratch: Path, watch: Callable[[Path], None]
) -> Iterator[Member]:
    """7z: unpacked whole by a program that knows it, watched, and then read from there."""
    program = next(filter(None, map(shutil.which, _SEVEN)), None)
    if program is None:
        raise SourceError(f"{name} needs 7z, which is not installed.", "First: %apt p7zip-full")
    scratch.mkdir(parents=True)
    words = ["x", "-y", "-p", f"-o{scratch}"] if "7z" in Path(program).name else ["-xf"]
    rest = [] if "7z" in Path(program).name else ["-C", str(scratch)]
    running = subprocess.Popen(
        [program, *words, str(archive), *rest],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                status = running.wait(0.2)
                break
            except subprocess.TimeoutExpired:
                watch(scratch)
    finally:
        running.kill()
        running.wait()
    if status:
        raise EOFError
    for folder, folders, names in os.walk(scratch):
        for one in (*folders, *names):
            yield _on_disk(Path(folder) / one, scratch)


def _on_disk(path: Path, root: Path) -> Member:
    name = PurePosixPath(path.relative_to(root).as_posix())
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return Member(str(name), "link", leads=os.readlink(path))
    if stat.S_ISDIR(mode):
        return Member(str(name), "folder")
    kind = "file" if stat.S_ISREG(mode) else "other"
    return Member(str(name), kind, mode, "", lambda: path.open("rb"))
