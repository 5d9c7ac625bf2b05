"""Archives that are large, cut off, or do not fit; and what a fetch that failed leaves."""

from __future__ import annotations

import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import pytest
from doubles.files_server import Server
from doubles.small_disk import mounted
from support.cells import Cells, Child, new_shell

from colab_magics.core.errors import SourceError
from colab_magics.core.folders import MEMORY
from colab_magics.fetch import http
from colab_magics.fetch.cache import Entry, load
from colab_magics.fetch.install import install_members

Held = Callable[[int, int], None]


def packed(kind: str, files: Dict[str, bytes]) -> bytes:
    """An archive of these files."""
    made = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return made.getvalue()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return made.getvalue()


def many(count: int) -> Dict[str, bytes]:
    """So many small files, a hundred in a folder."""
    return {f"d{n // 100}/f{n}.txt": str(n).encode() * 50 for n in range(count)}


def put_all(archive: Path, folder: Path) -> float:
    """Unpack into a folder as ``%fetch --unpack`` does; gives the time of the processor."""
    folder.mkdir(exist_ok=True)
    began = time.process_time()
    fresh = Entry("https://h/x", sha256="0" * 64)
    install_members(archive, folder, "x", folder / ":unpacked", fresh, False, lambda line: None)
    return time.process_time() - began


def contents(folder: Path) -> Dict[str, bytes]:
    """All files in a folder, hidden ones too."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder whose disk takes no time, where there is one."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_the_time_grows_with_the_files(memory: Path, kind: str, long: bool) -> None:
    """Four times the files take less than eight times the time, and Python's own reader's five."""
    count, took = 5000 if long else 500, []
    for times in (1, 4):
        archive = memory / f"{times}"
        archive.write_bytes(packed(kind, many(count * times)))
        took.append(min(put_all(archive, memory / f"into{times}.{n}") for n in range(3)))
        known = load(memory / f"into{times}.0" / ":unpacked").members
        assert len(known) == count * times
    began = time.process_time()
    if kind == "zip":
        zipfile.ZipFile(archive).extractall(memory / "peer")
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(memory / "peer", filter="data")
    peer = time.process_time() - began
    assert took[1] < 8 * took[0] and took[1] < 5 * peer
    assert contents(memory / "into4.0") == contents(memory / "peer")


_KILLED = """
import os, signal, sys
from pathlib import Path
from colab_magics.fetch import install
left = int(sys.argv[3])
def hook(event, given):
    global left
    if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.utime") and "into" in str(given):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
from colab_magics.fetch.cache import Entry
folder = Path(sys.argv[2])
fresh = Entry("https://h/x", sha256="0" * 64)
install.install_members(Path(sys.argv[1]), folder, "x", folder / ":unpacked", fresh, False, print)
"""


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_kill_is_made_good(tmp_path: Path, kind: str, held: Held, long: bool) -> None:
    """``kill -9`` at any call to the system, into what is there: the next run completes it."""
    files = {**{f"{n}/{n}.txt": b"data" * n for n in range(6)}, "top.txt": b"top"}
    archive = tmp_path / "x"
    archive.write_bytes(packed(kind, files))
    rounds = range(0, 60, 1 if long else 12)
    good = killed = 0
    for remaining in rounds:
        folder = tmp_path / f"into{remaining}"
        (folder / "1").mkdir(parents=True)
        (folder / "1" / "mine").write_bytes(b"mine")
        words = [sys.executable, "-c", _KILLED, str(archive), str(folder), str(remaining)]
        killed += subprocess.run(words, capture_output=True).returncode == -signal.SIGKILL
        put_all(archive, folder)
        good += contents(folder) == {**files, "1/mine": b"mine"}
    held(len(rounds), good)
    assert good == len(rounds) and killed > len(rounds) / 3


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, kind: str) -> None:
    """One line, nothing of the archive, and what was there is as it was."""
    disk = tmp_path / "disk"
    disk.mkdir()
    archive = tmp_path / "x"
    noise = random.Random(1).randbytes(4_000_000)
    archive.write_bytes(packed(kind, {"a/first": b"1", "a/large": noise}))
    with mounted(disk, "size=2m"):
        (disk / "mine").write_bytes(b"mine")
        with pytest.raises(SourceError):
            put_all(archive, disk)
        assert contents(disk) == {"mine": b"mine"} and os.listdir(disk) == ["mine"]


# ---------------------------------------------------------------------- what a failed fetch leaves
def remaining(home: Path) -> List[str]:
    """Files below the home and in the cache."""
    return sorted(str(path) for path in home.rglob("*") if path.is_file() and ".i" not in str(path))


def test_a_fetch_that_failed_leaves_nothing(
    home: Path, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a lock nor a record stays in the folder or the cache, however it failed."""
    monkeypatch.setattr(http, "PAUSE", 0.01)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    data, wrong = b"x" * 300_000, hashlib.sha256(b"other").hexdigest()
    with Server() as server:
        there = server.put("/a.bin", data)
        page = server.put("/page.bin", b"<html>", headers={"Content-Type": "text/html"})
        lines = [
            f"%fetch {server.at}/none a.bin",
            f"%fetch {server.at}/none data/ --unpack",
            f"%fetch {there} a.bin --sha256 {wrong}",
            f"%fetch {there} data --unpack",
            f"%fetch {page} a.bin",
            f"%fetch {server.put('/short.bin', data, short=9, etag=False)} a.bin",
            f"%fetch {server.put('/no.bin', data, status=[403] * 9)} a.bin",
            "%fetch http://127.0.0.1:9/a.bin a.bin",
        ]
        run = Cells(new_shell())
        run("%load_ext colab_magics")
        before, bad = remaining(home), []
        for line in lines:
            error = run.attempt(line).error
            bad += [line] if not isinstance(error, SourceError) or remaining(home) != before else []
        held(len(lines), len(lines) - len(bad))
        assert bad == []
        run(f"%fetch {there} a.bin")
        assert not [path for path in remaining(home) if path.endswith(".lock")]


def test_a_fetch_that_was_interrupted_leaves_nothing(home: Path) -> None:
    """Ctrl-C before anything has arrived: no lock, no record."""
    with Server() as server, Child({**os.environ, "XDG_CACHE_HOME": str(home / "cache")}) as shell:
        before = remaining(home)
        shell.ask(f"%fetch {server.put('/silent.bin', b'x', silent=True)} a.bin")
        assert server.stalled.wait(30)
        shell.interrupt()
        assert shell.answer().error == "KeyboardInterrupt" and remaining(home) == before
