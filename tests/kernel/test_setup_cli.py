"""``colab-magics setup``: the setup cell of a file, from a shell; nothing is executed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Tuple

import pytest
from support.machine import Machine
from support.notebooks import MARKER, notebook, setup_text, source, state, whole

TOUCH = "open('ran', 'w').close()"
CELL = f"{MARKER}\n%reload_ext colab_magics\n%pin tinypkg==1.0 tinyother==2.0\n%cd_persist ."


def _refused(machine: Machine, folder: Path, *words: object, status: int = 1) -> str:
    """Run a command that must end with two lines and change nothing; give the first line."""
    before = state(folder)
    done = machine.cli("setup", *words, cwd=folder)
    assert done.returncode == status and done.stdout == ""
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


@pytest.mark.once
def test_check_says_how_each_line_stands(machine: Machine, folder: Path) -> None:
    """ok, differs or unknown for each line; the exit status says which is the worst."""
    path = notebook(folder / "nb.ipynb", CELL + f"\n{TOUCH}\n%pin ==", TOUCH)
    before = state(folder)
    done = machine.cli("setup", "check", path)
    assert (done.returncode, done.stderr) == (3, "") and not (folder / "ran").exists()
    rows = [line.split()[:3] for line in done.stdout.split("\n\n")[0].splitlines()[2:]]
    assert rows == [
        ["differs", "%pin", "tinypkg==1.0"],
        ["ok", "%cd_persist", "."],
        ["unknown", "open('ran',", "'w').close()"],
        ["unknown", "%pin", "=="],
    ]
    strict = machine.cli("setup", "check", "--strict", path)
    assert strict.returncode == 3 and strict.stdout == done.stdout
    assert "1 of 4 lines of the setup cell differ: %pin tinypkg" in strict.stderr
    assert state(folder) == before

    code = notebook(folder / "code.ipynb", f"{MARKER}\n{TOUCH}")
    assert machine.cli("setup", "check", code).returncode == 6
    found = machine.cli("setup", "check", path, "--json")
    assert found.returncode == 3
    assert [x["state"] for x in json.loads(found.stdout)["lines"]] == [row[0] for row in rows]

    machine.install("tinypkg==1.0", "tinyother==2.0")
    good = notebook(folder / "good.ipynb", CELL, TOUCH)
    assert "2 packages are already installed" in _done(machine, folder, "check", "--strict", good)


@pytest.mark.once
@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_an_interrupted_check_ends_at_once(machine: Machine, folder: Path) -> None:
    """With 130 and one line, and git, which waits for a silent server, ends with it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x.git"
        line = f"%github clone {url} --commit {'1' * 40}"
        path = notebook(folder / "nb.ipynb", f"{MARKER}\n%reload_ext colab_magics\n{line}")
        process = subprocess.Popen(
            [machine.python, "-m", "colab_magics", "setup", "check", path],
            env=machine.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = listener.accept()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "interrupted\n")
        assert process.returncode == 130
        with connection:
            connection.settimeout(60)
            while connection.recv(4096):  # what git has sent, then its end
                continue


@pytest.mark.once
def test_diff_compares_two_notebooks(machine: Machine, folder: Path) -> None:
    """The same is 0, another is 3, a notebook that cannot be read is 1."""
    path = notebook(folder / "nb.ipynb", CELL, TOUCH)
    other = notebook(folder / "other.ipynb", CELL.replace("tinypkg==1.0", "tinypkg==2.0"))
    assert "the same" in _done(machine, folder, "diff", path, path)
    done = machine.cli("setup", "diff", path, other, "--json")
    (line,) = json.loads(done.stdout)["lines"]
    assert (done.returncode, line["second"]) == (3, "%pin tinypkg==2.0")
    assert "differs" not in _refused(machine, folder, "diff", path, folder / "none.ipynb")


@pytest.mark.once
def test_doctor_needs_no_notebook(machine: Machine, folder: Path) -> None:
    """With one, and without: one object, or a table, in which nothing of the settings is."""
    machine.variables["PIP_EXTRA_INDEX_URL"] = "https://me:canary-1@host.example/simple"
    path = notebook(folder / "nb.ipynb", CELL, TOUCH)
    rows = json.loads(_done(machine, folder, "doctor", path, "--json"))["rows"]
    assert {"versions", "notebook", "machine"} <= {row["section"] for row in rows}
    text = _done(machine, folder, "doctor")
    assert "may be pasted" in text
    for word in ("canary-1", "host.example", str(machine.home)):
        assert word not in text + json.dumps(rows)


@pytest.mark.once
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
        _refused(machine, folder, "write", path, line, status=2)
    bare = notebook(folder / "bare.ipynb", TOUCH)
    assert "no magic line" in _refused(machine, folder, "write", bare)


@pytest.mark.once
def test_forget_takes_lines_out(machine: Machine, folder: Path) -> None:
    """One package, one kind, or the cell; what is not there, or not named, is refused."""
    path = notebook(folder / "nb.ipynb", CELL, TOUCH)
    assert "tinypkg" in _done(machine, folder, "forget", path, "tinypkg")
    assert "%pin tinyother==2.0" in (setup_text(path) or "").split("\n")
    _refused(machine, folder, "forget", path, "tinypkg")
    _refused(machine, folder, "forget", path, status=2)
    _done(machine, folder, "forget", path, "cd")
    assert "%cd_persist" not in (setup_text(path) or "")
    _done(machine, folder, "forget", path, "--all")
    assert [source(cell) for cell in whole(path)["cells"]] == [TOUCH]

    mine = notebook(folder / "mine.ipynb", CELL + "\nmine = 1")
    assert "lines of your own" in _refused(machine, folder, "forget", mine, "--all")


@pytest.mark.once
@pytest.mark.parametrize("verb", ["show", "check", "write", "forget"])
def test_two_setup_cells_are_refused(verb: str, machine: Machine, folder: Path) -> None:
    """Neither can be preferred, so no verb guesses."""
    path = notebook(folder / "nb.ipynb", CELL, CELL)
    words = {"write": ["%drive mount"], "forget": ["tinypkg"]}.get(verb, [])
    assert "both setup cells" in _refused(machine, folder, verb, path, *words)


@pytest.mark.once
def test_a_read_only_notebook_is_left_alone(machine: Machine, folder: Path) -> None:
    """Write and forget refuse a read-only file; show and check read it."""
    path = notebook(folder / "nb.ipynb", CELL)
    path.chmod(0o444)
    assert "read-only" in _refused(machine, folder, "write", path, "%drive mount")
    assert "read-only" in _refused(machine, folder, "forget", path, "--all")
    assert _done(machine, folder, "show", path) == CELL + "\n"


@pytest.mark.once
@pytest.mark.parametrize("words", [(), ("setup",)])
def test_a_command_that_names_nothing_prints_its_help(
    machine: Machine, folder: Path, words: Tuple[str, ...]
) -> None:
    """On stdout, with status 2: a script that has lost a word goes no further."""
    done = machine.cli(*words, cwd=folder)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout == machine.cli(*words, "--help", cwd=folder).stdout
