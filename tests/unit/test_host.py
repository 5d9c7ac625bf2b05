"""A path is recorded so that it means the same on another machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from colab_magics.core.errors import ColabMagicsError
from colab_magics.core.host import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host that was started in ``work``, with a drive."""
    made = Host(start=tmp_path / "work")
    made.places["drive"] = lambda: tmp_path / "drive"
    return made


@pytest.mark.parametrize(
    ("path", "recorded"),
    [
        ("drive", "drive:"),
        ("drive/article", "drive:article"),
        ("drive/.hidden", "drive:.hidden"),
        ("work", "."),
        ("work/data", "data"),
        ("work/a:.b", "a:.b"),
        ("home/data", "~/data"),
    ],
)
def test_a_recorded_path_is_read_back(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, recorded: str
) -> None:
    """Under the drive, the start directory or home it is relative to that."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    assert host.spell(tmp_path / path) == recorded
    assert host.resolve(recorded) == tmp_path / path


def test_a_drive_that_is_not_there(host: Host) -> None:
    """A path on it is an error, which says how to mount it."""
    host.places["drive"] = lambda: None
    with pytest.raises(ColabMagicsError) as caught:
        host.resolve("drive:article")
    assert caught.value.code == "not-mounted"
    assert "%drive mount" in caught.value.hint
