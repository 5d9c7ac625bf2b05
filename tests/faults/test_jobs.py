"""Jobs where the disk is full: what one needs is there before it starts."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Iterator

import pytest
from doubles.small_disk import mounted
from support.cells import Cells, new_shell
from support.waiting import until

from colab_magics.jobs import launch
from colab_magics.jobs.job import find_job, list_jobs

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("bash") is None, reason="elsewhere: Linux with bash"
)

#: In a supervisor: what it writes of a job that has started is written when the disk is full.
_LATE = """
import os, time
from colab_magics.jobs import supervisor
started = supervisor.Supervisor.record_start
def late(self, family):
    while os.statvfs(self._folder).f_bavail:
        time.sleep(0.01)
    started(self, family)
supervisor.Supervisor.record_start = late
"""


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
        monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
        monkeypatch.chdir(place)
        yield place
        for one in list_jobs():
            if one.running:
                launch.stop(one, 0.1)


@pytest.mark.parametrize("length", [1, 5000], ids=["short", "long"])
def test_a_job_that_fills_the_disk_at_once(
    home: Path, disk: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    """It is started, seen to run and to end, and how it ended is known."""
    (home / "late").mkdir()
    (home / "late" / "late.py").write_text(_LATE)
    code = launch.BOOTSTRAP.replace(
        "; supervisor", f"; sys.path.insert(0, {str(home / 'late')!r}); import late; supervisor"
    )
    monkeypatch.setattr(launch, "BOOTSTRAP", code)
    run = Cells(new_shell())
    run("%load_ext colab_magics")
    go = home / "go"
    command = f"cat /dev/zero > zeros; until [ -e {go} ]; do sleep 0.05; done; exit 3"
    run(f"%shell --background one {command} {'#' * length}")
    now = find_job("one")
    assert now is not None and now.state == "running"
    assert os.statvfs(disk).f_bavail == 0
    go.touch()
    until(lambda: not getattr(find_job("one"), "running", True))
    ended = find_job("one")
    assert ended is not None and (ended.state, ended.status) == ("failed", 3)
