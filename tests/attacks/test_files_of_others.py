"""Other users of the same machine: what they plant where we write, read or wait."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

import pytest
from doubles.files_server import How, Server
from doubles.git_server import Server as GitServer
from doubles.users import NOBODY, OTHER, TEAM, as_user, meanwhile, root_only
from shell.conftest import bare, run, server
from shell.test_fetch import archive
from support.cells import Cells
from support.notebooks import notebook
from support.runs import Started

from colab_magics.core import file_lock, files, folders
from colab_magics.core.errors import NotebookError, NotOwn, SourceError
from colab_magics.core.host import Host
from colab_magics.fetch.cache import Entry, FileStamp, load, part_path, save
from colab_magics.fetch.prefetch import begin
from colab_magics.jobs import launch
from colab_magics.jobs import store as jobs
from colab_magics.jobs.job import Job, find_job
from colab_magics.pin import journal
from colab_magics.pin.environments import store
from colab_magics.secret import lookup

__all__ = ["bare", "run", "server"]  # fixtures

pytestmark = pytest.mark.skipif(os.name == "nt", reason="elsewhere: POSIX owners and modes")
OLD, NEW = b"old", b"new and longer"
PLACE = journal._place
Held = Callable[[int, int], None]


class Shared(NamedTuple):
    """A folder that everybody may write, a notebook in it, and a file of the victim's own."""

    folder: Path
    notebook: Path
    own: Path

    def harmed(self) -> bool:
        """Whether the victim's own file is not as it was."""
        was = self.own.lstat()
        same = (was.st_uid, stat.S_IMODE(was.st_mode)) == (os.getuid(), 0o600)
        return not (same and self.own.read_bytes() == b"own")


@pytest.fixture
def shared() -> Iterator[Shared]:
    """Not among pytest's own, which only their owner may enter."""
    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        place = Shared(Path(top, "shared"), Path(top, "shared", "x.ipynb"), Path(top, "own"))
        place.folder.mkdir()
        place.folder.chmod(0o777)
        place.notebook.write_bytes(OLD)
        place.own.write_bytes(b"own")
        place.own.chmod(0o600)
        yield place


def temporaries(folder: Path) -> list[Path]:
    """What a writer has put beside its target."""
    return [path for path in folder.iterdir() if path.name.startswith(".~")]


# ---------------------------------------------------------------------- notebooks
@root_only
@pytest.mark.parametrize("step", ["fsync", "fchown", "fchmod", "listxattr"])
def test_the_file_beside_is_swapped_for_a_link(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """After any step of a write: no owner, mode or byte of the file that it leads to changes."""
    os.chown(shared.notebook, NOBODY, NOBODY)
    shared.notebook.chmod(0o666)
    plain = getattr(os, step)

    def swapped(*words: Any, **more: Any) -> Any:
        found = plain(*words, **more)
        for path in temporaries(shared.folder):
            path.unlink()
            path.symlink_to(shared.own)
        return found

    monkeypatch.setattr(os, step, swapped)
    with pytest.raises(NotebookError):
        files.replace(shared.notebook, NEW, expected=OLD)
    assert not shared.harmed()
    assert not shared.notebook.is_symlink() and shared.notebook.read_bytes() == OLD


_SWAP = """
print("ready", flush=True)
own = str(where.parent / "own")
while True:
    for name in os.listdir(where):
        if name.startswith(".~") or name.endswith("-part"):
            try:
                os.symlink(own, where / "link")
                os.rename(where / "link", where / name)
            except OSError:
                pass
"""


@root_only
def test_a_race_for_the_file_beside(shared: Shared, long: bool, held: Held) -> None:
    """Somebody who swaps it all the time wins nothing but a write that is refused."""
    rounds, good = 400 if long else 40, 0
    with meanwhile(NOBODY, _SWAP, shared.folder):
        for _ in range(rounds):
            shared.notebook.unlink(missing_ok=True)
            shared.notebook.write_bytes(OLD)
            os.chown(shared.notebook, NOBODY, NOBODY)
            shared.notebook.chmod(0o666)
            with suppress(NotebookError):
                files.replace(shared.notebook, NEW, expected=OLD)
            good += not shared.harmed()
            shared.own.chmod(0o600)
            os.chown(shared.own, 0, 0)
    held(rounds, good)
    assert good == rounds


@root_only
@pytest.mark.parametrize("folder_mode", [0o777, 0o1777, 0o2775])
@pytest.mark.parametrize("mode", [0o664, 0o660, 0o666])
def test_a_notebook_of_a_group(shared: Shared, folder_mode: int, mode: int) -> None:
    """Who may write another one's notebook writes it, and owner, group and mode stay."""
    os.chown(shared.folder, 0, TEAM)
    shared.folder.chmod(folder_mode)
    os.chown(shared.notebook, OTHER, TEAM)
    shared.notebook.chmod(mode)
    before = shared.notebook.stat()
    code = f"print(files.replace(where, {NEW!r}, {OLD!r}), files.replace(where, b'n', {NEW!r}))"
    assert as_user(NOBODY, code, shared.notebook, TEAM) == "True True"
    after = shared.notebook.stat()
    assert shared.notebook.read_bytes() == b"n"
    assert (after.st_uid, after.st_gid, after.st_mode) == (OTHER, TEAM, before.st_mode)
    assert os.listdir(shared.folder) == ["x.ipynb"]


@root_only
def test_no_bits_that_lend_rights_are_copied(shared: Shared) -> None:
    """A setuid notebook of somebody else's does not make root write a setuid file."""
    os.chown(shared.notebook, NOBODY, NOBODY)
    shared.notebook.chmod(0o6777)
    files.replace(shared.notebook, NEW, expected=OLD)
    assert stat.S_IMODE(shared.notebook.stat().st_mode) == 0o777


# ---------------------------------------------------------------------- what is fetched
@root_only
def test_a_part_is_planted_while_a_server_is_asked(
    shared: Shared, run: Cells, server: Server
) -> None:
    """A link in the place of the part, or one to a file that was there, is not written through."""
    data = os.urandom(100_000)
    part = part_path(shared.folder / "a.bin")

    def plant(found: Any) -> bytes:
        part.unlink(missing_ok=True)
        part.symlink_to(shared.own)
        return How(data)

    server.pages["/a.bin"] = plant
    run(f"%fetch {server.at}/a.bin {shared.folder}/a.bin")
    assert not shared.harmed()
    assert (shared.folder / "a.bin").read_bytes() == data and not part.is_symlink()


@root_only
def test_a_part_is_swapped_while_it_arrives(shared: Shared, run: Cells, server: Server) -> None:
    """What lies there at the end and is not what was written is not put in place."""
    url = server.put("/a.bin", os.urandom(300_000), stall=200_000)
    part = part_path(shared.folder / "a.bin")

    def plant() -> None:
        server.stalled.wait(30)
        until = time.monotonic() + 10
        while not part.exists() and time.monotonic() < until:
            time.sleep(0.01)
        part.unlink()
        part.symlink_to(shared.own)
        server.go_on.set()

    thread = threading.Thread(target=plant)
    thread.start()
    reply = run.attempt(f"%fetch {url} {shared.folder}/a.bin")
    thread.join()
    assert isinstance(reply.error, SourceError), reply
    assert not shared.harmed() and not os.path.lexists(shared.folder / "a.bin")


@root_only
def test_a_race_for_the_part(
    shared: Shared, run: Cells, server: Server, long: bool, held: Held
) -> None:
    """Somebody who swaps it all the time gets nothing written into a file that is not theirs."""
    data, rounds, good = os.urandom(100_000), 100 if long else 8, 0
    url = server.put("/a.bin", data)
    with meanwhile(NOBODY, _SWAP, shared.folder):
        for _ in range(rounds):
            run.attempt(f"%fetch {url} {shared.folder}/a.bin --no-record")
            good += not shared.harmed()
            (shared.folder / "a.bin").unlink(missing_ok=True)
    held(rounds, good)
    assert good == rounds


@pytest.mark.parametrize("kind", ["unpack", "clone"])
def test_a_folder_is_planted_where_one_is_made(
    shared: Shared, run: Cells, server: Server, kind: str
) -> None:
    """A link where an archive is unpacked, or a repository cloned, is taken away, not followed."""
    inside = shared.own.with_name("inside")
    inside.mkdir()
    if kind == "unpack":
        url = server.put("/a.zip", archive(sub__data="1"))
        (shared.folder / ".colab-magics-part.unpacking").symlink_to(inside)
        (shared.folder / f".{part_path(Path('a.zip')).name[1:]}.unpacking").symlink_to(inside)
        run(f"%fetch {url} {shared.folder}/ --unpack")
        assert (shared.folder / "sub" / "data").read_text() == "1"
    else:
        git = GitServer(shared.own.with_name("git"))
        try:
            url = git.make("model", README="hello")
            (shared.folder / ".made.cloning").symlink_to(inside)
            run(f"%github clone {url} {shared.folder}/made")
        finally:
            git.close()
        assert not (shared.folder / "made").is_symlink()
    assert os.listdir(inside) == []


# ---------------------------------------------------------------------- locks
def test_nobody_else_can_open_a_lock(tmp_path: Path) -> None:
    """Its file is 0600 and its folder 0700, made so or found otherwise, whatever the umask."""
    before = os.umask(0)
    try:
        old = tmp_path / "old" / "x.lock"
        old.parent.mkdir()
        old.touch()
        old.chmod(0o666)
        for path in (old, tmp_path / "made" / "x.lock"):
            with file_lock.alone(path):
                modes = [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)]
            assert modes == [0o600, 0o700], path
    finally:
        os.umask(before)


@root_only
@pytest.mark.parametrize("mode", [0o2775, 0o775])
def test_who_shares_an_environment_shares_its_locks(shared: Shared, mode: int) -> None:
    """In a folder that its group may write, the group may lock; nobody else."""
    os.chown(shared.folder, 0, TEAM)
    shared.folder.chmod(mode)
    code = "\nwith file_lock.alone(where / 'made' / 'x.lock'): print('mine')"
    for user in (NOBODY, OTHER):
        assert as_user(user, code, shared.folder, TEAM) == "mine"
    made = shared.folder / "made"
    assert [stat.S_IMODE(p.stat().st_mode) & 0o777 for p in (made, made / "x.lock")] == [
        0o770,
        0o660,
    ]


@root_only
def test_a_planted_folder_of_locks(shared: Shared) -> None:
    """A link that somebody else made changes no mode of the folder that it leads to."""
    own = shared.own.with_name("public")
    own.mkdir()
    own.chmod(0o755)
    (shared.folder / "writing").symlink_to(own)
    os.lchown(shared.folder / "writing", NOBODY, NOBODY)
    with suppress(OSError), file_lock.alone(shared.folder / "writing" / "x.lock"):
        pass
    assert stat.S_IMODE(own.stat().st_mode) == 0o755


@root_only
@pytest.mark.parametrize("kind", ["file", "link", "dangling", "fifo", "folder"])
def test_a_lock_that_was_planted(shared: Shared, kind: str) -> None:
    """It is neither waited for nor followed: an error at once."""
    path, held_by_them = shared.folder / "x.lock", None
    if kind == "file":
        path.touch()
        os.chown(path, NOBODY, NOBODY)
        path.chmod(0o666)
        held_by_them = path.open("rb")
        fcntl.flock(held_by_them, fcntl.LOCK_EX)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(shared.own if kind == "link" else shared.own.with_name("new"))

    def waiting(seconds: float) -> None:
        raise AssertionError("waited for a stranger")

    for _ in range(2):
        with pytest.raises(OSError), file_lock.alone(path, waiting):
            pass
    assert not shared.harmed() and not shared.own.with_name("new").exists()
    if held_by_them is not None:
        held_by_them.close()


# ---------------------------------------------------------------------- folders of our own
@pytest.fixture
def home_of_all(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> Path:
    """XDG's folders are one that everybody may write, as ``/tmp``; ours in it is not made yet."""
    shared.folder.chmod(0o1777)
    for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(shared.folder))
    return shared.folder / "colab-magics"


def theirs(path: Path, mode: int = 0o777) -> Path:
    """Another user's from now on, open to this one."""
    if not path.is_symlink():
        path.chmod(mode)
    os.lchown(path, OTHER, OTHER)
    return path


def test_our_folders_are_closed(home_of_all: Path) -> None:
    """Whatever the umask, and as they may have been made before: nobody else gets in."""
    before = os.umask(0)
    try:
        (home_of_all / "clones").mkdir(parents=True)
        for kind in ("clones", "ahead"):
            with file_lock.alone(folders.cache_folder(kind) / "x.lock"):
                made = (home_of_all, home_of_all / kind)
                assert [stat.S_IMODE(one.stat().st_mode) for one in made] == [0o700, 0o700]
    finally:
        os.umask(before)


@root_only
@pytest.mark.parametrize("kind", ["above", "link", "link above", "replaceable"])
def test_a_cache_that_was_planted(shared: Shared, home_of_all: Path, kind: str) -> None:
    """Nothing behind it is deleted, read or written; what can be done without it is done."""
    docs = shared.own.with_name("docs")
    (docs / "ahead").mkdir(parents=True)
    kept = [docs / "old.txt", docs / "ahead" / "old.txt"]
    for path in kept:
        path.touch()
        os.utime(path, (1, 1))
    if kind == "link above":
        home_of_all.symlink_to(docs)
        theirs(home_of_all)
    else:
        home_of_all.mkdir(0o777)
        (home_of_all / "ahead").symlink_to(docs)
        theirs(home_of_all / "ahead")
        if kind != "link":
            theirs(home_of_all)
    if kind == "replaceable":
        shared.folder.chmod(0o777)
    begin((), Host())
    assert all(path.exists() for path in kept)
    with pytest.raises(NotOwn):
        folders.cache_folder("ahead")
    files.create(shared.folder / "new.ipynb", NEW)
    assert (shared.folder / "new.ipynb").read_bytes() == NEW


@root_only
@pytest.mark.parametrize("kind", ["folder", "record", "open", "ours"])
def test_a_planted_record_of_what_was_fetched(
    run: Cells, server: Server, home_of_all: Path, kind: str
) -> None:
    """It counts only if it is ours, and never outside its folder: nothing there is deleted."""
    data = archive(sub__data="1")
    url, target = server.put("/z.zip", data), Path("unz").resolve()
    for mine in (Path("keep.txt").resolve(), target / "keep.txt"):
        mine.parent.mkdir(exist_ok=True)
        mine.write_text("mine")
    ours, found = kind == "ours", mine.stat()
    paths = ["../keep.txt", str(target.parent / "keep.txt")] if ours else ["keep.txt"]
    of_it = [FileStamp(path, found.st_size, found.st_mtime_ns) for path in paths]
    os.utime("keep.txt", ns=(found.st_mtime_ns, found.st_mtime_ns))
    at = target / "z.zip" / ":unpacked"
    sha256 = hashlib.sha256(b"old").hexdigest()
    save(at, Entry(url, "", sha256, 1, members=tuple(of_it)))
    record = next((home_of_all / "fetches").glob("*.json"))
    if kind == "folder":
        theirs(home_of_all)
    if not ours:
        theirs(record) if kind != "open" else record.chmod(0o666)
    assert load(at) == Entry()
    run(f"%fetch {url} unz --unpack --update")
    assert Path("keep.txt").exists() and mine.exists()
    assert (target / "sub" / "data").read_text() == "1"


@root_only
@pytest.mark.parametrize("kind", ["above", "folder", "record", "program", "link", "open", "bin"])
def test_a_planted_environment(run: Cells, home_of_all: Path, kind: str) -> None:
    """A Python that somebody else could have put there is never run: it is not ready."""
    name = "n-00000000-py3.8"
    place = home_of_all / "environments" / name
    program = store.interpreter_in(place)
    program.parent.mkdir(parents=True)
    program.symlink_to(sys.executable)
    made = store.Environment(name, "3.8", "/n.ipynb", 1.0)
    made.save()
    assert store.find(name) == made and store.find_all() == [made]
    if kind in ("program", "link", "open"):
        other = program.with_name("other")
        other.touch()
        theirs(other, 0o755) if kind != "open" else other.chmod(0o777)
        program.unlink()
        program.symlink_to(other) if kind == "link" else other.rename(program)
    else:
        planted = {"above": home_of_all, "record": place / "made.json", "bin": program.parent}
        theirs(planted.get(kind, place))
    if kind != "above":
        assert store.find(name) is None and store.find_all() == []
        return
    for asked in (lambda: store.find(name), store.find_all, store.locked):
        with pytest.raises(NotOwn) as raised:
            asked()
        assert raised.value.details == str(home_of_all) and "XDG_DATA_HOME" in raised.value.hint
    assert isinstance(run.attempt("%pin environments").error, NotOwn)


@root_only
def test_a_planted_journal(home_of_all: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an installation that another user says was cut off, nothing is repaired."""
    monkeypatch.setattr(journal, "_place", PLACE)  # not that of all tests
    monkeypatch.setattr(sys, "prefix", "/proc/none")
    path = journal._place("journal")
    assert path.parent == home_of_all
    home_of_all.mkdir()
    path.write_text("{}")
    assert journal.pending()
    theirs(path)
    assert not journal.pending() and journal.read() is None


@root_only
@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["above", "theirs", "open", "link", "pipe", "pipe of ours"])
def test_a_planted_file_of_secrets(shared: Shared, home_of_all: Path, kind: str) -> None:
    """No secret is taken from it, and it is not waited for; its path is named."""
    home_of_all.mkdir()
    path = home_of_all / "secrets.json"
    real = shared.own if kind == "link" else path
    if "pipe" in kind:
        os.mkfifo(path, 0o600)
    else:
        real.write_text(json.dumps({"TOKEN": "value-of-it"}))
        real.chmod(0o600)
    if kind == "link":
        path.symlink_to(real)
    if kind in ("theirs", "link", "pipe"):
        theirs(path)
    elif kind == "open":
        path.chmod(0o622)
    elif kind == "above":
        theirs(home_of_all)
    with pytest.raises(SourceError) as raised:
        lookup.find(Host(), "TOKEN", "file")
    assert str(home_of_all) in raised.value.details


# ---------------------------------------------------------------------- .env
@root_only
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(
    ("case", "owner", "mode", "counts"),
    [
        ("own", NOBODY, 0o600, True),
        ("own, readable", NOBODY, 0o644, True),
        ("theirs", OTHER, 0o644, False),
        ("root's", 0, 0o644, False),
        ("own, a group may write", NOBODY, 0o660, False),
        ("own, all may write", NOBODY, 0o666, False),
        ("their link to one of ours", NOBODY, 0o600, False),
    ],
)
def test_a_dotenv_in_a_folder_of_others(
    shared: Shared, case: str, owner: int, mode: int, counts: bool, beside: bool
) -> None:
    """It counts only if this user owns it and nobody else can write it; its path is named.

    ``beside`` the notebook too.
    """
    start = shared.folder / "start"
    start.mkdir()
    os.chown(start, NOBODY, NOBODY)
    path = (start if beside else shared.folder) / ".env"
    real = shared.folder / "elsewhere" if "link" in case else path
    real.write_text("TOKEN=value-of-it\n")
    real.chmod(mode)
    os.chown(real, owner, owner)
    if real != path:
        path.symlink_to(real)
        os.lchown(path, OTHER, OTHER)
    code = (
        "try:\n"
        "    found, place = lookup.find(Host(start=where), 'TOKEN', 'dotenv')\n"
        "    print('found', found, place.label)\n"
        "except ColabMagicsError as error:\n"
        "    print('refused', error.details)\n"
    )
    said, *rest = as_user(NOBODY, code, start).split(" ", 1)
    assert said == ("found" if counts else "refused")
    assert (rest[0] == "value-of-it .env") if counts and beside else (str(path) in rest[0])


def test_a_dotenv_that_does_not_count_hides_none(home: Path, monkeypatch: Any) -> None:
    """Above a bad one, beside the notebook too, the user's own is found."""
    start = home / "a" / "b"
    start.mkdir(parents=True)
    for folder, value in ((home, "top"), (home / "a", "bad"), (start, "here")):
        (folder / ".env").write_text(f"TOKEN={value}-value\n")
        (folder / ".env").chmod(0o600 if value == "top" else 0o666)
    host = Host(start=start)
    assert lookup.find(host, "TOKEN", "dotenv")[0] == "top-value"
    (start / ".env").chmod(0o644)
    assert lookup.find(host, "TOKEN", "dotenv")[0] == "here-value"


def test_where_secrets_are_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written through no link that stands in the place of the new file; nobody else can read it."""
    from colab_magics.secret import stores

    monkeypatch.setattr(stores, "_path", lambda: home / "config" / "secrets.json")
    own = home / "own"
    own.write_text("own")
    (home / "config").mkdir()
    for name in ("secrets.json.new", ".secrets.json.new", "secrets.new"):
        (home / "config" / name).symlink_to(own)
    stores.File().set("TOKEN", "value-of-it")
    assert own.read_text() == "own" and stores.File().get(Host(), "TOKEN") == "value-of-it"
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (home / "config", stores._path())]
    assert modes == [0o700, 0o600]


@pytest.mark.parametrize("kind", ["link", "other name", "pipe"])
def test_only_a_part_of_ours_is_gone_on_with(
    shared: Shared, run: Cells, server: Server, kind: str
) -> None:
    """What lies in its place is not written, nor waited for: all of it is fetched."""
    data = os.urandom(200_000)
    url = server.put("/a.bin", data)
    part = part_path(shared.folder / "a.bin")
    shared.own.write_bytes(b"x" * 1000)
    if kind == "pipe":
        os.mkfifo(part)
    else:
        (os.symlink if kind == "link" else os.link)(shared.own, part)
    save(part, Entry(part=(url, server.files["/a.bin"].tag)))
    run(f"%fetch {url} {shared.folder}/a.bin")
    assert shared.own.read_bytes() == b"x" * 1000
    assert (shared.folder / "a.bin").read_bytes() == data
    assert not os.path.lexists(part)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "device", "link", "link to a pipe", "folder"])
def test_what_is_no_file_is_left_alone(run: Cells, server: Server, kind: str) -> None:
    """A target that is none is neither read nor replaced: refused as what was not fetched is."""
    url, path = server.put("/e.txt", b"new"), Path("e.txt")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        (path / "e.txt").mkdir(parents=True)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to("pipe" if "pipe" in kind else "nowhere")
        os.mkfifo("pipe")
    before = path.lstat()
    for more in ("", f"--sha256 {hashlib.sha256(b'new').hexdigest()}"):
        reply = run.attempt(f"%fetch {url} e.txt {more}")
        assert isinstance(reply.error, SourceError), reply
        assert os.path.samestat(before, path.lstat()) and not part_path(path).exists()
    if kind == "link":
        run(f"%fetch {url} e.txt --update")
        assert not path.is_symlink() and path.read_bytes() == b"new"


# ---------------------------------------------------------------------- jobs
linux = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("bash") is None, reason="elsewhere: Linux with bash"
)


def plant(kind: str, path: Path, own: Path) -> None:
    """Put something there that leads elsewhere, that waits, or that is somebody else's."""
    if kind == "pipe":
        os.mkfifo(path)
        path.chmod(0o666)
    elif kind == "theirs":
        path.write_bytes(b"theirs\n")
        os.chown(path, NOBODY, NOBODY)
        path.chmod(0o666)
    elif kind == "folder":
        path.mkdir()
    else:
        (os.link if kind == "other name" else os.symlink)(own, path)
        if kind == "their link":
            os.lchown(path, NOBODY, NOBODY)


def begun(words: str, copy: str = "") -> Job:
    """A job of the shell's that runs, or has run."""
    wanted = launch.JobSpec("x", ["sh", "-c", words], dict(os.environ), tty=False, copy=copy)
    return launch.launch("one", wanted)


def until(true: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait for something to be true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


@pytest.fixture
def state(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where jobs are, below folders that are not there yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "local" / "state"))
    return home / "local"


@linux
def test_the_folders_of_jobs_are_closed_whatever_the_umask(state: Path) -> None:
    """With those above them that are made, and with those of the copy of a log."""
    before = os.umask(0)
    try:
        job = begun("true", copy=str(state.with_name("logs") / "more" / "x.log"))
    finally:
        os.umask(before)
    until(lambda: not jobs.process_start(job.supervisor))
    made = [state, *state.rglob("*"), state.with_name("logs"), state.with_name("logs") / "more"]
    assert job.log in made
    wrong = {path: stat.S_IMODE(path.stat().st_mode) for path in made}
    assert {path: oct(mode) for path, mode in wrong.items() if mode & 0o077} == {}


@linux
@pytest.mark.parametrize("kind", ["folder", "link", "other name", "pipe"])
def test_what_is_planted_where_a_keeper_writes(state: Path, shared: Shared, kind: str) -> None:
    """It writes in the folder that it began with, through no link, and waits for no pipe."""
    go = shared.folder / "go"
    job = begun(f"until [ -e {go} ]; do sleep 0.02; done; echo hello")
    kept = job.folder
    if kind == "folder":
        kept = job.folder.rename(state / "aside")
        job.folder.mkdir()
        for name in ("seen.new", "end.new", "log"):
            (job.folder / name).symlink_to(shared.own)
    else:
        (job.folder / "seen.new").unlink()
        plant(kind, job.folder / "seen.new", shared.own)
    go.touch()
    until(lambda: not jobs.process_start(job.supervisor))
    assert not shared.harmed() and (kept / "log").read_text() == "hello\n"
    assert jobs.read_record(kept, jobs.END)["status"] == 0


@linux
@root_only
@pytest.mark.parametrize("kind", ["their link", "other name", "theirs", "pipe", "folder"])
def test_the_copy_of_a_log_is_planted(state: Path, shared: Shared, run: Cells, kind: str) -> None:
    """A link is not followed, a pipe not waited for, and a file of theirs told nothing."""
    path = shared.folder / "x.log"
    plant(kind, path, shared.own)
    reply = run.attempt(f"%shell --background one --log {path} echo hello")
    assert reply.error is not None and str(path) in str(reply.error)
    assert find_job("one") is None and not shared.harmed()
    assert kind != "theirs" or path.read_bytes() == b"theirs\n"


@linux
@root_only
@pytest.mark.parametrize("kind", ["link", "other name", "theirs", "pipe", "folder"])
def test_a_log_that_was_planted(state: Path, shared: Shared, run: Cells, kind: str) -> None:
    """It is not shown, nor waited for: the job is listed without it."""
    job = begun("exit 3")
    until(lambda: not jobs.process_start(job.supervisor))
    shared.own.write_bytes(b"theirs\n")
    job.log.unlink()
    plant(kind, job.log, shared.own)
    assert "failed" in run("%jobs") and "theirs" not in run("%jobs")
    for verb in ("log one", "log one --all", "follow one", "wait one"):
        reply = run.attempt(f"%jobs {verb}")
        assert reply.error is not None and "theirs" not in reply.shown + str(reply.error)
        assert verb != "wait one" or "failed with" in str(reply.error)


# ---------------------------------------------------------------------- a run
@root_only
@pytest.mark.parametrize("kind", ["pipe", "their link", "folder", "dangling"])
def test_the_output_of_a_run_is_planted(shared: Shared, kind: str) -> None:
    """One line before anything runs; what it leads to stays as it is."""
    output = shared.folder / "out.ipynb"
    plant(kind, output, shared.own if kind != "dangling" else shared.own.with_name("none"))
    path = notebook(shared.folder / "nb.ipynb", "print(1)")
    ended = Started(path, "--output", str(output)).ended()
    assert ended.status > 0 and "1/1]" not in ended.out
    assert "out.ipynb" in ended.errors and "Traceback" not in ended.errors
    assert not shared.harmed() and not shared.own.with_name("none").exists()


@root_only
@pytest.mark.parametrize("kind", ["mkfifo({out!r})", "symlink({own!r}, {out!r})"])
def test_an_output_is_planted_during_a_run(shared: Shared, kind: str) -> None:
    """The run is saved beside it."""
    output, own = str(shared.folder / "out.ipynb"), str(shared.own)
    cell = f"import os; os.{kind.format(out=output, own=own)}; os.lchown({output!r}, 65534, 65534)"
    path = notebook(shared.folder / "nb.ipynb", cell + "; print('done')")
    ended = Started(path, "--output", output).ended()
    assert ended.status == 1 and "out-run.ipynb" in ended.errors
    assert "done" in (shared.folder / "out-run.ipynb").read_text() and not shared.harmed()
