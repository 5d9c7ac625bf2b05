"""``%drive sync`` by Drive's interface, against a double of it with faults, and killed anywhere."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path
from typing import Any, Callable, Dict, List, Set

import pytest
from doubles import google_drive as fake
from doubles.google_drive import GoogleDrive
from support.drive_client import Client, hash_all, start, tree, write

from colab_magics.core import files
from colab_magics.core.errors import DriveError
from colab_magics.core.folders import user_path

pytestmark = pytest.mark.once
MB = 1 << 20


def remote(drive: GoogleDrive) -> Dict[str, bytes]:
    """The files below ``drive:p``."""
    files = drive.tree().items()
    return {path[2:]: data for path, data in files if path.startswith("p/") and path[-1] != "/"}


# ---------------------------------------------------------------------- as it should be
def test_both_ways_and_then_nothing_by_few_requests(drive: GoogleDrive, client: Client) -> None:
    """A second run asks for changes alone; what has changed is found by them."""
    top = drive.add_folder("p")
    for at in range(5):
        drive.add_file(f"{at}", b"of the drive", drive.add_folder(f"f{at}", top))
    write("p/sub/it's a \\ name/ü", b"of here")
    write("p/large", random.Random(1).randbytes(11 * MB))
    result = client.sync("p", "drive:p")
    assert (result.copied, result.received) == (7, 5)
    assert tree(Path("p")) == remote(drive)
    drive.reset()
    again = client.sync("p", "drive:p")
    assert (again.copied, again.deleted, again.same) == (0, 0, 7)
    assert drive.count() == drive.count("list", "changes") == 2
    (changed,) = drive.find("3")
    drive.files.update(changed, {}, drive.files.store(b"new"))
    write("p/f4/4", b"newer")
    drive.reset()
    result = client.sync("p", "drive:p")
    assert (result.copied, result.received) == (2, 1)
    assert tree(Path("p")) == remote(drive)
    assert drive.count("list", "changes") == 2
    assert tree(Path("p"))["f3/3"] == b"new"


@pytest.mark.parametrize("name", ["drive:", "drive:p"])
def test_what_others_do_on_the_drive_comes_by_changes(
    drive: GoogleDrive, client: Client, name: str
) -> None:
    """New, moved, renamed and deleted files and folders; the same as by a full listing."""
    top = drive.add_folder("p") if name == "drive:p" else fake.ROOT
    far = drive.add_folder("far", drive.add_shared_drive("elsewhere"))
    drive.add_file("deep", b"deep", drive.add_folder("in", far))
    folder, other = drive.add_folder("f", top), drive.add_folder("g", top)
    ids = {x: drive.add_file(x, x.encode(), folder) for x in "abc"}
    client.sync("p", name)
    drive.files.update(ids["a"], {"name": "renamed"})
    drive.files.update(ids["b"], {}, None, other, folder)
    drive.files.update(ids["c"], {"trashed": True})
    drive.files.update(far, {}, None, folder, drive.files.get(far).meta["parents"][0])
    drive.add_file("new", b"new", drive.add_folder("h", top))
    assert client.sync("p", name, deletes=True).deleted == 3
    expected = {
        "f/renamed": b"a",
        "g/b": b"b",
        "f/far/in/deep": b"deep",
        "h/new": b"new",
    }
    assert tree(Path("p")) == expected
    for file in user_path("state", "sync").glob("*.json"):
        file.unlink()
    assert client.sync("p", name).copied == 0
    assert tree(Path("p")) == expected


@pytest.mark.parametrize("seconds", [-(10**9), 4 * 10**9, 316516204800])
def test_an_odd_time_is_noted_as_each_side_has_it(
    drive: GoogleDrive, client: Client, seconds: int
) -> None:
    """Before 1970, after 2100, and one that Drive cannot have: nothing moves twice, either way."""
    write("p/sent", b"1")
    os.utime("p/sent", (seconds, seconds))
    drive.add_folder("p")
    assert client.sync("p", "drive:p").copied == 1
    noted = files.read_own(next(user_path("state", "sync").glob("*.json")))
    ((_, here, _, _, there, _),) = json.loads(noted)["pairs"].values()
    entry = client.store.stat("p/sent")
    assert entry is not None
    assert (here, there) == (Path("p/sent").stat().st_mtime_ns, entry.mtime_ns)
    again = client.sync("p", "drive:p")
    assert (again.copied, again.same) == (0, 1)
    time = "1950-01-01T00:00:00.000Z" if seconds < 0 else "2150-01-01T00:00:00.000Z"
    drive.add_file("received", b"2", *drive.find("p"), modifiedTime=time)
    assert client.sync("p", "drive:p").received == 1
    assert client.sync("p", "drive:p").same == 2
    assert client.copy("drive:p/", "p").same == 2


def test_a_token_that_is_expired_costs_a_listing(drive: GoogleDrive, client: Client) -> None:
    """And moves nothing."""
    write("p/f/x", b"1")
    client.sync("p", "drive:p")
    drive.faults.plan(fake.Fault(410, "gone"), "changes")
    drive.add_file("y", b"2", *drive.find("f"))
    result = client.sync("p", "drive:p")
    assert (result.copied, result.same) == (1, 1)
    drive.reset()
    assert client.sync("p", "drive:p").copied == 0
    assert drive.count() == 2


def test_a_shared_drive_is_listed_each_time(drive: GoogleDrive, client: Client) -> None:
    """Its changes are apart from those of one's own drive."""
    top = drive.add_shared_drive("team")
    drive.add_shortcut("s", top)
    inner = drive.add_folder("f", top)
    drive.add_file("x", b"1", inner)
    client.sync("p", "drive:s/f")
    drive.add_file("y", b"2", inner)
    assert client.sync("p", "drive:s/f").received == 1
    assert drive.count("changes", "start_page_token") == 0
    assert tree(Path("p")) == {"x": b"1", "y": b"2"}


def test_a_deleted_file_goes_to_the_trash(drive: GoogleDrive, client: Client) -> None:
    """With ``--delete``; without it is named, and stays."""
    write("p/f/x", b"1")
    write("p/y", b"2")
    client.sync("p", "drive:p")
    (file,) = drive.find("x")
    os.unlink("p/f/x")
    os.rmdir("p/f")
    assert client.sync("p", "drive:p").remaining == {"remote": ["f/x"]}
    assert client.sync("p", "drive:p", deletes=True).deleted == 1
    assert drive.meta(file)["trashed"] is True
    assert drive.tree() == {"p/y": b"2"}


# ---------------------------------------------------------------------- what is left alone
def test_what_is_left_alone_is_named(drive: GoogleDrive, client: Client) -> None:
    """Documents, shortcuts, names that stand twice or lead out; and what lies here in their place.

    What a shortcut leads to is not deleted with it, by changes or without.
    """
    top = drive.add_folder("p")
    drive.add_document("notes", {}, top)
    target = drive.add_file("target", b"precious")
    drive.add_shortcut("short", target, top)
    for data in (b"1", b"2"):
        drive.add_file("twin", data, top)
    drive.add_file("../out", b"evil", top)
    drive.add_file("good", b"good", top)
    write("p/twin", b"3")
    write("p/short", b"4")
    for _ in range(2):
        result = client.sync("p", "drive:p", deletes=True)
        assert len(result.passed_over) == 4
        ids = drive.find("twin")
        assert any(all(id in line for id in ids) for line in result.passed_over)
    assert tree(Path("p")) == {"good": b"good", "twin": b"3", "short": b"4"}
    for name in ("twin", "short"):
        os.unlink(f"p/{name}")
    drive.add_shortcut("later", target, top)
    assert len(client.sync("p", "drive:p", deletes=True).passed_over) == 5
    assert drive.read(target) == b"precious" and not drive.meta(target)["trashed"]
    assert len(drive.find("twin")) == 2


def test_an_edit_on_the_drive_meanwhile_is_not_replaced(drive: GoogleDrive, client: Client) -> None:
    """Nor deleted: each file is looked at again before."""
    write("p/x", b"1")
    write("p/y", b"1")
    client.sync("p", "drive:p")
    write("p/x", b"mine")
    os.unlink("p/y")

    ids = [*drive.find("x"), *drive.find("y")]

    def edit_once(request: fake.Request) -> Any:
        while request.action == "get" and ids:  # after the changes were asked for
            drive.files.update(ids.pop(), {}, drive.files.store(b"theirs"))
        return None

    drive.faults.choose = edit_once
    with pytest.raises(DriveError) as caught:
        client.sync("p", "drive:p", deletes=True)
    assert caught.value.code == "changed"
    assert remote(drive) == {"x": b"theirs", "y": b"theirs"}
    drive.faults.clear()
    result = client.sync("p", "drive:p", deletes=True)
    (other,) = result.conflicts.values()
    assert tree(Path("p")) == remote(drive) == {"x": b"mine", "y": b"theirs", other: b"theirs"}


def test_only_one_syncs_a_pair(drive: GoogleDrive, client: Client) -> None:
    """The other one is told so at once."""
    write("p/x", b"1")
    other = Client(drive.url, lambda fresh: fake.TOKEN)
    errors: List[DriveError] = []

    def meanwhile(request: fake.Request) -> Any:
        if request.action == "multipart":
            with pytest.raises(DriveError) as caught:
                other.sync("p", "drive:p")
            errors.append(caught.value)
        return None

    drive.faults.choose = meanwhile
    client.sync("p", "drive:p")
    assert [error.code for error in errors] == ["busy"]


# ---------------------------------------------------------------------- cut off, and gone on with
def edit(chance: random.Random, drive: GoogleDrive, number: int) -> Set[bytes]:
    """Write some files on both sides; return what is in them now."""
    written: Dict[Any, bytes] = {}
    (top,) = drive.find("p")
    for at in range(6):
        name, data = f"f{at % 3}/{chance.randrange(6)}", f"{number} {at}".encode()
        if at == 5:
            data += chance.randbytes(6 * MB)
        if at % 2:
            write(f"p/{name}", data)
        else:
            folder, file = name.split("/")
            folders = drive.find(folder, top) or [drive.add_folder(folder, top)]
            ids = drive.find(file, folders[0])
            if ids:
                drive.files.update(ids[0], {}, drive.files.store(data))
            else:
                drive.add_file(file, data, folders[0])
        written[at % 2, name] = data
    return {*written.values()}


@pytest.mark.timeout(1800)
def test_a_kill_at_any_moment_loses_and_doubles_nothing(
    drive: GoogleDrive, home: Path, long: bool, held: Callable[[int, int], None]
) -> None:
    """``kill -9`` under faults: the next run brings both in step, with each edit of both sides."""
    chance = random.Random()
    seed = chance.randrange(2**32)
    print(f"seed {seed}")
    chance.seed(seed)
    drive.add_folder("p")

    def choose(request: fake.Request) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            process.send_signal(signal.SIGKILL)
        faults = [fake.unavailable(), fake.cut(MB), fake.lost_reply()]
        return chance.choice(faults) if chance.random() < 0.1 else None

    kills, good, cut_off, left = 100 if long else 3, 0, 0, 0
    for number in range(kills):
        written = edit(chance, drive, number)
        left = chance.randrange(1, 7)
        drive.faults.choose = choose
        process = start("sync", "p", "drive:p", url=drive.url)
        process.communicate("\n", timeout=60)
        cut_off += process.returncode == -signal.SIGKILL
        left = 0  # the next one lives
        process = start("sync", "p", "drive:p", url=drive.url)
        process.communicate("\n", timeout=60)
        assert process.returncode == 0
        drive.faults.clear()
        local = tree(Path("p"))
        assert hash_all(local) == hash_all(remote(drive))
        assert written <= {*local.values()}
        client = Client(drive.url, lambda fresh: fake.TOKEN)
        assert client.sync("p", "drive:p").copied == 0
        assert [*user_path("state", "transfers").glob("*")] == []
        good += 1
    held(kills, good)
    assert cut_off > kills / 3, "the kills come too late"
