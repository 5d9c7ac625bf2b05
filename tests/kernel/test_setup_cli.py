"""``colab-magics setup``: the setup cell of a file, from a shell; nothing is executed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.machine import Machine
from support.notebooks import MARKER, notebook, setup_text, source, state, whole

TOUCH = "open('ran', 'w').close()"
CELL = f"{MARKER}\n%reload_ext colab_magics\n%pin tinypkg==1.0 tinyother==2.0\n%cd_persist ."


def _refused(machine: Machine, folder: Path, *words: object) -> str:
    """Run a command that must end with two lines and change nothing; give the first line."""
    before = state(folder)
    done = machine.cli("setup", *words, cwd=folder)
    assert done.returncode == 1 and done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 2 and lines[0].startswith("error: "), done.stderr
    assert state(folder) == before
    return lines[0]


def _done(machine: Machine, folder: Path, *words: object) -> str:
    done = machine.cli("setup", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert not (folder / "ran").exists()
    return done.stdout


def test_show_prints_the_cell(machine: Machine, folder: Path) -> None:
    """The text of the cell as it stands, and the file as it was."""
    path = notebook(folder / "nb.ipynb", TOUCH, CELL)
    before = state(folder)
    assert _done(machine, folder, "show", path) == CELL + "\n"
    assert state(folder) == before
    half = notebook(folder / "half.ipynb", CELL + "\n# \ud800")  # which no terminal can show
    assert _done(machine, folder, "show", half) == CELL + "\n# \\ud800\n"
    bare = notebook(folder / "bare.ipynb", TOUCH)
    assert "bare.ipynb has no setup cell" in _refused(machine, folder, "show", bare)


def test_check_says_how_each_line_stands(machine: Machine, folder: Path) -> None:
    """ok, differs or cannot tell for each line; only --strict makes it the exit status."""
    path = notebook(folder / "nb.ipynb", CELL + f"\n{TOUCH}\n%pin ==", TOUCH)
    before = state(folder)
    said = [line.split()[:3] for line in _done(machine, folder, "check", path).splitlines()[1:]]
    assert said == [
        ["differs", "%pin", "tinypkg==1.0"],
        ["ok", "%cd_persist", "."],
        ["cannot", "tell", "open('ran',"],
        ["cannot", "tell", "%pin"],
    ]
    strict = machine.cli("setup", "check", "--strict", path)
    assert strict.returncode == 1 and "differs" in strict.stdout
    assert state(folder) == before

    machine.install("tinypkg==1.0", "tinyother==2.0")
    good = notebook(folder / "good.ipynb", CELL, TOUCH)
    assert "2 pins already hold" in _done(machine, folder, "check", "--strict", good)


def test_write_collects_the_notebook_s_own_magics(machine: Machine, folder: Path) -> None:
    """Without lines, those of the cells are taken; a second time the file keeps its bytes."""
    path = notebook(
        folder / "nb.ipynb",
        "%load_ext colab_magics\n%pin tinypkg==1.0\n%pin",
        TOUCH,
        "x = 1\n%cd_persist ~/project\nif x:\n    %pin indented==1.0",
        "%pin $name\n%pin {other}\n!pip install nothing",
        "text = '''\n%pin instring==1.0\n'''",
        "%%bash\n%pin inbash==1.0",
        "%pin tinypkg==2.0",
        minor=4,
    )
    cells = whole(path)["cells"]
    said = _done(machine, folder, "write", path)
    assert "%pin tinypkg==1.0 -> %pin tinypkg==2.0" in said
    text = setup_text(path) or ""
    assert text.split("\n")[-2:] == ["%pin tinypkg==2.0", "%cd_persist ~/project"]
    assert whole(path)["cells"][1:] == cells
    before = state(folder)
    assert "all of it was there already" in _done(machine, folder, "write", path)
    assert state(folder) == before


def test_write_takes_lines(machine: Machine, folder: Path) -> None:
    """Lines given as arguments are merged into the cell that is there; nonsense is refused."""
    path = notebook(folder / "nb.ipynb", CELL + "\nmine = 1", TOUCH)
    _done(machine, folder, "write", path, "%pin tinyother==1.0", "%drive mount")
    assert (setup_text(path) or "").split("\n")[2:] == [
        "%drive mount",
        "%pin tinypkg==1.0 tinyother==1.0",
        "%cd_persist .",
        "mine = 1",
    ]
    for line in ("import this", "%matplotlib inline", "%pin", "%pin 'numpy", "%pin nonsense=1"):
        _refused(machine, folder, "write", path, line)
    bare = notebook(folder / "bare.ipynb", TOUCH)
    assert "no magic line" in _refused(machine, folder, "write", bare)


def test_forget_takes_lines_out(machine: Machine, folder: Path) -> None:
    """One package, one kind, or the cell; what is not there, or not named, is refused."""
    path = notebook(folder / "nb.ipynb", CELL, TOUCH)
    assert "tinypkg" in _done(machine, folder, "forget", path, "tinypkg")
    assert "%pin tinyother==2.0" in (setup_text(path) or "").split("\n")
    _refused(machine, folder, "forget", path, "tinypkg")
    _refused(machine, folder, "forget", path)
    _done(machine, folder, "forget", path, "cd")
    assert "%cd_persist" not in (setup_text(path) or "")
    _done(machine, folder, "forget", path, "--all")
    assert [source(cell) for cell in whole(path)["cells"]] == [TOUCH]

    mine = notebook(folder / "mine.ipynb", CELL + "\nmine = 1")
    assert "lines of your own" in _refused(machine, folder, "forget", mine, "--all")


@pytest.mark.parametrize("verb", ["show", "check", "write", "forget"])
def test_two_setup_cells_are_refused(verb: str, machine: Machine, folder: Path) -> None:
    """Neither can be preferred, so no verb guesses."""
    path = notebook(folder / "nb.ipynb", CELL, CELL)
    words = {"write": ["%drive mount"], "forget": ["tinypkg"]}.get(verb, [])
    assert "both setup cells" in _refused(machine, folder, verb, path, *words)


def test_a_read_only_notebook_is_left_alone(machine: Machine, folder: Path) -> None:
    """Write and forget refuse a read-only file; show and check read it."""
    path = notebook(folder / "nb.ipynb", CELL)
    path.chmod(0o444)
    assert "read-only" in _refused(machine, folder, "write", path, "%drive mount")
    assert "read-only" in _refused(machine, folder, "forget", path, "--all")
    assert _done(machine, folder, "show", path) == CELL + "\n"
