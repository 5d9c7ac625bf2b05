"""``%checkpoint`` in a shell: what is kept and restored, what is shown, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator, List

import pytest
from support.cells import Cells, new_shell
from support.waiting import until

from colab_magics.checkpoint import snapshot
from colab_magics.checkpoint.magic import list_checkpoints
from colab_magics.checkpoint.snapshot import keeper_of
from colab_magics.checkpoint.store import Store
from colab_magics.extension.session import get_session

pytestmark = pytest.mark.once

LINE = "%checkpoint --to ~/kept"
Start = Callable[[], Cells]
Distribution = Callable[..., Path]


@pytest.fixture
def start(bare: Cells) -> Iterator[Start]:
    """Start one more kernel, with nothing in it, on the same machine."""
    started: List[Cells] = []

    def make() -> Cells:
        for cells in started:
            keeper_of(get_session(cells.shell).host).end()
        cells = Cells(new_shell())
        cells("%load_ext colab_magics")
        started.append(cells)
        return cells

    yield make
    make()


@pytest.fixture
def store(home: Path) -> Store:
    """The checkpoints of `LINE`."""
    return Store(home / "kept")


def names(store: Store) -> List[str]:
    """The variables of the newest checkpoint."""
    variables = store.load(store.names()[0]).variables
    assert variables is not None
    return [segment.name for segment in variables.segments if segment.kind == "variable"]


# ---------------------------------------------------------------------- keep and restore
def test_a_new_kernel_gets_what_it_lacks(start: Start) -> None:
    """Variables are back; one that the kernel has stays, and is named; then it is kept on."""
    first = start()
    assert "nothing to restore yet" in first(LINE)
    first("x, y = [1, 2], {'a': 3}\nz = x")
    first("%checkpoint now")
    second = start()
    second("y = 'mine'")
    text = second(LINE)
    assert "2 variables of " in text and "As the kernel has them: y" in text
    assert second("print(x, y, z is x)") == "[1, 2] mine True"
    assert second.steps() == [LINE]
    second("w = 4\n%checkpoint now")
    assert start()(LINE).startswith("4 variables of ")


def test_a_second_run_changes_nothing(start: Start) -> None:
    """What was deleted or changed since the first run stays so."""
    start()("x = y = 1\n%checkpoint --to ~/kept\n%checkpoint now")
    cells = start()
    cells(LINE)
    cells("x = 2\ndel y")
    assert "variables are as the kernel has them" in cells(LINE)
    assert cells("print(x, 'y' in globals())") == "2 False"


def test_restore_names_what_it_overwrites(start: Start, store: Store) -> None:
    """``--only`` takes those variables alone, from any checkpoint; ``--overwrite`` takes all."""
    cells = start()
    cells(f"x = y = 1\n{LINE}\n%checkpoint now")
    cells("x = y = 2\n%checkpoint now")
    cells("x = y = 3\n%checkpoint restore")
    assert cells("print(x, y)") == "3 3"
    cells("%checkpoint restore 2 --only x")
    assert cells("print(x, y)") == "1 3"
    cells("%checkpoint restore --overwrite")
    assert cells("print(x, y)") == "2 2"
    assert cells.attempt("%checkpoint restore --only q").error.code == "no-variable"  # type: ignore
    assert cells.attempt("%checkpoint restore 3").error.code == "no-checkpoint"  # type: ignore


def test_files_are_back_and_those_that_differ_stay(start: Start, home: Path) -> None:
    """A folder of the line; without ``--variables`` no variable is kept."""
    data = home / "work/data"
    (data / "deep").mkdir(parents=True)
    (data / "a.txt").write_text("a")
    (data / "deep/b.bin").write_bytes(bytes(1000))
    start()("x = 1\n%checkpoint data --to ~/kept\n%checkpoint now")
    (data / "a.txt").write_text("mine")
    (data / "deep/b.bin").unlink()
    cells = start()
    text = cells("%checkpoint data --to ~/kept")
    assert "1 file of " in text and "stay as they are: a.txt" in text
    assert (data / "a.txt").read_text() == "mine"
    assert (data / "deep/b.bin").read_bytes() == bytes(1000)
    assert cells("print('x' in globals())") == "False"
    cells("%checkpoint restore --overwrite")
    assert (data / "a.txt").read_text() == "a"


def test_only_paths_of_the_line_are_restored(start: Start, home: Path) -> None:
    """A manifest that names another path, such as a stranger's could, writes nothing there."""
    (home / "secrets").write_text("mine")
    start()("%checkpoint ~/secrets --to ~/kept\n%checkpoint now")
    (home / "secrets").unlink()
    start()("%checkpoint other --to ~/kept")
    assert not (home / "secrets").exists()


def test_variables_are_chosen(start: Start, store: Store) -> None:
    """By ``--only`` and ``--except``; what cannot be kept is named with its type."""
    cells = start()
    cells(f"x = y = z = 1\n{LINE} --only x,y\n%checkpoint now")
    assert names(store) == ["x", "y"]
    cells(f"{LINE} --except y\n%checkpoint now")
    assert sorted(names(store)) == ["x", "z"]
    cells(f"g = (i for i in ())\n{LINE}")
    assert "Not kept: g (generator)" in cells("%checkpoint now")
    assert "without g" in cells("%checkpoint list")
    assert "Not kept: g (generator)" in start()(LINE)


# ---------------------------------------------------------------------- when
def test_one_is_made_between_cells_when_it_is_due(start: Start, store: Store) -> None:
    """At the first end of a cell that defines something, and again after the interval, unless no
    cell has run meanwhile.
    """
    cells = start()
    cells(f"{LINE} --every 1s")
    cells("x = 1")
    until(store.names)
    assert not keeper_of(get_session(cells.shell).host).is_changed
    cells("x = 2")
    until(lambda: len(store.names()) > 1)


SLOW = """
import sys, threading, time
sys.reading, sys.reads = threading.Event(), []
class Slow:
    def __reduce__(self):
        sys.reads.append("begin")
        sys.reading.set()
        time.sleep(0.3)
        sys.reads.append("end")
        return (int, ())
a, b, c = Slow(), Slow(), Slow()
"""


def test_a_cell_stops_what_takes_longer_than_a_second(
    start: Start, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No code of a cell runs beside it, and no part of it is kept; that is said once. It is made
    once the kernel is idle, not between cells that follow each other; ``now`` takes the time.
    """
    monkeypatch.setattr(snapshot, "PATIENCE", 0.1)  # and each variable takes longer
    cells = start()
    cells(LINE)
    cells(SLOW)
    reading = cells.shell.user_ns["sys"].reading
    reading.wait(30)
    text = cells("print(sys.reads)")
    assert text.startswith("['begin', 'end']")
    assert "longer than a second" in text
    reading.clear()
    assert [cells("pass") for _ in range(5)] == [""] * 5
    assert (reading.is_set(), store.names()) == (False, [])
    assert until(store.names) and {"a", "b", "c"} <= {*names(store)}
    cells("%checkpoint now")
    assert len(store.names()) == 2


def test_the_last_minutes_and_the_end_make_one(start: Start, store: Store) -> None:
    """Though the interval has not passed: at the notice of the last hour, and before a restart."""
    cells = start()
    cells(f"{LINE}\nx = 1\n%checkpoint now")
    session = get_session(cells.shell)
    cells("x = 2")
    assert len(store.names()) == 1
    for hook in session.hooks:
        hook.time_is_short()
    until(lambda: len(store.names()) == 2)
    cells("x = 3")
    for hook in session.hooks:
        hook.kernel_ends(machine=True)
    assert len(store.names()) == 3


def test_what_fails_is_shown_once(start: Start, store: Store) -> None:
    """Below a later cell; ``now`` raises it. What there is afterwards is saved again."""
    cells = start()
    cells(f"{LINE} --every 1s")
    store.folder.rmdir()
    cells("x = 1")
    shown = [until(lambda: cells("x = 2"))]
    shown += [cells("x = 3") for _ in range(3)]
    assert [text.split(".")[0] for text in shown] == ["Checkpoint: not saved", "", "", ""]
    assert cells.attempt("%checkpoint now").error.code == "no-place"  # type: ignore[union-attr]
    store.create()
    cells("%checkpoint now")
    assert names(store) == ["x"]


def test_random_numbers_go_on(start: Start) -> None:
    """A new kernel draws what the old one would have drawn next."""
    cells = start()
    cells(f"import random\nrandom.seed(1)\nx = 1\n{LINE}\n%checkpoint now")
    drawn = cells("print(random.random())")
    other = start()
    other(LINE)
    assert other("print(random.random())") == drawn


# ---------------------------------------------------------------------- what is shown
def test_the_list_and_the_check_unpickle_nothing(start: Start, store: Store, home: Path) -> None:
    """A checkpoint whose pickle would run code is listed and verified, and runs none."""
    cells = start()
    mark = home / "mark"
    cells(
        f"import os\nclass Poison:\n    def __reduce__(self):\n"
        f"        return (os.system, ('touch {mark}',))\nx = Poison()\n{LINE}\n%checkpoint now"
    )
    other = start()
    other("%checkpoint verify --to ~/kept")
    assert "whole" in other("%checkpoint list --to ~/kept")
    assert not mark.exists()
    other("%checkpoint restore --to ~/kept")
    assert mark.exists(), "it would have run"


def test_damage_is_seen_and_an_earlier_one_is_taken(start: Start, store: Store) -> None:
    """A cut manifest and a missing pack are in the list; a new kernel takes the newest whole."""
    cells = start()
    for value in (1, 2, 3):
        cells(f"x = [{value}] * 5_000\n{LINE}\n%checkpoint now")
    newest, second, _ = store.names()
    path = store.folder / f"checkpoints/{newest}.json"
    path.write_bytes(path.read_bytes()[:-9])
    packs = {piece.pack for content in store.load(second).contents() for piece in content}
    others = {
        piece.pack for content in store.load(store.names()[2]).contents() for piece in content
    }
    for pack in packs - others:
        (store.folder / "packs" / pack).unlink()
    rows = cells("rows = %checkpoint list -q -o\nprint([row['state'] for row in rows])")
    assert rows == "['damaged', 'incomplete', 'whole']"
    assert cells.attempt("%checkpoint verify").error.code == "damaged-checkpoint"  # type: ignore
    other = start()
    other(LINE)
    assert other("print(x[0])") == "1"


def test_damaged_bytes_restore_nothing_of_that_checkpoint(
    start: Start, store: Store, home: Path
) -> None:
    """Found while they are read: neither files nor variables of it are put back, but those of the
    one before, and a line says so.
    """
    line = "%checkpoint notes.txt --variables --to ~/kept"
    cells, notes = start(), home / "work/notes.txt"
    for value in "12":
        notes.write_text(value)
        cells(f"x = {value}\n{line}\n%checkpoint now")
    newest, second = (
        {piece.pack for content in store.load(name).contents() for piece in content}
        for name in store.names()[:2]
    )
    for pack in newest - second:
        path = store.folder / "packs" / pack
        path.write_bytes(bytes(len(path.read_bytes())))
    notes.unlink()
    other = start()
    assert "A newer one is damaged" in other(line)
    assert other("print(x)") == notes.read_text() == "1"


def test_one_that_is_removed_while_all_are_listed_is_left_out(
    start: Start, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that writes the newest removes what is too old."""
    start()(f"x = 1\n{LINE}\n%checkpoint now\n%checkpoint now")
    newest, oldest = store.names()

    def list_names(self: Store) -> List[str]:
        (store.folder / "checkpoints" / f"{oldest}.json").unlink()
        return [newest, oldest]

    monkeypatch.setattr(Store, "names", list_names)
    assert [row["name"] for row in list_checkpoints(store)] == [newest]


def test_what_is_deleted_is_asked_for(start: Start, store: Store) -> None:
    """Without a person ``--yes`` is needed; after all are deleted, the kernel makes none."""
    cells = start()
    cells(f"x = 1\n{LINE}\n%checkpoint now\n%checkpoint now")
    assert cells.attempt("%checkpoint forget").error.code == "no-yes"  # type: ignore[union-attr]
    cells("%checkpoint forget 2 --yes")
    assert len(store.names()) == 1
    cells("%checkpoint forget --yes")
    assert store.names() == [] and not store.folder.exists()
    assert cells.attempt("%checkpoint now").error.code == "not-begun"  # type: ignore[union-attr]


# ---------------------------------------------------------------------- what is refused
def test_a_folder_that_others_write_needs_trust(start: Start, home: Path) -> None:
    """Nothing is unpickled from it, and the line says what to add."""
    cells = start()
    cells(f"x = 1\n{LINE}\n%checkpoint now")
    (home / "kept").chmod(0o777)
    other = start()
    assert other.attempt(LINE).error.code == "untrusted"  # type: ignore[union-attr]
    assert other("print('x' in globals())") == "False"
    other(f"{LINE} --trust")
    assert other("print(x)") == "1"


def test_other_versions_restore_no_variable(
    start: Start, home: Path, distribution: Distribution
) -> None:
    """The pin is named, files are back, and nothing is kept that would push the old ones out."""
    line = "%checkpoint notes.txt --variables --to ~/kept"
    (home / "work/notes.txt").write_text("a")
    info = distribution("tinymod", "1.0")
    (info / "RECORD").write_text("tinymod.py,,\n")
    (info.parent / "tinymod.py").write_text("class Thing:\n    pass\n")
    cells = start()
    cells(f"import tinymod\nx = tinymod.Thing()\ny = 1\n{line}\n%checkpoint now")
    (home / "work/notes.txt").unlink()
    text = (info / "METADATA").read_text().replace("1.0", "2.0")
    (info / "METADATA").write_text(text)
    other = start()
    error = other.attempt(line).error
    assert error.code == "other-versions" and "%pin tinymod==1.0" in str(error)  # type: ignore
    assert (home / "work/notes.txt").read_text() == "a"
    assert other("print('y' in globals())") == "False"
    assert keeper_of(get_session(other.shell).host).settings is None


def test_without_a_drive_or_a_name_it_says_what_to_do(start: Start) -> None:
    """Nothing is recorded then."""
    cells = start()
    assert cells.attempt("%checkpoint").error.code == "unknown-notebook"  # type: ignore[union-attr]
    error = cells.attempt("%checkpoint --to drive:x").error
    assert error.code == "not-mounted"  # type: ignore[union-attr]
    assert cells.steps() == []
    for line in ("restore", "verify", "verify 2"):
        error = cells.attempt(f"%checkpoint {line} --to ~/nothing").error
        assert error.code == "no-checkpoint"  # type: ignore[union-attr]


def test_a_stand_in_goes_with_the_machine(start: Start) -> None:
    """That is said below the line."""
    cells = start()
    cells("%drive mount")
    assert "is a folder on this machine" in cells("%checkpoint --to drive:x")
