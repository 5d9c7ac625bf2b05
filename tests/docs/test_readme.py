"""The README is true: each command that it shows is run here as a new user would."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest
from support.machine import Machine
from support.notebooks import notebook, setup_text, shown, source, whole

from colab_magics.record.cell import new_cell, parse

ROOT = Path(__file__).resolve().parents[2]
#: What a clone has that installing it, or running the tour, needs.
PARTS = ("colab_magics", "notebooks", "pyproject.toml", "README.md", "LICENSE")
#: What the setup cell of the tour has.
TOUR = ["%drive mount", "%pin humanize==4.9.0", "%checkpoint --to drive:tour", "%cd_persist drive:"]


def blocks(language: str, page: str = "README.md") -> List[str]:
    """What is shown for copying."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the checkout."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for part in PARTS:
        place = ROOT / part
        copy = shutil.copytree if place.is_dir() else shutil.copy
        copy(place, folder / part)
    return folder


def shell(
    command: str, folder: Path, *first: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as a person does, with these folders first on PATH; it must succeed."""
    env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    env["PIP_NO_COMPILE"] = "1"  # what is imported is compiled then
    env["PATH"] = os.pathsep.join([*map(str, first), env["PATH"]])
    env.update(variables)
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def shown_by_cells(path: Path) -> List[str]:
    """What the cells show that a resumed run does not run: all but our own bookkeeping."""
    pairs = zip(whole(path)["cells"], shown(path))
    return [text for cell, text in pairs if not re.search("setup v1|%checkpoint", source(cell))]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without an index: what it needs is installed."""
    return Machine.make(tmp_path / "environment", tmp_path / "home", "http://127.0.0.1:9/simple")


@pytest.mark.once
@pytest.mark.skipif(sys.version_info < (3, 11), reason="elsewhere: once is enough")
def test_the_first_command_and_the_tour(clone: Path, tmp_path: Path) -> None:
    """The first command prints the setup cell that it has saved. After a wipe all is back.

    The tour's page begins with the same command; its others follow, in a home of their own. In the
    new machine no cell runs but the setup cell, and a second run changes nothing.
    """
    first, wipe, again, second = blocks("bash", "docs/tour.md")
    assert first == blocks("bash")[0] and first.count("\n") == 1, "it is one command"
    path, home = clone / "notebooks/quickstart.ipynb", tmp_path / "home"

    def run(command: str) -> str:
        return shell(command, clone, Path(sys.base_prefix) / "bin", HOME=str(home)).stdout

    home.mkdir()
    printed = run(first)
    text = setup_text(path)
    assert text is not None and printed.endswith(text + "\n")
    assert text.split("\n")[-4:] == TOUR
    outputs = shown_by_cells(path)
    run(wipe)
    assert not (clone / ".venv").exists()
    for command in (again, second):
        printed = run(command)
        assert "11 of 11 cells were done" in printed
        assert ("humanize 4.9.0 installed" in printed) is (command is again)
        assert printed.count("done before") == 11 and shown_by_cells(path) == outputs


@pytest.mark.once
@pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="pip is not installed here")
def test_each_way_to_install_brings_the_package(clone: Path, tmp_path: Path) -> None:
    """From a clone, and from the address of a repository, which is here one on disk."""
    (from_clone,) = blocks("bash")[2].split("\n")[:-1]
    (cell,) = blocks("python")[0].split("\n")[:-1]
    if cell.endswith(" colab-magics"):  # see release/README.md
        pytest.skip("elsewhere: it comes from an index, as in test_install_line.py")
    from_address = re.sub(r"git\+https://\S+", f"git+{clone.as_uri()}", cell)
    assert from_address != cell
    git = f"git -C {clone} -c user.name=x -c user.email=x@x.invalid"
    shell(f"{git} init -q && {git} add -A && {git} commit -q -m x", clone)
    folder = Path(sys.executable).parent
    (tmp_path / "python3").symlink_to(folder / "python")
    for way, command in enumerate((from_clone, from_address.replace("%pip", "python3 -m pip"))):
        place = tmp_path / str(way)
        shell(f"{command} --no-deps --target {place}", clone, tmp_path)
        assert (place / "colab_magics/__init__.py").is_file()


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
    """Each ``colab-magics`` line of its page that has a notebook succeeds.

    Not ``verify`` and ``setup apply``, which need others, and have tests of their own.
    """
    path = notebook(tmp_path / "nb.ipynb", "%load_ext colab_magics\n%drive mount")
    (block,) = blocks("bash", "docs/command-line.md")
    lines = [
        re.sub(r"\s*#.*", "", line)
        for line in block.strip().split("\n")
        if "NOTEBOOK" in line and not re.search("verify|setup apply", line)
    ]
    assert len(lines) == 13
    for line in lines:
        words = line.replace("NOTEBOOK", str(path)).replace("OTHER", str(path)).split()
        assert words[0] == "colab-magics"
        done = machine.cli(*words[1:])
        assert done.returncode == 0, line + done.stderr
    assert setup_text(path) is None, "the last line forgets the cell"


@pytest.mark.skipif(
    not os.environ.get("COLAB_MAGICS_WHEEL"), reason="needs the wheel: run tests/run.py"
)
def test_the_three_cells_run(machine: Machine, tmp_path: Path) -> None:
    """The three cells of the README, one after another, do what the page says."""
    cells = blocks("python")[1:4]
    # humanize comes from the index.
    machine.variables.update({k: v for k, v in os.environ.items() if k.startswith("PIP_")})
    machine.variables.pop("PIP_INDEX_URL", None)
    path = notebook(tmp_path / "nb.ipynb", *cells)
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr
    text = setup_text(path)
    assert text is not None and "%pin humanize==4.9.0" in text.split("\n")
    assert "ok     %cd_persist drive:" in shown(path)[-1]


@pytest.mark.parametrize("page", ["README.md", "docs/setup-cell.md"])
def test_the_setup_cell_shown_is_one_that_we_would_write(page: str) -> None:
    """The example cell is read as steps, and its head is the head of a new cell."""
    example = next(block for block in blocks("python", page) if "#@title" in block).rstrip("\n")
    lines = parse(example)
    assert [line.step.word for line in lines if line.step] == ["gpu", "drive", "pin", "cd_persist"]
    shown, head = ([line.text for line in some] for some in (lines, new_cell()))
    about = re.compile(r"https://\S+")  # the repository's: see test_pages.py
    assert [about.sub("", text) for text in shown[:3]] == [about.sub("", text) for text in head[:3]]
    assert head[-1] in shown


@pytest.mark.once
def test_the_chinese_readme_shows_the_same_commands() -> None:
    """What is to be copied from it is the README's, in the same order."""
    for language in ("bash", "python"):
        of_readme = iter(blocks(language))
        shown = blocks(language, "README.zh-CN.md")
        assert shown and all(block in of_readme for block in shown)


@pytest.mark.once
def test_the_readme_is_short() -> None:
    """Details have pages of their own."""
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("\n") <= 150
