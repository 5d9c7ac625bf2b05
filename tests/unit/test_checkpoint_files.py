"""Files in a checkpoint: read in one state, put back whole, and never outside of their folder."""

from __future__ import annotations

import os
import socket
import stat
import time
from pathlib import Path
from typing import Any, Callable, List, Tuple

import pytest
from support.snapshots import content, restore_root

from colab_magics.checkpoint import files
from colab_magics.checkpoint.files import (
    Known,
    RestoredRoot,
    StagedRoot,
    identify,
    list_root,
    snapshot_root,
)
from colab_magics.checkpoint.manifest import File, Manifest, Root
from colab_magics.checkpoint.packs import SMALL, DamagedData, PackWriter
from colab_magics.checkpoint.store import Store
from colab_magics.core.errors import ColabMagicsError

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.name != "posix", reason="elsewhere: links and modes of POSIX"),
]


@pytest.fixture
def place(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.create()
    return made


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A folder with all kinds of what can be in one."""
    folder = tmp_path / "data"
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "empty").mkdir(mode=0o750)
    (folder / "a.txt").write_text("a")
    (folder / "none").touch()
    (folder / "run.sh").write_text("#!/bin/sh")
    (folder / "run.sh").chmod(0o755)
    (folder / "deep" / "deeper" / "large").write_bytes(content(1, "large", SMALL + 5))
    (folder / "deep" / "näme \n'x").write_text("text")
    os.mkdir(os.fsencode(folder) + b"/\xff")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff/y")).write_text("y")
    (folder / "link").symlink_to("a.txt")
    (folder / "out").symlink_to("/etc")
    return folder


def snapshot(place: Store, path: Path, known: Any = ()) -> Root:
    left_out = {identify(place.folder)}
    with place.writer(known) as writer:
        root = snapshot_root(
            "drive:data", list_root(path, left_out), writer, Known(known, "drive:data")
        )
        writer.close()
    return root


def tree(folder: Path) -> List[Tuple[str, int, Any]]:
    entries = []
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        held: Any = None
        if path.is_symlink():
            held = os.readlink(path)
        elif path.is_file():
            held = path.read_bytes(), state.st_mtime_ns
        entries.append((str(path.relative_to(folder)), state.st_mode, held))
    return entries


# ---------------------------------------------------------------------- there and back
def test_a_folder_comes_back_as_it_was(place: Store, top: Path, tmp_path: Path) -> None:
    """Names of any bytes, empty files and folders, modes, times and links, which lead as before."""
    (top / "locked").mkdir()
    (top / "locked" / "in").write_text("in")
    (top / "locked").chmod(0o555)
    root = snapshot(place, top)
    assert root.missed == ()
    back = tmp_path / "back"
    restored = restore_root(root, back, place)
    assert tree(back) == tree(top)
    assert (restored.kept, restored.unchanged) == ((), ())
    again = restore_root(root, back, place)
    assert again.written == () and len(again.unchanged) == len(restored.written) - 5


def test_a_root_may_be_a_file(place: Store, tmp_path: Path) -> None:
    """A path that names a file, and a link to one, are the file."""
    (tmp_path / "x").write_text("x")
    (tmp_path / "link").symlink_to("x")
    for name in ("x", "link"):
        root = snapshot(place, tmp_path / name)
        restored = restore_root(root, tmp_path / f"{name}-back" / "y", place)
        assert restored.written == (".",)
        assert (tmp_path / f"{name}-back" / "y").read_text() == "x"
        assert [path.name for path in (tmp_path / f"{name}-back").iterdir()] == ["y"]


def test_what_is_no_file_is_named(place: Store, top: Path) -> None:
    """A pipe and a socket are missed, and nothing waits for them; so is a root that is gone."""
    os.mkfifo(top / "pipe")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(top / "socket"))
    assert snapshot(place, top).missed == ("pipe", "socket")
    assert snapshot(place, top / "nothing").missed == (".",)


def test_what_is_made_anew_is_left_out(place: Store, tmp_path: Path) -> None:
    """Caches of Python and Jupyter, and the store itself, by whatever path it is met."""
    top = tmp_path
    for name in ("__pycache__", ".ipynb_checkpoints"):
        (top / name).mkdir()
        (top / name / "x").write_text("x")
    (top / "a").write_text("a")
    assert [file.path for file in snapshot(place, top).files] == [".", "a"]


def test_nothing_is_overwritten_unless_asked_for(place: Store, top: Path, tmp_path: Path) -> None:
    """Other bytes stay and are named; ``overwrite`` replaces files, but no folders and links."""
    root, back = snapshot(place, top), tmp_path / "back"
    (back / "none").mkdir(parents=True)
    (back / "a.txt").write_text("mine")
    (back / "link").symlink_to("mine")
    (back / "run.sh").symlink_to("a.txt")
    restored = restore_root(root, back, place)
    assert {*restored.kept} == {"none", "a.txt", "link", "run.sh"}
    assert (back / "a.txt").read_text() == "mine" and (back / "deep/deeper/large").exists()
    restored = restore_root(root, back, place, overwrite=True)
    assert {*restored.kept} == {"none", "link", "run.sh"} and restored.written == ("a.txt",)
    assert (back / "a.txt").read_text() == "a"


def test_where_a_part_is_damaged_nothing_is_put_back(
    place: Store, top: Path, tmp_path: Path
) -> None:
    """All is verified before the first file is in its place."""
    root, back = snapshot(place, top), tmp_path / "back"
    (large,) = (file for file in root.files if file.path.endswith("large"))
    path = place.folder / "packs" / large.content[0].pack
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(DamagedData):
        restore_root(root, back, place)
    assert [*back.iterdir()] == []
    whole = StagedRoot(Root("x", root.files[:3]), back / "x", place)
    with pytest.raises(DamagedData):
        StagedRoot(root, back / "y", place)
    whole.remove()
    assert [path for path in back.rglob("*") if not path.is_dir()] == []


def test_what_a_killed_restore_left_goes_with_the_next(
    place: Store, top: Path, tmp_path: Path
) -> None:
    """Its staged files are in one folder, which nobody holds."""
    root, back = snapshot(place, top), tmp_path / "back"
    pid = os.fork()
    if not pid:
        StagedRoot(root, back, place, lambda size: None)
        os._exit(0)
    os.waitpid(pid, 0)
    assert [path.suffix for path in back.iterdir()] == [".scratch"]
    restore_root(root, back, place)
    assert tree(back) == tree(top)


@pytest.mark.parametrize("nth", range(1, 12, 2))
def test_a_restore_that_is_killed_between_two_files_is_made_whole(
    place: Store, top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    """No file is half of it, no folder is more open than it was, and the next one has the rest."""
    root, back, calls = snapshot(place, top), tmp_path / "back", iter(range(1, 100))
    pid = os.fork()
    if not pid:
        for name in ("mkdir", "replace"):
            real = getattr(Path, name)
            end = lambda *a, real=real, **k: real(*a, **k) if next(calls) < nth else os._exit(9)  # noqa: E731
            monkeypatch.setattr(Path, name, end)
        restore_root(root, back, place)
    assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 9
    restore_root(root, back, place)
    assert tree(back) == tree(top)


# ---------------------------------------------------------------------- reading
def test_what_did_not_change_is_not_read_again(
    place: Store, top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By size and times; the same size with the time set back is read again, and so is what had
    just been written, or what the store has lost.
    """
    root = snapshot(place, top)
    known = [Manifest(time.time() + 10, "k", "n", (root,))]
    read: List[str] = []
    real = files._read_file

    def read_file(path: Path, writer: PackWriter) -> Any:
        read.append(path.name)
        return real(path, writer)

    monkeypatch.setattr(files, "_read_file", read_file)
    assert snapshot(place, top, known) == root
    assert read == ["none"]  # an empty one costs nothing
    read.clear()
    written = (top / "a.txt").stat().st_ctime
    assert snapshot(place, top, [Manifest(written, "k", "n", (root,))]) == root
    assert len(read) == 6
    state = (top / "a.txt").stat()
    (top / "a.txt").write_text("b")
    os.utime(top / "a.txt", ns=(state.st_atime_ns, state.st_mtime_ns))
    read.clear()
    changed = snapshot(place, top, known)
    assert {*read} == {"none", "a.txt"}
    restore_root(changed, tmp_path / "back", place)
    assert (tmp_path / "back" / "a.txt").read_text() == "b"
    read.clear()
    place.packs.remove(place.packs.sizes())
    snapshot(place, top, known)
    assert len(read) == 6


def changing(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> None:
    """Call something each time that a file was stored, before its state is looked at again."""
    real = PackWriter.add_stream

    def add_stream(self: PackWriter, data: Any) -> Any:
        added = real(self, data)
        change()
        return added

    monkeypatch.setattr(PackWriter, "add_stream", add_stream)


def test_a_file_that_changes_while_it_is_read(
    place: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken again, and is of one state; one that never stands still is named."""
    path = tmp_path / "data" / "x"
    path.parent.mkdir()
    path.write_text("0")
    turns: List[int] = []

    def write_once() -> None:
        turns.append(1)
        if len(turns) == 1:
            path.write_text("1")

    changing(monkeypatch, write_once)
    root = snapshot(place, path.parent)
    restore_root(root, tmp_path / "back", place)
    assert (tmp_path / "back" / "x").read_text() == "1" and len(turns) == 2
    changing(monkeypatch, lambda: path.write_text(str(time.time_ns())) and None)
    root = snapshot(place, path.parent)
    assert (root.missed, [file.path for file in root.files]) == (("x",), ["."])


# ---------------------------------------------------------------------- manifests of strangers
def test_a_link_of_a_manifest_is_not_written_through(
    place: Store, top: Path, tmp_path: Path
) -> None:
    """A link and files below it: they stay in the folder, however they are ordered."""
    root = snapshot(place, top)
    (text,) = (file for file in root.files if file.path == "a.txt")
    outside = tmp_path / "outside"
    outside.mkdir()
    link = File("a", "link", 0o777, 0, target=str(outside))
    inner = File("a/x", "file", 0o6777, 0, text.content)
    deeper = File("a/b", "link", 0o777, 0, target="y")
    for number, order in enumerate(((link, inner, deeper), (inner, link), (link, link, deeper))):
        back = tmp_path / str(number)
        restored = restore_root(Root("x", order), back, place)
        assert [*outside.iterdir()] == []
        assert restored.kept
        if (back / "a" / "x").exists():
            assert stat.S_IMODE((back / "a" / "x").stat().st_mode) == 0o777
    back = tmp_path / "planted"
    back.mkdir()
    (back / "a").symlink_to(outside)
    (outside / "deep").mkdir()
    folders = [File(name, "folder", 0o777, 0) for name in ("a", "a/c", "a/deep/d")]
    below = [File(f"a/deep/{name}", "file", 0o777, 0, text.content) for name in "xy"]
    restored = restore_root(Root("x", (inner, *folders, *below)), back, place)
    kept = ("a/x", "a/deep/x", "a/deep/y", "a", "a/c", "a/deep/d")
    assert restored == RestoredRoot((), (), kept)
    assert [*outside.rglob("*")] == [outside / "deep"]


def test_a_place_that_cannot_be_written(place: Store, top: Path, tmp_path: Path) -> None:
    """It is one line, and what was there is there."""
    root = snapshot(place, top)
    (tmp_path / "back").write_text("a file")
    with pytest.raises(ColabMagicsError) as caught:
        restore_root(root, tmp_path / "back", place)
    assert caught.value.code == "not-written" and caught.value.hint
    assert (tmp_path / "back").read_text() == "a file"
