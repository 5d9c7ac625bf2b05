"""The machine's limit, when it is said, and what a container may use."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Optional

import pytest
from IPython.core.error import UsageError

from colab_magics.core.arguments import parse_duration
from colab_magics.gpu.model import DetailedGpu, Process, Snapshot
from colab_magics.notebook.kernels import Running
from colab_magics.session import hooks, limit, machine, magic
from colab_magics.session.machine import Memory


@pytest.mark.parametrize(
    ("variables", "hours"),
    [
        ({}, None),
        ({"COLAB_RELEASE_TAG": "release"}, 12),
        ({"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, 12),
        ({"COLAB_MAGICS_SESSION_HOURS": "24"}, 24),
        ({"COLAB_MAGICS_SESSION_HOURS": "0.5", "COLAB_RELEASE_TAG": "release"}, 0.5),
        ({"COLAB_MAGICS_SESSION_HOURS": "0", "COLAB_RELEASE_TAG": "release"}, None),
        ({"COLAB_MAGICS_SESSION_HOURS": " ", "COLAB_RELEASE_TAG": "release"}, 12),
    ],
)
def test_the_hours_of_a_host(
    monkeypatch: pytest.MonkeyPatch, variables: Dict[str, str], hours: Optional[float]
) -> None:
    """Colab and Kaggle have twelve, others none, and a person's own number goes before both."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert limit.read_hours() == hours
    assert limit.may_be_limited() == bool(variables)


@pytest.mark.parametrize("text", ["x", "-1", "nan", "inf", "12h"])
def test_hours_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What is no number of hours is one clear error, which names the variable."""
    monkeypatch.setenv(limit.VARIABLE, text)
    with pytest.raises(UsageError, match=f"{limit.VARIABLE}={text}") as error:
        limit.read_hours()
    assert code_of(error) == "not-hours"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5 h", 5400), ("1d", 86400)]
)
def test_times_are_read(text: str, seconds: float) -> None:
    """A number and a unit."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2w", "2h30m"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """Without a unit, or with another one, it is an error."""
    with pytest.raises(UsageError) as error:
        parse_duration(text)
    assert code_of(error) == "not-a-time"


def code_of(error: Any) -> str:
    """The code of a refusal."""
    return str(error.value.code)


def notices_at(
    monkeypatch: pytest.MonkeyPatch, minutes: List[float], live: bool = True
) -> List[str]:
    """The notices below cells that end when so many minutes are left of an hour and a half."""
    monkeypatch.setenv(limit.VARIABLE, "1.5")
    now = [0.0]
    host = SimpleNamespace(live=live)
    calls: List[str] = []
    listener = SimpleNamespace(time_is_short=lambda: calls.append("short"))
    session: Any = SimpleNamespace(depth=1, host=host, hooks=[listener])
    hook = hooks.TimeLeft(session, clock=lambda: now[0])
    hook._started = 0.0
    notices: List[str] = []
    monkeypatch.setattr(hooks, "say", notices.append)
    for remaining in minutes:
        now[0] = 60 * (90 - remaining)
        for session.depth in (1, 2):
            hook.cell_recorded(None)
    if live:
        assert len(calls) == len(notices), "other hooks hear of each, and of nothing else"
    return notices if live else calls


def test_an_hour_half_an_hour_and_ten_minutes_are_said_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each once, below the first cell that ends then; nothing before, between and afterwards."""
    notices = notices_at(monkeypatch, [90, 61, 59, 58, 31, 29.5, 28, 11, 9, 5, 1, 0, -5])
    assert [line.partition(" left of the 1 h 30 min")[0] for line in notices] == [
        "59 min", "29 min 30 s", "9 min"
    ]  # fmt: skip
    assert all("%drive flush" in line for line in notices)


def test_where_nobody_reads_the_hooks_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A headless run gets its checkpoints before the end, and no notice among its outputs."""
    assert notices_at(monkeypatch, [61, 59, 31, 29, 9, 5], live=False) == ["short"] * 3


def test_only_the_nearest_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that ran for long ends with one line, and those that it has passed are not said."""
    assert len(notices_at(monkeypatch, [70, 8, 7, 6])) == 1


def test_a_machine_that_lives_on_was_lent_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the end of the time nothing is said."""
    assert notices_at(monkeypatch, [0, -1, -100]) == []


def group(folder: Path, names: List[str], limit: str, usage: int, cached: int) -> None:
    """The files of a control group."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cached}\n")


TWO = ["memory.max", "memory.current", "inactive_file"]
ONE = ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"]


def test_the_limit_of_a_container(tmp_path: Path) -> None:
    """In a container of version 2 its own group is the top, and cached files do not count."""
    group(tmp_path, TWO, "1000", 700, 200)
    assert list(machine.read_cgroups(tmp_path, {"": "/"})) == [Memory(500, 1000)]


def test_limits_above_count_too(tmp_path: Path) -> None:
    """Outside a container the groups above that of the process may have the limit."""
    group(tmp_path / "user.slice", TWO, "4000", 900, 0)
    group(tmp_path / "user.slice/app", TWO, "max", 100, 0)
    memories = list(machine.read_cgroups(tmp_path, {"": "/user.slice/app"}))
    assert memories == [Memory(900, 4000)]


def test_the_limit_of_version_one(tmp_path: Path) -> None:
    """Version 1 has the memory apart; a path that is that of the machine outside is no trouble."""
    group(tmp_path / "memory", ONE, "2000", 300, 100)
    memories = list(machine.read_cgroups(tmp_path, {"memory": "/docker/0123"}))
    assert memories == [Memory(200, 2000)]


def test_without_groups_there_is_no_limit(tmp_path: Path) -> None:
    """Nothing to read is no limit, and no error."""
    assert list(machine.read_cgroups(tmp_path / "none", {})) == []


def test_gpu_memory_is_that_of_the_kernels_own_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Summed over cards, without what others have and what is of another process table."""
    mine = os.getpid()
    cards = [
        (Process(mine, 5 * 10**6), Process(1, 7 * 10**6)),
        (Process(mine, 6 * 10**6), Process(mine, 9 * 10**6, here=False)),
        None,
    ]
    gpus = tuple(DetailedGpu("T4", processes=processes) for processes in cards)
    monkeypatch.setattr(magic, "take_snapshot", lambda detailed: Snapshot(gpus))
    kernel = Running("0123456789", ("nb.ipynb",), "idle", 0.0, (), mine, 0)
    (row,) = magic.describe_kernels([kernel], "other")
    assert row["gpu_memory"] == 11 * 10**6
    table = magic.make_report([row])
    assert [line[4] for line in (table.head, *table.rows)] == ["GPU memory", "11.0 MB"]
