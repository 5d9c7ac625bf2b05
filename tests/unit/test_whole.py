"""Whether what is installed is whole, judged file by file as installers leave it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Callable, List, cast

import pytest

from colab_magics.core.errors import InstallFailed
from colab_magics.pin import integrity, journal, transaction
from colab_magics.pin.job import Job
from colab_magics.pin.journal import Journal

Put = Callable[..., Path]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty site-packages, and a journal of its own."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(integrity, "_sites", lambda: [site])
    monkeypatch.setattr(journal, "_place", lambda kind: tmp_path / f"pins.{kind}")
    return site


@pytest.fixture
def put(place: Path) -> Put:
    """Put a distribution there: a module, METADATA, and a RECORD with these rows more."""

    def add(name: str, version: str, *rows: str) -> Path:
        info = place / f"{name}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("12345")
        (place / f"{name}.py").write_text("1234567")
        lines = [f"{info.name}/METADATA,,5", f"{name}.py,,7", f"{info.name}/RECORD,,", *rows]
        (info / "RECORD").write_text("\n".join(lines) + "\n")
        return info

    return add


def test_a_missing_or_short_file_is_a_fault(place: Path, put: Put) -> None:
    """A file that is gone or has another size is named; what is whole is not."""
    put("good", "1")
    put("short", "1")
    put("gone", "1")
    (place / "short.py").write_text("123")
    (place / "gone.py").unlink()
    assert integrity.faults(["good", "short", "gone"]) == {
        "short": {"short.py": 3},
        "gone": {"gone.py": None},
    }


def test_what_may_be_missing(place: Path, put: Put) -> None:
    """Compiled files may be gone; a line without a size holds where the file is there."""
    (place / "empty.txt").write_text("anything")
    put("one", "1", "__pycache__/one.cpython-311.pyc,,99", "empty.txt,,", '"a, b.txt",,')
    assert integrity.faults(["one"]) == {"one": {"a, b.txt": None}}


def test_a_file_of_two_owners_has_the_size_of_either(place: Path, put: Put) -> None:
    """Where the later of two owners has written a file, the earlier one is no less whole."""
    (place / "both.txt").write_text("12345")
    put("one", "1", "both.txt,,3")
    assert integrity.faults(["one"]) == {"one": {"both.txt": 5}}
    put("two", "1", "both.txt,,5")
    assert integrity.faults(["one", "two"]) == {}


def test_an_empty_record_is_a_fault(put: Put) -> None:
    """A RECORD that lists not even itself was cut while it was written."""
    info = put("one", "1")
    (info / "RECORD").write_text("")
    assert list(integrity.faults(["one"])["one"].values()) == [None]


def test_only_what_is_in_pieces_and_was_touched_is_torn(place: Path, put: Put) -> None:
    """Whole by its RECORD, of another name, or as it was before the cut: left alone."""
    for name in ("whole", "edited", "gone", "bare", "theirs"):
        info = put(name, "1", f"{name}-1.dist-info/INSTALLER,,2")
        (info / "INSTALLER").write_text("uv")
    (place / "edited.py").write_text("somebody has written into this")
    (place / "gone.py").unlink()
    (place / "theirs.py").unlink()
    (place / "bare-1.dist-info/RECORD").unlink()
    put("unfinished", "1")
    names = {"whole", "edited", "gone", "bare", "unfinished"}
    assert set(integrity.torn(names, 0)) == {"gone", "bare", "unfinished"}
    assert set(integrity.torn(names, 0, known=False)) == {"gone"}
    assert integrity.torn(names, time.time() + 60) == {}


@pytest.mark.parametrize("ending", ["", "one.py,,", "one-1.dist-info/INSTALLER,,2\none.py"])
def test_a_record_that_was_cut_is_not_finished(place: Path, put: Put, ending: str) -> None:
    """One that does not list itself and its installer, or stops within a line, is torn."""
    info = put("one", "1")
    (info / "INSTALLER").write_text("uv")
    (info / "RECORD").write_text(f"one-1.dist-info/RECORD,,\n{ending}")
    assert set(integrity.torn({"one"}, 0)) == {"one"}
    (info / "RECORD").write_text("one-1.dist-info/INSTALLER,,2\none-1.dist-info/RECORD,,\n")
    assert integrity.torn({"one"}, 0) == {}


def test_removing_keeps_what_others_own(place: Path, put: Put) -> None:
    """With a torn distribution its own files go, those of others and of nobody stay."""
    info = put("one", "1", "shared.txt,,")
    (place / "shared.txt").write_text("")
    (place / "own.txt").write_text("")
    put("two", "1", "shared.txt,,")
    integrity.remove({"one": [info]})
    names = sorted(path.name for path in place.iterdir())
    assert names == ["own.txt", "shared.txt", "two-1.dist-info", "two.py"]


def test_sweeping_takes_only_newer_files_that_nobody_owns(place: Path, put: Put) -> None:
    """What a wheel lists goes where it is new and unowned; a file beside it stays."""
    put("one", "1")
    for name in ("half.py", "other.py"):
        (place / name).write_text("")
    record = place.parent / "half-1.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("half.py,,\none.py,,\n")
    integrity.sweep([record], time.time() + 60)
    assert (place / "half.py").exists()
    integrity.sweep([record], 0)
    assert sorted(path.name for path in place.glob("*.py")) == ["one.py", "other.py"]


def test_what_pip_moved_aside_goes_with_its_name(place: Path, put: Put) -> None:
    """Folders with a ``~`` in place of the first letter, of these names and of no others."""
    (put("one", "1", "pack/m.py,,") / "METADATA").unlink()
    for name in ("~ne-1.dist-info", "~ack", "~wn"):
        (place / name).mkdir()
    integrity.discard({"one"})
    assert sorted(path.name for path in place.glob("~*")) == ["~wn"]


class Again:
    """A job that installs the one distribution again, once or for good without its module."""

    def __init__(self, put: Put, mends: bool) -> None:
        self.put, self.mends, self.tries = put, mends, 0

    def install(self, lines: List[str], **more: object) -> None:
        self.tries += 1
        assert lines == ["one==1"]
        info = self.put("one", "1")
        if not self.mends:
            (info.parent / "one.py").unlink()


def test_an_installer_that_leaves_a_file_out_is_run_once_more(place: Path, put: Put) -> None:
    """Files that are missing after a success: a second try, then an error that names it."""
    put("one", "1")
    (place / "one.py").unlink()
    journal.note(["one"])
    fails, mends = Again(put, False), Again(put, True)
    with pytest.raises(InstallFailed) as caught:
        transaction.verify(cast("Job", fails), ())
    assert caught.value.code == "incomplete" and caught.value.message.startswith("one: ")
    transaction.verify(cast("Job", mends), ())
    assert (fails.tries, mends.tries) == (1, 1)
    assert integrity.faults(["one"]) == {}


def test_when_it_began_is_by_the_clock_of_files(
    place: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock of the machine that is an hour ahead of its disk's hides nothing that was cut."""
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 3600)
    info = put("half", "1")
    begun = transaction.begin({}, transaction.Work((), (), lambda: None), {})
    (info / "RECORD").unlink()
    assert [*integrity.torn({"half"}, begun.since)] == ["half"]


def test_a_journal_survives_and_holds_no_secret(place: Path) -> None:
    """What is read is what was written; a requirement with a password is not in it."""
    secret = "one @ https://me:hunter2@127.0.0.1/one.whl"
    work = transaction.Work((secret, "two==2"), (), lambda: None)
    line = {"index-url": "https://me:hunter2@127.0.0.1/simple", "pre": "1"}
    now = transaction.begin(line, work, {})
    assert not journal.pending()
    journal.write(now)
    assert journal.pending()
    assert journal.read() == now
    assert (now.requirements, now.line) == (("two==2",), {"pre": "1"})
    assert "hunter2" not in json.dumps([path.read_text() for path in place.parent.glob("pins.*")])
    journal.drop()
    assert not journal.pending()


def test_another_kernel_at_work_disturbs_only_what_it_works_on(place: Path) -> None:
    """While another installs, what it was not asked for is judged; a cut one disturbs all."""
    journal.write(Journal(("Two==2",), (), {}, {}, time.time()))
    with journal.locked(lambda text: None):
        assert journal.disturbs(["two"])
        assert not journal.disturbs(["one"])
    assert journal.disturbs(["one"])
    journal.drop()
    assert not journal.disturbs(["two"])
