"""The exit statuses of the command line: one table, the same in the documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from colab_magics.core.errors import (
    ColabMagicsError,
    DriveError,
    GpuUnmet,
    InstallFailed,
    LockDiffers,
    NotebookError,
    OtherPython,
    RestartRequired,
    SetupDiffers,
    SourceError,
    usage_error,
)
from colab_magics.core.exit_status import ExitStatus, status_of

pytestmark = pytest.mark.once

PAGE = Path(__file__).resolve().parents[2] / "docs" / "command-line.md"


def _differs(*lines: str) -> SetupDiffers:
    error = SetupDiffers("x")
    error.lines, error.unknown = lines, ("%apt x",)
    return error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ColabMagicsError("x"), 1),
        (InstallFailed("x"), 1),
        (NotebookError("x", code="no-setup-cell"), 1),
        (DriveError("x", code="no-space"), 1),
        (usage_error("x"), 2),
        (_differs("%pin a==1"), 3),
        (LockDiffers("x"), 3),
        (GpuUnmet("x"), 3),
        (DriveError("x", code="no-person"), 4),
        (DriveError("x", code="login"), 4),
        (SourceError("x", code="secret-missing"), 4),
        (SourceError("x", code="login-needed"), 4),
        (SourceError("x", code="forbidden"), 4),
        (InstallFailed("x", code="index-login"), 4),
        (SourceError("x", code="login"), 1),
        (RestartRequired("x"), 5),
        (OtherPython("x"), 5),
        (ColabMagicsError("x", code="no-python"), 5),
        (_differs(), 6),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_has_one_status(error: BaseException, status: int) -> None:
    """By its class and its code; a line that differs counts more than one that is not known."""
    assert status_of(error) == status


def test_the_page_has_the_same_table() -> None:
    """Each status of the table in the documents is one of ours, and none is left out."""
    rows = re.findall(r"^\| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [str(int(status)) for status in ExitStatus]
