"""``%drive sync`` over two folders: what becomes of a file, by what each side did with it."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Dict, List, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colab_magics.core.errors import DriveError
from colab_magics.core.folders import user_path
from colab_magics.core.host import Host
from colab_magics.core.meter import Meter
from colab_magics.drive.transfer.places import locate_here
from colab_magics.drive.transfer.store import Change, Entry
from colab_magics.drive.transfer.sync.plan import Limits, Pair, Version, conflict_names
from colab_magics.drive.transfer.sync.run import Ends, Sync, SyncResult
from colab_magics.drive.transfer.sync.state import State
from colab_magics.drive.transfer.sync.tree import Node, apply_changes, build_tree

pytestmark = pytest.mark.once
#: Seconds since 1970 of the file that was written last.
CLOCK = [1_700_000_000]


@pytest.fixture(autouse=True)
def folders(home: Path) -> None:
    """Two empty folders."""
    Path("a").mkdir()
    Path("b").mkdir()


def write(path: str, text: str) -> None:
    """Write a file at another time than all before."""
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    CLOCK[0] += 60
    os.utime(place, (CLOCK[0], CLOCK[0]))


def make(deletes: bool = False, share: float = 0.25) -> Sync:
    host = Host(start=Path.cwd())
    ends = Ends(locate_here("a", host), locate_here("b", host))
    return Sync(ends, Limits(deletes, share), Meter(), lambda line: None, 2)


def run(deletes: bool = False, share: float = 0.25) -> SyncResult:
    return make(deletes, share).run()


def tree(folder: str) -> Dict[str, str]:
    """The files below a folder, hidden ones too."""
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def texts(folder: str) -> List[str]:
    """What is in a folder: the file's text, then that of its second version."""
    return [text for _, text in sorted(tree(folder).items(), key=lambda x: len(x[0]))]


# ---------------------------------------------------------------------- what becomes of a file
#: As it was at the last sync, as it is on each side; then what is on each side.
CASES = [
    (None, "1", None, ["1"], ["1"]),
    (None, None, "1", ["1"], ["1"]),
    (None, "1", "1", ["1"], ["1"]),
    (None, "1", "2", ["1", "2"], ["1", "2"]),
    ("0", "0", "0", ["0"], ["0"]),
    ("0", "1", "0", ["1"], ["1"]),
    ("0", "0", "1", ["1"], ["1"]),
    ("0", "1", "1", ["1"], ["1"]),
    ("0", "1", "2", ["1", "2"], ["1", "2"]),
    ("0", "1", "longer", ["1", "longer"], ["1", "longer"]),
    ("0", None, "0", [], ["0"]),
    ("0", "0", None, ["0"], []),
    ("0", None, "1", ["1"], ["1"]),
    ("0", "1", None, ["1"], ["1"]),
    ("0", None, None, [], []),
]


@pytest.mark.parametrize("deletes", [False, True])
@pytest.mark.parametrize(("last", "local", "remote", "on_local", "on_remote"), CASES)
def test_what_becomes_of_a_file(
    last: Optional[str],
    local: Optional[str],
    remote: Optional[str],
    on_local: List[str],
    on_remote: List[str],
    deletes: bool,
) -> None:
    """Nothing that was changed is lost, and a second run moves nothing.

    Only with ``--delete`` a file goes that the other side has deleted.
    """
    if last is not None:
        write("a/f/x.txt", last)
        run()
    for folder, text in (("a", local), ("b", remote)):
        place = Path(folder, "f/x.txt")
        if text is None and place.exists():
            place.unlink()
        elif text not in (None, last):
            write(str(place), text)
    run(deletes)
    if deletes and [] in (on_local, on_remote):
        on_local = on_remote = []
    before = tree("a"), tree("b")
    assert (texts("a"), texts("b")) == (on_local, on_remote)
    again = run(deletes)
    assert (again.copied, again.deleted) == (0, 0)
    assert (tree("a"), tree("b")) == before


def test_two_files_of_the_same_millisecond_are_two() -> None:
    """They have the same size too; a copy has the same time, or that in milliseconds."""
    times = {"x": (1, 2), "y": (1, 1), "z": (1_000_001, 1_000_000)}
    for name, (local, remote) in times.items():
        for folder, text, time in (("a", "1", local), ("b", "2", remote)):
            write(f"{folder}/{name}", text)
            os.utime(f"{folder}/{name}", ns=(time, time))
    assert run().conflicts.keys() == {"x"}


def test_both_versions_of_a_conflict_are_named() -> None:
    """The second one by the time when it was changed; where that name is taken, with a number."""
    write("a/x.tar.gz", "1")
    write("b/x.tar.gz", "2")
    (path,) = [x[0] for x in [next(conflict_names(("x.tar.gz",), CLOCK[0] * 10**9))]]
    write(f"a/{path}", "in its place")
    result = run()
    (other,) = result.conflicts.values()
    assert "x.tar.gz" in result.brief()[1] and other in result.brief()[1]
    assert other.startswith("x.tar (conflict ") and other.endswith(" 2).gz")
    assert tree("a") == tree("b") == {"x.tar.gz": "1", path: "in its place", other: "2"}


@pytest.mark.parametrize("name", ["x", ".hidden", "a.b", "ü" * 120 + ".txt", "x" * 255])
def test_the_name_of_a_second_version_is_a_name(name: str) -> None:
    """Whatever the first one is, and whatever its time is."""
    for time in (0, -(10**18), 10**18, 2**63):
        names = conflict_names((name,), time)
        one, two = next(names)[0], next(names)[0]
        assert one != two
        assert all(len(x.encode()) <= 255 and "(conflict " in x for x in (one, two))


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["write", "delete", "sync", "sync"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["x", "f/x", "f/y", "g/h/x"]),
    ),
    max_size=14,
)


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)
@given(OPERATIONS, st.booleans())
def test_no_edit_is_lost_by_any_history(
    tmp_path_factory: pytest.TempPathFactory, operations: List[object], deletes: bool
) -> None:
    """What was written since the last sync is on both sides after it, and the sides are alike."""
    os.chdir(tmp_path_factory.mktemp("history"))
    for folder in ("a", "b"):
        Path(folder).mkdir()
    fresh: Dict[str, str] = {}
    for number, (verb, folder, name) in enumerate([*operations, ("sync", "a", "x")]):  # type: ignore
        place = Path(folder, name)
        if verb == "write":
            write(str(place), f"text {number}")
            fresh[str(place)] = f"text {number}"
        elif verb == "delete" and place.exists():
            place.unlink()
            fresh.pop(str(place), None)
        elif verb == "sync":
            result = run(deletes, 1.0)
            stays = {x for names in result.remaining.values() for x in names}
            for text in fresh.values():
                assert text in tree("a").values() and text in tree("b").values()
            local, remote = tree("a"), tree("b")
            assert {x: local[x] for x in local.keys() - stays} == {
                x: remote[x] for x in remote.keys() - stays
            }
            fresh.clear()


# ---------------------------------------------------------------------- what is deleted
def test_more_deletions_than_the_cap_are_none() -> None:
    """They are named; a few always go, and a higher cap lets them."""
    for at in range(40):
        write(f"a/{at:02}", str(at))
    run()
    for at in range(15):
        os.unlink(f"b/{at:02}")
    result = run(deletes=True)
    assert (result.deleted, result.too_many) == (0, {"local": 15})
    assert len(result.remaining["local"]) == 15
    assert len(tree("a")) == 40
    assert run(deletes=True, share=0.5).deleted == 15
    assert len(tree("a")) == len(tree("b")) == 25
    for at in range(15, 25):
        os.unlink(f"a/{at}")
    assert run(deletes=True).deleted == 10


def test_a_side_that_is_empty_has_deleted_nothing() -> None:
    """It may be a drive that is not mounted, or another one: all stays, whatever the cap."""
    for name in ("x", "y"):
        write(f"a/f/{name}", name)
    run()
    for name in ("x", "y"):
        os.unlink(f"b/f/{name}")
    result = run(deletes=True, share=1.0)
    assert (result.deleted, result.too_many) == (0, {"local": 2})
    assert tree("a") == {"f/x": "x", "f/y": "y"}


def test_what_is_a_folder_on_one_side_is_named() -> None:
    """With its path, and left alone."""
    write("a/x", "1")
    write("b/x/y", "2")
    (line,) = run().passed_over
    assert line.startswith("x: ")
    assert tree("a") == {"x": "1"} and tree("b") == {"x/y": "2"}


def test_a_folder_that_is_missing_has_deleted_nothing() -> None:
    """As after a machine was wiped: it is copied again, with ``--delete`` too."""
    write("a/f/x", "1")
    write("a/y", "2")
    run()
    for path in ("b/f/x", "b/y"):
        os.unlink(path)
    os.rmdir("b/f")
    os.rmdir("b")
    assert run(deletes=True).copied == 2
    assert tree("a") == tree("b") == {"f/x": "1", "y": "2"}


def test_empty_folders_are_made_and_removed() -> None:
    """Removed only with ``--delete``, and where nothing is in them."""
    os.makedirs("a/f/g")
    write("a/h/x", "1")
    run()
    assert Path("b/f/g").is_dir()
    os.rmdir("b/f/g")
    os.rmdir("b/f")
    os.unlink("b/h/x")
    os.rmdir("b/h")
    run()
    assert Path("a/f/g").is_dir() and not Path("b/f").exists()
    write("a/f/g/new", "2")
    run(deletes=True)
    assert tree("a") == tree("b") == {"f/g/new": "2"}
    assert not Path("a/h").exists()


# ---------------------------------------------------------------------- what is left alone
def test_what_is_no_file_is_left_alone_with_what_the_other_side_has() -> None:
    """A link is not followed; where it lies now, the file of the other side is not deleted."""
    write("a/x", "1")
    write("a/f/y", "2")
    run()
    os.unlink("b/x")
    os.symlink("/etc/hostname", "b/x")
    os.unlink("a/f/y")
    os.rmdir("a/f")
    write("a/f", "a file where a folder was")
    result = run(deletes=True)
    assert len(result.passed_over) == 2
    assert tree("a") == {"x": "1", "f": "a file where a folder was"}
    assert Path("b/x").is_symlink()
    assert Path("b/f/y").read_text() == "2"


def test_a_folder_that_cannot_be_read_is_not_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in it is deleted on the other side."""
    write("a/f/x", "1")
    run()
    scandir = os.scandir

    def refuse(path: object) -> object:
        if str(path).endswith("/b/f"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        result = run(deletes=True)
    assert len(result.passed_over) == 1
    assert tree("a") == tree("b") == {"f/x": "1"}


def test_a_file_that_changes_meanwhile_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Since both sides were listed, somebody has written it."""
    write("a/x", "1")
    run()
    write("a/x", "new")
    sync = make()
    prepare = sync._prepare

    def edit(file: object) -> object:
        plan = prepare(file)  # type: ignore[arg-type]
        write("b/x", "edited")
        return plan

    monkeypatch.setattr(sync, "_prepare", edit)
    with pytest.raises(DriveError) as caught:
        sync.run()
    assert caught.value.code == "changed"
    assert tree("b") == {"x": "edited"}
    assert len(run().conflicts) == 1


# ---------------------------------------------------------------------- the state
def test_the_state_is_for_its_user_alone_and_its_loss_loses_nothing() -> None:
    """0600; one that says nothing is as none: what differs is a conflict, nothing is deleted."""
    write("a/x", "1")
    write("a/y", "2")
    run()
    (file,) = user_path("state", "sync").glob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    for wrong in ("", "{", "[]", text.replace('"x"', '"../x"'), text.replace('"version": 1', "")):
        file.write_text(wrong)
        assert run(deletes=True).copied == 0
    file.write_text("null")
    os.unlink("a/x")
    write("a/y", "3")
    assert run(deletes=True).conflicts.keys() == {"y"}
    assert Path("a/x").read_text() == "1"


def test_a_state_is_read_as_it_was_written() -> None:
    """And nothing else is read: each part of it that has another type makes it none."""
    md5 = "0" * 32
    state = State(
        ["1", "2"],
        {("f", "x"): Pair(Version(1, 2, md5), Version(3, -4))},
        {("f",)},
        "token",
        {"id": Node("2", Entry("id", "any\nname/..", "file", 1, 2, md5))},
    )
    text = state.to_json()
    assert State.from_json(text.encode()) == state
    chance = random.Random(1)
    for _ in range(300):
        at = chance.randrange(len(text))
        broken = text[:at] + chance.choice('{}[]",:0a') + text[at + 1 :]
        try:
            assert isinstance(State.from_json(broken.encode()), State)
        except ValueError:
            continue


# ---------------------------------------------------------------------- what a drive tells
def test_changes_keep_nodes_up_to_date() -> None:
    """Files come, go, move and get other names; a folder that is moved to here has to be listed."""
    root = Entry("root", "", "folder")
    nodes = {
        "f": Node("root", Entry("f", "f", "folder")),
        "g": Node("root", Entry("g", "g", "folder")),
        "x": Node("f", Entry("x", "x")),
        "y": Node("g", Entry("y", "y")),
    }
    changes = [
        Change("x", "g", Entry("x", "renamed")),
        Change("g", "f", Entry("g", "g", "folder")),
        Change("new", "f", Entry("new", "new", "folder")),
        Change("far", "elsewhere", Entry("far", "far", "folder")),
        Change("in far", "far", Entry("in far", "in far")),
        Change("y", "", None),
        Change("root", "", Entry("root", "", "folder")),
    ]
    assert [entry.id for entry in apply_changes(nodes, root, changes)] == ["new"]
    tree = build_tree(nodes, root)
    assert tree.files.keys() == {("f", "g", "renamed")}
    assert tree.folders.keys() == {("f",), ("f", "g"), ("f", "new")}
    apply_changes(nodes, root, [Change("f", "", None)])
    assert nodes == {}


@pytest.mark.parametrize("name", ["../out", "..", "", "a\nb", "a\x1b[2J", "x" * 300, "a\0b"])
def test_a_name_from_a_drive_is_left_alone(name: str) -> None:
    """With all that is below it; no path is made of it."""
    root = Entry("root", "", "folder")
    nodes = {
        "f": Node("root", Entry("f", name, "folder")),
        "x": Node("f", Entry("x", "x")),
        "1": Node("root", Entry("1", "twin")),
        "2": Node("root", Entry("2", "twin")),
    }
    tree = build_tree(nodes, root)
    assert (tree.files, tree.folders) == ({}, {})
    assert tree.blocked.keys() == {(name,), ("twin",)}
    assert "1, 2" in tree.blocked["twin",]
