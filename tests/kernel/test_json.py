"""``--json``: objects for programs on standard output, and text for people on standard error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
from support.machine import Machine
from support.notebooks import MARKER, notebook

pytestmark = pytest.mark.once

CELL = f"{MARKER}\n%reload_ext colab_magics\n%pin tinypkg==1.0\nmine = 1\n%pin =="


def run(machine: Machine, *words: object, status: int = 0) -> List[Dict[str, Any]]:
    """The lines of a run, all of standard output, and its status."""
    done = machine.cli("run", "--json", *words)
    assert done.returncode == status, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_run_prints_an_object_for_each_cell(machine: Machine, folder: Path) -> None:
    """With its outcome, its seconds and what its magics say; then one for the run."""
    path = notebook(folder / "nb.ipynb", "%load_ext colab_magics\n%pin tinypkg==1.0", "1 / 0", "2")
    first, second, last = run(machine, path, status=1)
    assert {row["schema"] for row in (first, second, last)} == {1}
    assert (first["event"], first["cell"], first["count"]) == ("cell", 1, 3)
    assert (first["outcome"], first["restart"], first["error"]) == ("ok", False, None)
    assert any("tinypkg 1.0" in text for text in first["messages"])
    assert first["started"] <= second["started"] and first["seconds"] > 0
    error = {"name": "ZeroDivisionError", "message": "division by zero", "code": ""}
    assert (second["outcome"], second["error"]) == ("failed", error)
    assert (last["event"], last["status"], last["setup"]) == ("run", 1, "saved")
    assert last["failure"] == {"cell": 2, **error}


def test_an_error_of_ours_has_its_code(machine: Machine, folder: Path) -> None:
    """The status and the code are those of the error; a restart is no failure."""
    path = notebook(folder / "nb.ipynb", "%load_ext colab_magics\n%secret NO_SUCH_SECRET")
    cell, last = run(machine, path, status=4)
    assert cell["error"]["code"] == last["failure"]["code"] == "secret-missing"
    machine.install("tinypkg==1.0")
    again = notebook(
        folder / "again.ipynb", "%load_ext colab_magics\nimport tinypkg\n%pin tinypkg==2.0"
    )
    before, after, last = run(machine, again)
    assert (before["outcome"], before["restart"]) == ("restart", True)
    assert before["error"]["code"] == "restart-required"
    assert (after["outcome"], last["failure"]) == ("ok", None)


def test_a_cell_that_has_no_end_has_a_line(machine: Machine, folder: Path) -> None:
    """Where its kernel dies, too."""
    path = notebook(folder / "nb.ipynb", "import os; os._exit(1)")
    cell, last = run(machine, path, status=1)
    assert (cell["cell"], cell["outcome"]) == (1, "failed")
    assert cell["error"]["name"] == last["failure"]["name"] == "KernelDied"


def test_each_command_prints_one_object(machine: Machine, folder: Path) -> None:
    """With the number of its form, the same for all; nothing is on standard error."""
    path = notebook(folder / "nb.ipynb", CELL)
    for words, status in (
        (("setup", "show", path), 0),
        (("setup", "check", path), 3),
        (("setup", "diff", path, path), 0),
        (("setup", "adopt", path, "--dry-run"), 0),
        (("setup", "export", path, "requirements"), 0),
        (("session",), 0),
        (("jobs",), 0),
        (("gpu",), 0),
    ):
        done = machine.cli(*words, "--json", cwd=folder)
        assert done.returncode == status, done.stderr
        assert json.loads(done.stdout)["schema"] == 1, words


def test_show_tells_the_lines_apart(machine: Machine, folder: Path) -> None:
    """Each with its kind, and why it cannot be read, if so."""
    path = notebook(folder / "nb.ipynb", CELL)
    shown = json.loads(machine.cli("setup", "show", "--json", path).stdout)
    assert shown["text"] == CELL
    kinds = [(line["line"], line["kind"], bool(line["problem"])) for line in shown["lines"]]
    assert kinds == [
        ("%pin tinypkg==1.0", "pin", False),
        ("mine = 1", "code", False),
        ("%pin ==", "code", True),
    ]


def test_an_error_is_an_object_too(machine: Machine, folder: Path) -> None:
    """Its code and texts are on standard output, and the texts on standard error as ever."""
    bare = notebook(folder / "bare.ipynb", "1")
    for words in (("setup", "show", bare), ("setup", "check", bare)):
        done = machine.cli(*words, "--json")
        found = json.loads(done.stdout)
        assert (done.returncode, found["schema"]) == (1, 1)
        assert found["error"]["code"] == "no-setup-cell" and found["error"]["hint"]
        assert found["error"]["message"] in done.stderr
    path = notebook(folder / "nb.ipynb", CELL)
    strict = machine.cli("setup", "check", "--strict", "--json", path)
    assert strict.returncode == 3 and "error: " in strict.stderr
    assert json.loads(strict.stdout)["state"] == "differs"
