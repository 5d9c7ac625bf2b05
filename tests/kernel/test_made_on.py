"""Where a notebook was made: noted once, and compared on every machine after."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any, Dict

import pytest
from support.machine import Machine
from support.notebooks import notebook, shown, whole

from colab_magics.notebook.made_on import MadeOn

pytestmark = pytest.mark.once

PIN = "%load_ext colab_magics\n%pin tinypkg==1.0"
COLAB = "release-colab_20250822-060052_RC00"


def note(path: Path) -> MadeOn:
    """What the notebook's metadata say."""
    made = MadeOn.decode(whole(path)["metadata"]["colab_magics"]["made_on"])
    assert made is not None
    return made


def test_the_first_record_notes_the_machine_and_no_later_one(
    machine: Machine, folder: Path
) -> None:
    """Image, Python and GPU are kept with the first line; another machine does not change them."""
    machine.variables["COLAB_RELEASE_TAG"] = COLAB
    path = notebook(folder / "nb.ipynb", PIN, "%load_ext colab_magics\n%pin tinyother")
    assert machine.cli("run", path).returncode == 0
    made = note(path)
    assert made.python == platform.python_version()
    assert made.image == f"Colab {COLAB}"
    assert made.gpu

    machine.variables["COLAB_RELEASE_TAG"] = "release-colab_20261101-060052_RC00"
    path.write_text(path.read_text().replace("%pin tinyother", "%env_persist TINY=1"))
    assert machine.cli("run", path).returncode == 0
    assert "TINY" in path.read_text()
    assert note(path) == made


def test_the_note_goes_with_the_last_line(machine: Machine, folder: Path) -> None:
    """Once the setup cell has no line left, nothing of the note stays."""
    path = notebook(folder / "nb.ipynb", PIN, "%setup forget tinypkg")
    assert machine.cli("run", path).returncode == 0
    assert "made_on" not in whole(path)["metadata"].get("colab_magics", {})


MOVED: Dict[str, Any] = {
    "colab": ({"COLAB_RELEASE_TAG": "release-colab_20261101-060052_RC00"}, "3.11"),
    "here": ({}, "--python 3.8"),
}


@pytest.mark.parametrize("place", list(MOVED))
def test_another_machine_is_named_with_what_to_do(
    place: str, machine: Machine, folder: Path
) -> None:
    """`%setup` and `setup check` name both Pythons and the image; on Colab also how far it goes."""
    variables, advice = MOVED[place]
    machine.variables.update(variables)
    made = MadeOn("3.8.18", f"Colab {COLAB}", "Tesla T4").encode()
    text = "# colab_magics:setup v1\n%reload_ext colab_magics\n%setup auto off"
    path = notebook(folder / "nb.ipynb", text, "%setup", colab_magics={"made_on": made})
    before = whole(path)["metadata"]
    assert machine.cli("run", path).returncode == 0
    for answer in (shown(path)[1], machine.cli("setup", "check", path).stdout):
        for word in ("3.8", platform.python_version()[:4], "Tesla T4", "2025-08-22", advice):
            assert word in answer, answer
    assert whole(path)["metadata"] == before


def test_a_strangers_note_is_not_shown(machine: Machine, folder: Path) -> None:
    """What has not the form of a note is as if it were not there."""
    text = "# colab_magics:setup v1\n%reload_ext colab_magics\n%setup auto off"
    evil = {"made_on": "python=3.1%1b[31m&gpu=evil"}
    path = notebook(folder / "nb.ipynb", text, "%setup", colab_magics=evil)
    assert machine.cli("run", path).returncode == 0
    assert "evil" not in shown(path)[1]
