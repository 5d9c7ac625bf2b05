"""Whether what is installed is whole, judged file by file as installers leave it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Callable, List

import pytest

from colab_magics.errors import InstallFailed
from colab_magics.pins import guarded, journal, whole
from colab_magics.pins.journal import Journal

Put = Callable[..., Path]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty site-packages, and a journal of its own."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(whole, "_sites", lambda: [site])
    monkeypatch.setattr(journal, "_place", lambda kind: tmp_path / f"pins.{kind}")
    return site


@pytest.fixture
def put(place: Path) -> Put:
    """Put a distribution there: a module, METADATA, and a RECORD with these rows more."""

    def add(name: str, version: str, *rows: str) -> Path:
        info = place / f"{name}-{version}.dist-info"
        info.mkdir()
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
    assert whole.faults(["good", "short", "gone"]) == {
        "short": {"short.py": 3},
        "gone": {"gone.py": None},
    }


def test_what_may_be_missing(place: Path, put: Put) -> None:
    """Compiled files may be gone; a line without a size holds where the file is there."""
    (place / "empty.txt").write_text("anything")
    put("one", "1", "__pycache__/one.cpython-311.pyc,,99", "empty.txt,,", '"a, b.txt",,')
    assert whole.faults(["one"]) == {"one": {"a, b.txt": None}}


def test_a_file_of_two_owners_has_the_size_of_either(place: Path, put: Put) -> None:
    """Where the later of two owners has written a file, the earlier one is no less whole."""
    (place / "both.txt").write_text("12345")
    put("one", "1", "both.txt,,3")
    assert whole.faults(["one"]) == {"one": {"both.txt": 5}}
    put("two", "1", "both.txt,,5")
    assert whole.faults(["one", "two"]) == {}


def test_an_empty_record_is_a_fault(put: Put) -> None:
    """A RECORD that lists not even itself was cut while it was written."""
    info = put("one", "1")
    (info / "RECORD").write_text("")
    assert list(whole.faults(["one"])["one"].values()) == [None]


def test_nothing_newer_than_a_cut_is_believed(put: Put) -> None:
    """After a kill what is newer counts as damaged, and what is older does not."""
    put("old", "1")
    since = time.time() + 1
    assert whole.cut(since, {"old": "1"}) == {}
    assert set(whole.cut(since, {"old": "0"})) == {"old"}
    assert set(whole.cut(since - 60, {"old": "1"})) == {"old"}
    assert whole.cut(since - 60, {"old": "1"}, trusting=True) == {}


def test_what_is_hidden_is_not_installed_and_comes_back(place: Path, put: Put) -> None:
    """Hidden, a distribution is not there for any installer; restored, it is as it was."""
    put("one", "1")
    (place / "~ip-1.dist-info").mkdir()
    before = sorted(path.name for path in place.iterdir())
    whole.hide(whole.cut(0, {}))
    assert whole.present() == {}
    assert [path.name for path in place.glob("*.dist-info")] == []
    whole.restore()
    assert sorted(path.name for path in place.iterdir()) == before


def test_discarding_keeps_what_others_own(place: Path, put: Put) -> None:
    """With a damaged distribution its own files go, those of others stay."""
    put("one", "1", "shared.txt,,")
    whole.hide(whole.infos(["one"]))
    (place / "shared.txt").write_text("")
    put("two", "1", "shared.txt,,")
    whole.discard(time.time() + 60)
    names = sorted(path.name for path in place.iterdir())
    assert names == ["shared.txt", "two-1.dist-info", "two.py"]


def test_an_installer_that_leaves_a_file_out_is_run_once_more(place: Path, put: Put) -> None:
    """Files that are missing after a success: a second try, then an error that names it."""
    put("one", "1")
    (place / "one.py").unlink()
    tries: List[int] = []

    def again(mends: bool) -> int:
        tries.append(1)
        put("one", "1")
        (place / "one.py").unlink() if not mends else None
        return 0

    with pytest.raises(InstallFailed, match="one not installed whole"):
        guarded.verify(lambda: again(False), ["one"])
    guarded.verify(lambda: again(True), ["one"])
    assert len(tries) == 2
    assert whole.faults(["one"]) == {}


def test_when_it_began_is_by_the_clock_of_files(
    place: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock of the machine that is an hour ahead of its disk's hides nothing that was cut."""
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 3600)
    info = put("half", "1")
    begun = guarded.Work((), (), lambda: None).begun(None, {})
    (info / "RECORD").unlink()
    assert [*whole.cut(begun.since, begun.before)] == ["half"]


def test_a_journal_survives_and_holds_no_secret(place: Path) -> None:
    """What is read is what was written; a requirement with a password is not in it."""
    secret = "one @ https://me:hunter2@127.0.0.1/one.whl"
    work = guarded.Work((secret, "two==2"), (), lambda: None)
    now = work.begun(None, {"index-url": "https://me:hunter2@127.0.0.1/simple", "pre": "1"})
    assert not journal.pending()
    journal.write(now)
    assert journal.pending()
    assert journal.read() == now
    assert (now.asked, now.line) == (("two==2",), {"pre": "1"})
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
