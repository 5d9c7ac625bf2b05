"""A store of checkpoints: what is written is whole and verified, whatever the drive does."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, List

import pytest
from doubles.small_disk import fill, mounted
from doubles.users import NOBODY, root_only
from support.snapshots import content, fill_root, restore_version, spool

from colab_magics.checkpoint import packs
from colab_magics.checkpoint.manifest import Cell, DamagedManifest, Manifest, Piece, hash_bytes
from colab_magics.checkpoint.packs import LARGEST, SMALL, DamagedData
from colab_magics.checkpoint.spool import SpoolWriter, read_progress
from colab_magics.checkpoint.store import Store, refuse_untrusted
from colab_magics.checkpoint.writer import write_checkpoint
from colab_magics.core import files
from colab_magics.core.errors import ColabMagicsError

pytestmark = pytest.mark.once


@pytest.fixture
def place(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.create()
    return made


@pytest.fixture
def save(place: Store, tmp_path: Path) -> Callable[..., str]:
    """Write a checkpoint of a version, as the writer process does."""

    def write(version: int, **details: Any) -> str:
        made = spool(tmp_path, place.folder, version, **details)
        try:
            return write_checkpoint(made.folder)
        finally:
            made.remove()

    return write


def newest(place: Store) -> Manifest:
    return place.load(place.names()[0])


def stored(place: Store) -> int:
    return sum(place.packs.sizes().values())


# ---------------------------------------------------------------------- what is stored
@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, LARGEST, 2 * LARGEST + SMALL])
def test_a_content_comes_back_whatever_its_size(place: Store, size: int) -> None:
    """Empty, small, of one pack and of several: the same bytes, in memory that can be written."""
    data = content(1, "x", size)
    with place.writer([]) as packs_:
        added = packs_.add(data)
        streamed = packs_.add_stream(data[at : at + LARGEST] for at in range(0, size, LARGEST))
        packs_.close()
    back = place.read_all(added)
    assert isinstance(back, bytearray) and back == data and streamed == added
    assert b"".join(place.read(added)) == data
    assert stored(place) == size


def test_what_did_not_change_is_not_written_again(
    save: Callable[..., str], place: Store, tmp_path: Path
) -> None:
    """A second checkpoint of the same buffers and files adds no bytes of them."""
    fill_root(tmp_path / "data", 1)
    save(1, root=tmp_path / "data")
    first = place.packs.sizes()
    same = [content(1, "b0", 6_000_000), content(1, "b1", 70_000)]
    save(2, root=tmp_path / "data", buffers=same)
    added = sum(size for name, size in place.packs.sizes().items() if name not in first)
    assert first.items() <= place.packs.sizes().items() and added < 2000


def test_many_small_contents_are_few_files(place: Store) -> None:
    """A drive is slow with many files: 5,000 contents of 1 kB are one pack."""
    data = [content(1, str(at), 1000) for at in range(5000)]
    with place.writer([]) as packs_:
        added = packs_.add_all(data)
        packs_.close()
    assert len(place.packs.sizes()) == 1
    assert [b"".join(place.read(item)) for item in added] == data


def test_packs_of_which_little_is_used_go(save: Callable[..., str], place: Store) -> None:
    """Small contents that stay do not hold on to the space of those that changed."""
    for version in range(1, 30):
        stays = [content(0, "stays", 1000)]
        save(version, keep=2, buffers=[*stays, content(version, "changes", 200_000)])
    assert stored(place) < 3 * 210_000
    assert place.verify(newest(place)) == []


# ---------------------------------------------------------------------- manifests
def test_the_newest_is_first_though_the_clock_was_set_back(
    save: Callable[..., str], place: Store
) -> None:
    """The order is that in which they were written; prune removes the oldest in that order."""
    names = [save(version, time=when) for version, when in ((1, 2e9), (2, 1e9), (3, 5e8))]
    assert place.names() == names[::-1]
    save(4, keep=2, time=0)
    assert place.names()[1:] == [names[2]]
    assert place.load(place.names()[0]).time == 0


def test_a_manifest_cut_at_any_byte_is_passed_over(
    save: Callable[..., str], place: Store, tmp_path: Path
) -> None:
    """It is refused with a code; the earlier one is whole, and comes back."""
    first, second = save(1), save(2)
    path = place.folder / "checkpoints" / f"{second}.json"
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(ColabMagicsError) as caught:
            place.load(second)
        assert caught.value.code == "damaged-checkpoint"
    assert place.names() == [second, first]
    assert restore_version(place, place.load(first), tmp_path / "back") == 1
    third = save(3)
    assert place.names()[0] == third and place.verify(newest(place)) == []


def test_only_names_of_checkpoints_are_names(save: Callable[..., str], place: Store) -> None:
    """Other files of the folder are none; a name that is typed cannot lead out of it."""
    name = save(1)
    for other in ("x.json", f"{name} (1).json", f"{name}.part", "000001.json"):
        (place.folder / "checkpoints" / other).write_bytes(b"{}")
    assert place.names() == [name]
    for bad in ("../x", f"../checkpoints/{name}", "", "/etc/passwd", f"{name}\n", "000009"):
        with pytest.raises(ColabMagicsError) as caught:
            place.load(bad)
        assert caught.value.code == "not-found"


def test_a_manifest_that_is_a_link_is_refused(save: Callable[..., str], place: Store) -> None:
    """A shared file that somebody else may write does not become a checkpoint by a link."""
    name = save(1)
    path = place.folder / "checkpoints" / f"{name}.json"
    path.rename(place.folder / "elsewhere")
    path.symlink_to(place.folder / "elsewhere")
    with pytest.raises(DamagedManifest):
        place.load(name)


def test_a_manifest_without_its_packs_is_not_put(place: Store) -> None:
    """What would not be whole gets no name."""
    with place.writer([]) as packs_:
        added = packs_.add(content(1, "x", SMALL))
        packs_.close()
    place.packs.remove(place.packs.sizes())
    with pytest.raises(DamagedData):
        place.put(Manifest(1.0, "k", "n", running=store_cell(added)))
    assert place.names() == []


def store_cell(outputs: Any) -> Any:
    return Cell("", hash_bytes(b""), outputs)


# ---------------------------------------------------------------------- damage
def damage(path: Path, kind: str) -> None:
    data = path.read_bytes()
    if kind == "missing":
        path.unlink()
    elif kind == "cut":
        path.write_bytes(data[:10])
    else:
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])


@pytest.mark.parametrize("kind", ["missing", "cut", "changed"])
def test_damage_is_named_and_healed_by_the_next_checkpoint(
    save: Callable[..., str], place: Store, tmp_path: Path, kind: str
) -> None:
    """Reading and ``verify`` name it; the next checkpoint of the same bytes is whole again."""
    name = save(1)
    manifest = place.load(name)
    assert manifest.variables is not None
    for pack in place.packs.sizes():
        damage(place.folder / "packs" / pack, kind)
    assert place.is_whole(manifest) is (kind == "changed")
    for buffer in manifest.variables.buffers:
        with pytest.raises(DamagedData) as caught:
            place.read_all(buffer)
        assert caught.value.piece in buffer
    assert place.verify(manifest)
    save(1)
    assert place.verify(newest(place)) == []
    assert restore_version(place, newest(place), tmp_path / "back") == 1


# ---------------------------------------------------------------------- prune and forget
def test_prune_keeps_so_many_whole_ones(save: Callable[..., str], place: Store) -> None:
    """Damaged ones do not count: the newest whole ones stay, with all their packs."""
    names = [save(version) for version in range(1, 5)]
    (place.folder / "checkpoints" / f"{names[3]}.json").write_bytes(b"cut")
    place.prune(2)
    assert place.names() == names[:0:-1]
    assert [place.verify(place.load(name)) for name in names[1:3]] == [[], []]
    place.prune(0)
    assert place.names() == [names[3], names[2]]


def test_prune_keeps_within_a_limit(save: Callable[..., str], place: Store) -> None:
    """Older checkpoints go until the rest fits; the newest stays though it does not."""
    names = [save(version) for version in range(1, 5)]
    place.prune(5, 13_000_000)
    assert place.names() == names[:1:-1] and stored(place) < 13_000_000
    place.prune(5, 10)
    assert place.names() == [names[3]] and place.verify(newest(place)) == []


def test_prune_leaves_what_another_machine_is_about_to_name(
    save: Callable[..., str], place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fresh pack that nobody names yet stays for a day, whatever the clock says."""
    save(1)
    with place.writer([]) as packs_:
        packs_.add(content(9, "of another machine", SMALL))
        packs_.close()
    before = place.packs.sizes()
    place.prune(1)
    assert place.packs.sizes() == before
    monkeypatch.setattr(time, "time", lambda: 1e9)  # the clock was set back by years
    place.prune(1)
    assert len(place.packs.sizes()) == len(before) - 1
    assert place.verify(newest(place)) == []


def test_prune_removes_nothing_while_a_manifest_cannot_be_read(
    save: Callable[..., str], place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drive that does not answer is not a damaged checkpoint: its packs stay."""
    names = [save(version) for version in (1, 2, 3)]
    before = place.packs.sizes()
    path = place.folder / "checkpoints" / f"{names[0]}.json"
    real = files.open_regular

    def open_regular(asked: Path) -> Any:
        if asked == path:
            raise OSError(errno.EIO, "Input/output error")
        return real(asked)

    monkeypatch.setattr(files, "open_regular", open_regular)
    for remove in (lambda: place.prune(1), lambda: place.forget(names[2])):
        with pytest.raises(ColabMagicsError) as caught:
            remove()
        assert caught.value.code == "not-readable"
    assert place.packs.sizes() == before and place.names() == names[::-1]


def test_forget_removes_its_own_and_nothing_else(save: Callable[..., str], place: Store) -> None:
    """One, with what only it needs; all, with the folder, unless other files are in it."""
    first, second = save(1), save(2)
    size = stored(place)
    place.forget(first)
    assert place.names() == [second] and stored(place) < size
    assert place.verify(place.load(second)) == []
    with pytest.raises(ColabMagicsError) as caught:
        place.forget(first)
    assert caught.value.code == "not-found"
    (place.folder / "mine.txt").write_text("mine")
    place.forget()
    assert [path.name for path in place.folder.iterdir()] == ["mine.txt"]
    (place.folder / "mine.txt").unlink()
    place.create()
    save(3)
    place.forget()
    assert not place.folder.exists()


# ---------------------------------------------------------------------- drives
def refused(save: Callable[..., str], **details: Any) -> ColabMagicsError:
    with pytest.raises(ColabMagicsError) as caught:
        save(2, **details)
    assert caught.value.message and caught.value.hint and "\n" not in caught.value.message
    return caught.value


def test_a_full_drive(tmp_path: Path, save: Callable[..., str], place: Store) -> None:
    """It is one line; the earlier checkpoint is there, and no byte of the new one."""
    with mounted(place.folder, "size=16m"):
        name, before = save(1), place.packs.sizes()
        save_small = [content(2, "b", 5_000_000) for _ in range(1)]
        large = [*save_small, content(2, "c", 9_000_000)]
        assert refused(save, buffers=large).code == "no-space"
        assert place.names() == [name] and place.packs.sizes() == before
        fill(place.folder)
        assert refused(save, buffers=[]).code == "no-space"
        (place.folder / "fill").unlink()
        assert [path.name for path in (place.folder / "packs").iterdir()] == [*before]
        assert restore_version(place, newest(place), tmp_path / "back") == 1


def test_a_drive_that_is_read_only(save: Callable[..., str], place: Store, tmp_path: Path) -> None:
    """It is one line; what is there can be restored."""
    with mounted(place.folder, "size=64m"):
        save(1)
        subprocess.run(["mount", "-o", "remount,ro", str(place.folder)], check=True)
        assert refused(save).code == "not-written"
        with pytest.raises(ColabMagicsError):
            place.forget()
        assert restore_version(place, newest(place), tmp_path / "back") == 1


@pytest.mark.parametrize("number", [errno.ENOTCONN, errno.EDQUOT])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_an_error_at_any_write(
    save: Callable[..., str],
    place: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    nth: int,
) -> None:
    """Whichever pack or manifest it is, the earlier one stays, and the next one is whole."""
    name = save(1)
    real, calls = os.fsync, []

    def fsync(handle: int) -> None:
        calls.append(handle)
        if len(calls) == nth:
            raise OSError(number, os.strerror(number))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    code = "no-space" if number in (errno.EDQUOT, errno.ENOSPC) else "not-written"
    if nth < 3:
        assert refused(save).code == code
        assert place.names() == [name]
    monkeypatch.setattr(os, "fsync", real)
    assert place.verify(place.load(name)) == []
    save(3)
    assert restore_version(place, newest(place), tmp_path / "back") == 3
    assert not [*place.folder.rglob("*.part")]


def test_a_drive_that_goes_away_meanwhile(
    save: Callable[..., str], place: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one line, and no folder is made where the drive was; back again, all is there."""
    save(1)
    away = tmp_path / "away"
    real = packs._write_all

    def write(stream: Any, data: Any) -> None:
        real(stream, data)
        if place.folder.exists():
            place.folder.rename(away)

    monkeypatch.setattr(packs, "_write_all", write)
    refused(save)
    assert not place.folder.exists()
    assert refused(save).code == "no-place"
    assert not place.folder.exists()
    away.rename(place.folder)
    assert restore_version(place, newest(place), tmp_path / "back") == 1


def test_what_is_too_large_is_refused_before_it_is_written(
    save: Callable[..., str], place: Store
) -> None:
    """The limit counts buffers and files; nothing is written."""
    assert refused(save, limit=1_000_000).code == "too-large"
    assert place.packs.sizes() == {} and place.names() == []


def test_two_writers_of_a_place_wait_for_each_other(place: Store, tmp_path: Path) -> None:
    """The second waits, and both checkpoints are whole; who does not wait gets a code."""
    spools = [spool(tmp_path, place.folder, version) for version in (1, 2, 3)]
    with place.locked():
        processes = [made.start_writer() for made in spools]
        with pytest.raises(ColabMagicsError) as caught, Store(place.folder).locked(wait=0):
            pass
        assert caught.value.code == "busy"
        assert place.names() == []
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert {read_progress(made.folder).state for made in spools} == {"done"}
    assert {read_progress(made.folder).name for made in spools} == {*place.names()}
    versions = {restore_version(place, place.load(name), tmp_path) for name in place.names()}
    assert versions == {1, 2, 3}


# ---------------------------------------------------------------------- spools
def test_a_snapshot_can_be_stopped_within_a_buffer(tmp_path: Path) -> None:
    """The check runs before each slice; what it raises comes through, and the spool can go."""
    calls: List[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    made = SpoolWriter(tmp_path, check)
    with pytest.raises(KeyboardInterrupt):
        made.write_buffer(bytes(64 << 20))
    assert (made.folder / "buffers").stat().st_size == 16 << 20
    made.remove()
    assert [*tmp_path.iterdir()] == []


def test_a_spool_that_nobody_holds_is_taken_away(tmp_path: Path, place: Store) -> None:
    """That of a kernel that was killed goes with the next one; one in use stays."""
    code = "import sys; from pathlib import Path; from colab_magics.checkpoint.spool import *;"
    code += "made = SpoolWriter(Path(sys.argv[1])); made.write_stream(b'x'); import os; os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len([*tmp_path.glob("*.spool")]) == 1
    first = spool(tmp_path, place.folder, 1)
    assert [*tmp_path.glob("*.spool")] == [first.folder]
    second = spool(tmp_path, place.folder, 2)
    assert {*tmp_path.glob("*.spool")} == {first.folder, second.folder}
    first.remove(), second.remove()


def test_the_writer_goes_on_when_the_kernel_has_ended(tmp_path: Path, place: Store) -> None:
    """It holds the lock of the spool, so that no other kernel takes it away meanwhile."""
    code = (
        "import sys; from pathlib import Path; from support.snapshots import spool;"
        "made = spool(Path(sys.argv[1]), Path(sys.argv[2]), 1); made.start_writer();"
        "print(made.folder, flush=True); import os; os._exit(9)"
    )
    with place.locked():
        tests = str(Path(__file__).parents[1])
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), str(place.folder)],
            env={**os.environ, "PYTHONPATH": tests},
            stdout=subprocess.PIPE,
            text=True,
        )
        folder = Path(done.stdout.strip())
        spool(tmp_path, place.folder, 2).remove()  # removes what nobody holds
        assert folder.exists()
    until = time.monotonic() + 60
    while (not place.names() or folder.exists()) and time.monotonic() < until:
        time.sleep(0.02)
    assert not folder.exists(), "nothing of it stays in memory"
    assert restore_version(place, newest(place), tmp_path / "back") == 1


def test_the_error_of_a_writer_reaches_the_kernel(tmp_path: Path, place: Store) -> None:
    """Its code, message and hint are in the progress; the data of the spool is gone."""
    made = spool(tmp_path, place.folder, 1)
    place.folder.rmdir()
    assert made.start_writer().wait(60) == 1
    progress = read_progress(made.folder)
    assert (progress.state, progress.error[0]) == ("failed", "no-place")
    assert all(progress.error) and not (made.folder / "buffers").exists()
    made.remove()
    assert read_progress(made.folder).place == ""


# ---------------------------------------------------------------------- trust
def test_a_folder_of_the_user_is_trusted(tmp_path: Path, place: Store) -> None:
    """Below a root, there or not yet there, without a link."""
    refuse_untrusted(place.folder, [Path("/nowhere"), tmp_path])
    refuse_untrusted(tmp_path / "a" / "b", [tmp_path])


@pytest.mark.parametrize("case", ["outside", "up", "link", "inner", "shortcut", "shared", "open"])
def test_what_others_may_have_written_is_refused(tmp_path: Path, case: str) -> None:
    """Outside of the roots, through a link anywhere below them, shared, or writable by others."""
    root, other = tmp_path / "drive", tmp_path / "other" / "store"
    (other / "checkpoints").mkdir(parents=True)
    (root / "mine").mkdir(parents=True)
    target = root / "mine"
    if case == "outside":
        target = other
    elif case == "up":
        target = root / ".." / "other" / "store"
    elif case == "link":
        (root / "link").symlink_to(tmp_path / "other")
        target = root / "link" / "store"
    elif case == "inner":
        (target / "checkpoints").symlink_to(other / "checkpoints")
    elif case == "shortcut":
        target.rename(root / ".shortcut-targets-by-id")
        target = root / ".shortcut-targets-by-id" / "x"
    elif case == "shared":
        target.chmod(0o777)
        target = target / "deep"
    else:
        (target / "packs").mkdir()
        (target / "packs").chmod(0o777)
    with pytest.raises(ColabMagicsError) as caught:
        refuse_untrusted(target, [root])
    assert caught.value.code == "untrusted"


@root_only
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    """Whoever owns it can write it."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    with pytest.raises(ColabMagicsError) as caught:
        refuse_untrusted(folder / "x", [tmp_path])
    assert caught.value.code == "untrusted"


def test_a_piece_that_no_pack_can_have_takes_no_memory(place: Store) -> None:
    """Sizes come from a manifest: one of a terabyte is damage, at once."""
    hash_ = hash_bytes(b"x")
    for piece in (
        Piece(hash_, 2**40, hash_, 0),
        Piece(hash_, -1, hash_, 0),
        Piece(hash_, 1, hash_, -5),
    ):
        for pieces in ((piece,), (piece, piece)):
            with pytest.raises(DamagedData):
                place.read_all(pieces)
