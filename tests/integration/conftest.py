"""What the integration tests share: wheels of many files, and a Google Drive with a client."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest
from doubles import google_drive
from doubles.index import make_wheel
from doubles.many import Many, make_many
from support.drive_client import Client

from colab_magics.drive.transfer import retry, upload


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Many:
    """Made once, for no test changes them. With ``--long`` they have more files."""
    wheels = tmp_path_factory.mktemp("many")
    few, most = (300, 800) if request.config.getoption("--long") else (60, 160)
    one, two = (make_many(wheels, version, few, most) for version in ("1.0", "2.0"))
    make_wheel(wheels, "tinypkg", "1.0")
    return Many(wheels, one, two)


@pytest.fixture
def drive(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[google_drive.GoogleDrive]:
    """The double; pauses are short, and a chunk has 4 MB."""
    monkeypatch.setattr(retry, "PAUSE", 0.01)
    monkeypatch.setattr(upload, "CHUNK", 4 << 20)
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with google_drive.GoogleDrive() as double:
        yield double


@pytest.fixture
def client(drive: google_drive.GoogleDrive) -> Client:
    """A client that is logged in."""
    return Client(drive.url, lambda fresh: google_drive.TOKEN)
