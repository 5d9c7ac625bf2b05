"""What is shown while a step is applied: lines, and a plan that stays above them."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any, List

import pytest

from colab_magics.core.display import Report
from colab_magics.extension import output
from colab_magics.extension.output import Status

PLAN = Report(("a plan",), (("package", "wanted"), ("numpy", "2.1.3")), ("and 3 more",))


def test_a_plan_stays_above_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live: one display, in which the plan stands above the last line, until it is done.

    A line that is shown already is not sent again.
    """
    states: List[str] = []

    def show(report: Report, live: bool = False) -> Any:
        states.append(report.text())
        return SimpleNamespace(update=lambda report: states.append(report.text()))

    monkeypatch.setattr(output, "show", show)
    host: Any = SimpleNamespace(live=True, may_ask=True)
    status = Status(host, quiet=False)
    for said in ("resolving", "resolving", PLAN, "downloading", "downloading"):
        status(said)
    status.done(Report(("done",)))
    assert states == ["resolving", PLAN.text(), f"{PLAN.text()}\ndownloading", "done"]


def test_in_a_terminal_the_plan_is_printed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines take each other's place; the plan is printed above them, and not again."""
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdout", screen)
    host: Any = SimpleNamespace(live=False, may_ask=True)
    status = Status(host, quiet=False)
    for said in ("resolving", PLAN, "downloading", PLAN, "done"):
        status(said)
    assert screen.getvalue().count("a plan") == 1
    assert (
        screen.getvalue()
        .replace("\r\x1b[K", "|")
        .startswith("|resolving|a plan\npackage  wanted\nnumpy    2.1.3\nand 3 more\n|downloading|")
    )
