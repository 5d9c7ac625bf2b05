"""``%shell`` and jobs where the disk is full: there the user is who has to make space."""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterator

import pytest
from doubles.small_disk import fill, mounted
from support.cells import Cells

from colab_magics.core import folders
from colab_magics.core.errors import CommandFailed
from colab_magics.jobs import launch
from colab_magics.jobs.job import list_jobs

from .test_jobs import job, known, until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("bash") is None, reason="elsewhere: Linux with bash"
)

SPACE = "Make space in the folder for temporary files (TMPDIR), for instance with !rm."


@pytest.fixture
def disk(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One small disk for all: home, the working directory, temporary files."""
    place = home / "disk"
    place.mkdir()
    with mounted(place, "size=3m"):
        (place / "tmp").mkdir()
        monkeypatch.setenv("HOME", str(place))
        for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(tempfile, "tempdir", str(place / "tmp"))
        monkeypatch.chdir(place)
        yield place
        for one in list_jobs():
            if one.running:
                launch.stop(one, 0.1)


def test_commands_go_on(run: Cells, disk: Path) -> None:
    """What was carried is still there, what is set then too, and rm makes space."""
    run("%shell export ONE=1; f() { echo f$ONE; }; cd tmp")
    fill(disk)
    assert run("%shell f; pwd") == f"f1\n{disk}/tmp"
    run("%shell TWO=2; cd ..")
    assert run("%shell echo $TWO; rm fill") == "2"
    assert os.listdir(disk / "tmp") == []
    (disk / "tmp" / "space").write_bytes(b"x" * 100_000)
    assert run("%shell f; echo $TWO; pwd") == f"f1\n2\n{disk}"


def test_what_is_carried_may_be_large(run: Cells, disk: Path) -> None:
    """Where there is space, but not for all that is carried over, it goes on all the same."""
    run("%shell LARGE=$(head -c 1500000 /dev/zero | tr '\\0' x)")
    (disk / "some").write_bytes(bytes(shutil.disk_usage(disk).free - 1_200_000))
    assert run("%shell echo ${#LARGE}; rm some") == "1500000"


def test_a_command_that_fills_the_disk(run: Cells, disk: Path) -> None:
    """What it leaves to the next one cannot be written: that is said, and the next one runs."""
    run("%shell ONE=1")
    shown = run("%shell ONE=2; cat /dev/zero > zeros; true")
    assert "before this command: it could not be written completely; is the disk full?" in shown
    assert run("%shell echo $ONE; rm zeros") == "1"


def test_nothing_can_be_written_anywhere(
    run: Cells, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of two lines, nothing runs, and after it all is as it was."""
    monkeypatch.setattr(folders, "MEMORY", disk)
    run("%shell ONE=1")
    filling = fill(disk)
    for cell in ("%shell touch ran", "%shell --background one touch ran"):
        error = run.attempt(cell).error
        assert isinstance(error, CommandFailed) and error.hint == SPACE
        assert error.message.endswith("No space left on device. Nothing was run.")
    filling.unlink()
    assert list((disk / "tmp").rglob("state")) == [], "it may hold secrets"
    assert run("%shell echo $ONE") == "1" and not (disk / "ran").exists()
    assert run("%jobs").startswith("No jobs")


def test_what_is_to_be_forgotten_is(
    run: Cells, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that could not begin leaves nothing to one that is to begin afresh."""
    monkeypatch.setattr(folders, "MEMORY", disk)
    run("%shell ONE=1; LARGE=$(head -c 500000 /dev/zero | tr '\\0' x)")
    filling = fill(disk)
    assert run.attempt("%shell true").error is not None
    filling.unlink()
    assert run("%shell --fresh echo [$ONE]; TWO=2") == "[]"
    assert run("%shell echo [$TWO]") == "[2]"


def test_a_log_that_does_not_fit(run: Cells, disk: Path) -> None:
    """Where nothing of it could be written, no log is named; else it is said to be a part."""
    filling = fill(disk)
    shown = run("%shell seq 100000")
    assert "100000" in shown and "The log could not be written: No space left" in shown
    assert "that %shell names" not in shown and list(disk.rglob("*.log")) == []
    filling.unlink()
    shown = run("%shell head -c 9000000 /dev/zero | tr '\\0' '\\n'")
    assert "The log could not be written: No space left" in shown
    assert "Part of the output: the log that %shell names" in shown


def test_programs_in_the_background_outlive_the_folder(run: Cells, disk: Path) -> None:
    """Where the shell writes elsewhere from now on, what it has started before goes on.

    They end with the kernel, all the same: each folder has a reaper, which knows them.
    """
    run("%shell sleep 600 & echo $! > pid")
    pid = int((disk / "pid").read_text())
    fill(disk)
    run("%shell true")
    shutil.rmtree(disk / "tmp")
    run("%shell true")
    gc.collect()  # a reaper that nobody holds any more would take the kernel for ended
    time.sleep(1)  # nothing tells that it does not
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "S"
    run(f"%shell kill {pid}")


@pytest.mark.parametrize("code", ["exit 3", "kill -KILL $$"])
def test_a_job_that_fills_the_disk(run: Cells, disk: Path, code: str) -> None:
    """How it ended is known all the same, and that its log is not whole."""
    run(f"%shell --background one cat /dev/zero > zeros; yes lost | head -n 20000; {code}")
    until(lambda: not job("one").running)
    ended = job("one")
    assert ended.state == ("failed" if code == "exit 3" else "killed")
    assert known(run, "one")["log"] and "The log is not complete: No space left" in ended.trouble
    assert shutil.disk_usage(disk).free < 2**14  # the room of small files that are gone


def test_a_job_is_stopped_where_the_disk_is_full(run: Cells, disk: Path) -> None:
    """And one that cannot be started leaves nothing."""
    run("%shell --background one sleep 600")
    fill(disk)
    error = run.attempt("%shell --background two sleep 600").error
    assert isinstance(error, CommandFailed)
    assert error.message.startswith("two was not started: No space left on device")
    run("%jobs stop one")
    assert not job("one").running
    assert [entry["name"] for entry in json.loads(run("%jobs --json"))] == ["one"]
