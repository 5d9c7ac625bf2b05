"""The day of ``--as-of``: strict when it is typed, recorded on its line, merged apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from IPython.core.error import UsageError
from support.setup_cells import pin

from colab_magics.core.day import python_of
from colab_magics.pin.day import cutoff, day_before
from colab_magics.pin.step import parse as parse_pin
from colab_magics.record.cell import new_cell, parse, render
from colab_magics.record.merge import merge

pytestmark = pytest.mark.once

DAY = ("--as-of", "2020-07-11")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2020-02-30", "not-a-day"),
        ("2020-7-1", "not-a-day"),
        ("11.07.2020", "not-a-day"),
        ("2020-07-11T00:00:00Z", "not-a-day"),
        ("٢٠٢٠-٠٧-١١", "not-a-day"),
        ("yesterday", "not-a-day"),
        ((date.today() + timedelta(days=3)).isoformat(), "future-day"),
    ],
)
def test_only_a_day_that_was_is_one(text: str, code: str) -> None:
    """Anything else is a ``UsageError``: nothing is guessed."""
    with pytest.raises(UsageError) as caught:
        parse_pin(["numpy", "--as-of", text])
    assert getattr(caught.value, "code", "") == code


def test_a_folder_has_no_days() -> None:
    """``--find-links`` beside it cannot be kept to, and is refused."""
    with pytest.raises(UsageError) as caught:
        parse_pin(["numpy", *DAY, "--find-links", "wheels"])
    assert getattr(caught.value, "code", "") == "no-days"


def test_the_line_reads_back_and_days_stay_apart() -> None:
    """The day is recorded; pins of two days are two lines, those of one day are one."""
    steps = [
        pin("numpy==1.19.0", *DAY, "--python", "3.8"),
        pin("pandas==1.0.5", *DAY, "--python", "3.8"),
        pin("scipy==1.4.1", "--as-of", "2020-03-01", "--python", "3.8"),
        pin("requests==2.31"),
    ]
    lines, _ = merge(new_cell(), [(step, "") for step in steps])
    texts = [line.text for line in parse(render(lines)) if line.step]
    assert texts == [
        "%pin numpy==1.19.0 pandas==1.0.5 --as-of 2020-07-11 --python 3.8",
        "%pin scipy==1.4.1 --as-of 2020-03-01 --python 3.8",
        "%pin requests==2.31",
    ]


def test_a_bare_name_leaves_the_day_only_with_its_version() -> None:
    """A name typed again in the recorded version changes nothing; another version has no day."""
    lines, _ = merge(new_cell(), [(pin("zzz-demo==1.0", *DAY), "")])
    for version, text in (("1.0", " --as-of 2020-07-11"), ("2.0", "")):
        step = replace(pin(f"zzz-demo=={version}"), bare=frozenset({"zzz-demo"}))
        merged, _ = merge(lines, [(step, "")])
        assert merged[-1].text == f"%pin zzz-demo=={version}{text}"


def test_the_end_of_a_day() -> None:
    """Both installers get the same moment, in UTC, and it reads back as the day."""
    assert cutoff("2020-12-31") == "2021-01-01T00:00:00Z"
    assert day_before(cutoff("2020-02-29")) == "2020-02-29"
    assert day_before("P3D") == ""


@pytest.mark.parametrize(
    ("day", "python"),
    [("2015-01-01", "3.8"), ("2020-07-11", "3.8"), ("2021-05-01", "3.9"), ("2024-05-01", "3.12")],
)
def test_the_python_of_then(day: str, python: str) -> None:
    """The newest for which packages had wheels by then; none that this package does not run on."""
    assert python_of(day) == python
