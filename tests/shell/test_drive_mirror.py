"""``%drive mount --provider mirror``: a folder beside a drive that only push and pull reach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cells import Cells

from colab_magics.core.errors import DriveError
from colab_magics.core.meter import Meter
from colab_magics.drive.transfer.places import open_drive
from colab_magics.extension.session import get_session

pytestmark = pytest.mark.once


@pytest.fixture
def login(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a login."""
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    place = home / ".config/colab-magics/google-drive.json"
    place.parent.mkdir(parents=True, mode=0o700)
    fields = {"client_id": "id", "client_secret": "s3cret", "refresh_token": "t0ken"}
    place.write_text(json.dumps({"kind": "user", "account": "ada@example.com", **fields}))
    return place


def test_only_where_somebody_is_logged_in(run: Cells) -> None:
    """Else nothing is made, and the error names the way."""
    error = run.attempt("%drive mount --provider mirror").error
    assert isinstance(error, DriveError) and error.code == "no-provider"
    assert "%drive login" in error.message and not Path("~/drive").expanduser().exists()


def test_a_folder_whose_files_come_and_go_by_pull_and_push(
    run: Cells, login: Path, home: Path
) -> None:
    """It is recorded, holds the second time, and leaves ``drive:`` of push to Google."""
    shown = run("%drive mount --provider mirror")
    assert "%drive pull drive:x" in shown and "%drive push" in shown
    assert run.steps() == ["%drive mount --provider mirror"]
    assert "already mounted" in run("%drive mount --provider mirror")
    assert "mirror" in run("%drive")
    drive = open_drive(get_session(run.shell).host, Meter(), 1)
    assert "ada@example.com" in drive.line and not drive.is_local
    (home / "drive/MyDrive/x").mkdir()
    run("%cd_persist drive:x")
    assert Path.cwd() == home / "drive/MyDrive/x"
    login.unlink()
    assert "Not Google Drive" in run("%drive")


@pytest.mark.parametrize("full", [True, False])
def test_unmount_loses_nothing(run: Cells, login: Path, home: Path, full: bool) -> None:
    """Files stay in the folder, which is then a stand-in; an empty one goes."""
    run("%drive mount --provider mirror")
    if full:
        (home / "drive/MyDrive/a").write_text("1")
    run("%drive unmount")
    assert (home / "drive/MyDrive").exists() == full
    assert ("Not Google Drive" if full else "No drive") in run("%drive")


def test_a_stand_in_that_is_a_link_stays(run: Cells, login: Path, home: Path) -> None:
    """It shows another folder, which no mirror takes over."""
    (home / "data").mkdir()
    run("%drive mount --from ~/data")
    error = run.attempt("%drive mount --provider mirror").error
    assert isinstance(error, DriveError) and (home / "drive/MyDrive").is_symlink()
