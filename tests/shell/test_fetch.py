"""``%fetch`` in a shell, against a web server on loopback."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import tarfile
import threading
import time
import zipfile
from email.utils import formatdate
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from doubles.files_server import CANARY, Server, google, moved, zenodo
from doubles.small_disk import mounted
from support.cells import Cells, Child

from colab_magics.core.errors import SourceError

DATA = os.urandom(300_000)
HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.fixture
def other() -> Iterator[Server]:
    """Another host."""
    with Server() as found:
        yield found


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def files_below(folder: str = ".") -> List[str]:
    """All files below a folder, hidden ones too."""
    found = [path for path in Path(folder).rglob("*") if not path.is_dir() or path.is_symlink()]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def first(shown: str) -> str:
    """What is said first; the setup cell speaks below it."""
    return shown.splitlines()[0]


def fails(run: Cells, line: str) -> Any:
    """The error that a line ends with, which is one of ours."""
    reply = run.attempt(line)
    assert isinstance(reply.error, SourceError), reply
    return reply.error


# ---------------------------------------------------------------------- what it brings
def test_fetched_recorded_and_left_alone_the_second_time(run: Cells, server: Server) -> None:
    """Brought whole, recorded with its hash; a second run asks the server nothing."""
    url = server.put("/train.csv", DATA)
    assert first(run(f"%fetch {url}")) == "train.csv fetched, 300.0 kB"
    assert Path("train.csv").read_bytes() == DATA and files_below() == ["train.csv"]
    line = f"%fetch {url} --sha256 {sha(DATA)}"
    assert run.steps() == [line]
    for again in (f"%fetch {url}", line):
        assert run(again) == "train.csv already there, nothing to do"
    assert server.paths() == ["/train.csv"] and run.steps() == [line]


@pytest.mark.parametrize(
    ("dest", "path"),
    [
        ("data/", "data/a.bin"),
        ("data/b.bin", "data/b.bin"),
        ("there", "there/a.bin"),
        ("./x//y", "x/y"),
        ("~/deep/er/", "../deep/er/a.bin"),
        ("'two words/'", "two words/a.bin"),
    ],
)
def test_where_it_goes(run: Cells, server: Server, dest: str, path: str) -> None:
    """A folder where DEST ends in ``/`` or is one, else a file; recorded so that it says which."""
    Path("there").mkdir()
    url = server.put("/sub/a.bin", DATA)
    run(f"%fetch {url} {dest}")
    assert Path(path).read_bytes() == DATA
    (line,) = run.steps()
    Path(path).unlink()
    run(line)
    assert Path(path).read_bytes() == DATA and len(run.steps()) == 1
    assert "nothing to do" in run(f"%fetch {url} {dest}")


def test_several_at_once_each_with_its_line(run: Cells, server: Server) -> None:
    """Into one folder, at most four at a time; each is recorded with its own hash."""
    urls = [server.put(f"/f{n}.bin", DATA + bytes([n]), stall=1000) for n in range(6)]
    release(server)
    shown = run(f"%fetch {' '.join(urls)} data")
    assert first(shown) == "6 files fetched, 1.8 MB" and server.most == 4
    assert files_below("data") == [f"f{n}.bin" for n in range(6)]
    assert run.steps() == [
        f"%fetch {url} data/ --sha256 {sha(DATA + bytes([n]))}" for n, url in enumerate(urls)
    ]
    assert first(run(f"%fetch {' '.join(urls)} data")) == "6 files already there, nothing to do"
    Path("data/f1.bin").unlink()
    shown = run(f"%fetch {' '.join(urls)} data")
    assert first(shown) == "1 file fetched, 300.0 kB; 5 already there"


def release(server: Server) -> None:
    """Let the answers go on once as many wait as may."""

    def go_on() -> None:
        until = time.monotonic() + 20
        while server.most < 4 and time.monotonic() < until:
            server.stalled.wait(0.01)
        server.go_on.set()

    threading.Thread(target=go_on, daemon=True).start()


def test_one_of_several_fails(run: Cells, server: Server) -> None:
    """The others came all the same; the next run asks for the one alone."""
    good, bad = server.put("/good.bin", DATA), server.at + "/bad.bin"
    worse = server.at + "/worse.bin"
    error = fails(run, f"%fetch {bad} {good} {worse} data/")
    assert error.code == "absent" and "bad.bin" in error.message and "worse.bin" in error.details
    assert files_below() == ["data/good.bin"] and run.steps() == []
    server.put("/bad.bin", b"now"), server.put("/worse.bin", b"now")
    assert "2 files fetched, 6 B; 1 already there" in run(f"%fetch {bad} {good} {worse} data/")
    assert server.paths().count("/good.bin") == 1 and len(run.steps()) == 3


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="real name.csv"', "real name.csv"),
        ("attachment; filename*=UTF-8''%C3%BCber.csv", "über.csv"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="..\\\\evil.bin"', "evil.bin"),
        ('attachment; filename=".."', "download"),
        ('attachment; filename=".bashrc"', "bashrc"),
        ("inline", "download"),
    ],
)
def test_the_name_that_the_server_gives(run: Cells, server: Server, header: str, name: str) -> None:
    """It is taken where a folder is named, never with a folder of its own; the line then has it."""
    url = server.put("/download?id=1", DATA, headers={"Content-Disposition": header})
    server.files["/download"] = server.files["/download?id=1"]
    run(f"%fetch {url} data/")
    assert files_below() == [f"data/{name}"]
    (line,) = run.steps()
    assert run(f"%fetch {url} data/") == f"data/{name} already there, nothing to do"
    assert "nothing to do" in run(line) and run.steps() == [line]
    run(f"%fetch {url} data/mine.csv")
    assert Path("data/mine.csv").read_bytes() == DATA


def test_what_ipython_would_expand_is_spelled_so_that_it_does_not(
    run: Cells, server: Server
) -> None:
    """``$`` and braces of a URL are percent-encoded in the line that is recorded."""
    server.put("/a%24b%7Bc%7D.bin", DATA)
    run(f"get_ipython().run_line_magic('fetch', '{server.at}/a$b{{c}}.bin data/')")
    assert files_below() == ["data/a$b{c}.bin"]
    (line,) = run.steps()
    assert "/a%24b%7Bc%7D.bin data/" in line
    assert "nothing to do" in run(line)


# ---------------------------------------------------------------------- the same file, or not
def test_another_file_than_was_recorded_is_refused(run: Cells, server: Server) -> None:
    """With both hashes, and nothing left of it; ``--update`` takes and records the new one."""
    url = server.put("/a.bin", DATA)
    run(f"%fetch {url}")
    (line,) = run.steps()
    Path("a.bin").unlink()
    server.put("/a.bin", b"new")
    for again in (line, f"%fetch {url}"):
        error = fails(run, again)
        assert sha(b"new")[:8] in error.message and sha(DATA)[:8] in error.message
        assert "--update" in error.hint and files_below() == []
    assert run.steps() == [line]
    run(f"%fetch {url} --update")
    assert Path("a.bin").read_bytes() == b"new"
    assert run.steps() == [f"%fetch {url} --sha256 {sha(b'new')}"]


def test_a_hash_on_the_line_holds_under_update_too(run: Cells, server: Server) -> None:
    """No other file is taken, though the server says that it has the same; one is that fits."""
    url = server.put("/a.bin", DATA)
    run(f"%fetch {url}")
    (line,) = run.steps()
    error = fails(run, f"%fetch {url} --update --sha256 {'1' * 64}")
    assert "1" * 8 in error.message and "without --sha256" in error.hint
    assert "as --sha256 says" in run(f"{line} --update") and len(server.asked) == 2
    server.put("/a.bin", b"new")
    Path("a.bin").write_text("mine")
    assert fails(run, f"{line} --update").code == "hash-differs"
    assert Path("a.bin").read_text() == "mine" and run.steps() == [line]
    run(f"%fetch {url} --update --sha256 {sha(b'new')}")
    assert Path("a.bin").read_bytes() == b"new" and files_below() == ["a.bin"]


def test_update_asks_whether_there_is_another(run: Cells, server: Server) -> None:
    """The same is not fetched twice; another takes its place, and both hashes are said."""
    url = server.put("/a.bin", DATA)
    run(f"%fetch {url}")
    assert run(f"%fetch {url} --update") == f"a.bin: still the same, {sha(DATA)[:8]}"
    server.put("/a.bin", b"new", etag=False)
    shown = first(run(f"%fetch {url} --update"))
    assert shown == f"a.bin: {sha(DATA)[:8]} -> {sha(b'new')[:8]}, 3 B"
    assert run(f"%fetch {url} --update") == f"a.bin: still the same, {sha(b'new')[:8]}"
    assert files_below() == ["a.bin"] and Path("a.bin").read_bytes() == b"new"


def test_the_date_of_a_file_tells_too(run: Cells, server: Server) -> None:
    """Except in the second in which it was changed, when it may be changed again."""
    old, now = "Wed, 21 Oct 2015 07:28:00 GMT", formatdate(time.time() + 3600, usegmt=True)
    url = server.put("/a.bin", DATA, date=old, die=[200_000])
    run(f"%fetch {url}")
    assert server.asked[1].headers["if-range"] == old and Path("a.bin").read_bytes() == DATA
    assert "still the same" in run(f"%fetch {url} --update")
    assert server.asked[2].headers["if-modified-since"] == old
    server.put("/b.bin", DATA, date=now)
    run(f"%fetch {server.at}/b.bin")
    server.put("/b.bin", b"new", date=now)
    assert "->" in run(f"%fetch {server.at}/b.bin --update")


def test_a_wrong_hash_leaves_nothing(run: Cells, server: Server) -> None:
    """What was typed is what must come; folders that were made for it are gone too."""
    url = server.put("/a.bin", DATA)
    error = fails(run, f"%fetch {url} new/folder/ --sha256 {'0' * 64}")
    assert "0" * 8 in error.message and sha(DATA)[:8] in error.message
    assert list(Path().iterdir()) == [] and run.steps() == []
    run(f"%fetch {url} new/folder/ --sha256 {sha(DATA).upper()}")
    assert run.steps() == [f"%fetch {url} new/folder/ --sha256 {sha(DATA)}"]


def test_without_what_was_remembered_the_hash_tells(run: Cells, server: Server, home: Path) -> None:
    """The cache is lost: with a hash on the line the file is hashed once; else it is compared."""
    url = server.put("/a.bin", DATA)
    run(f"%fetch {url}")
    (line,) = run.steps()
    shutil.rmtree(home / "cache")
    assert "nothing to do" in run(line) and len(server.asked) == 1
    shutil.rmtree(home / "cache")
    assert first(run(f"%fetch {url}")) == "a.bin already there, nothing to do"
    assert len(server.asked) == 2 and files_below() == ["a.bin"]
    assert "nothing to do" in run(f"%fetch {url}") and len(server.asked) == 2


def test_a_touched_file_is_hashed_and_holds(run: Cells, server: Server) -> None:
    """Another time of the same bytes is no change."""
    url = server.put("/a.bin", DATA)
    run(f"%fetch {url}")
    os.utime("a.bin", (1, 1))
    assert "nothing to do" in run(f"%fetch {url}") and len(server.asked) == 1


# ---------------------------------------------------------------------- what is a person's
def test_an_edited_file_is_left_as_it_is(run: Cells, server: Server) -> None:
    """It is said, with what to do; ``--update`` means to lose it."""
    url = server.put("/a.bin", DATA)
    run(f"%fetch {url}")
    (line,) = run.steps()
    Path("a.bin").write_text("mine")
    for again in (line, f"%fetch {url}"):
        shown = run(again)
        assert first(shown) == "a.bin was changed since it was fetched; left as it is"
        assert "overwrite your changes with the server's file: --update" in shown
        assert Path("a.bin").read_text() == "mine"
    assert len(server.asked) == 1 and run.steps() == [line]
    message = "a.bin fetched, 300.0 kB; your changes were replaced"
    assert first(run(f"%fetch {url} --update")) == message
    assert Path("a.bin").read_bytes() == DATA
    Path("a.bin").write_text("mine")
    server.put("/a.bin", b"new")
    assert "3 B; your changes were replaced" in run(f"%fetch {url} --update")
    Path("b.bin").write_text("mine")
    assert "; another file was replaced" in run(f"%fetch {url} b.bin --update")


def test_a_file_of_somebody_else_is_not_overwritten(run: Cells, server: Server) -> None:
    """One that was there before; with and without a hash on the line; nothing of ours is left."""
    url = server.put("/a.bin", DATA)
    Path("a.bin").write_text("mine")
    for more in ("", f"--sha256 {sha(DATA)}"):
        error = fails(run, f"%fetch {url} {more}")
        assert error.code == "not-ours" and "a.bin" in error.message
    assert Path("a.bin").read_text() == "mine" and files_below() == ["a.bin"] and run.steps() == []
    Path("folder").mkdir()
    Path("dest").mkdir()
    Path("dest/a.bin").mkdir()
    assert fails(run, f"%fetch {url} dest/").code == "not-ours"
    assert files_below("dest") == []


def test_another_url_takes_the_place_of_what_was_fetched(run: Cells, server: Server) -> None:
    """A file of ours that nobody has changed; one line is left of the two."""
    run(f"%fetch {server.put('/v1/a.bin', DATA)}")
    run(f"%fetch {server.put('/v2/a.bin', b'two')}")
    assert Path("a.bin").read_bytes() == b"two"
    assert run.steps() == [f"%fetch {server.at}/v2/a.bin --sha256 {sha(b'two')}"]


# ---------------------------------------------------------------------- a bad network
def test_a_connection_that_ends_half_way_is_gone_on_with(run: Cells, server: Server) -> None:
    """Where it ended, as often as something comes; the file is whole."""
    url = server.put("/a.bin", DATA, die=[100_000, 70_000, 0, 40_000, 0, 0])
    run(f"%fetch {url}")
    assert Path("a.bin").read_bytes() == DATA and files_below() == ["a.bin"]
    begun = [one.headers.get("range", "") for one in server.asked]
    assert begun[0] == "" and begun[1] != "" and len(begun) == 7
    assert all(one.headers.get("if-range") for one in server.asked[1:])


@pytest.mark.parametrize("answer", [{"ranges": False}, {"etag": False}])
def test_where_it_cannot_be_gone_on_with_it_begins_again(
    run: Cells, server: Server, answer: Any
) -> None:
    """A server without ranges, or that does not name its version."""
    url = server.put("/a.bin", DATA, die=[200_000, 200_000], **answer)
    run(f"%fetch {url}")
    assert Path("a.bin").read_bytes() == DATA and len(server.asked) == 3


def test_another_version_meanwhile_begins_again(run: Cells, server: Server) -> None:
    """What lies there of an older version is no part of the new one."""
    url = server.put("/a.bin", DATA, die=[200_000, 0, 0, 0, 0])
    error = fails(run, f"%fetch {url}")
    assert error.code == "no-answer" and "run it again" in error.hint
    (part,) = files_below()
    assert part == ".a.bin.colab-magics-part" and 0 < Path(part).stat().st_size < 300_000
    new = DATA[::-1]
    server.put("/a.bin", new)
    run(f"%fetch {url}")
    assert Path("a.bin").read_bytes() == new and files_below() == ["a.bin"]


def test_the_next_run_goes_on_where_one_gave_up(run: Cells, server: Server) -> None:
    """Only what is missing is asked for."""
    url = server.put("/a.bin", DATA, die=[200_000, 0, 0, 0, 0])
    fails(run, f"%fetch {url}")
    size = Path(".a.bin.colab-magics-part").stat().st_size
    run(f"%fetch {url}")
    assert server.asked[-1].headers["range"] == f"bytes={size}-" and size > 100_000
    assert Path("a.bin").read_bytes() == DATA and files_below() == ["a.bin"]


def test_a_part_that_was_complete_is_not_fetched_again(run: Cells, server: Server) -> None:
    """It died between the last byte and the name: the server has nothing to add."""
    from colab_magics.fetch.cache import Entry, save

    url = server.put("/a.bin", DATA)
    Path(".a.bin.colab-magics-part").write_bytes(DATA)
    save(Path(".a.bin.colab-magics-part").resolve(), Entry(part=(url, server.files["/a.bin"].tag)))
    run(f"%fetch {url}")
    assert Path("a.bin").read_bytes() == DATA and files_below() == ["a.bin"]
    assert server.asked[-1].headers["range"] == "bytes=300000-"


@pytest.mark.parametrize("answer", [{"short": 5, "etag": False}, {"short": 5}])
def test_a_wrong_length_is_no_file(run: Cells, server: Server, answer: Any) -> None:
    """Fewer bytes than were promised are never taken for the whole."""
    error = fails(run, f"%fetch {server.put('/a.bin', DATA, **answer)}")
    assert error.code == "no-answer"
    assert not Path("a.bin").exists() and run.steps() == []


def test_a_length_that_is_not_said(run: Cells, server: Server) -> None:
    """Chunks, and what is compressed on its way, arrive whole."""
    import gzip

    run(f"%fetch {server.put('/a.bin', DATA, chunked=True)}")
    assert Path("a.bin").read_bytes() == DATA
    packed = {"Content-Encoding": "gzip"}
    run(f"%fetch {server.put('/b.bin', gzip.compress(DATA), headers=packed)}")
    assert Path("b.bin").read_bytes() == DATA


def test_what_gzip_made_arrives_as_it_is(run: Cells, server: Server) -> None:
    """Also where the server says that it is packed for its way: a published hash is of these."""
    import gzip

    data = gzip.compress(DATA)
    packed = {"Content-Encoding": "gzip"}
    url = server.put("/a.csv.gz", data, headers=packed, die=[100_000])
    run(f"%fetch {url} --sha256 {sha(data)}")
    assert Path("a.csv.gz").read_bytes() == data and "range" in server.asked[1].headers


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(run: Cells, server: Server, status: int) -> None:
    """A server that is overrun gets the time that it asks for."""
    url = server.put("/a.bin", DATA, status=[status] * 3, headers={"Retry-After": "0"})
    run(f"%fetch {url}")
    assert Path("a.bin").read_bytes() == DATA and len(server.asked) == 4


def test_a_server_that_asks_for_too_long_a_wait(run: Cells, server: Server) -> None:
    """It is said, instead of waiting for it; a date is understood too."""
    for after in ("3600", "Fri, 31 Dec 2100 23:59:59 GMT"):
        url = server.put("/a.bin", DATA, status=[429], headers={"Retry-After": after})
        error = fails(run, f"%fetch {url}")
        assert error.code == "no-answer" and "asks to wait" in error.hint
    assert files_below() == []


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "forbidden"), (403, "forbidden"), (404, "absent"), (418, "status")],
)
def test_what_the_server_refuses(run: Cells, server: Server, status: int, code: str) -> None:
    """One line, and at once; nothing is left, not even a folder."""
    url = server.put("/a.bin", DATA, status=[status])
    error = fails(run, f"%fetch {url} new/")
    assert error.code == code and error.hint and len(server.asked) == 1
    assert list(Path().iterdir()) == [] and run.steps() == []


@pytest.mark.parametrize("status", [204, 205, 304])
def test_an_answer_without_a_file_is_none(run: Cells, server: Server, status: int) -> None:
    """Success that holds nothing, and 'not changed' that nobody asked for."""
    error = fails(run, f"%fetch {server.put('/a.bin', DATA, status=[status])}")
    assert error.code == "status" and files_below() == [] and run.steps() == []


def test_a_part_that_nobody_asked_for_is_not_the_whole(run: Cells, server: Server) -> None:
    """How long the whole is stands beside it."""
    some = {"Content-Range": "bytes 0-3/300000"}
    run(f"%fetch {server.put('/a.bin', DATA, status=[206], headers=some)}")
    assert Path("a.bin").read_bytes() == DATA and len(server.asked) == 2
    url = server.put("/b.bin", DATA, status=[206] * 9, headers=some)
    assert fails(run, f"%fetch {url}").code == "no-answer" and files_below() == ["a.bin"]


def test_what_nothing_came_of_leaves_nothing(run: Cells, server: Server) -> None:
    """Each try ends before there is something to go on with: no empty part, no folder."""
    url = server.put("/a.bin", DATA, die=[1000] * 5)
    assert fails(run, f"%fetch {url} new/").code == "no-answer"
    assert list(Path().iterdir()) == []


def test_what_lies_beside_is_not_taken_for_ours(run: Cells, server: Server) -> None:
    """A file that a browser may have left stays; nothing is written through a link."""
    url = server.put("/a.bin", DATA)
    Path(".a.bin.part").write_text("mine")
    run(f"%fetch {url}")
    assert Path(".a.bin.part").read_text() == "mine" and files_below() == [".a.bin.part", "a.bin"]
    Path("mine").write_text("mine")
    Path(".b.bin.colab-magics-part").symlink_to("mine")
    run(f"%fetch {url} b.bin")
    assert Path("mine").read_text() == "mine" and Path("b.bin").read_bytes() == DATA


def test_a_place_with_too_long_a_name(run: Cells, server: Server) -> None:
    """Of the file or of its folder: a line."""
    url = server.put("/a.zip", archive(a="1"))
    for where in ("x" * 300, "x" * 300 + "/", "x" * 300 + " --unpack"):
        error = fails(run, f"%fetch {url} {where}")
        assert error.code == "not-writable" and "Choose another" in error.hint
    assert files_below() == []


def test_a_cache_that_cannot_be_written(
    run: Cells, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where there is no home: nothing is remembered, and all else works."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    url, packed = server.put("/a.bin", DATA), server.put("/x.zip", archive(a="1"))
    for _ in range(2):
        run(f"%fetch {url}")
        run(f"%fetch {packed} data --unpack")
    assert files_below() == ["a.bin", "data/a"]


def test_nobody_answers(run: Cells, server: Server) -> None:
    """It is tried a few times, and said."""
    error = fails(run, "%fetch http://127.0.0.1:9/a.bin")
    assert error.code == "no-answer" and list(Path().iterdir()) == []


def test_a_page_in_the_place_of_a_file_is_refused(run: Cells, server: Server) -> None:
    """A login page is no model; where a page is asked for it is one."""
    page = b"<html><body>Please sign in</body></html>"
    server.put("/login", page, headers=HTML)
    url = server.put("/model.bin", to=server.at + "/login")
    error = fails(run, f"%fetch {url} new/")
    assert error.code == "page"
    assert list(Path().iterdir()) == []
    run(f"%fetch {server.put('/docs/index.html', page, headers=HTML)}")
    assert Path("index.html").read_bytes() == page


def test_what_does_not_fit_is_not_begun(
    run: Cells, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how much it needs, and leaves nothing."""
    usage = shutil.disk_usage(".")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    error = fails(run, f"%fetch {server.put('/a.bin', DATA)} new/")
    assert error.code == "disk-full"
    assert list(Path().iterdir()) == []


def test_a_disk_that_fills_up(run: Cells, server: Server) -> None:
    """What was written is not left in the way."""
    url = server.put("/a.bin", DATA, chunked=True)  # so that its size is not known before
    Path("small").mkdir()
    with mounted(Path("small"), "size=100k"):
        assert fails(run, f"%fetch {url} small/").code == "disk-full"
        assert os.listdir("small") == []


def test_redirects_that_never_end(run: Cells, server: Server) -> None:
    """They are not followed for ever, nor to what is no web address."""
    server.put("/a.bin", to=server.at + "/a.bin")
    assert "redirects again and again" in fails(run, f"%fetch {server.at}/a.bin").message
    for to in ("file:///etc/passwd", "http://[bad", "http://host:port/", "http://host:99999/"):
        asked = len(server.asked)
        server.put("/a.bin", to=to)
        fails(run, f"%fetch {server.at}/a.bin")
        assert len(server.asked) == asked + 1 and files_below() == []


def test_a_folder_that_cannot_be_written(run: Cells, server: Server) -> None:
    """A file is where a folder should be."""
    Path("data").write_text("x")
    error = fails(run, f"%fetch {server.put('/a.bin', DATA)} data/")
    assert error.code == "not-writable" and files_below() == ["data"]
    error = fails(run, f"%fetch {server.at}/a.bin /proc/nosuch/folder/")
    assert error.code == "not-writable" and error.hint


# ---------------------------------------------------------------------- tokens
def test_a_token_goes_to_the_host_that_was_typed_alone(
    run: Cells, server: Server, other: Server, home: Path
) -> None:
    """Not over a redirect to another one; its value is in no output, file, or remembered line."""
    Path(home / ".netrc").write_text("machine 127.0.0.1 login a password netrc-canary")
    url = moved(server, "/a.bin", other, DATA, token=CANARY)
    refused = fails(run, f"%fetch {url}")
    assert "--token NAME" in refused.hint
    shown = run(f"%fetch {url} --token MY_TOKEN")
    assert Path("a.bin").read_bytes() == DATA
    assert [one.headers.get("authorization") for one in server.asked] == [None, f"Bearer {CANARY}"]
    assert [one.headers.get("authorization") for one in other.asked] == [None]
    os.environ["WRONG"] = "wrong-" + CANARY
    try:
        wrong = fails(run, f"%fetch {url} b.bin --token WRONG")
    finally:
        del os.environ["WRONG"]
    assert wrong.code == "forbidden" and "WRONG" in wrong.message
    assert run.steps() == [f"%fetch {url} --token MY_TOKEN --sha256 {sha(DATA)}"]
    texts = [shown, str(refused), str(wrong), *run.steps(), *server.paths(), *other.paths()]
    files = [path for path in home.rglob("*") if path.is_file() and path.name != ".netrc"]
    texts += [path.read_bytes().decode("latin-1") for path in files]
    assert len(files) > 2 and not any("canary" in text for text in texts)


def test_a_token_that_the_server_says_back_is_not_kept(
    run: Cells, server: Server, home: Path
) -> None:
    """Neither as a name nor as a version, of a whole file or of a part."""
    headers = {"ETag": f'"{CANARY}"', "Content-Disposition": f'attachment; filename="{CANARY}.x"'}
    dies = [200_000, 0, 0, 0, 0]
    url = server.put("/a.bin", DATA, etag=False, headers=headers, token=CANARY, die=dies)
    fails(run, f"%fetch {url} data/ --token MY_TOKEN")
    run(f"%fetch {url} data/ --token MY_TOKEN")
    assert files_below() == ["data/a.bin"]
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) > 2 and not any(CANARY.encode() in path.read_bytes() for path in files)


def test_a_token_is_not_sent_where_others_can_read_it(
    run: Cells, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the address comes from."""
    monkeypatch.setenv("HF_ENDPOINT", server.at.replace("127.0.0.1", "127.0.0.2"))
    error = fails(run, "%fetch hf://owner/name/a.bin --token MY_TOKEN")
    assert error.code == "token-over-http" and "HF_ENDPOINT" in error.hint
    assert server.asked == []


@pytest.mark.parametrize(
    "line",
    [
        f"https://me:{CANARY}@127.0.0.1/a.bin",
        f"https://{CANARY}@127.0.0.1/a.bin",
        f"https://127.0.0.1/a.bin?token={CANARY}",
        f"https://127.0.0.1/a.bin?api_key={CANARY}",
        "https://127.0.0.1/a.bin?q=hf_" + "7c2f90aa" * 5,
        "https://127.0.0.1/hf_" + "7c2f90aa" * 5 + "/a.bin",
        f"https://127.0.0.1/a.bin --token {CANARY}",
        "https://127.0.0.1/a.bin --token hf_" + "7c2f90aa" * 5,
    ],
)
def test_a_secret_on_the_line_is_refused(run: Cells, server: Server, line: str) -> None:
    """In the URL or in the place of its name: one line that does not show it."""
    reply = run.attempt(f"%fetch {line}")
    assert type(reply.error).__name__ == "UsageError"
    assert getattr(reply.error, "code", "") == "secret-in-line"
    assert "%secret set" in str(reply.error) and "7c2f90aa" not in str(reply.error)
    assert run.steps() == [] and files_below() == []


# ---------------------------------------------------------------------- services
def test_google_drive(run: Cells, server: Server) -> None:
    """Each form of a shared link; what is large, through the page that asks once more."""
    google(server, small_file_id=("a.csv", b"small"), large_file_id=("b.tar", DATA))
    for form in ("file/d/{}/view?usp=sharing", "open?id={}", "uc?id={}&export=download"):
        link = "https://drive.google.com/" + form.format("small_file_id")
        run(f"%fetch {link} data/")
        assert Path("data/a.csv").read_bytes() == b"small"
        Path("data/a.csv").unlink()
    link = "https://drive.google.com/file/d/large_file_id/view"
    run(f"%fetch {link} data/")
    assert files_below() == ["data/b.tar"] and Path("data/b.tar").read_bytes() == DATA
    assert "/download?id=large_file_id&export=download&confirm=t&uuid=u-1%262" in server.paths()
    assert run.steps()[-1] == f"%fetch {link} data/b.tar --sha256 {sha(DATA)}"
    assert run(f"%fetch {link} data/") == "data/b.tar already there, nothing to do"


def test_two_files_that_a_server_gives_one_name(run: Cells, server: Server) -> None:
    """One is there; the other is not put over it, and the line says where to put it."""
    google(server, first_file_id=("a.csv", b"first"), second_file_id=("a.csv", b"second"))
    link = "https://drive.google.com/uc?id="
    run(f"%fetch {link}first_file_id data/")
    error = fails(run, f"%fetch {link}second_file_id data/")
    assert error.code == "not-ours" and "data/a.csv" in error.message
    run(f"%fetch {link}second_file_id data/b.csv")
    assert files_below() == ["data/a.csv", "data/b.csv"] and len(run.steps()) == 2
    assert Path("data/a.csv").read_bytes() == b"first"


@pytest.mark.parametrize(
    ("name", "code", "hint"),
    [
        ("quota_file_id", "quota", "tomorrow"),
        ("login_file_id", "forbidden", "Anyone with the link"),
        ("other_file_id", "page", "browser"),
        ("absent_file_id", "absent", "Check"),
    ],
)
def test_google_drive_says_no(run: Cells, server: Server, name: str, code: str, hint: str) -> None:
    """What its pages say is said in a line; a page is never taken for the file."""
    google(server)
    error = fails(run, f"%fetch https://drive.google.com/file/d/{name}/view weights.pt")
    assert error.code == code and hint in error.hint and files_below() == []


def test_hugging_face(
    run: Cells, server: Server, other: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models, data sets and spaces at a revision; the token is not sent to where they are kept."""
    monkeypatch.setenv("HF_ENDPOINT", server.at)
    path = "/datasets/owner/name/resolve/refs%2Fpr%2F1/sub/train.csv"
    moved(server, path, other, DATA, token=CANARY)
    server.put("/owner/name/resolve/main/config.json", b"{}")
    line = "%fetch hf://datasets/owner/name@refs%2Fpr%2F1/sub/train.csv data/"
    assert "--token NAME" in fails(run, line).hint
    run(f"{line} --token MY_TOKEN")
    run("%fetch hf://owner/name/config.json data/")
    assert files_below() == ["data/config.json", "data/train.csv"]
    assert [one.headers.get("authorization") for one in other.asked] == [None]
    assert run.steps()[0] == f"{line} --token MY_TOKEN --sha256 {sha(DATA)}"


def test_kaggle(
    run: Cells, server: Server, other: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Kaggle's own name and key, from the environment or its file, sent to Kaggle alone."""
    api = "/api/v1/datasets/download/owner/set"
    moved(server, f"{api}/train.csv", other, DATA, basic=f"me:{CANARY}")
    moved(server, api, other, b"PK", basic=f"me:{CANARY}")
    refused = fails(run, "%fetch kaggle://owner/set/train.csv")
    assert refused.code == "forbidden"
    (home / ".kaggle").mkdir()
    (home / ".kaggle/kaggle.json").write_text(f'{{"username": "me", "key": "{CANARY}"}}')
    run("%fetch kaggle://owner/set/train.csv")
    (home / ".kaggle/kaggle.json").unlink()
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", CANARY)
    run("%fetch kaggle://owner/set data/")
    assert files_below() == ["data/set.zip", "train.csv"]
    assert [one.headers.get("authorization") for one in other.asked] == [None, None]
    assert len(run.steps()) == 2 and not any("canary" in line for line in run.steps())


def test_kaggle_packs_a_file(run: Cells, server: Server, other: Server) -> None:
    """It is named as what it is, so that ``--unpack`` gives the file."""
    data = archive(**{"train.csv": "1"})
    path = "/api/v1/datasets/download/owner/set/train.csv"
    server.put(path, to=other.put("/store/train.csv.zip", data))
    run("%fetch kaggle://owner/set/train.csv data/")
    assert files_below() == ["data/train.csv.zip"]
    run("%fetch kaggle://owner/set/train.csv data --unpack")
    assert files_below() == ["data/train.csv", "data/train.csv.zip"]
    assert "nothing to do" in run("%fetch kaggle://owner/set/train.csv data/")


def test_zenodo(run: Cells, server: Server) -> None:
    """All files of a record, or one; what arrives has the checksum that Zenodo lists."""
    zenodo(server, "123", a__csv=b"1", b__bin=DATA)
    run("%fetch zenodo:123 data")
    assert files_below() == ["data/a.csv", "data/b.bin"]
    line = f"%fetch zenodo:123/a.csv data/ --sha256 {sha(b'1')}"
    assert run.steps()[0] == line and len(run.steps()) == 2
    asked = len(server.asked)
    assert run("%fetch zenodo:123 data") == "2 files already there, nothing to do"
    assert "nothing to do" in run(line) and len(server.asked) == asked
    Path("data/a.csv").unlink()
    run(line)
    assert Path("data/a.csv").read_bytes() == b"1"
    assert fails(run, "%fetch zenodo:123/c.csv").code == "absent"
    zenodo(server, "124", wrong=True, a__csv=b"1")
    assert fails(run, "%fetch zenodo:124/a.csv bad/").code == "hash-differs"
    assert not Path("bad").exists() and fails(run, "%fetch zenodo:125").code == "absent"


@pytest.mark.parametrize(
    "answer",
    ["[1, 2]", "7", '{"files": [{"nokey": 1}]}', '{"files": {"a": 1}}', '{"files": [{"key": ""}]}'],
)
def test_a_list_of_zenodo_that_is_none(run: Cells, server: Server, answer: str) -> None:
    """It is said in a line."""
    server.put("/api/records/9", answer.encode(), headers={"Content-Type": "application/json"})
    assert fails(run, "%fetch zenodo:9 data/").code == "bad-answer"
    assert list(Path().iterdir()) == []


def test_two_files_of_a_record_with_one_name(run: Cells, server: Server) -> None:
    """They are not put over each other; each can be had by itself."""
    zenodo(server, "9", **{"sub/x.csv": b"1", "x.csv": b"2"})
    assert fails(run, "%fetch zenodo:9 data/").code == "same-place" and files_below() == []
    run("%fetch zenodo:9/sub/x.csv data/a")
    run("%fetch zenodo:9/x.csv data/b")
    assert Path("data/a").read_bytes() == b"1" and Path("data/b").read_bytes() == b"2"


def test_from_the_drive_and_to_it(run: Cells, server: Server) -> None:
    """``drive:`` is the drive that is mounted, first on the line or last."""
    run("%drive mount --provider folder")
    run(f"%fetch {server.put('/a.bin', DATA)} drive:data/")
    run("%fetch drive:data/a.bin b.bin")
    assert Path("b.bin").read_bytes() == DATA and files_below() == ["b.bin"]
    assert f"%fetch {server.at}/a.bin drive:data/ --sha256 {sha(DATA)}" in run.steps()
    assert "nothing to do" in run("%fetch drive:data/a.bin b.bin")
    assert fails(run, "%fetch drive:none.bin").code == "unreadable"
    assert files_below() == ["b.bin"]


def test_other_schemes_by_fsspec(run: Cells, server: Server, home: Path) -> None:
    """What fsspec may have, which is no more than a list; an error of it is a line."""
    pytest.importorskip("fsspec")
    (home / "here.bin").write_bytes(DATA)
    run(f"%fetch file://{home}/here.bin there.bin")
    assert Path("there.bin").read_bytes() == DATA
    assert fails(run, f"%fetch file://{home}/none.bin").code == "unreadable"
    assert "nosuch:" in str(run.attempt("%fetch nosuch://x/none.bin").error)
    assert files_below() == ["there.bin"]


def test_other_schemes_without_fsspec(
    run: Cells, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the extra."""
    import sys

    monkeypatch.setitem(sys.modules, "fsspec", None)
    error = fails(run, "%fetch s3://bucket/a.bin")
    assert "s3:// needs fsspec" in error.message and "%pin fsspec" in error.hint


# ---------------------------------------------------------------------- archives
def archive(**files: str) -> bytes:
    """A zip; a file ``a__b`` is ``a/b``."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in files.items():
            packed.writestr(name.replace("__", "/"), text)
    return made.getvalue()


def tar(files: Dict[str, str], links: Dict[str, str]) -> bytes:
    """A tar.gz of files with their texts, and of links with where they lead."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as packed:
        for name, text in files.items():
            one = tarfile.TarInfo(name)
            one.size = len(text)
            packed.addfile(one, io.BytesIO(text.encode()))
        for name, leads in links.items():
            one = tarfile.TarInfo(name)
            one.type, one.linkname = tarfile.SYMTYPE, leads
            packed.addfile(one)
    return made.getvalue()


def test_unpacked_recorded_and_left_alone_the_second_time(run: Cells, server: Server) -> None:
    """Its files are there, the archive is not; a second run asks the server nothing."""
    data = archive(top__a="1", top__sub__b="2")
    url = server.put("/x.zip", data)
    shown = first(run(f"%fetch {url} data --unpack --strip 1"))
    assert shown.startswith("data/x.zip fetched and unpacked: 2 files, ")
    assert files_below() == ["data/a", "data/sub/b"] and Path("data/sub/b").read_text() == "2"
    line = f"%fetch {url} data --unpack --strip 1 --sha256 {sha(data)}"
    assert run.steps() == [line]
    for again in (line, f"%fetch {url} data --unpack --strip 1"):
        assert run(again) == "data/x.zip: 2 files already there, nothing to do"
    assert len(server.asked) == 1


def test_the_name_that_the_server_gives_tells_what_an_archive_is(
    run: Cells, server: Server
) -> None:
    """Where the URL does not."""
    google(server, packed_file_id=("real.zip", archive(a="1")))
    run("%fetch https://drive.google.com/file/d/packed_file_id/view data --unpack")
    assert files_below() == ["data/a"]
    assert "nothing to do" in run(run.steps()[0])


def test_two_archives_into_one_folder(run: Cells, server: Server) -> None:
    """Each has its own line, and knows its own files."""
    one, two = server.put("/1.zip", archive(a="1")), server.put("/2.zip", archive(b="2"))
    assert "2 files fetched" in run(f"%fetch {one} {two} data --unpack")
    assert files_below() == ["data/a", "data/b"] and len(run.steps()) == 2
    Path("data/b").unlink()
    run(f"%fetch {one} {two} data --unpack")
    assert files_below() == ["data/a", "data/b"] and server.paths().count("/1.zip") == 1


def test_links_of_several_archives_do_not_lead_out_together(run: Cells, server: Server) -> None:
    """Each stays inside by itself; a later one is not unpacked through the link of an earlier."""
    chain = [{"a/b/e": "../.."}, {"a/b/e/m": "../../.."}, {"m/led": ""}]
    Path("up/into").mkdir(parents=True)
    for number, links in enumerate(chain):
        files = {name: "" for name, leads in links.items() if not leads}
        links = {name: leads for name, leads in links.items() if leads}
        url = server.put(f"/{number}.tar", tar(files, links))
        line = f"%fetch {url} up/into --unpack"
        if number == 1:
            assert fails(run, line).code == "not-ours"
        else:
            run(line)
    assert files_below() == ["up/into/a/b/e", "up/into/m/led"]


def test_a_link_of_an_archive_is_one_of_its_files(run: Cells, server: Server) -> None:
    """With a link to a folder it is repaired and updated as any; the link is missed too."""
    url = server.put("/x.tgz", tar({"v1/a": "1", "v1/b": "1"}, {"current": "v1", "old": "v1"}))
    run(f"%fetch {url} data --unpack")
    for gone in ("v1/b", "current"):
        Path("data", gone).unlink()
        run(f"%fetch {url} data --unpack")
        assert files_below("data") == ["current", "old", "v1/a", "v1/b"]
    server.put("/x.tgz", tar({"v1/a": "1", "v2/b": "2"}, {"current": "v2"}))
    assert "->" in run(f"%fetch {url} data --unpack --update")
    assert (
        files_below("data") == ["current", "v1/a", "v2/b"] and os.readlink("data/current") == "v2"
    )
    assert "nothing to do" in run(run.steps()[0])


def test_archives_that_share_a_file(run: Cells, server: Server) -> None:
    """The same text with another time: it stays as it is, and both lines hold from then on."""
    urls = []
    for number in (1, 2):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as packed:
            packed.writestr(zipfile.ZipInfo("LICENSE", (2020, 1, number, 0, 0, 0)), "free")
            packed.writestr(f"{number}", "")
        urls.append(server.put(f"/{number}.zip", made.getvalue()))
        run(f"%fetch {urls[-1]} data --unpack")
    assert files_below("data") == ["1", "2", "LICENSE"]
    for url in urls:
        assert "nothing to do" in run(f"%fetch {url} data --unpack")
    assert len(server.asked) == 2


def test_update_brings_what_a_newer_archive_has(run: Cells, server: Server) -> None:
    """Files that it no longer has are gone, those of a person stay."""
    url = server.put("/x.zip", archive(a="1", b="1", sub__c="1"))
    run(f"%fetch {url} data --unpack")
    Path("data/mine").write_text("mine")
    assert "still the same" in run(f"%fetch {url} data --unpack --update")
    server.put("/x.zip", archive(a="2", d="2"))
    assert "->" in run(f"%fetch {url} data --unpack --update")
    assert files_below() == ["data/a", "data/d", "data/mine"] and Path("data/a").read_text() == "2"
    assert not Path("data/sub").exists() and len(run.steps()) == 1
    assert "nothing to do" in run(run.steps()[0])


def test_what_a_person_changed_in_what_was_unpacked(run: Cells, server: Server) -> None:
    """It is left as it is and said; what is missing alone is brought again."""
    url = server.put("/x.zip", archive(a="1", b="1"))
    run(f"%fetch {url} data --unpack")
    Path("data/a").unlink()
    run(f"%fetch {url} data --unpack")
    assert files_below() == ["data/a", "data/b"] and len(server.asked) == 2
    Path("data/a").write_text("mine")
    shown = run(f"%fetch {url} data --unpack")
    assert "1 file of 2 files changed" in shown and "--update" in shown
    assert Path("data/a").read_text() == "mine" and len(server.asked) == 2
    assert "; your changes were replaced" in run(f"%fetch {url} data --unpack --update")
    assert Path("data/a").read_text() == "1"
    assert "still the same" in run(f"%fetch {url} data --unpack --update")


def test_files_of_somebody_else_are_not_unpacked_over(run: Cells, server: Server) -> None:
    """Nothing is moved then; the same content is no other file."""
    url = server.put("/x.zip", archive(a="1", sub__b="1"))
    Path("data/sub").mkdir(parents=True)
    Path("data/sub/b").write_text("mine")
    error = fails(run, f"%fetch {url} data --unpack")
    assert "sub/b" in error.message and "--update" in error.hint
    assert files_below() == ["data/sub/b"] and run.steps() == []
    Path("data/sub/b").write_text("1")
    run(f"%fetch {url} data --unpack")
    assert files_below() == ["data/a", "data/sub/b"]


def test_what_was_unpacked_holds_without_what_was_remembered(
    run: Cells, server: Server, home: Path
) -> None:
    """It is fetched once more, and found to be the same."""
    url = server.put("/x.zip", archive(a="1", sub__b="1"))
    run(f"%fetch {url} data --unpack")
    shutil.rmtree(home / "cache")
    run(run.steps()[0])
    assert files_below() == ["data/a", "data/sub/b"] and len(server.asked) == 2
    assert "nothing to do" in run(run.steps()[0])


@pytest.mark.parametrize("data", [b"no archive at all", b"PK\x03\x04 broken"])
def test_what_is_no_archive_leaves_nothing(run: Cells, server: Server, data: bytes) -> None:
    """Nor one that would write elsewhere."""
    assert fails(run, f"%fetch {server.put('/x.zip', data)} data --unpack").hint
    assert list(Path().iterdir()) == []
    evil = server.put("/evil.zip", archive(**{"../../evil-of-a-zip": "1"}))
    run.attempt(f"%fetch {evil} data --unpack")
    assert not list(Path("..").rglob("evil-of-a-zip"))


def test_a_glance_at_ten_thousand_files(run: Cells, server: Server) -> None:
    """It takes ten times as long at most as asking the system for each file."""
    from colab_magics.extension.session import get_session

    url = server.put("/x.zip", archive(**{f"{n % 100}__{n}": str(n) for n in range(10_000)}))
    run(f"%fetch {url} data --unpack")
    session = get_session(run.shell)
    (part,) = session.recorded_parts("fetch")
    files = [path for path in Path("data").rglob("*") if path.is_file()]
    assert len(files) == 10_000

    def seconds(act: Callable[[], object]) -> float:
        begun = time.process_time()
        act()
        return time.process_time() - begun

    def check() -> None:
        assert part.check(session.host).state == "ok"

    peer = min(seconds(lambda: [path.stat() for path in files]) for _ in range(3))
    assert min(seconds(check) for _ in range(3)) < 10 * peer


# ---------------------------------------------------------------------- bad lines
HEX = "0" * 64


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("data.csv", "usage", "data.csv is not a URL"),
        ("https://", "bad-url", "https:// is not a valid address"),
        ("https://h:port/a", "bad-url", "https://h:port/a is not a valid address"),
        ("https://h/a https://h/sub/a", "same-place", "two of these are a"),
        ("https://h/a data/ https://h/b x", "usage", "data/ is not a URL"),
        ("https://h/a --sha256 abc", "usage", "--sha256 is the hash of one file, 64 digits"),
        (f"https://h/a https://h/b --sha256 {HEX}", "usage", "--sha256 is the hash of one file"),
        ("https://h/a --strip 1", "usage", "--strip N needs --unpack"),
        ("https://h/a --unpack --strip -1", "usage", "--strip N needs --unpack"),
        ("https://h/a --unpac", "unknown-option", "%fetch has no option --unpac. Did you mean"),
        ("--unpack", "usage", "a URL is missing"),
        ("hf://owner/name", "bad-url", "hf://owner/name names no file"),
        ("kaggle://owner", "bad-url", "kaggle://owner names no dataset"),
        ("zenodo:x", "bad-url", "zenodo:x names no record"),
        ("nosuch://h/a", "unknown-scheme", "nosuch: is not supported"),
        ("s3://a::b", "bad-url", "two colons in a row"),
        ("https://drive.google.com/drive/folders/1a2b3c4d5e6f", "folder", "a folder of Google"),
        ("https://docs.google.com/document/d/1a2b3c4d/edit", "bad-url", "link of Google names no"),
        ("http://h/a --token MY_TOKEN", "token-over-http", "a token is not sent over http://"),
    ],
)
def test_bad_lines(run: Cells, server: Server, line: str, code: str, text: str) -> None:
    """Each is one line that says what is wrong, and one that says what to do."""
    error: Any = run.attempt(f"%fetch {line}").error
    assert type(error).__name__ == "UsageError" and files_below() == []
    assert error.code == code and text in str(error)
    assert len(str(error).splitlines()) == 2 and run.steps() == []


# ---------------------------------------------------------------------- what is around it
def test_dry_run_changes_nothing(run: Cells, server: Server) -> None:
    """It says what differs, and asks nobody."""
    url = server.put("/a.bin", DATA)
    assert run(f"%fetch {url} data/ --dry-run") == "Nothing was changed. data/a.bin is not there"
    assert files_below() == [] and server.asked == [] and run.steps() == []


def test_bare_shows_what_is_remembered(run: Cells, server: Server) -> None:
    """Each file and how it stands."""
    assert "%fetch https://host/data.csv" in run("%fetch")
    run(f"%fetch {server.put('/a.bin', DATA)} {server.put('/b.bin', DATA)} data/")
    Path("data/b.bin").unlink()
    _, one, two = run("%fetch").splitlines()
    assert one.split("  ")[0] == "ok" and "data/a.bin" in one
    assert two.split("  ")[0] == "differs" and "data/b.bin is not there" in two


def test_how_far_it_is_is_said_in_a_line(run: Cells, server: Server) -> None:
    """Of one file and of several, as it goes on."""
    from colab_magics.extension.session import get_session
    from colab_magics.fetch.step import parse

    host = get_session(run.shell).host
    for count, expected in ((1, "data1/f0.bin: ["), (3, "3 files, 0 done: [")):
        urls = [server.put(f"/f{n}.bin", DATA, stall=250_000) for n in range(count)]
        server.go_on.clear()
        messages: List[str] = []

        def progress(line: object) -> None:
            messages.append(str(line))  # noqa: B023
            if len(messages) > 1 or "%" in messages[-1]:  # noqa: B023
                server.go_on.set()

        step = parse([*urls, f"data{count}/"])
        assert step is not None
        step.apply(host, progress)
        assert any(line.startswith(expected) and "%" in line for line in messages), messages


def test_forget_takes_a_line_out(run: Cells, server: Server) -> None:
    """By the file's name; the file stays."""
    run(f"%fetch {server.put('/a.bin', DATA)} {server.put('/b.bin', DATA)} data/")
    assert "forgotten" in run("%setup forget fetch data/a.bin")
    assert len(run.steps()) == 1 and "b.bin" in run.steps()[0]
    assert files_below() == ["data/a.bin", "data/b.bin"]


def test_tab_offers_what_fits(run: Cells) -> None:
    """Options, beginnings of URLs, folders."""
    from .test_extension import offered

    Path("data/inner").mkdir(parents=True)
    assert "%fetch --unpack" in offered(run.shell, "%fetch --un")
    assert "%fetch https://h/a data/" in offered(run.shell, "%fetch https://h/a da")
    assert "%fetch https://h/a data/inner/" in offered(run.shell, "%fetch https://h/a data/")
    assert "%fetch kaggle://" in offered(run.shell, "%fetch kag")


def test_a_glance_is_enough(run: Cells, server: Server) -> None:
    """A few targets that hold are checked in some milliseconds."""
    from colab_magics.extension.session import get_session

    urls = [server.put(f"/f{n}.bin", DATA) for n in range(4)]
    run(f"%fetch {' '.join(urls)} data/")
    session = get_session(run.shell)
    parts, times = session.recorded_parts("fetch"), []
    for _ in range(10):
        begun = time.perf_counter()
        assert all(part.check(session.host).state == "ok" for part in parts)
        times.append(time.perf_counter() - begun)
    assert min(times) < 0.005


# ---------------------------------------------------------------------- cut off
@pytest.mark.once
def test_killed_while_it_fetches(run: Cells, server: Server) -> None:
    """With -9, half of it here: the next run goes on where it was, and leaves nothing else."""
    url = server.put("/a.bin", DATA * 4, stall=700_000)
    with Child(dict(os.environ)) as killed:
        killed.ask(f"%fetch {url} data/")
        assert server.stalled.wait(30)
        wait_for(Path("data/.a.bin.colab-magics-part"), 500_000)
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait()
    assert files_below() == ["data/.a.bin.colab-magics-part"]
    server.files["/a.bin"].stall = 0
    server.go_on.set()
    run(f"%fetch {url} data/")
    assert Path("data/a.bin").read_bytes() == DATA * 4 and files_below() == ["data/a.bin"]
    assert int(server.asked[-1].headers["range"][6:-1]) >= 500_000


def wait_for(path: Path, size: int) -> None:
    """Until a file has grown to a size."""
    until = time.monotonic() + 20
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < until, "it did not grow"
        time.sleep(0.01)


@pytest.mark.once
def test_ctrl_c_leaves_the_part_alone(server: Server) -> None:
    """Interrupted while the server is silent, several at once: it ends soon, and goes on later."""
    urls = [server.put(f"/f{n}.bin", DATA * 4, stall=700_000) for n in range(3)]
    with Child(dict(os.environ)) as shell:
        shell.ask(f"%fetch {' '.join(urls)} data/")
        for n in range(3):
            wait_for(Path(f"data/.f{n}.bin.colab-magics-part"), 500_000)
        begun = time.monotonic()
        shell.interrupt()
        assert shell.answer().error == "KeyboardInterrupt"
        assert time.monotonic() - begun < 10
        assert files_below() == [f"data/.f{n}.bin.colab-magics-part" for n in range(3)]
        server.go_on.set()
        assert "3 files fetched" in shell(f"%fetch {' '.join(urls)} data/")
    assert files_below() == [f"data/f{n}.bin" for n in range(3)]
    assert all("range" in one.headers for one in server.asked[3:])


@pytest.mark.once
@pytest.mark.parametrize("to", ["", "/silent.bin"])
def test_ctrl_c_while_the_server_says_nothing_at_all(server: Server, to: str) -> None:
    """Not even a header, at once or where another address led: it ends soon, and a rerun works."""
    silent = server.put("/silent.bin", DATA, silent=True)
    url = server.put("/a.bin", DATA, to=server.at + to) if to else silent
    with Child(dict(os.environ)) as shell:
        shell.ask(f"%fetch {url} a.bin")
        assert server.stalled.wait(30)
        begun = time.monotonic()
        shell.interrupt()
        assert shell.answer().error == "KeyboardInterrupt"
        assert time.monotonic() - begun < 10 and files_below() == []
        server.files["/silent.bin"].silent = False
        assert "a.bin fetched" in shell(f"%fetch {url} a.bin")


@pytest.mark.once
def test_two_kernels_fetch_one_after_the_other(server: Server) -> None:
    """The second waits, and finds it there; it is fetched once."""
    url = server.put("/a.bin", DATA, stall=100_000)
    with Child(dict(os.environ)) as one, Child(dict(os.environ)) as two:
        one.ask(f"%fetch {url}")
        assert server.stalled.wait(30)
        two.ask(f"%fetch {url}")
        server.go_on.set()
        messages = [one.answer().shown, two.answer().shown]
    assert "a.bin fetched" in messages[0] and "already there" in messages[1]
    assert len(server.asked) == 1 and files_below() == ["a.bin"]


@pytest.mark.once
def test_killed_while_it_moves_links(run: Cells, server: Server) -> None:
    """With -9 once a link to a folder is in place: the next run completes it."""
    url = server.put("/x.tgz", tar({"v1/a": "1", "v1/b": "1"}, {"current": "v1"}))
    with Child(dict(os.environ)) as killed:
        killed("%mkdir data")
        killed(KILLED.format(moved=1))
        killed.ask(f"%fetch {url} data --unpack")
        killed.process.wait()
    assert Path("data/current").is_symlink() and not Path("data/v1/b").exists()
    run(f"%fetch {url} data --unpack")
    assert files_below("data") == ["current", "v1/a", "v1/b"]


@pytest.mark.once
@pytest.mark.parametrize("moved_files", [0, 15])
def test_killed_while_it_unpacks(run: Cells, server: Server, moved_files: int) -> None:
    """With -9, before or while files are put in place: the next run completes it, from the part."""
    first_one = {f"f{n}": "old" for n in range(30)}
    url = server.put("/x.zip", archive(**first_one))
    run(f"%fetch {url} data --unpack")
    data = archive(**dict.fromkeys(first_one, "new"), more="new")
    server.put("/x.zip", data)
    dies = KILLED.format(moved=moved_files)
    with Child(dict(os.environ)) as killed:
        killed(dies)
        killed.ask(f"%fetch {url} data --unpack --update")
        killed.process.wait()
    assert killed.process.returncode == -signal.SIGKILL
    state = [Path(f"data/f{n}").read_text() for n in range(30)]
    assert ("old" in state) and (("new" in state) == bool(moved_files))
    assert len(files_below("data")) > 30
    run(f"%fetch {url} data --unpack --sha256 {sha(data)}")
    assert files_below("data") == sorted([*first_one, "more"])
    assert {Path("data", name).read_text() for name in files_below("data")} == {"new"}
    assert int(server.asked[-1].headers["range"][6:-1]) == len(data)


#: Ends its process with -9 once so many files have been put in place.
KILLED = """
import os, signal
real, count = os.replace, [0]
def dies(path, target):
    if ".unpacking" in str(path):
        if count[0] == {moved}:
            os.kill(os.getpid(), signal.SIGKILL)
        count[0] += 1
    return real(path, target)
os.replace = dies
"""
