"""A day as it is typed, and the Python of then."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone

from .errors import usage_error

#: Minor version of Python 3 → the day of its release. Source: the PEPs of their release schedules.
RELEASES = {
    8: "2019-10-14",
    9: "2020-10-05",
    10: "2021-10-04",
    11: "2022-10-24",
    12: "2023-10-02",
    13: "2024-10-07",
    14: "2025-10-07",
}
#: Most packages have wheels for a new Python after so many days.
_SETTLED = 180


def day_of(text: str) -> str:
    """Return a day as typed, such as ``2020-07-11``; ``UsageError`` for what is none, or to come.

    The day of any time zone counts as begun.
    """
    day = None
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            day = None
    if day is None:
        raise usage_error(
            f"--as-of {text}: not a day.", "Write it as: --as-of 2020-07-11", code="not-a-day"
        )
    if day > (datetime.now(timezone.utc) + timedelta(hours=14)).date():
        raise usage_error(
            f"--as-of {text} is in the future.",
            "Leave --as-of out for the newest versions.",
            code="future-day",
        )
    return text


def settled_by(python: str) -> str:
    """Return the first day on which most packages had wheels for a Python such as ``3.8``."""
    out = date.fromisoformat(RELEASES[int(python.split(".")[1])])
    return (out + timedelta(days=_SETTLED)).isoformat()


def python_of(day: str) -> str:
    """Return the newest Python for which most packages had wheels on a day; at least 3.8."""
    had = [minor for minor in RELEASES if settled_by(f"3.{minor}") <= day]
    return f"3.{max(had, default=min(RELEASES))}"
