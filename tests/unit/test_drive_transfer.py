"""The parts of a transfer: pauses, tokens, names, paths, a packed folder, a journal."""

from __future__ import annotations

import io
import os
import tarfile
import threading
from pathlib import Path
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colab_magics.core.errors import DriveError
from colab_magics.core.meter import Track
from colab_magics.drive.transfer import retry
from colab_magics.drive.transfer.download import PART, receive
from colab_magics.drive.transfer.journal import Record, clean_up, held
from colab_magics.drive.transfer.local import LocalStore
from colab_magics.drive.transfer.pack import Pack
from colab_magics.drive.transfer.retry import Backoff, Bucket, Passing
from colab_magics.drive.transfer.store import FileSource, refuse_name, split_path
from colab_magics.drive.transfer.upload import format_time, parse_time

pytestmark = pytest.mark.once


class Waits(threading.Event):
    """An event that is never set; how long it was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: List[float] = []

    def wait(self, timeout: float = 0.0) -> bool:  # type: ignore[override]
        self.seconds.append(timeout)
        return False


# ---------------------------------------------------------------------- pauses
def test_pauses_double_up_to_a_limit_and_then_it_gives_up() -> None:
    """With jitter; after a gain they are short again."""
    waits = Waits()
    backoff = Backoff(waits, lambda text: None)
    with pytest.raises(DriveError) as caught:
        while True:
            backoff.pause(Passing("no"))
    assert caught.value.code == "no-answer"
    assert len(waits.seconds) == retry.TRIES - 1
    for at, seconds in enumerate(waits.seconds):
        longest = min(2.0**at, retry.LONGEST)
        assert longest / 2 <= seconds <= longest
    backoff.reset()
    backoff.pause(Passing("no"))
    assert waits.seconds[-1] <= 1


def test_the_server_says_how_long() -> None:
    """``Retry-After`` counts, but nobody waits for hours."""
    waits = Waits()
    backoff = Backoff(waits, lambda text: None)
    backoff.pause(Passing("later", after=7.0))
    assert waits.seconds == [7.0]
    with pytest.raises(DriveError):
        backoff.pause(Passing("later", after=7200.0))


def test_tokens_are_free_until_the_server_refuses() -> None:
    """Then there are three a second, which become more while nothing is refused."""
    waits = Waits()
    bucket = Bucket(waits, lambda: 0.0)
    for _ in range(1000):
        bucket.take()
    assert waits.seconds == []
    bucket.refused()
    for _ in range(4):
        bucket.take()
    assert waits.seconds == pytest.approx([0, 1 / 3, 2 / 3, 1])
    for _ in range(70):
        bucket.accepted()
    before = waits.seconds[-1]
    bucket.take()
    bucket.take()
    assert waits.seconds[-1] - before < 0.5


# ---------------------------------------------------------------------- names
@pytest.mark.parametrize(
    ("text", "parts"),
    [("", ()), ("/", ()), ("a/b", ("a", "b")), ("./a//b/.", ("a", "b")), ("a/../b", ("b",))],
)
def test_a_path_in_a_drive(text: str, parts: object) -> None:
    """Dots and double slashes mean what they mean elsewhere."""
    assert split_path(text, text) == parts


@pytest.mark.parametrize("text", ["..", "a/../..", "../a"])
def test_a_path_out_of_a_drive(text: str) -> None:
    """It is refused, not cut."""
    with pytest.raises(DriveError):
        split_path(text, text)


@given(st.text())
def test_a_name_that_is_accepted_is_one_file_below_the_folder(name: str) -> None:
    """Whatever a server sends."""
    if not refuse_name(name):
        place = os.path.normpath(os.path.join("/folder", name))
        assert os.path.dirname(place) == "/folder"
        assert os.path.basename(place) == name
        assert len(os.fsencode(name)) <= 255


@given(st.integers(min_value=0, max_value=4 * 10**18))
def test_times_are_kept_in_milliseconds(ns: int) -> None:
    """As Drive takes them, and gives them back."""
    assert parse_time(format_time(ns)) == ns // 10**6 * 10**6


@pytest.mark.parametrize("text", ["", "yesterday", None, 5, "2024-13-01T00:00:00Z", "9" * 99])
def test_a_time_that_is_none(text: object) -> None:
    """It is 0: the md5 decides."""
    assert parse_time(text) == 0


# ---------------------------------------------------------------------- a packed folder
@pytest.fixture
def folder() -> Path:
    """Files of sizes around a block, a long name, an empty folder, a link."""
    for size in (0, 1, 511, 512, 513, 5000):
        place = Path(f"folder/{'d' * 90}/{size}{'x' * 90}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(os.urandom(size))
    Path("folder/empty").mkdir()
    Path("folder/link").symlink_to("/etc")
    return Path("folder").resolve()


def pack_of(folder: Path) -> Pack:
    entry = LocalStore().stat(str(folder))
    assert entry is not None
    return Pack(entry)


def test_any_part_of_a_packed_folder_can_be_read(folder: Path) -> None:
    """Each is the same slice of one tar, as long as it was said to be."""
    pack = pack_of(folder)
    data = b"".join(pack.read(0, pack.size))
    assert len(data) == pack.size
    for start in range(0, pack.size, 379):
        end = min(start + 1000, pack.size)
        assert b"".join(pack.read(start, end)) == data[start:end]
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = [x.name for x in archive.getmembers() if x.isfile()]
        assert len(names) == pack.files == 6
        for name in names:
            member = archive.extractfile(name)
            assert member is not None and member.read() == Path(name).read_bytes()
        assert archive.getmember("folder/empty").isdir()
    assert [line.split(":")[0] for line in pack.passed_over] == ["folder/link"]
    assert pack_of(folder).version == pack.version


def test_a_file_that_changes_while_it_is_packed(folder: Path) -> None:
    """It is an error, and the version is another one."""
    pack = pack_of(folder)
    (path,) = folder.rglob("5000*")
    path.write_bytes(os.urandom(5000))
    os.utime(path, (1, 1))
    with pytest.raises(DriveError) as caught:
        b"".join(pack.read(0, pack.size))
    assert caught.value.code == "changed"
    assert pack_of(folder).version != pack.version


# ---------------------------------------------------------------------- journals
def test_one_transfer_at_a_time(home: Path) -> None:
    """Another one of the same file is refused at once, and can begin when the first has ended."""
    with held("key", "file"):
        with pytest.raises(DriveError) as caught, held("key", "file"):
            pass
        assert caught.value.code == "busy"
        with held("another", "file"):
            pass
    with held("key", "file"):
        pass


def test_what_is_done_is_forgotten(home: Path) -> None:
    """Journals of files that are there, and those that are older than a session lives."""
    records = {name: Record(f"/{name}", "1", 10**7, f"id-{name}") for name in ("a", "b", "c", "d")}
    for name, record in records.items():
        with held(name, name) as journal:
            journal.save(record)
            assert journal.load() == record
    folder = next(home.rglob("transfers"))
    with held("d", "d") as journal:
        path = folder / f"{Path(next(folder.glob('*.lock'))).stem}.json"
        os.utime(path, (1, 1))
    clean_up({"id-a", "/b"})
    left = []
    for name in records:
        with held(name, name) as journal:
            left += [name] if journal.load() else []
    assert left == ["c"]


def test_a_journal_that_others_can_write_is_not_read(home: Path) -> None:
    """It could name a session of theirs."""
    with held("key", "file") as journal:
        journal.save(Record("/a", "1", 1, "id", "https://evil.example/"))
        (path,) = home.rglob("*.json")
        path.chmod(0o666)
        assert journal.load() is None


# ---------------------------------------------------------------------- a file that comes in
def source_of(path: Path) -> FileSource:
    store = LocalStore()
    entry = store.stat(str(path.resolve()))
    assert entry is not None
    return FileSource(store, entry)


def test_a_file_that_appears_meanwhile_is_left_alone() -> None:
    """It was not there when the folder was listed, so nobody has agreed to replace it."""
    Path("a").write_text("a")
    Path("in").mkdir()
    Path("in/a").write_text("mine")
    with pytest.raises(DriveError) as caught:
        receive(Path("in/a").resolve(), source_of(Path("a")), None, Track("a"))
    assert caught.value.code == "exists"
    assert Path("in/a").read_text() == "mine"
    assert [path.name for path in Path("in").iterdir()] == ["a"]


def test_a_link_in_the_place_of_the_part_is_not_written_through(home: Path) -> None:
    """Others may be able to write the folder."""
    Path("a").write_bytes(os.urandom(6 * 10**6))
    Path("in").mkdir()
    (home / "mine").write_text("mine")
    place = Path("in/a").resolve()
    source = source_of(Path("a"))

    class Cut(FileSource):
        """It breaks after the first block."""

        def read(self, start: int, end: int):  # type: ignore[no-untyped-def]
            yield from super().read(start, min(end, 1000))
            raise DriveError("no")

    store = LocalStore()
    entry = store.stat(str(Path("a").resolve()))
    assert entry is not None
    with pytest.raises(DriveError):
        receive(place, Cut(store, entry), None, Track("a"))
    (part,) = Path("in").glob(f".*{PART}")
    part.unlink()
    part.symlink_to(home / "mine")
    receive(place, source, None, Track("a"))
    assert place.read_bytes() == Path("a").read_bytes()
    assert (home / "mine").read_text() == "mine"
