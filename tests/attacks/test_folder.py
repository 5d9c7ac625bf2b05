"""What a clone or an archive has put into the folder where the kernel stands, or a line names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator, Tuple

import pytest
from doubles.index import make_wheel
from doubles.watched import Watched, watch

from colab_magics.core.errors import input_errors
from colab_magics.pin.job import Job
from colab_magics.pin.requirements import read_file
from colab_magics.pin.uv import Uv

#: Settings of uv's that name an index.
SETTINGS = {
    "uv.toml": '[pip]\nextra-index-url = ["{url}"]\n',
    "pyproject.toml": '[tool.uv.pip]\nextra-index-url = ["{url}"]\n',
}


@pytest.fixture
def indexes(tmp_path: Path) -> Iterator[Tuple[Watched, Watched]]:
    """The index of the line, and one that only a file names."""
    make_wheel(tmp_path / "wheels", "tinypkg", "1.0")
    with watch(tmp_path / "wheels") as own, watch(tmp_path / "nothing") as strangers:
        yield own, strangers


def plan(own: Watched) -> None:
    """Have uv plan a package of the line's index."""
    job = Job(lambda message: None, (), {"index-url": own.url}, installer=Uv())
    assert job.rehearse(["tinypkg==1.0"])


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("folder", [".", ".."])
def test_settings_that_lie_there(
    name: str, folder: str, home: Path, indexes: Tuple[Watched, Watched]
) -> None:
    """No index is asked that only a file in the folder, or above it, names."""
    own, strangers = indexes
    Path(folder, name).write_text(SETTINGS[name].format(url=strangers.url))
    plan(own)
    assert own.asked and strangers.asked == []


def test_settings_of_the_user_count(
    home: Path, indexes: Tuple[Watched, Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uv's file of this user counts, as pip's does."""
    own, second = indexes
    place = home / "settings" / "uv" / "uv.toml"
    place.parent.mkdir(parents=True)
    place.write_text(SETTINGS["uv.toml"].format(url=second.url))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "settings"))
    plan(own)
    assert second.asked


@pytest.mark.parametrize(
    "text",
    [
        "SERVICE_PW=canary-91 c",
        '{"username": "me", "key": "canary-91"}',
        "machine h login me password canary-91",
        "-----BEGIN KEY-----\ncanary-91/+=\n",
        "https://h.test/canary-91",
        "root:canary-91:20228:0:99999:7:::",
    ],
)
def test_a_file_that_holds_no_requirements(text: str, tmp_path: Path) -> None:
    """Nothing of it is shown: the line of a stranger's notebook may name any file."""
    path = tmp_path / "any.txt"
    path.write_text(f"numpy==2.1.3{os.linesep}{text}")
    with pytest.raises(input_errors()) as caught:
        read_file(path)
    assert "canary-91" not in str(caught.value) and "any.txt" in str(caught.value)
