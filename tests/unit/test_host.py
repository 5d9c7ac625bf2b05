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
        ("work/~a", "./~a"),
        ("work/-a", "./-a"),
        ("work/drive:a", "./drive:a"),
        ("home/data", "~/data"),
        ("home", "~"),
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


@pytest.mark.parametrize(
    ("typed", "recorded"),
    [
        ("a", "deep/a"),
        ("./a//b/", "deep/a/b"),
        (".", "deep"),
        ("..", "."),
        ("../a", "a"),
        ("../../drive/a", "drive:a"),
        ("~/a", "~/a"),
        ("drive:a", "drive:a"),
        ("https://host/a", "https://host/a"),
        ("/a", "/a"),
    ],
)
def test_a_typed_path_counts_from_where_the_kernel_is(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, recorded: str
) -> None:
    """It is recorded so that it counts from what survives, and typed there again it is the same."""
    (tmp_path / "work/deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work/deep")
    assert host.spell_typed(typed) == recorded
    if "://" not in typed:
        assert host.spell_typed(host.spell_here(host.resolve(recorded))) == recorded


def test_a_drive_behind_a_link(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is on the drive where the current directory is, which is named without links."""
    (tmp_path / "cloud/a").mkdir(parents=True)
    (tmp_path / "drive").symlink_to("cloud")
    monkeypatch.chdir(tmp_path / "drive/a")
    assert host.spell_typed("b") == "drive:a/b"
    assert host.spell_typed(".") == "drive:a"
    assert host.spell(tmp_path / "cloud/a") == str(tmp_path / "cloud/a")


def test_a_drive_that_is_not_there(host: Host) -> None:
    """A path on it is an error, which says how to mount it."""
    host.places["drive"] = lambda: None
    with pytest.raises(ColabMagicsError) as caught:
        host.resolve("drive:article")
    assert caught.value.code == "not-mounted"
    assert "%drive mount" in caught.value.hint
