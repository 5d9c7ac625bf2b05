"""Push and pull by Drive's interface, against a double of it with faults, and killed anywhere."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from doubles import google_drive as fake
from doubles.certificate import self_signed
from doubles.google_drive import GoogleDrive
from support.cells import PACKAGE
from support.drive_client import Client, hash_all, start, tree, write

from colab_magics.core.errors import DriveError
from colab_magics.drive.transfer import upload
from colab_magics.drive.transfer.local import LocalStore
from colab_magics.drive.transfer.pack import Pack
from colab_magics.drive.transfer.usage import sum_packed

pytestmark = pytest.mark.once

MB = 1 << 20
#: A file that is sent in a session, and one that is sent in one request.
LARGE, SMALL = 11 * MB + 12345, 1000


def journals(home: Path) -> List[Path]:
    """What is on disk of transfers that are not done."""
    return [*(home / ".local/state/colab-magics/transfers").glob("*")]


def pack(folder: str) -> Pack:
    """A folder of this machine, packed."""
    entry = LocalStore().stat(str(Path(folder).resolve()))
    assert entry is not None
    return Pack(entry)


# ---------------------------------------------------------------------- as it should be
def test_a_folder_goes_there_and_comes_back(drive: GoogleDrive, client: Client, home: Path) -> None:
    """Bytes, names and times are the same on both sides; a second run moves nothing, either way."""
    write("data/large.bin", LARGE)
    write("data/sub/it's a \\ name/ü.txt", SMALL, 1)
    write("data/empty", 0)
    os.utime("data/empty", ns=(10**18, 10**18 + 123_456_789))
    assert client.copy("data", "drive:deep/er").copied == 3
    assert drive.tree() == {f"deep/er/data/{x}": y for x, y in tree(Path("data")).items()}
    drive.reset()
    again = client.copy("data", "drive:deep/er")
    assert (again.copied, again.same) == (0, 3)
    assert drive.count() == drive.count("list")
    assert client.copy("drive:deep/er/data/", "back").copied == 3
    assert tree(Path("back")) == tree(Path("data"))
    assert Path("back/empty").stat().st_mtime_ns == 10**18 + 123_000_000
    assert client.copy("drive:deep/er/data/", "back").same == 3
    assert journals(home) == []


def test_a_changed_file_keeps_its_id(drive: GoogleDrive, client: Client) -> None:
    """What is newer here replaces what is there, in the same file; its neighbours stay."""
    write("data/a", SMALL)
    write("data/b", LARGE)
    client.copy("data", "drive:")
    ids = {name: drive.find(name) for name in "ab"}
    later = time.time() + 5
    for name, size in (("a", 10), ("b", LARGE)):
        write(f"data/{name}", size, 7)
        os.utime(f"data/{name}", (later, later))
    assert client.copy("data", "drive:").copied == 2
    assert {name: drive.find(name) for name in "ab"} == ids
    assert drive.tree() == {f"data/{x}": y for x, y in tree(Path("data")).items()}


def test_what_is_newer_there_is_left_alone(drive: GoogleDrive, client: Client) -> None:
    """Neither side loses an edit without ``--overwrite``; the other files are copied."""
    drive.add_file("a", b"edited there", modifiedTime="2099-01-01T00:00:00.000Z")
    write("a", 5)
    write("b", 5)
    with pytest.raises(DriveError) as caught:
        client.copy("a", "b", "drive:")
    assert caught.value.code == "newer"
    assert drive.tree()["a"] == b"edited there"
    assert drive.tree()["b"] == Path("b").read_bytes()
    assert client.copy("a", "drive:", overwrite=True).copied == 1
    assert drive.tree()["a"] == Path("a").read_bytes()


def test_the_same_bytes_with_another_time_stay(drive: GoogleDrive, client: Client) -> None:
    """The md5 decides where the times differ: nothing is sent."""
    data = write("a", LARGE)
    drive.add_file("a", data)
    os.utime("a", (1, 1))
    assert client.copy("a", "drive:").same == 1
    assert drive.received == 0


def test_a_packed_folder_is_one_file(
    drive: GoogleDrive, client: Client, tmp_path: Path, home: Path
) -> None:
    """It is a tar that tar reads, sent in one session; unchanged it is not sent again."""
    for at in range(300):
        write(f"many/{at % 7}/{'long' * 30}{at}", 20_000, at)
    assert client.copy(("many.tar", pack("many")), "drive:backup/").copied == 1
    assert drive.count("start") == 1
    (tmp_path / "many.tar").write_bytes(drive.tree()["backup/many.tar"])
    subprocess.run(["tar", "-xf", "many.tar"], cwd=tmp_path, check=True)
    assert tree(tmp_path / "many") == tree(Path("many"))
    drive.reset()
    assert client.copy(("many.tar", pack("many")), "drive:backup/").same == 1
    assert drive.received == 0
    os.rename("many/0", "many/8")  # neither size nor time of the tar changes
    assert client.copy(("many.tar", pack("many")), "drive:backup/", overwrite=True).copied == 1
    assert journals(home) == []


def test_a_packed_folder_is_listed_without_its_files(drive: GoogleDrive, client: Client) -> None:
    """By its headers: large files are passed over, and small ones take a request for many."""
    for at in range(3):
        write(f"f/{'long' * 30}/{'large' * 20}{at}", 12 * MB, at)
    for at in range(600):
        write(f"f/small/{at}", 3000, at)
    write("f/top", 5)
    client.copy(("f.tar", pack("f")), "drive:")
    drive.reset()
    drive.faults.plan(fake.cut(1000), "media")
    entry = client.store.stat("f.tar")
    assert entry is not None
    sums = sum_packed(client.store, entry, client.api.backoff(lambda text: None))
    expected = {f"f/{'long' * 30}/": (36 * MB, 3), "f/small/": (1_800_000, 600), "f/top": (5, 1)}
    assert {x.name: (x.size, x.files) for x in sums} == expected
    assert sum(request.sent for request in drive.made("media")) < 9 * MB


def test_a_tar_that_is_none_is_a_file(drive: GoogleDrive, client: Client) -> None:
    """Nothing is listed of it, and no memory is filled by what it says."""
    large = tarfile.TarInfo("x")
    large.type, large.size = tarfile.XHDTYPE, 1 << 40
    back = tarfile.TarInfo("x")
    back.pax_headers = {"size": "-1024"}
    damaged = [b"", b"text" * 1000, large.tobuf(tarfile.GNU_FORMAT), bytes(10240), back.tobuf()]
    for at, data in enumerate(damaged):
        drive.add_file(f"{at}.tar", data)
        entry = client.store.stat(f"{at}.tar")
        assert entry is not None
        assert sum_packed(client.store, entry, client.api.backoff(lambda text: None)) == []


# ---------------------------------------------------------------------- what is on a drive
def test_documents_are_passed_over_and_shortcuts_followed(
    drive: GoogleDrive, client: Client
) -> None:
    """A document is named, a shortcut is what it leads to, and one into its own folder ends."""
    folder = drive.add_folder("f")
    drive.add_document("notes", {}, folder)
    elsewhere = drive.add_folder("elsewhere")
    drive.add_file("x", b"x", elsewhere)
    drive.add_shortcut("file", drive.add_file("target", b"there"), folder)
    drive.add_shortcut("folder", elsewhere, folder)
    drive.add_shortcut("round", folder, folder)
    gone = drive.add_file("gone", b"")
    drive.add_shortcut("nowhere", gone, folder)
    drive.files.delete(gone)
    result = client.copy("drive:f", ".")
    assert tree(Path("f")) == {"file": b"there", "folder/x": b"x"}
    assert [line.split(":")[0].rpartition("/")[2] for line in sorted(result.passed_over)] == [
        "notes",
        "nowhere",
        "round",
    ]


#: Media types of what documents are exported as.
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.fixture
def documents(drive: GoogleDrive) -> str:
    """A folder with a text, a table, a shortcut to that, and a form; return the id of the text."""
    folder = drive.add_folder("f")
    text = drive.add_document("notes", {WORD: b"a text", "application/pdf": b"pages"}, folder)
    formats = {EXCEL: b"cells" * 1_500_000, "text/csv": b"1,2"}
    table = drive.add_document("table", formats, folder, fake.SHEET)
    drive.add_shortcut("short.xlsx", table, folder)
    drive.add_document("form", {}, folder, "application/vnd.google-apps.form")
    return text


def test_documents_are_exported_when_asked_for(
    drive: GoogleDrive, client: Client, documents: str, home: Path
) -> None:
    """In the usual format of each; again only what was edited there; never over an edit here."""
    drive.faults.plan(fake.unavailable(), "export")
    drive.faults.plan(fake.cut(1), "export", 2)
    result = client.copy("drive:f/", "f", formats=[])
    cells = b"cells" * 1_500_000
    assert tree(Path("f")) == {"notes.docx": b"a text", "table.xlsx": cells, "short.xlsx": cells}
    assert result.copied == 3
    assert [line.split(":")[0].rpartition("/")[2] for line in result.passed_over] == ["form"]
    assert drive.faults.pending == 0 and journals(home) == []
    drive.reset()
    assert client.copy("drive:f/", "f", formats=[]).same == 3
    assert drive.count("export") == 0
    drive.files.get(documents).exports[WORD] = b"another text"
    drive.files.update(documents, {"modifiedTime": "2098-01-01T00:00:00.000Z"})
    assert client.copy("drive:f/", "f", formats=[]).copied == 1
    assert Path("f/notes.docx").read_bytes() == b"another text"
    Path("f/notes.docx").write_bytes(b"edited here")
    os.utime("f/notes.docx", (4102444800, 4102444800))
    with pytest.raises(DriveError) as caught:
        client.copy("drive:f/", "f", formats=[])
    assert caught.value.code == "newer"
    assert Path("f/notes.docx").read_bytes() == b"edited here"


def test_documents_in_formats_that_were_typed(
    drive: GoogleDrive, client: Client, documents: str
) -> None:
    """The first one that a document has, else its usual one; a name has its ending once."""
    client.copy("drive:f/", "f", formats=["csv", "pdf"])
    expected = {"notes.pdf": b"pages", "table.csv": b"1,2", "short.xlsx.csv": b"1,2"}
    assert tree(Path("f")) == expected
    client.copy("drive:f/notes", "copy.docx", formats=[])
    assert Path("copy.docx").read_bytes() == b"a text"


def test_a_document_that_cannot_be_exported(
    drive: GoogleDrive, client: Client, documents: str
) -> None:
    """One that was typed is an error that names the option; so is one that is too large."""
    with pytest.raises(DriveError) as caught:
        client.copy("drive:f/notes", ".")
    assert caught.value.code == "document" and "--export" in caught.value.hint
    drive.files.get(documents).exports[WORD] = bytes(11 << 20)
    with pytest.raises(DriveError) as caught:
        client.copy("drive:f", ".", formats=[])
    assert caught.value.code == "too-large"
    assert tree(Path("f")).keys() == {"table.xlsx", "short.xlsx"}


def test_what_another_machine_has_half_received_stays(drive: GoogleDrive, client: Client) -> None:
    """It lies on a drive that is mounted there; it is neither received nor sent."""
    part = ".0123456789abcdef.colab-magics-part"
    drive.add_file(part, b"half", drive.add_folder("f"))
    write(f"g/{part}", b"half")
    write("g/x", b"x")
    client.copy("drive:f", ".")
    client.copy("g", "drive:")
    assert tree(Path("f")) == {} and drive.tree() == {f"f/{part}": b"half", "g/x": b"x"}


def test_a_folder_goes_into_what_a_shortcut_leads_to(drive: GoogleDrive, client: Client) -> None:
    """A shortcut that was typed, and one on the way; what they are and lead to stays in place."""
    elsewhere, team = drive.add_folder("elsewhere"), drive.add_shared_drive("team")
    top = drive.add_folder("p")
    links = [drive.add_shortcut("sub", elsewhere, top), drive.add_shortcut("typed", team)]
    target = drive.add_file("old", b"old", elsewhere, modifiedTime="2020-01-01T00:00:00.000Z")
    links.append(drive.add_shortcut("link", target, top))
    for name in ("sub/x", "sub/deep/y", "link"):
        write(f"p/{name}", name.encode())
    assert client.copy("p/", "drive:p").copied == 3
    assert client.copy("p/sub/", "drive:typed").copied == 2
    assert drive.tree(elsewhere) == {"x": b"sub/x", "deep/y": b"sub/deep/y", "old": b"link"}
    assert drive.tree(team) == {"x": b"sub/x", "deep/y": b"sub/deep/y"}
    assert [drive.meta(link)["mimeType"] for link in links] == [fake.SHORTCUT] * 3
    assert client.copy("p/", "drive:p").same == 3


def test_many_folders_are_listed_and_made_at_once(drive: GoogleDrive, client: Client) -> None:
    """Several at a time, each folder once, on both ways."""
    for at in range(40):
        write(f"data/{at % 4}/{at}/x", b"x")
    at_once: List[int] = []
    drive.delay = 0.02

    def count(request: fake.Request) -> Any:
        if request.action in ("list", "create"):
            at_once.append(sum(x.status == 0 for x in drive.made("list", "create")))
        return None

    drive.faults.choose = count
    client.copy("data", "drive:a/b", jobs=4)
    assert max(at_once) > 2 and drive.count("create") == 2 + 1 + 4 + 40
    at_once.clear()
    drive.reset()
    client.copy("drive:a/b/data", "back", jobs=4)
    assert max(at_once) > 2 and len(drive.find("x")) == 40
    assert drive.count("list") == 3 + 1 + 4 + 40
    assert tree(Path("back/data")) == tree(Path("data"))


def test_a_shortcut_is_deleted_alone(drive: GoogleDrive, client: Client) -> None:
    """What it leads to stays, a folder too."""
    folder = drive.add_folder("f")
    drive.add_file("x", b"x", folder)
    drive.add_shortcut("short", folder)
    entry = client.store.stat("short")
    assert entry is not None and entry.kind == "folder"
    client.store.delete(entry)
    assert client.store.stat("short") is None
    assert drive.tree() == {"f/x": b"x"}


@pytest.mark.parametrize("seconds", [-(10**9), -1, 4 * 10**9, 316516204800])
def test_an_odd_time(drive: GoogleDrive, client: Client, seconds: int) -> None:
    """Before 1970, after 2100, and of the year 12000, as some archives make it: it is sent once."""
    write("odd", SMALL)
    os.utime("odd", (seconds, seconds))
    assert client.copy("odd", "drive:").copied == 1
    assert set(drive.tree()) == {"odd"}
    assert client.copy("odd", "drive:").same == 1
    assert drive.count("multipart") == 1


def test_a_name_that_stands_twice_is_refused_with_its_ids(
    drive: GoogleDrive, client: Client
) -> None:
    """On the way out, back, and as a typed path; the other files of the folder are copied."""
    folder = drive.add_folder("f")
    ids = {drive.add_file("twin", b"1", folder), drive.add_file("twin", b"2", folder)}
    drive.add_file("other", b"3", folder)
    for paths in (("drive:f", "."), ("drive:f/twin", "."), ("f/", "drive:f")):
        if paths[0] == "f/":
            write("f/twin", 3)
        with pytest.raises(DriveError) as caught:
            client.copy(*paths)
        assert caught.value.code == "same-name"
        assert all(name in caught.value.message for name in ids)
    assert tree(Path("f")).keys() == {"other", "twin"}
    assert len(drive.find("twin")) == 2


@pytest.mark.parametrize(
    "name",
    ["../out", "/tmp/out", "..", ".", "a\nb", "a\x1b[2Jb", "a\u202eb", "x" * 300, "a\0b", ""],
)
def test_a_name_from_the_drive_leads_nowhere(
    drive: GoogleDrive, client: Client, home: Path, name: str
) -> None:
    """No file is written for it, in the folder or outside; its neighbours come."""
    folder = drive.add_folder("f")
    drive.add_file(name, b"evil", folder)
    drive.add_file("good", b"good", folder)
    inner = drive.add_folder(name, folder)
    drive.add_file("evil", b"evil", inner)
    before = tree(home)
    with pytest.raises(DriveError) as caught:
        client.copy("drive:f", "in")
    assert caught.value.code in ("bad-name", "same-name")
    assert "\x1b" not in str(caught.value) and "\u202e" not in str(caught.value)
    new = {path for path in tree(home).keys() - before.keys() if "/state/" not in path}
    assert new == {"work/in/f/good"}


def test_no_link_is_followed_out_of_the_folder(
    drive: GoogleDrive, client: Client, home: Path
) -> None:
    """A link that lies where something of the drive would come is left alone, with its target."""
    folder = drive.add_folder("f")
    drive.add_file("evil", b"evil", drive.add_folder("link", folder))
    drive.add_file("file", b"evil", folder)
    (home / "outside").mkdir()
    (home / "mine").write_bytes(b"mine")
    Path("f").mkdir()
    Path("f/link").symlink_to(home / "outside")
    Path("f/file").symlink_to(home / "mine")
    with pytest.raises(DriveError) as caught:
        client.copy("drive:f", ".")
    assert caught.value.code == "in-the-way"
    assert tree(home / "outside") == {}
    assert (home / "mine").read_bytes() == b"mine"


# ---------------------------------------------------------------------- what goes wrong
FAULTS: Dict[str, Callable[[GoogleDrive], None]] = {
    "503": lambda d: d.faults.plan(fake.unavailable(), lambda r: True, 3, 1),
    "429": lambda d: d.faults.plan(fake.too_many("0"), lambda r: True, 3, 2),
    "rate": lambda d: d.faults.plan(fake.forbidden("userRateLimitExceeded"), "start"),
    "rate of small files": lambda d: d.faults.plan(
        fake.forbidden("rateLimitExceeded"), "multipart", 2
    ),
    "part of a chunk": lambda d: d.faults.plan(fake.partial(fake.QUANTUM * 5), "chunk", 4),
    "nothing of a chunk": lambda d: d.faults.plan(fake.partial(0), "chunk", 2),
    "cut in a chunk": lambda d: d.faults.plan(fake.cut(3 * MB + 17), "chunk", 3),
    "cut at a small file": lambda d: d.faults.plan(fake.cut(100), "multipart", 2),
    "reply lost of the last chunk": lambda d: d.faults.plan(fake.lost_reply(), "chunk", 1, 2),
    "reply lost of a start": lambda d: d.faults.plan(fake.lost_reply(), "start"),
    "reply lost of a small file": lambda d: d.faults.plan(fake.lost_reply(), "multipart"),
    "reply lost of a folder": lambda d: d.faults.plan(fake.lost_reply(), "create"),
    "session expired": lambda d: d.faults.plan(fake.session_expired(410), "chunk", 1, 1),
    "session expired, reply lost": lambda d: (
        d.faults.plan(fake.lost_reply(), "chunk", 1, 2),
        d.faults.plan(fake.session_expired(), "chunk", 1, 2),
    ),
    "cut in a download": lambda d: d.faults.plan(fake.cut(5 * MB), "media", 2),
    "503 at a download": lambda d: d.faults.plan(fake.unavailable(), "media", 2),
    "damaged in a download": lambda d: d.faults.plan(fake.corrupt(), "media"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_is_survived(
    drive: GoogleDrive, client: Client, home: Path, fault: str
) -> None:
    """Each file is there once and whole, sent and received, and no state of it is left."""
    write("data/large.bin", LARGE)
    write("data/small", SMALL, 1)
    FAULTS[fault](drive)
    client.copy("data", "drive:")
    assert drive.tree() == {f"data/{x}": y for x, y in tree(Path("data")).items()}
    client.copy("drive:data", "back")
    assert tree(Path("back/data")) == tree(Path("data"))
    assert drive.faults.hits and not drive.faults.pending
    assert Counter(file.name for file in drive.files.all.values())["large.bin"] == 1
    assert journals(home) == []


def test_no_byte_is_sent_twice_after_a_cut(drive: GoogleDrive, client: Client) -> None:
    """It goes on from what the server has: at most what was under way is sent again."""
    write("large", LARGE)
    drive.faults.plan(fake.cut(3 * MB), "chunk", 1, 1)
    client.copy("large", "drive:")
    assert drive.received <= LARGE + 4 * MB
    assert max(session.misaligned for session in drive.sessions) == 0


def test_an_expired_token_is_renewed_once(drive: GoogleDrive) -> None:
    """In the middle of a session too; one that is refused again is one error, without a retry."""
    renewed: List[bool] = []

    def token(fresh: bool) -> str:
        renewed.append(fresh)
        return fake.TOKEN

    client = Client(drive.url, token)
    write("large", LARGE)
    drive.faults.plan(fake.token_expired(), "chunk", 1, 1)
    drive.faults.plan(fake.token_expired(), "list")
    assert client.copy("large", "drive:").copied == 1
    assert renewed == [False, True, True]
    drive.faults.choose = lambda request: fake.token_expired()
    with pytest.raises(DriveError) as caught:
        client.copy("large", "drive:")
    assert caught.value.code == "login"
    assert len(renewed) <= 6


def test_a_full_drive_is_one_error_that_says_what_is_there(
    drive: GoogleDrive, client: Client
) -> None:
    """It is not tried again; what was sent stays, and is printed."""
    for at in range(20):
        write(f"data/{at:02}", SMALL, at)
    quota = fake.forbidden("storageQuotaExceeded")
    drive.faults.plan(quota, "multipart", 100, 5)
    with pytest.raises(DriveError) as caught:
        client.copy("data", "drive:", jobs=1)
    assert caught.value.code == "drive-full"
    assert "5 of 20 files" in caught.value.details
    assert drive.count("multipart") == 6
    drive.faults.clear()
    assert client.copy("data", "drive:").copied == 15


def test_a_damaged_download_takes_no_name(drive: GoogleDrive, client: Client) -> None:
    """Where the md5 differs twice it is an error, and nothing is left."""
    drive.add_file("f", b"there")
    drive.faults.plan(fake.corrupt(), "media", 2)
    with pytest.raises(DriveError) as caught:
        client.copy("drive:f", ".")
    assert caught.value.code == "hash-differs"
    assert tree(Path()) == {}


class OtherHash:
    """An md5 that is another one for as many files as are in ``times``."""

    times: List[int] = []

    def __init__(self) -> None:
        self._state = hashlib.md5()

    def update(self, data: bytes) -> None:
        self._state.update(data)

    def copy(self) -> OtherHash:
        copy = OtherHash()
        copy._state = self._state.copy()
        return copy

    def hexdigest(self) -> str:
        digest = self._state.hexdigest()
        return digest[::-1] if self.times and self.times.pop() else digest


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_damaged_upload_is_sent_again_and_never_called_done(
    drive: GoogleDrive, client: Client, monkeypatch: pytest.MonkeyPatch, home: Path, size: int
) -> None:
    """Once more, into the same file; where it differs again it is an error."""
    monkeypatch.setattr(upload, "new_md5", OtherHash)
    write("f", size)
    monkeypatch.setattr(OtherHash, "times", [1] * 9)
    with pytest.raises(DriveError) as caught:
        client.copy("f", "drive:")
    assert caught.value.code == "hash-differs"
    drive.files.delete(*drive.find("f"))
    # The first hash of a small file is its boundary.
    monkeypatch.setattr(OtherHash, "times", [0, 1] if size == SMALL else [1])
    assert client.copy("f", "drive:").copied == 1
    assert drive.tree() == {"f": Path("f").read_bytes()}
    assert len(drive.find("f")) == 1
    assert journals(home) == []


def test_nothing_answers(client: Client, drive: GoogleDrive) -> None:
    """Without a network it ends after a few tries with one error."""
    write("a", 3)
    drive.faults.choose = lambda request: fake.cut()
    with pytest.raises(DriveError) as caught:
        client.copy("a", "drive:")
    assert caught.value.code == "no-answer"
    assert drive.count() <= 20


# ---------------------------------------------------------------------- cut off, and gone on with
def test_a_journal_is_for_its_user_alone(drive: GoogleDrive, client: Client, home: Path) -> None:
    """It is there before the first byte, 0600 in a folder of 0700, and holds no token."""
    write("large", LARGE)
    modes: List[int] = []

    def inspect(request: fake.Request) -> Any:
        if request.action == "chunk":
            for path in journals(home):
                modes.append(path.stat().st_mode & 0o777)
                assert fake.TOKEN not in path.read_text()
            modes.append(path.parent.stat().st_mode & 0o777)
        return None

    drive.faults.choose = inspect
    client.copy("large", "drive:")
    assert {*modes} == {0o600, 0o700}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"path": 1}', '{"uri": "http://evil/"}', "null"])
def test_a_journal_that_says_nothing_is_passed_over(
    drive: GoogleDrive, client: Client, home: Path, text: str
) -> None:
    """What others have written there, or a newer version, begins the file anew."""
    write("large", LARGE)
    drive.faults.choose = lambda r: fake.forbidden("forbidden") if r.action == "chunk" else None
    with pytest.raises(DriveError):
        client.copy("large", "drive:")
    (journal,) = journals(home)
    journal.write_text(text)
    drive.faults.clear()
    client.copy("large", "drive:")
    assert drive.tree() == {"large": Path("large").read_bytes()}
    assert journals(home) == []


def test_a_changed_file_is_not_gone_on_with(drive: GoogleDrive, client: Client, home: Path) -> None:
    """The bytes that were sent are of another version: they are in no file."""
    write("large", LARGE)
    drive.faults.plan(fake.forbidden("forbidden"), "chunk", 1, 1)
    with pytest.raises(DriveError):
        client.copy("large", "drive:")
    assert len(journals(home)) == 1
    write("large", LARGE, 9)
    os.utime("large", (5, 5))
    client.copy("large", "drive:")
    assert drive.tree() == {"large": Path("large").read_bytes()}
    assert journals(home) == []


@pytest.mark.timeout(1800)
def test_a_kill_at_any_moment_loses_and_doubles_nothing(
    drive: GoogleDrive, home: Path, long: bool, held: Callable[[int, int], None]
) -> None:
    """``kill -9`` of uploads and downloads under faults: in the end all is there, once, whole."""
    chance = random.Random()
    seed = chance.randrange(2**32)
    print(f"seed {seed}")
    chance.seed(seed)
    write("data/large.bin", LARGE)
    write("data/sub/larger.bin", 2 * LARGE, 1)
    for at in range(5):
        write(f"data/{at}", SMALL, at)

    def choose(request: fake.Request) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            process.send_signal(signal.SIGKILL)
        faults = [fake.unavailable(), fake.cut(MB), fake.lost_reply()]
        return chance.choice(faults) if chance.random() < 0.1 else None

    drive.faults.choose = choose
    kills, good, cut_off, left = 200 if long else 6, 0, 0, 0
    for at in range(kills):
        paths = ("data", "drive:") if at % 2 == 0 else ("drive:data", "back")
        left = chance.randrange(1, 12)
        process = start(*paths, url=drive.url)
        process.communicate("\n", timeout=60)
        cut_off += process.returncode == -signal.SIGKILL
        left = 0  # the next one lives
        process = start(*paths, url=drive.url)
        process.communicate("\n", timeout=60)
        assert process.returncode == 0, paths
        side = drive.tree() if at % 2 == 0 else tree(Path("back"))
        expected = {f"data/{name}": data for name, data in tree(Path("data")).items()}
        assert hash_all(side) == hash_all(expected)
        assert journals(home) == []
        good += 1
        if at % 2:
            for path in Path("back").rglob("*.bin"):
                path.unlink()
            for name in ("large.bin", "larger.bin"):
                drive.files.delete(*drive.find(name))
    held(kills, good)
    assert cut_off > kills / 3, "the kills come too late"


@pytest.mark.parametrize("way", ["chunk", "media"])
def test_ctrl_c_ends_it_at_once_and_it_goes_on(drive: GoogleDrive, home: Path, way: str) -> None:
    """Within seconds, though the server is silent; the next run sends or gets only what is left."""
    data = write("large", LARGE)
    if way == "media":
        drive.add_file("large", data)
    paths = ("large", "drive:") if way == "chunk" else ("drive:large", "back/")

    def interrupt(request: fake.Request) -> bool:
        if request.action == way:
            os.kill(os.getpid(), signal.SIGINT)
        return request.action == way

    drive.faults.plan(fake.cut(3 * MB), way)
    drive.faults.plan(fake.slow(3), interrupt)
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Client(drive.url, lambda fresh: fake.TOKEN).copy(*paths)
    assert time.monotonic() - begun < 2.5
    assert len([x for x in journals(home) if x.suffix == ".json"]) == 1
    time.sleep(1)
    drive.faults.clear()
    drive.reset()
    assert Client(drive.url, lambda fresh: fake.TOKEN).copy(*paths).copied == 1
    moved = drive.received + sum(request.sent for request in drive.made("media"))
    assert moved < LARGE
    assert (Path("back/large").read_bytes() if way == "media" else drive.tree()["large"]) == data
    assert journals(home) == []


@pytest.mark.parametrize(
    "size, cut", [(40 * MB, 16 * MB), pytest.param(256 * MB, 80 * MB, marks=pytest.mark.long)]
)
def test_a_killed_upload_goes_on_from_the_byte_that_the_server_has(
    drive: GoogleDrive, home: Path, size: int, cut: int
) -> None:
    """At most a chunk more than the file is sent in all, and it is one file in one session."""
    data = write("large", os.urandom(size))
    process = start("large", "drive:", url=drive.url)
    assert process.stdin is not None

    def stall(request: fake.Request) -> Any:
        if request.action == "chunk" and drive.received >= cut:
            process.send_signal(signal.SIGKILL)
        return None

    drive.faults.choose = stall
    process.communicate("\n")
    assert process.returncode == -signal.SIGKILL
    drive.faults.clear()
    process = start("large", "drive:", url=drive.url)
    printed, _ = process.communicate("\n", timeout=60)
    assert printed == "1 0\n"
    assert drive.tree() == {"large": data}
    assert len(drive.sessions) == 1
    assert drive.received <= size + 4 * MB
    assert journals(home) == []


# ---------------------------------------------------------------------- as a user types it
def test_a_terminal_that_is_logged_in(home: Path, tmp_path: Path) -> None:
    """By Google's own names, with a stored login: every command, and no secret in what it prints.

    Ctrl-C in the middle says how to go on; the same line then does.
    """
    hosts = ("www.googleapis.com", "oauth2.googleapis.com")
    certificate = self_signed(tmp_path, *hosts)
    with GoogleDrive(certificate) as drive:
        variables = {**os.environ, "PYTHONPATH": str(PACKAGE), "HTTPS_PROXY": drive.proxy.url}
        variables.update(REQUESTS_CA_BUNDLE=str(certificate[0]), XDG_CONFIG_HOME=str(home / "c"))
        login = home / "c/colab-magics/google-drive.json"
        login.parent.mkdir(parents=True, mode=0o700)
        values = {"kind": "user", "account": "ada@example.com", "client_id": fake.CLIENT_ID}
        values.update(client_secret=fake.CLIENT_SECRET)
        values.update(refresh_token=drive.oauth.issue_refresh_token())
        login.write_text(json.dumps(values))
        login.chmod(0o600)

        def start(line: str) -> subprocess.Popen[str]:
            return subprocess.Popen(
                [sys.executable, "-m", "colab_magics", "drive", *line.split()],
                env=variables,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )

        def run(line: str, status: int = 0) -> str:
            process = start(line)
            shown, _ = process.communicate(timeout=60)
            assert process.returncode == status, shown
            assert "canary" not in shown and "upload_id" not in shown
            return shown

        write("data/large", 11 * MB)
        write("data/a", SMALL, 1)
        drive.faults.plan(fake.slow(30), "chunk")
        process = start("push data drive:x")
        while not drive.count("chunk"):
            time.sleep(0.01)
        arguments = Path(f"/proc/{process.pid}/cmdline").read_text()
        assert "canary" not in arguments
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "The same line goes on" in shown
        first, second = run("push data drive:x").splitlines()
        assert first == "Google Drive of ada@example.com, by Google's interface"
        assert second.startswith("1 file copied to drive:x")
        assert len(drive.sessions) == 1
        assert "2 files are already there" in run("push data drive:x")
        assert "11.5 MB in 2 files" in run("du drive:x")
        assert "2 files copied" in run("pull drive:x/data/ back")
        assert tree(Path("back")) == tree(Path("data"))
        assert "in it" in run("push data drive:packed --pack")
        shown = run("du drive:packed/data.tar")
        assert "packed) has 11.5 MB in 2 files" in shown and "data/large" in shown
        assert "2 files" in run("pull drive:packed/data.tar unpacked --unpack")
        assert tree(Path("unpacked/data")) == tree(Path("data"))
        assert "2 files are the same" in run("sync data drive:x/data")
        assert "Moved to the trash" in run("rm drive:x/data/a")
        assert drive.meta(*drive.find("a"))["trashed"]
        drive.add_document("notes", {"text/plain": b"Dear all"})
        assert "--export" in run("pull drive:notes back", 1)
        assert "no format" in run("pull drive:notes back --export-as exe", 2)
        run("pull drive:notes back --export-as txt")
        assert Path("back/notes.txt").read_bytes() == b"Dear all"
        drive.oauth.revoke()
        assert "%drive login" in run("du", 4)
        assert journals(home) == []
