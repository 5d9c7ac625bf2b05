"""The README is true: each command in it is run here, on the wheel, as a new user would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest
from support.machine import Machine
from support.notebooks import notebook, setup_text, shown

from colab_magics.record.cell import new_cell, parse

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> List[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without an index: what it needs is installed."""
    return Machine.make(tmp_path / "environment", tmp_path / "home", "http://127.0.0.1:9/simple")


@pytest.mark.once
@pytest.mark.skipif(sys.version_info < (3, 11), reason="elsewhere: once is enough")
def test_the_first_command_ends_with_the_setup_cell_that_it_saved(tmp_path: Path) -> None:
    """In a copy of the checkout the first command works, and prints what is then in the file."""
    command = blocks("bash")[0]
    assert command.count("\n") == 1, "it is one command"
    copy = tmp_path / "checkout"
    for part in ("colab_magics", "notebooks", "pyproject.toml", "README.md", "LICENSE"):
        place = ROOT / part
        copy.mkdir(exist_ok=True)
        shutil.copytree(place, copy / part) if place.is_dir() else shutil.copy(place, copy)
    env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    env["PATH"] = os.pathsep.join([str(Path(sys.base_prefix) / "bin"), env["PATH"]])
    done = subprocess.run(
        ["bash", "-c", command], cwd=copy, env=env, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = setup_text(copy / "notebooks/quickstart.ipynb")
    assert text is not None and done.stdout.endswith(text + "\n")
    for line in ("%drive mount", "%pin humanize==4.9.0", "%cd_persist drive:"):
        assert line in text.split("\n")


def test_the_second_command_runs_all_the_tests() -> None:
    """The second command is the script that runs these tests, and CI calls the same one."""
    command = blocks("bash")[1].split()
    assert command[0] == "python3" and (ROOT / command[1]).is_file()
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert f"exec python3 {command[1]} --strict" in ci
    done = subprocess.run(
        [sys.executable, str(ROOT / command[1]), "--help"], stdout=subprocess.PIPE, check=True
    )
    assert b"--long" in done.stdout


def test_the_commands_of_the_shell_work_in_their_order(machine: Machine, tmp_path: Path) -> None:
    """Each ``colab-magics`` line of the README succeeds on a notebook."""
    path = notebook(tmp_path / "nb.ipynb", "%load_ext colab_magics\n%drive mount")
    lines = [re.sub(r"\s*#.*", "", line) for line in blocks("bash")[2].strip().split("\n")]
    assert len(lines) == 5
    for line in lines:
        words = line.replace("NOTEBOOK", str(path)).split()
        assert words[0] == "colab-magics"
        done = machine.cli(*words[1:])
        assert done.returncode == 0, line + done.stderr
    assert setup_text(path) is None, "the last line forgets the cell"


@pytest.mark.skipif(
    not os.environ.get("COLAB_MAGICS_WHEEL"), reason="needs the wheel: run tests/run.py"
)
def test_the_three_cells_run(machine: Machine, tmp_path: Path) -> None:
    """The three cells of the README, one after another, do what the page says."""
    cells = [block for block in blocks("python") if "#@title" not in block]
    assert len(cells) == 3
    # %pip needs a pip beside the kernel, and humanize comes from the index.
    machine.variables.update({k: v for k, v in os.environ.items() if k.startswith("PIP_")})
    machine.variables.pop("PIP_INDEX_URL", None)
    subprocess.run(
        [str(machine.python), "-m", "ensurepip"],
        check=True,
        stdout=subprocess.PIPE,
        env=machine.variables,
    )
    path = notebook(tmp_path / "nb.ipynb", *cells)
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr
    text = setup_text(path)
    assert text is not None and "%pin humanize==4.9.0" in text.split("\n")
    assert "ok  %cd_persist drive:" in shown(path)[-1]


def test_the_setup_cell_shown_is_one_that_we_would_write() -> None:
    """The example cell is read as steps, and its head is the head of a new cell."""
    example = next(block for block in blocks("python") if "#@title" in block).rstrip("\n")
    lines = parse(example)
    assert [line.step.word for line in lines if line.step] == ["gpu", "drive", "pin", "cd_persist"]
    head = [line.text for line in new_cell()]
    assert [line.text for line in lines[:3]] == head[:3]
    assert head[-1] in [line.text for line in lines]
