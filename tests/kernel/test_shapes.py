"""Setups in the shapes that people publish, said with the magics: run, wiped, brought back."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from support.notebooks import notebook, setup_text, shown, source, whole

from .conftest import MakeMachine

LOAD = "%load_ext colab_magics"


@pytest.fixture
def repository(tmp_path: Path) -> str:
    """A git repository with a requirements file, as a URL."""
    folder = tmp_path / "upstream"
    folder.mkdir()
    (folder / "requirements.txt").write_text("tinypkg==1.0   # exact\ntinyother>=1\n")
    (folder / "model.py").write_text("import tinypkg\nNAME = 'model ' + tinypkg.__version__\n")
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "start"],
    ):
        subprocess.run(["git", *words], cwd=str(folder), check=True)
    return folder.as_uri()


def edit_setup(path: Path, old: str, new: str) -> None:
    """Edit the setup cell by hand."""
    found = whole(path)
    text = source(found["cells"][0])
    assert old in text
    found["cells"][0]["source"] = text.replace(old, new).splitlines(keepends=True)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


@pytest.mark.once
def test_clone_and_install(make_machine: MakeMachine, folder: Path, repository: str) -> None:
    """A clone and its requirements: what the file asks for is kept, and so is a line by hand."""
    clone = f"![ -d project ] || git clone -q {repository} project"
    path = notebook(
        folder / "nb.ipynb",
        LOAD,
        clone,
        "%pin -r project/requirements.txt\n%cd_persist project",
        "import sys\nsys.path.insert(0, '.')\nimport model\nprint(model.NAME)",
    )
    machine = make_machine()
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr
    assert shown(path)[-1] == "model 1.0\n"
    text = setup_text(path) or ""
    # The clone is not there after a wipe, so the file's lines are kept instead of its name.
    assert "%pin tinypkg==1.0 'tinyother>=1'" in text or "%pin tinypkg==1.0 tinyother>=1" in text

    edit_setup(path, "%pin", clone + "\n%pin")
    shutil.rmtree(folder / "project")
    for _ in range(2):
        machine = machine if (folder / "project").exists() else make_machine()
        done = machine.cli("run", path)
        assert done.returncode == 0, done.stderr
        assert clone in (setup_text(path) or "").split("\n"), "a line by hand stays"
        assert shown(path)[-1] == "model 1.0\n"


def test_mount_and_cd(make_machine: MakeMachine, folder: Path) -> None:
    """A mount and a folder on it, with a space in its name: back with the setup cell alone."""
    machine = make_machine()
    project = machine.home / "drive" / "MyDrive" / "deep learning"
    project.mkdir(parents=True)
    (project / "data.txt").write_text("seven\n")
    path = notebook(
        folder / "nb.ipynb",
        LOAD + "\n%drive mount",
        '%cd_persist "drive:deep learning"',
        "print(open('data.txt').read())",
    )
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr
    assert shown(path)[-1] == "seven\n\n"
    lines = (setup_text(path) or "").split("\n")
    assert lines[-2:] == ["%drive mount", "%cd_persist 'drive:deep learning'"]

    # Another machine, with the same drive and without anything else.
    fresh = make_machine()
    shutil.copytree(str(machine.home / "drive"), str(fresh.home / "drive"))
    alone = notebook(folder / "alone.ipynb", "\n".join(lines), "print(open('data.txt').read())")
    done = fresh.cli("run", alone)
    assert done.returncode == 0, done.stderr
    assert shown(alone)[-1] == "seven\n\n"


@pytest.mark.once
def test_a_pinned_stack(make_machine: MakeMachine, folder: Path) -> None:
    """A stack of pins with comments and a look at the GPU: the versions are there after a wipe."""
    cells = [
        LOAD + "\n%gpu",
        "%%pin\n# the stack of the paper\ntinypkg==1.0  # not 2.0: its API changed\ntinyother==2.0",
        "import tinypkg, tinyother\nprint(tinypkg.__version__, tinyother.__version__)",
    ]
    machine = make_machine()
    path = notebook(folder / "nb.ipynb", *cells)
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr
    text = setup_text(path) or ""
    assert text.split("\n")[-1] == "%pin tinypkg==1.0 tinyother==2.0"

    # A later version of the notebook asks for another one: that pin moves, the other stays.
    cells[1] = cells[1].replace("tinyother==2.0", "tinyother==1.0")
    done = machine.cli("run", notebook(path, text, *cells))
    assert done.returncode == 0, done.stderr
    assert shown(path)[-1] == "1.0 1.0\n"
    text = setup_text(path) or ""
    assert text.split("\n")[-1] == "%pin tinypkg==1.0 tinyother==1.0"

    fresh = make_machine()
    alone = notebook(folder / "alone.ipynb", text, "import tinyother\nprint(tinyother.__version__)")
    done = fresh.cli("run", alone)
    assert done.returncode == 0, done.stderr
    assert shown(alone)[-1] == "1.0\n"
