"""How far a transfer is, and what people see of an installer's work."""

from __future__ import annotations

from typing import List

import pytest

from colab_magics.core import meter as meters
from colab_magics.core.transfer import Transfer, describe
from colab_magics.pin.downloads import Downloads
from colab_magics.pin.pip import Pip
from colab_magics.pin.uv import Uv

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("done", "total", "rate", "line"),
    [
        (45, 100, 12.3e6, f"[{'#' * 9:20}] 45%  12.3 MB/s  0:00 left"),
        (0, 100_000_000, 0.0, f"[{'':20}] 0%"),
        (40_000_000, 100_000_000, 5e6, f"[{'#' * 8:20}] 40%  5.0 MB/s  0:12 left"),
        (0, 100_000_000_000, 10e6, f"[{'':20}] 0%  10.0 MB/s  2:46:40 left"),
        (100, 100, 1e3, f"[{'#' * 20}] 100%  1.0 kB/s"),
        (300, 100, 1e3, f"[{'#' * 20}] 100%  1.0 kB/s"),
        (81_000_000, 0, 1e6, "81.0 MB  1.0 MB/s"),
    ],
)
def test_a_line_has_bar_rate_and_time(done: int, total: int, rate: float, line: str) -> None:
    """What is not known is left out, such as the time where there is no total."""
    assert describe(done, total, rate) == line


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """What was there before is no progress; what was long ago says nothing; anew is anew."""
    transfer = Transfer()
    assert "/s" not in transfer.describe(1000, 10_000, 100.0)
    assert "100 B/s" in transfer.describe(1200, 10_000, 102.0)
    for second in range(3, 10):
        line = transfer.describe(1200 + 500 * (second - 2), 10_000, 100.0 + second)
    assert "500 B/s  0:11 left" in line
    assert "/s" not in transfer.describe(0, 10_000, 111.0)


def test_several_files_are_one_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the number that are done; without a total where one of them has none."""
    times = iter([1.0, 2.0, 3.0])
    monkeypatch.setattr(meters.time, "monotonic", lambda: next(times))
    meter = meters.Meter()
    first, second = meter.track("a"), meter.track("b")
    first.advance(50, 100)
    second.advance(0, 100)
    assert meter._line() == f"2 files, 0 done: [{'#' * 5:20}] 25%"
    first.advance(100, 100)
    first.ended = True
    assert meter._line() == f"2 files, 1 done: [{'#' * 10:20}] 50%  50 B/s  0:02 left"
    meter.track("c").advance(20, 0)
    assert meter._line() == "3 files, 1 done: 120 B  35 B/s"


def test_of_uv_people_see_bars_and_no_prose() -> None:
    """Its downloads are measured by what its connections receive, from the first file on."""
    said: List[object] = []
    downloads = Downloads(Uv(), said.append)
    downloads.on_line("Resolved 3 packages in 283ms")
    downloads.on_wait({"a": 5_000})  # the index
    assert said == []
    for line in ("DEBUG Identified uncached distribution: big==1.0", "Downloading big (2.0MiB)"):
        downloads.on_line(line)
    downloads.on_wait({"a": 5_000})
    downloads.on_wait({"a": 5_000, "b": 1_048_576})
    downloads.on_wait({"b": 1_048_576})  # one was closed
    assert said[:2] == ["downloading big", f"downloading big: [{'':20}] 0%"]
    assert [str(line).partition("  ")[0] for line in said[2:]] == 2 * [
        "downloading big: [##########"
    ]
    for line in (" Downloaded big", "Prepared 1 package in 1.20s", "Installed 1 package in 3ms"):
        downloads.on_line(line)
    downloads.on_wait({"b": 9_000_000})
    assert said[4:] == ["putting the files in place"]


def test_a_download_after_a_build_begins_at_nothing() -> None:
    """What came before it is no part of it."""
    said: List[str] = []
    downloads = Downloads(Uv(), said.append)
    downloads.on_line("Downloading numpy (20.0MiB)")
    downloads.on_wait({"a": 0})
    downloads.on_wait({"a": 20_000_000})
    downloads.on_line("   Building foo==1.0")
    downloads.on_line("Downloading scipy (40.0MiB)")
    downloads.on_wait({"a": 20_000_000})
    downloads.on_wait({"a": 21_000_000})
    assert "] 2%" in said[-1]


def test_of_pip_people_see_bars_and_no_prose() -> None:
    """It says itself how far it is, in lines that are for no person."""
    said: List[object] = []
    downloads = Downloads(Pip(), said.append)
    lines = [
        "Looking in indexes: https://host/simple",
        "Collecting big==1.0",
        "  Downloading https://host/big-1.0-py3-none-any.whl (2.0 MB)",
        "Progress 0 of 2000000",
        "Progress 1000000 of 2000000",
        "Building wheel for old (pyproject.toml): started",
        "Successfully installed big-1.0",
    ]
    for line in lines:
        downloads.on_line(line)
    assert said[:3] == ["looking for big==1.0", "downloading big", f"downloading big: [{'':20}] 0%"]
    assert str(said[3]).startswith(f"downloading big: [{'#' * 10:20}] 50%")
    assert said[4:] == ["building old"]
    assert [line for line in lines if Pip().is_debug(line)] == lines[3:5]
