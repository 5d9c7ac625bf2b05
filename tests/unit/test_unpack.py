"""Unpacking: every kind of archive, and every way in which one can lie."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest

from colab_magics.errors import SourceError
from colab_magics.sources.fetch.unpack import unpack

HELD = {"top/a.txt": b"a" * 1000, "top/deep/er/b.bin": bytes(range(256)) * 40, "top/ü.txt": b""}


def quiet(said: Any) -> None:
    """What is said while it unpacks."""


def zipped(path: Path, held: Dict[str, bytes] = HELD) -> Path:
    """A zip of these files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in held.items():
            made.writestr(name, data)
    return path


def tarred(path: Path, held: Dict[str, bytes] = HELD, *more: tarfile.TarInfo) -> Path:
    """A tar of these files, packed as its name says, with more members behind them."""
    kind = path.suffix[1:] if path.suffix in (".gz", ".bz2", ".xz") else ""
    with tarfile.open(path, f"w:{kind}") as made:
        for name, data in held.items():
            one = tarfile.TarInfo(name)
            one.size = len(data)
            made.addfile(one, io.BytesIO(data))
        for one in more:
            made.addfile(one)
    return path


def special(name: str, kind: bytes, leads: str = "") -> tarfile.TarInfo:
    """A member of a tar that is no file."""
    one = tarfile.TarInfo(name)
    one.type, one.linkname = kind, leads
    return one


def below(folder: Path) -> Dict[str, bytes]:
    """Every regular file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def refused(archive: Path, into: Path, word: str, **options: Any) -> None:
    """It is refused in one line with this word in it, and nothing is left of it."""
    before = sorted(into.parent.rglob("*"))
    with pytest.raises(SourceError) as caught:
        unpack(archive, into, options.pop("strip", 0), quiet, **options)
    assert word in caught.value.what and caught.value.todo
    assert "\n" not in caught.value.what
    assert sorted(into.parent.rglob("*")) == before


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder to unpack into, which is not there yet, with nothing else beside it."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "data"


# ---------------------------------------------------------------------- kinds
@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_every_kind_by_its_content(tmp_path: Path, place: Path, suffix: str) -> None:
    """The files are there, byte by byte, whatever the archive is called; each is told of."""
    archive = (zipped if suffix == "zip" else tarred)(tmp_path / f"x.{suffix}")
    archive = archive.rename(tmp_path / "download")
    found = unpack(archive, place, 0, quiet)
    assert below(place) == HELD
    assert found == sorted((name, len(data)) for name, data in HELD.items())
    assert [path.name for path in place.parent.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("suffix", "packed"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_one_compressed_file(
    tmp_path: Path, place: Path, suffix: str, packed: Callable[[bytes], bytes]
) -> None:
    """It is called as the archive, without the suffix."""
    archive = tmp_path / "part"
    archive.write_bytes(packed(b"1,2\n" * 100))
    assert unpack(archive, place, 0, quiet, f"data.csv.{suffix}") == [("data.csv", 400)]
    assert below(place) == {"data.csv": b"1,2\n" * 100}


@pytest.mark.once
def test_what_needs_a_program(tmp_path: Path, place: Path, monkeypatch: Any) -> None:
    """Zstd and 7z go through their programs; without one, what to install is said."""
    archive = tmp_path / "x.tar.zst"
    if shutil.which("zstd"):
        tar = tarred(tmp_path / "x.tar")
        subprocess.run(["zstd", "-q", str(tar), "-o", str(archive)], check=True)
        unpack(archive, place, 0, quiet)
        assert below(place) == HELD
        shutil.rmtree(place)
        archive.write_bytes(archive.read_bytes()[:-20])
        refused(archive, place, "damaged")
    archive.write_bytes(b"\x28\xb5\x2f\xfd" + b"x" * 100)
    monkeypatch.setenv("PATH", str(tmp_path))
    refused(archive, place, "zstd")
    (tmp_path / "x.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + b"x" * 100)
    refused(tmp_path / "x.7z", place, "7z")


def test_a_program_that_unpacks_whole_is_not_trusted(
    tmp_path: Path, place: Path, monkeypatch: Any
) -> None:
    """What it wrote is looked at like any archive: files come, a link that leads out does not."""
    tools = tmp_path / "tools"
    tools.mkdir()
    program = tools / "7z"
    program.write_text('#!/bin/sh\nfor x; do case "$x" in -o*) d="${x#-o}";; esac; done\n'
                       'mkdir -p "$d/top" && echo hello > "$d/top/file" && $EXTRA\n')  # fmt: skip
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("EXTRA", "true")
    archive = tmp_path / "x.7z"
    archive.write_bytes(b"7z\xbc\xaf\x27\x1c" + b"x" * 100)
    assert unpack(archive, place, 1, quiet) == [("file", 6)]
    shutil.rmtree(place)
    monkeypatch.setenv("EXTRA", "false")
    refused(archive, place, "damaged")
    program.write_text(program.read_text().replace("$EXTRA", 'ln -s /etc "$d/top/out"'))
    refused(archive, place, "leads out")


def test_strip_leaves_leading_folders_off(tmp_path: Path, place: Path) -> None:
    """As tar does: what has nothing left of its path is dropped."""
    archive = zipped(tmp_path / "x.zip", {**HELD, "README": b"x"})
    assert sorted(dict(unpack(archive, place, 1, quiet))) == ["a.txt", "deep/er/b.bin", "ü.txt"]


def test_no_archive_is_said(tmp_path: Path, place: Path) -> None:
    """A table is not unpacked; an archive without members is."""
    (tmp_path / "x.csv").write_text("1,2\n" * 100)
    refused(tmp_path / "x.csv", place, "x.csv is no archive")
    assert unpack(zipped(tmp_path / "x.zip", {}), place, 0, quiet) == []


def test_links_within_and_rights(tmp_path: Path, place: Path) -> None:
    """A link to what is in the archive stays one; a program stays one; no other right is kept."""
    run = tarfile.TarInfo("run")
    run.mode = 0o6777
    archive = tarred(
        tmp_path / "x.tar",
        {"top/a": b"abc"},
        special("top/soft", tarfile.SYMTYPE, "../top/a"),
        special("hard", tarfile.LNKTYPE, "top/a"),
        run,
    )
    found = unpack(archive, place, 0, quiet)
    assert dict(found) == {"top/a": 3, "hard": 3, "run": 0}
    assert os.readlink(place / "top" / "soft") == "../top/a"
    assert (place / "hard").read_bytes() == b"abc"
    mode = stat.S_IMODE((place / "run").stat().st_mode)
    assert mode & 0o100 and not mode & 0o6022
    unpack(archive, place, 0, quiet)  # over itself: nothing differs
    assert below(place) == {"top/a": b"abc", "hard": b"abc", "run": b""}


# ---------------------------------------------------------------------- attacks
@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/x", "//x", "..\\x", "\\x", "C:\\x", "C:/x", "a/.."]
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_no_path_leads_out(tmp_path: Path, place: Path, name: str, kind: str) -> None:
    """An archive with such a member is refused whole, with the files before it."""
    held = {"good": b"x", name: b"bad"}
    archive = tmp_path / f"x.{kind}"
    (zipped if kind == "zip" else tarred)(archive, held)
    refused(archive, place, "leads out")


@pytest.mark.parametrize(
    "bad",
    [
        [special("out", tarfile.SYMTYPE, "/etc")],
        [special("out", tarfile.SYMTYPE, "../..")],
        [special("a/out", tarfile.SYMTYPE, "../../x")],
        [special("l", tarfile.SYMTYPE, "."), special("l/x", tarfile.REGTYPE)],
        [special("d/e/l", tarfile.SYMTYPE, "../.."), special("x", tarfile.SYMTYPE, "d/e/l/..")],
        [special("h", tarfile.LNKTYPE, "/etc/passwd")],
        [special("h", tarfile.LNKTYPE, "../secret")],
        [special("h", tarfile.LNKTYPE, "nowhere")],
        [special("s", tarfile.SYMTYPE, "good"), special("h", tarfile.LNKTYPE, "s")],
        [special("pipe", tarfile.FIFOTYPE)],
        [special("disk", tarfile.BLKTYPE)],
    ],
)
def test_no_link_leads_out(tmp_path: Path, place: Path, bad: List[tarfile.TarInfo]) -> None:
    """Nor by way of another link; nothing is written through one; no devices are made."""
    (place.parent / "secret").write_text("s")
    refused(tarred(tmp_path / "x.tar", {"good": b"x"}, *bad), place, "which")
    assert below(place.parent) == {"secret": b"s"}


def test_a_link_in_a_zip_that_leads_out(tmp_path: Path, place: Path) -> None:
    """A zip can hold links too."""
    one = zipfile.ZipInfo("out")
    one.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as made:
        made.writestr(one, "../..")
    refused(tmp_path / "x.zip", place, "leads out")


class Zeros(io.RawIOBase):
    """Zeros, as many as one reads."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1) -> bytes:
        size = min(size, self.left)
        self.left -= size
        return bytes(size)


@pytest.mark.once
def test_a_bomb_is_refused_by_what_it_writes(tmp_path: Path, place: Path, monkeypatch: Any) -> None:
    """Ten gigabytes of zeros in ten megabytes: ended on the way, whatever the archive says."""
    monkeypatch.setattr("colab_magics.sources.fetch.unpack._MUCH", 50 * 10**6)
    inner = tmp_path / "zeros.gz"
    with gzip.open(inner, "wb") as made:
        for _ in range(100):
            made.write(bytes(10**6))
    whole = inner.read_bytes() * 100  # gzip allows one after the other: 10 GB
    (tmp_path / "bomb.gz").write_bytes(whole)
    started = time.monotonic()
    refused(tmp_path / "bomb.gz", place, "far larger")
    assert time.monotonic() - started < 20
    info = tarfile.TarInfo("zeros")
    info.size = 10**8
    with tarfile.open(tmp_path / "bomb.tar.bz2", "w:bz2") as tar:
        tar.addfile(info, Zeros(info.size))
    refused(tmp_path / "bomb.tar.bz2", place, "far larger")


def test_too_many_members(tmp_path: Path, place: Path, monkeypatch: Any) -> None:
    """Empty files fill a disk too."""
    monkeypatch.setattr("colab_magics.sources.fetch.unpack._MOST", 100)
    archive = zipped(tmp_path / "x.zip", {f"{n}": b"" for n in range(101)})
    refused(archive, place, "far larger")


def test_a_disk_that_is_nearly_full(tmp_path: Path, place: Path, monkeypatch: Any) -> None:
    """It ends before nothing is left for anything else."""
    monkeypatch.setattr("colab_magics.sources.fetch.unpack._LOOK", 100)
    monkeypatch.setattr("colab_magics.sources.fetch.unpack._FREE", 10**18)
    refused(zipped(tmp_path / "x.zip"), place, "does not fit")


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "gz"])
def test_what_is_cut_off_or_changed(tmp_path: Path, place: Path, suffix: str) -> None:
    """One line, and nothing is left, at whatever place it is cut."""
    archive = tmp_path / f"x.{suffix}"
    data = {"big": bytes(os.urandom(50_000))}
    if suffix == "zip":
        zipped(archive, data)
    elif suffix == "gz":
        archive.write_bytes(gzip.compress(data["big"]))
    else:
        tarred(archive, data)
    whole = archive.read_bytes()
    ends = len(whole) - 10 if suffix != "tar" else 50_000  # behind it are zeros alone
    for cut in (len(whole) // 2, ends):
        archive.write_bytes(whole[:cut])
        refused(archive, place, "damaged")
    if suffix == "tar":  # which has no sum of what it holds
        return
    middle = len(whole) // 2
    archive.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    refused(archive, place, "damaged")


def test_a_password_is_not_asked_for(tmp_path: Path, place: Path) -> None:
    """An encrypted zip is said to be one."""
    archive = zipped(tmp_path / "x.zip", {"a": b"abc"})
    data = bytearray(archive.read_bytes())
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(bytes(data))
    refused(archive, place, "asks for a password")


# ---------------------------------------------------------------------- where it goes
def test_nothing_is_overwritten(tmp_path: Path, place: Path) -> None:
    """What is there and the same stays; where it is another file, nothing at all is unpacked."""
    archive = zipped(tmp_path / "x.zip")
    (place / "top").mkdir(parents=True)
    (place / "mine").write_text("mine")
    (place / "top" / "a.txt").write_bytes(HELD["top/a.txt"])
    unpack(archive, place, 0, quiet)
    assert below(place) == {**HELD, "mine": b"mine"}
    shutil.rmtree(place / "top" / "deep")
    (place / "top" / "a.txt").write_text("edited")
    refused(archive, place, "would overwrite top/a.txt")
    shutil.rmtree(place / "top")
    (place / "top").write_text("a file where a folder goes")
    refused(archive, place, "would overwrite top")


_KILLED = """
import os, signal, sys
from pathlib import Path
from colab_magics.sources.fetch import unpack
one, archive, into = sys.argv[1:]
real, count = Path.replace, [0]
def replace(self, to):
    count[0] += 1
    if one == "moved" and count[0] == 500:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, to)
Path.replace = replace
def said(text):
    if one == "written":
        os.kill(os.getpid(), signal.SIGKILL)
unpack.unpack(Path(archive), Path(into), 0, said)
"""


@pytest.mark.parametrize("where", ["written", "moved"])
def test_killed_in_the_middle(tmp_path: Path, place: Path, where: str) -> None:
    """While it writes, or while it moves: the next run has everything, and nothing is left over."""
    held = {f"d{n % 10}/{n}": str(n).encode() for n in range(1000)}
    archive = zipped(tmp_path / "x.zip", held)
    place.mkdir()
    (place / "mine").write_text("mine")
    seen = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, where, str(archive), str(place)],
        env={**os.environ, "PYTHONPATH": seen},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert list(place.glob(".colab-magics-*"))
    unpack(archive, place, 0, quiet)
    assert below(place) == {**held, "mine": b"mine"}


def test_interrupted_it_leaves_nothing(tmp_path: Path, place: Path) -> None:
    """Ctrl-C in the middle."""

    def interrupt(said: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(zipped(tmp_path / "x.zip"), place, 0, interrupt)
    assert list(place.parent.iterdir()) == []


def test_what_is_said_meanwhile(tmp_path: Path, place: Path) -> None:
    """What is unpacked, how many files and how much."""
    said: List[Optional[str]] = []
    unpack(zipped(tmp_path / "x.zip"), place, 0, said.append)  # type: ignore[arg-type]
    assert said and str(said[0]).startswith("unpacking x.zip: ")
