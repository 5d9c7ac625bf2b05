"""``%fetch --cache``: the next machine copies from the drive what the web gave to the first."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import threading
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from doubles import google_drive as fake
from doubles.files_server import Server, zenodo
from doubles.google_drive import GoogleDrive
from IPython.core.error import UsageError
from support.cells import Cells

from colab_magics.core.meter import Meter
from colab_magics.drive.transfer import hash_store, retry
from colab_magics.drive.transfer.api import Api
from colab_magics.drive.transfer.places import Drive
from colab_magics.drive.transfer.rest import DriveStore

pytestmark = pytest.mark.once

DATA = os.urandom(300_000)
Wipe = Callable[[], None]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def drive(run: Cells, home: Path, tmp_path: Path) -> Path:
    """The folder that a stand-in shows, and that outlives the machine."""
    folder = tmp_path / "lasting"
    folder.mkdir()
    run(f"%drive mount ~/d --from {folder}")
    return folder


@pytest.fixture
def wipe(home: Path, server: Server) -> Wipe:
    """Leave nothing of what was fetched, and of what is remembered of it."""

    def act() -> None:
        shutil.rmtree(home / "cache", ignore_errors=True)
        shutil.rmtree(home / "work")
        (home / "work").mkdir()
        os.chdir(home / "work")
        server.asked.clear()

    return act


def cached(drive: Path) -> Dict[str, bytes]:
    """The cache, hidden files too."""
    return {path.name: path.read_bytes() for path in (drive / "cache").iterdir()}


def line(run: Cells) -> str:
    """The line that is remembered last."""
    return run.steps()[-1]


# ---------------------------------------------------------------------- the two ways
def test_the_next_machine_does_not_ask_the_web(
    run: Cells, server: Server, drive: Path, wipe: Wipe
) -> None:
    """The file is on the drive by its hash alone, and the message says which way it took."""
    url = server.put("/a.bin", DATA)
    assert "a.bin fetched, 300.0 kB; kept in drive:cache" in run(
        f"%fetch {url} --cache drive:cache/"
    )
    assert cached(drive) == {sha(DATA): DATA}
    recorded = line(run)
    assert recorded == f"%fetch {url} --cache drive:cache --sha256 {sha(DATA)}"
    assert run(recorded) == "a.bin already there, nothing to do"
    wipe()
    assert run(recorded) == "a.bin copied from drive:cache, 300.0 kB"
    assert Path("a.bin").read_bytes() == DATA and os.listdir() == ["a.bin"]
    assert run(recorded) == "a.bin already there, nothing to do"
    assert server.paths() == [] and line(run) == recorded


def test_archives_and_lists(run: Cells, server: Server, drive: Path, wipe: Wipe) -> None:
    """An archive is unpacked from its copy, and one file of a record needs no list of it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x/1.txt", "1")
        archive.writestr("x/2.txt", "2")
    zenodo(server, "7", a__csv=b"1", b__csv=b"2")
    lines = [
        f"%fetch {server.put('/a.zip', packed.getvalue())} data --unpack --cache drive:cache",
        "%fetch zenodo:7 z/ --cache drive:cache",
    ]
    for text in lines:
        run(text)
    recorded = run.steps()[1:]
    assert len(recorded) == 3 and len(cached(drive)) == 3
    wipe()
    for text in recorded:
        assert "copied from drive:cache" in run(text)
    assert sorted(p.as_posix() for p in Path().rglob("*.*")) == [
        *("data/x/1.txt", "data/x/2.txt", "z/a.csv", "z/b.csv"),
    ]
    assert server.paths() == []


def test_the_name_that_the_server_gave(run: Cells, server: Server, drive: Path, wipe: Wipe) -> None:
    """A copy has it from the line; what has its name from the server alone is not put there."""
    named = {"Content-Disposition": 'attachment; filename="real.csv.gz"'}
    url = server.put("/download", gzip.compress(b"1,2"), headers=named)
    run(f"%fetch {url} a/ --cache drive:cache")
    run(f"%fetch {url} b --unpack --cache drive:other")
    first, second = run.steps()[1:]
    assert not (drive / "other").exists()
    wipe()
    run(first), run(second)
    assert os.listdir("a") == ["real.csv.gz"] and os.listdir("b") == ["real.csv"]
    assert len(server.paths()) == 1
    assert "nothing to do" in run(second)


def test_a_file_that_is_there_already_is_put_there(run: Cells, server: Server, drive: Path) -> None:
    """Once the line names a cache, without the web; another cache too."""
    url = server.put("/a.bin", DATA)
    run(f"%fetch {url}")
    server.asked.clear()
    for folder in ("cache", "deep/er"):
        shown = run(f"%fetch {url} --cache drive:{folder}")
        assert f"already there, nothing to do; kept in drive:{folder}" in shown
        assert (drive / folder / sha(DATA)).read_bytes() == DATA
    assert server.paths() == [] and "--cache drive:deep/er" in line(run)
    run(f"%fetch {url}")
    assert "--cache drive:deep/er" in line(run)


def test_another_version_is_put_there_too(run: Cells, server: Server, drive: Path) -> None:
    """``--update`` asks the web, whatever is in the cache."""
    url = server.put("/a.bin", DATA)
    run(f"%fetch {url} --cache drive:cache")
    server.put("/a.bin", b"new")
    run(f"%fetch {url} --cache drive:cache --update")
    assert cached(drive) == {sha(DATA): DATA, sha(b"new"): b"new"}
    assert Path("a.bin").read_bytes() == b"new"


# ---------------------------------------------------------------------- what goes wrong
@pytest.mark.parametrize("damage", [b"x", DATA[:-1] + bytes([DATA[-1] ^ 1])])
def test_a_damaged_copy_is_named_and_replaced(
    run: Cells, server: Server, drive: Path, wipe: Wipe, damage: bytes
) -> None:
    """No byte of it reaches the notebook's files; the web gives the right ones."""
    url = server.put("/a.bin", DATA)
    run(f"%fetch {url} --cache drive:cache")
    recorded = line(run)
    wipe()
    (drive / "cache" / sha(DATA)).write_bytes(damage)
    shown = run(recorded)
    assert f"drive:cache/{sha(DATA)} was damaged" in shown
    assert Path("a.bin").read_bytes() == DATA and os.listdir() == ["a.bin"]
    assert cached(drive) == {sha(DATA): DATA} and server.paths() == ["/a.bin"]
    wipe()
    assert "copied from" in run(recorded)


def test_a_damaged_copy_without_the_web(
    run: Cells, server: Server, drive: Path, wipe: Wipe
) -> None:
    """An error, and nothing is left of the copy."""
    url = server.put("/a.bin", DATA)
    run(f"%fetch {url} --cache drive:cache")
    recorded = line(run)
    wipe()
    (drive / "cache" / sha(DATA)).write_bytes(b"x")
    del server.files["/a.bin"]
    reply = run.attempt(recorded)
    assert getattr(reply.error, "code", "") == "absent" and os.listdir() == []


def break_folder(drive: Path) -> None:
    (drive / "cache").write_text("mine")


def break_name(drive: Path) -> None:
    (drive / "cache" / sha(DATA)).mkdir(parents=True)


@pytest.mark.parametrize("act", [break_folder, break_name])
def test_a_cache_that_cannot_be_used_is_no_error(
    run: Cells, server: Server, drive: Path, act: Callable[[Path], None]
) -> None:
    """The line says it, the web gives the file, and what is in the way stays."""
    act(drive)
    before = sorted(drive.rglob("*"))
    url = server.put("/a.bin", DATA)
    assert "fetched, 300.0 kB; drive:cache not used: " in run(f"%fetch {url} --cache drive:cache")
    assert Path("a.bin").read_bytes() == DATA and sorted(drive.rglob("*")) == before
    assert "--cache drive:cache" in line(run)


def test_without_a_drive(run: Cells, server: Server, home: Path) -> None:
    """From the web, in one line; once a drive is there the same line puts it there."""
    url = server.put("/a.bin", DATA)
    shown = run(f"%fetch {url} --cache drive:cache").splitlines()[0]
    assert shown.startswith("a.bin fetched, 300.0 kB; drive:cache not used: ")
    recorded = line(run)
    run("%drive mount")
    assert "kept in drive:cache" in run(recorded)
    assert cached(home / "drive/MyDrive") == {sha(DATA): DATA}


@pytest.mark.parametrize("folder", ["drive:", "drive:/", "cache", "drvie:cache", "drive:../x"])
def test_only_a_folder_of_the_drive(run: Cells, server: Server, folder: str) -> None:
    """Anything else, as a slip, would be no cache for the next machine."""
    reply = run.attempt(f"%fetch {server.put('/a.bin')} --cache {folder}")
    assert isinstance(reply.error, UsageError) and "--cache" in str(reply.error)
    assert server.paths() == [] and run.steps() == []


def test_tab_offers_folders_of_the_drive(run: Cells, drive: Path) -> None:
    """And nothing else behind ``--cache``."""
    (drive / "cache").mkdir()
    magic = run.shell.find_line_magic("fetch").magic
    for symbol, offered in (("", ["drive:"]), ("dr", ["drive:"]), ("drive:c", ["drive:cache/"])):
        assert magic.complete(f"%fetch https://host/a --cache {symbol}", symbol) == offered


# ---------------------------------------------------------------------- by Google's interface
@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleDrive]:
    """Somebody is logged in to a double of Google Drive."""
    monkeypatch.setattr(retry, "PAUSE", 0.01)
    with GoogleDrive() as double:

        def open_drive(host: Any, meter: Meter, jobs: int) -> Drive:
            api = Api(lambda fresh: fake.TOKEN, threading.Event(), jobs, double.url)
            return Drive(DriveStore(api), "Google Drive")

        monkeypatch.setattr(hash_store, "open_drive", open_drive)
        yield double


def test_by_googles_interface(run: Cells, server: Server, google: GoogleDrive, wipe: Wipe) -> None:
    """The same, of several files at once: in one folder, since Drive may have two of one name."""
    files: List[bytes] = [DATA + bytes([number]) for number in range(4)]
    urls = [server.put(f"/{number}.bin", data) for number, data in enumerate(files)]
    shown = run(f"%fetch {' '.join(urls)} data/ --cache drive:a/cache")
    assert "4 files fetched, 1.2 MB; kept in drive:a/cache\n" in shown
    assert google.tree() == {f"a/cache/{sha(data)}": data for data in files}
    recorded = run.steps()
    wipe()
    for text in recorded:
        assert "copied from drive:a/cache" in run(text)
    assert [Path(f"data/{number}.bin").read_bytes() for number in range(4)] == files
    assert server.paths() == []
