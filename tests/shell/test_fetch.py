"""``%fetch`` in a shell, against a server on loopback that does all that servers do."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import threading
import time
import zipfile
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from doubles import files_server
from doubles.files_server import Files

from colab_magics import errors
from colab_magics.errors import SourceError
from colab_magics.sources.fetch import download, kinds

from .cells import Cells, Child

TOKEN = "canary-token-0123456789"
DATA = bytes(range(256)) * 4000


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    """Files on loopback; every service that has an address of its own is there too."""
    monkeypatch.setattr(errors, "_HIDDEN", set())
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    found = Files()
    for name in kinds.BASES:
        monkeypatch.setitem(kinds.BASES, name, found.url("").rstrip("/"))
    yield found
    found.close()


def sha(data: bytes) -> str:
    """What a hash is called in a line."""
    return hashlib.sha256(data).hexdigest()


def zipped(**held: bytes) -> bytes:
    """A zip in memory."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in held.items():
            made.writestr(name.replace("__", "/"), data)
    return stream.getvalue()


def left(folder: str = ".") -> List[str]:
    """All that lies in a folder, also what is hidden."""
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*"))


def refused(run: Cells, line: str) -> str:
    """What one line, and one more, say about a line that is refused."""
    error = run.attempt(line).error
    assert error is not None
    assert len(str(error).splitlines()) == 2, str(error)
    return str(error)


# ---------------------------------------------------------------------- what it brings
def test_fetched_recorded_and_left_alone_the_second_time(run: Cells, server: Files) -> None:
    """The bytes, a line with their hash; a second run asks the server nothing."""
    url = server.put("a/data.csv", DATA)
    shown = run(f"%fetch {url}")
    assert shown.splitlines()[0] == f"data.csv fetched: 1.0 MB, sha256 {sha(DATA)[:7]}"
    assert Path("data.csv").read_bytes() == DATA
    (line,) = run.steps()
    assert line == f"%fetch {url} --sha256 {sha(DATA)}"
    server.asked.clear()
    assert run(f"%fetch {url}") == f"data.csv: already there (1.0 MB, sha256 {sha(DATA)[:7]})"
    assert "already there" in run(line)
    assert (server.asked, left(), run.steps()) == ([], ["data.csv"], [line])


def test_after_a_wipe_the_same_file_or_an_error(run: Cells, server: Files, home: Path) -> None:
    """On a new machine the recorded line proves that the file is still the same."""
    url = server.put("data.csv", DATA)
    run(f"%fetch {url} raw/")
    (line,) = run.steps()
    assert line == f"%fetch {url} raw/ --sha256 {sha(DATA)}"
    Path("raw/data.csv").unlink()
    run(line)
    assert Path("raw/data.csv").read_bytes() == DATA
    Path("raw/data.csv").unlink()
    server.put("data.csv", b"newer")
    said = refused(run, line)
    assert f"sha256 {sha(b'newer')[:7]}, not {sha(DATA)[:7]}" in said
    assert said.endswith(f"%fetch {url} raw/ --update")
    assert left("raw") == []
    assert run(f"%fetch {url} raw/ --update").startswith("data.csv fetched")
    assert run.steps() == [f"%fetch {url} raw/ --sha256 {sha(b'newer')}"]


def test_update_takes_what_is_there_now(run: Cells, server: Files) -> None:
    """The old file is replaced, if nobody has changed it; the new hash is recorded."""
    url = server.put("data.csv", b"old")
    run(f"%fetch {url}")
    assert "still the same" in run(f"%fetch {url} --update")
    server.put("data.csv", b"new")
    assert "already there" in run(f"%fetch {url}")
    run(f"%fetch {url} --update")
    assert Path("data.csv").read_bytes() == b"new"
    assert run.steps() == [f"%fetch {url} --sha256 {sha(b'new')}"]
    Path("data.csv").write_text("mine")
    server.put("data.csv", b"newest")
    assert "left alone" in refused(run, f"%fetch {url} --update")
    assert Path("data.csv").read_text() == "mine"


def test_what_a_person_changed_stays(run: Cells, server: Files) -> None:
    """Said, and no error: the setup cell goes on. A file that was never fetched is an error."""
    url = server.put("data.csv", DATA)
    run(f"%fetch {url}")
    (line,) = run.steps()
    Path("data.csv").write_text("mine")
    shown = run(line)
    assert "data.csv was changed here" in shown and Path("data.csv").read_text() == "mine"
    Path("other.csv").write_text("mine too")
    assert "left alone" in refused(run, f"%fetch {url} other.csv")
    assert Path("other.csv").read_text() == "mine too"
    os.utime("data.csv", (1, 1))
    Path("data.csv").write_bytes(DATA)
    assert "already there, the same" in run(line)


def test_without_its_notes_the_hash_decides(run: Cells, server: Files, home: Path) -> None:
    """The user's cache is gone: the file is read once, and nothing is asked of the server."""
    url = server.put("data.csv", DATA)
    run(f"%fetch {url}")
    (line,) = run.steps()
    server.asked.clear()
    for note in (home / ".cache" / "colab-magics" / "fetched").glob("*.json"):
        note.unlink()
    assert "already there, the same" in run(line)
    assert "already there (1.0 MB" in run(line)
    assert server.asked == []


def test_names_and_places(run: Cells, server: Files) -> None:
    """A name, a folder that is there or ends in a slash, a name that only the server knows."""
    url = server.put("data.csv", b"1")
    run(f"%fetch {url} train.csv")
    Path("there").mkdir()
    run(f"%fetch {url} there")
    run(f"%fetch {url} ~/new/deep/")
    run(f"%fetch {url} new/deep/x.csv")
    named = server.rule("get", 200, b"22", Content_Disposition='attachment; filename="../ü x.bin"')
    run(f"%fetch {named}?id=1 there/")
    found = {path for path in left() if Path(path).is_file()}
    assert found >= {"train.csv", "there/data.csv", "new/deep/x.csv", "there/ü x.bin"}
    assert (Path.home() / "new/deep/data.csv").read_bytes() == b"1"
    lines = run.steps()
    assert f"%fetch {url} there/ --sha256 {sha(b'1')}" in lines
    assert f"%fetch {named}?id=1 'there/ü x.bin' --sha256 {sha(b'22')}" in lines
    for line in lines:
        assert "already there" in run(line)
    assert run.steps() == lines


def test_several_at_once(run: Cells, server: Files) -> None:
    """One line: each in the folder, each recorded; where one fails the others are kept."""
    urls = [server.put(f"{n}.bin", bytes([n]) * 1000) for n in range(6)]
    assert "5.bin fetched" in run(f"%fetch {' '.join(urls)} data")
    assert left("data") == [f"{n}.bin" for n in range(6)]
    assert len(run.steps()) == 6
    assert run(f"%fetch {' '.join(urls)} data") == "6 files already there, nothing to do"
    reply = run.attempt(f"%fetch {urls[0]} {server.url('no.bin')} more/")
    assert isinstance(reply.error, SourceError) and "has no no.bin (404)" in str(reply.error)
    assert left("more") == ["0.bin"] and len(run.steps()) == 7


def test_bare_and_dry_run(run: Cells, server: Files) -> None:
    """A dry run asks nobody and leaves nothing; the bare magic lists what is remembered."""
    url = server.put("data.csv", DATA)
    assert run(f"%fetch {url} --dry-run") == "dry run: differs: data.csv is not there"
    assert (server.asked, left()) == ([], [])
    assert "Nothing that was fetched" in run("%fetch")
    run(f"%fetch {url}")
    assert run("%fetch").startswith(f"ok  {url}  data.csv: already there (1.0 MB")
    Path("data.csv").unlink()
    assert run("%fetch").startswith("differs") and "is gone" in run("%fetch")


# ---------------------------------------------------------------------- connections
def test_a_server_that_dies_half_way(run: Cells, server: Files) -> None:
    """Asked for the rest of the same file; what is there in the end is whole."""
    url = server.put("data.bin", DATA)
    server.cuts = [300_000, 200_000]
    run(f"%fetch {url}")
    assert Path("data.bin").read_bytes() == DATA
    asked = [one.headers.get("Range") for one in server.asked]
    assert asked == [None, "bytes=300000-", "bytes=500000-"] and left() == ["data.bin"]


def test_one_that_changes_meanwhile_begins_anew(run: Cells, server: Files) -> None:
    """No file is put together of two; nor where the server gives nothing to know it by."""
    url = server.put("data.bin", DATA)
    server.cuts = [300_000]
    real = server.rules

    def swap(handler: Any) -> None:
        real.pop("/data.bin")
        handler.do_GET()
        server.put("data.bin", DATA[::-1])

    real["/data.bin"] = swap
    run(f"%fetch {url}")
    assert Path("data.bin").read_bytes() == DATA[::-1]
    server.etags = False
    server.put("other.bin", DATA)
    server.asked.clear()
    server.cuts = [300_000]
    run(f"%fetch {server.url('other.bin')}")
    assert Path("other.bin").read_bytes() == DATA
    assert [one.headers.get("Range") for one in server.asked] == [None, None]


def test_a_server_that_stays_dead(run: Cells, server: Files, monkeypatch: Any) -> None:
    """One line after some attempts; what came is gone on with the next time."""
    monkeypatch.setattr(download, "_TRIES", 2)
    url = server.put("data.bin", DATA)
    server.cuts = [1000, 0, 0]
    said = refused(run, f"%fetch {url}")
    assert "data.bin: the connection" in said
    assert left() == [".data.bin.part", ".data.bin.part.from"]
    server.asked.clear()
    run(f"%fetch {url}")
    assert server.asked[0].headers["Range"] == "bytes=1000-"
    assert Path("data.bin").read_bytes() == DATA and left() == ["data.bin"]


def test_a_server_that_asks_to_wait(run: Cells, server: Files) -> None:
    """Too many requests, or a failure of its own: asked again, as late as it says."""
    url = server.put("data.bin", DATA)
    for status, headers in ((429, {"Retry-After": "1"}), (503, {})):
        run("import os; os.path.exists('data.bin') and os.remove('data.bin')")

        def once(handler: Any, status: int = status, headers: Dict[str, str] = headers) -> None:
            server.rules.pop("/data.bin")
            handler.reply(status, b"", headers)

        server.rules["/data.bin"] = once
        started = time.monotonic()
        run(f"%fetch {url}")
        assert time.monotonic() - started > float(headers.get("Retry-After", 0))
        assert Path("data.bin").read_bytes() == DATA


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (404, b"", "text/plain", "has no data.csv (404)"),
        (410, b"", "text/plain", "has no data.csv (410)"),
        (401, b"", "text/plain", "asks for a login for data.csv (401)"),
        (403, b"", "text/plain", "asks for a login for data.csv (403)"),
        (400, b"", "text/plain", "answered 400"),
        (
            200,
            files_server.login_page(),
            "text/html; charset=utf-8",
            "sent a web page, not data.csv",
        ),
    ],
)
def test_what_servers_say_instead(
    run: Cells, server: Files, status: int, body: bytes, kind: str, said: str
) -> None:
    """One line that says it, one what to do; nothing is left or remembered."""
    url = server.rule("data.csv", status, body, Content_Type=kind)
    assert said in refused(run, f"%fetch {url}")
    assert (left(), run.steps()) == ([], [])


def test_nobody_there_and_a_wrong_hash(run: Cells, server: Files, monkeypatch: Any) -> None:
    """A host that does not answer, and a file that is not what was asked for."""
    monkeypatch.setattr(download, "_TRIES", 1)
    assert "did not answer" in refused(run, "%fetch http://127.0.0.1:1/data.csv")
    url = server.put("data.csv", DATA)
    said = refused(run, f"%fetch {url} --sha256 {'0' * 64}")
    assert f"sha256 {sha(DATA)[:7]}, not 0000000" in said
    assert (left(), run.steps()) == ([], [])


def test_what_is_packed_on_the_way(run: Cells, server: Files) -> None:
    """A server that packs a table unasked: the table. One that says so of a .gz: the .gz."""
    import gzip

    packed = gzip.compress(b"1,2\n" * 1000)
    url = server.rule("t.csv", 200, packed, Content_Encoding="gzip")
    run(f"%fetch {url}")
    assert Path("t.csv").read_bytes() == b"1,2\n" * 1000
    run(f"%fetch {server.rule('t.csv.gz', 200, packed, Content_Encoding='gzip')}")
    assert Path("t.csv.gz").read_bytes() == packed


# ---------------------------------------------------------------------- archives
def test_unpacked_recorded_and_whole(run: Cells, server: Files) -> None:
    """Its files are there and the archive is not; one that goes missing comes back."""
    url = server.put("d.zip", zipped(top__a=b"a" * 2000, top__b=b"b"))
    shown = run(f"%fetch {url} data/ --unpack --strip 1")
    assert shown.startswith("d.zip fetched and unpacked: 2 files (2.0 kB) in data/, sha256 ")
    assert left() == ["data", "data/a", "data/b"]
    (line,) = run.steps()
    assert line.startswith(f"%fetch {url} data/ --unpack --strip 1 --sha256 ")
    assert run(line).startswith("d.zip: already there (2 files, 2.0 kB")
    Path("data/b").unlink()
    Path("data/mine").write_text("mine")
    run(line)
    assert left() == ["data", "data/a", "data/b", "data/mine"]
    Path("data/a").write_text("edited")
    assert "was changed here" in run(line) and Path("data/a").read_text() == "edited"
    Path("data/b").unlink()
    assert "would overwrite a" in refused(run, line)
    assert Path("data/a").read_text() == "edited"


def test_a_newer_archive_takes_the_place_of_the_old(run: Cells, server: Files) -> None:
    """Files that it no longer has go, what a person made stays; if it is bad, all is as it was."""
    url = server.put("d.zip", zipped(a=b"1", gone=b"1"))
    run(f"%fetch {url} data --unpack")
    Path("data/mine").write_text("mine")
    server.put("d.zip", b"PK\x03\x04 this is no zip")
    assert "damaged" in refused(run, f"%fetch {url} data --unpack --update")
    assert left("data") == ["a", "gone", "mine"]
    server.put("d.zip", zipped(a=b"2", new=b"2"))
    run(f"%fetch {url} data --unpack --update")
    assert left("data") == ["a", "mine", "new"] and Path("data/a").read_bytes() == b"2"


def test_here_when_no_folder_is_named(run: Cells, server: Files) -> None:
    """As unzip does; two archives in one folder are two lines."""
    one = server.put("one.zip", zipped(a=b"1"))
    two = server.put("two.zip", zipped(b=b"2"))
    run(f"%fetch {one} --unpack")
    run(f"%fetch {two} --unpack")
    assert left() == ["a", "b"] and len(run.steps()) == 2


def test_an_archive_that_leads_out(run: Cells, server: Files) -> None:
    """One line, and neither it nor any of its files is left."""
    url = server.put("d.zip", zipped(good=b"1", **{"..__out": b"2"}))
    assert "leads out of the folder" in refused(run, f"%fetch {url} data --unpack")
    assert (left(), run.steps()) == ([], [])


# ---------------------------------------------------------------------- services
def test_google_drive_behind_its_page(run: Cells, server: Files, monkeypatch: Any) -> None:
    """The form of the page is sent back; the name is the one that Google gives."""
    files_server.google(server, "1AbC-d", "weights.pt", DATA)
    run("%fetch https://drive.google.com/file/d/1AbC-d/view?usp=sharing")
    assert Path("weights.pt").read_bytes() == DATA
    (line,) = run.steps()
    assert line == (
        "%fetch https://drive.google.com/file/d/1AbC-d/view?usp=sharing weights.pt "
        f"--sha256 {sha(DATA)}"
    )
    server.asked.clear()
    run(line)
    assert "already there" in run("%fetch https://drive.google.com/file/d/1AbC-d/view?usp=sharing")
    assert server.asked == [] and run.steps() == [line]
    run("%fetch https://drive.google.com/uc?id=1AbC-d w.pt")
    assert Path("w.pt").read_bytes() == DATA


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (b"<html><p>Too many users have viewed or downloaded this file recently.</p>", "nobody"),
        (b"<html><title>Google Drive - Quota exceeded</title></html>", "nobody for now"),
        (b"<html><title>Sign in - Google Accounts</title></html>", "it is not shared"),
    ],
)
def test_google_drive_that_does_not_give_it(
    run: Cells, server: Files, page: bytes, said: str
) -> None:
    """Its pages are read: the quota, a file that is not shared; folders are no files."""
    server.rule("download", 200, page, Content_Type="text/html")
    assert said in refused(run, "%fetch https://drive.google.com/open?id=1AbC w.pt")
    assert "folder" in refused(run, "%fetch https://drive.google.com/drive/folders/1AbC")
    assert (left(), run.steps()) == ([], [])


def test_hugging_face_kaggle_zenodo_and_github(run: Cells, server: Files, monkeypatch: Any) -> None:
    """Each under the name that its users give it, with the login that its own client has."""
    server.put("datasets/o/n/resolve/main/d/x.parquet", b"1")
    run("%fetch hf://datasets/o/n/d/x.parquet --token MY_TOKEN")
    assert server.asked[-1].headers["Authorization"] == f"Bearer {TOKEN}"
    server.put("o/n/resolve/refs%2Fpr%2F1/m.bin", b"2")
    run("%fetch hf://o/n@refs%2Fpr%2F1/m.bin")
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", "key-that-is-secret")
    server.put("api/v1/datasets/download/o/set", zipped(train=b"3"))
    run("%fetch kaggle://o/set k/ --unpack")
    assert server.asked[-1].headers["Authorization"].startswith("Basic ")
    files_server.zenodo(server, "77", **{"a.csv": b"4", "b.csv": b"5"})
    run("%fetch zenodo:77/a.csv")
    assert "several files" in refused(run, "%fetch zenodo:77")
    assert "no c.csv" in refused(run, "%fetch https://zenodo.org/records/77/files/c.csv?download=1")
    server.put("api/records/77/files/b.csv/content", b"other")
    assert "does not have the md5" in refused(run, "%fetch zenodo:77/b.csv")
    assert kinds.source_of("https://github.com/o/r/blob/main/x.csv", run.shell).url == (
        "https://github.com/o/r/raw/main/x.csv"
    )
    assert left() == ["a.csv", "k", "k/train", "m.bin", "x.parquet"]
    lines = run.steps()
    for line in lines:
        assert "already there" in run(line)
    assert len(lines) == 4


def test_from_the_drive_and_from_elsewhere(run: Cells, server: Files, monkeypatch: Any) -> None:
    """``drive:`` behind an address is the place, in front it is the source."""
    run("%drive mount -q")
    url = server.put("d.zip", zipped(a=b"1"))
    run(f"%fetch {url} drive:sets/")
    assert (Path.home() / "drive/MyDrive/sets/d.zip").is_file()
    run("%fetch drive:sets/d.zip data/ --unpack")
    assert left("data") == ["a"]
    assert "not there" in refused(run, "%fetch drive:sets/none.zip")
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    assert "needs fsspec" in refused(run, "%fetch s3://bucket/x.csv")


# ---------------------------------------------------------------------- secrets
def test_a_token_goes_to_its_host_alone(run: Cells, server: Files, home: Path) -> None:
    """It is sent to the host that was typed, not to one that leads further; it is found nowhere."""
    other = Files()
    try:
        target = other.put("data.csv", DATA)
        url = server.rule("data.csv", 302, b"", Location=target)
        shown = run(f"%fetch {url} --token MY_TOKEN")
        assert server.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"
        assert "Authorization" not in other.asked[0].headers
    finally:
        other.close()
    bad = server.rule("no.csv", 401, TOKEN.encode())
    said = refused(run, f"%fetch {bad} --token MY_TOKEN")
    assert "does not take that token" in said
    text = "\n".join([shown, said, *run.steps()])
    kept = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    assert TOKEN not in text and not any(TOKEN.encode() in one for one in kept)


@pytest.mark.parametrize(
    "address",
    [
        "https://me:hunter2hunter2@host/x.csv",
        "https://host/x.csv?token=abcdefgh1234",
        f"https://host/x.csv?k=ghp_{'a1B2' * 9}",
    ],
)
def test_an_address_with_a_secret_is_refused(run: Cells, server: Files, address: str) -> None:
    """Not repeated, not remembered, with the way to do it."""
    said = refused(run, f"%fetch {address}")
    assert "holds a secret" in said and "--token NAME" in said
    for secret in ("hunter2hunter2", "abcdefgh1234", "ghp_"):
        assert secret not in said
    assert run.steps() == []


def test_a_signed_address_is_not_remembered(run: Cells, server: Files) -> None:
    """It holds for hours only: the file is fetched, and that is said."""
    url = server.put("x.csv", DATA)
    shown = run(f"%fetch {url}?X-Amz-Signature=abcdef0123456789")
    assert "not remembered" in shown and run.steps() == []
    assert Path("x.csv").read_bytes() == DATA


@pytest.mark.parametrize(
    "line",
    [
        "%fetch data.csv",
        "%fetch https://h/1/a.csv https://h/2/a.csv",
        "%fetch https://h/a.csv data https://h/b.csv",
        "%fetch https://h/a.csv --sha256 123",
        f"%fetch https://h/a.csv https://h/b.csv --sha256 {'0' * 64}",
        "%fetch https://h/a.csv --strip 1",
        "%fetch https://h/a.zip --unpack --strip -1",
        f"%fetch https://h/a.csv --token ghp_{'a1B2' * 9}",
        "%fetch hf://owner",
        "%fetch kaggle://owner",
        "%fetch zenodo:x",
    ],
)
def test_bad_lines(run: Cells, server: Files, line: str) -> None:
    """One line what is wrong, one what to do; nothing is asked of anybody."""
    assert "ghp_" not in refused(run, line)
    assert (server.asked, left(), run.steps()) == ([], [], [])


def test_what_python_would_expand(run: Cells, server: Files) -> None:
    """Braces and dollars of an address come back from the setup cell as they were."""
    server.held["/a%7Bb%7D%24c.csv"] = b"1"
    run(f"get_ipython().run_line_magic('fetch', {server.url('a{b}$c.csv')!r})")
    (line,) = run.steps()
    assert "a%7Bb%7D%24c.csv" in line and "already there" in run(line)


# ---------------------------------------------------------------------- ends
def test_killed_and_interrupted(server: Files, home: Path) -> None:
    """Ctrl-C says nothing and keeps what came; a kill does; the next run goes on from there."""
    url = server.put("data.bin", DATA)
    server.slow = True
    with Child(os.environ) as child:
        child.ask(f"%fetch {url}")
        assert server.half.wait(30)
        until = time.monotonic() + 20
        while not Path(".data.bin.part").exists() and time.monotonic() < until:
            time.sleep(0.01)
        child.interrupt()
        assert child.answer().error == "KeyboardInterrupt"
        server.half.clear()
        child.ask(f"%fetch {url}")
        assert server.half.wait(30)
        child.process.send_signal(signal.SIGKILL)
        child.process.wait()
    assert not Path("data.bin").exists()
    server.slow = False
    server.go.set()
    server.asked.clear()
    with Child(os.environ) as child:
        assert "data.bin fetched" in child(f"%fetch {url}")
    assert Path("data.bin").read_bytes() == DATA and left() == ["data.bin"]


def test_two_kernels_fetch_it_once(server: Files, home: Path) -> None:
    """The second waits, and finds it there."""
    url = server.put("data.bin", DATA)
    server.slow = True
    with Child(os.environ) as one, Child(os.environ) as two:
        one.ask(f"%fetch {url}")
        assert server.half.wait(30)
        two.ask(f"%fetch {url}")
        threading.Timer(0.3, server.go.set).start()
        assert "data.bin fetched" in one.answer().shown
        assert "already there" in two.answer().shown
    assert len(server.asked) == 1 and left() == ["data.bin"]
