"""Which notebook it is, and by which evidence: ``%setup where``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Dict

import pytest
from support.front_end import Answer, started
from support.machine import Machine
from support.notebooks import notebook, shown
from support.serving import Ask, open_on, window

from colab_magics.core.origin import requirement

WHERE = "%load_ext colab_magics\n%setup where -v"
CELL = {"cellId": "cell-0"}


def rows(answer: Answer) -> Dict[str, str]:
    """The rows of what %setup where shows, by their first column."""
    found = answer.text.split("\n")
    return {line.split("  ")[0]: line for line in found if not line.startswith(" ")}


@pytest.mark.once
@pytest.mark.parametrize("ask", ["", "no token", "tls", "unix"], indirect=True)
def test_the_server_knows_the_notebook_also_after_a_rename(
    ask: Ask, machine: Machine, folder: Path
) -> None:
    """The session on this kernel names the file, and its new name once it was renamed."""
    path = notebook(folder / "before.ipynb", WHERE)
    session = open_on(ask, path.name)
    with window(machine, session) as page:
        found = rows(page.run(WHERE, metadata=CELL))
        assert str(path) in found["notebook"]
        assert "a session of the Jupyter server" in found["notebook"]
        assert "left alone" in found["file"] and "it is open at" in found["file"]
        path.rename(folder / "after.ipynb")
        ask("PATCH", "/" + session["id"], {"path": "after.ipynb"})
        assert str(folder / "after.ipynb") in rows(page.run(WHERE, metadata=CELL))["notebook"]


@pytest.mark.once
def test_of_two_notebooks_on_a_kernel_the_one_with_the_cell(
    ask: Ask, machine: Machine, folder: Path
) -> None:
    """Where a kernel runs two notebooks, it is the one that holds the running cell."""
    one = notebook(folder / "one.ipynb", WHERE)
    other = notebook(folder / "other.ipynb", WHERE)
    other.write_text(other.read_text().replace("cell-0", "cell-other"))
    session = open_on(ask, one.name)
    about = {"path": other.name, "name": other.name, "type": "notebook"}
    ask("POST", "", {**about, "kernel": {"id": session["kernel"]["id"]}})
    with window(machine, session) as page:
        assert str(one) in rows(page.run(WHERE, metadata=CELL))["notebook"]
        assert str(other) in rows(page.run(WHERE, metadata={"cellId": "cell-other"}))["notebook"]
        assert "not known" in rows(page.run(WHERE, metadata={"cellId": "neither"}))["notebook"]


def test_a_run_knows_its_notebook(machine: Machine, folder: Path) -> None:
    """Below colab-magics run it is the file that was named on the command line."""
    path = notebook(folder / "nb.ipynb", WHERE)
    assert machine.cli("run", path).returncode == 0
    (row,) = [line for line in shown(path)[0].split("\n") if line.startswith("notebook")]
    assert str(path) in row


@pytest.mark.once
def test_the_environment_that_lacks_the_extension_is_named(
    ask: Ask, machine: Machine, folder: Path
) -> None:
    """Without the extension it says what to install, with which Python: the server's."""
    notebook(folder / "nb.ipynb", WHERE)
    with window(machine, open_on(ask, "nb.ipynb")) as page:
        shown = page.run(WHERE, metadata=CELL).text
        install = f"{machine.python} -m pip install {shlex.quote(requirement())}"
        assert f"beside the server: {install}" in shown
        place = machine.python.parent.parent / "share/jupyter/labextensions/colab-magics"
        place.mkdir(parents=True)
        shown = page.run("%setup where -v", metadata=CELL).text
        assert "this page has not loaded the extension" in shown
        assert len(page.run("%setup where", metadata=CELL).text.split("\n")) == 2


@pytest.mark.parametrize("holds", [True, False])
def test_the_name_at_the_start_counts_while_the_file_holds_the_cell(
    machine: Machine, folder: Path, holds: bool
) -> None:
    """Where no server answers, the name is believed only if that file has the running cell."""
    path = notebook(folder / "nb.ipynb", WHERE)
    machine.variables["JPY_SESSION_NAME"] = str(path)
    with started(machine, folder) as kernel:
        about = CELL if holds else {"cellId": "another"}
        found = rows(kernel.page().run(WHERE, metadata=about))["notebook"]
    assert (str(path) in found) == holds
    assert ("not known" in found) != holds


def test_an_executor_and_a_console_have_no_notebook(machine: Machine, folder: Path) -> None:
    """Nothing is guessed where nothing is known, and each says why."""
    with started(machine, folder, served=False) as kernel:
        page = kernel.page()
        executor = rows(page.run(WHERE, allow_stdin=False))
        assert "executor" in executor["runs in"] and "not known" in executor["notebook"]
        console = rows(page.run(WHERE, metadata={}))
        assert "front end" in console["runs in"] and "not known" in console["notebook"]
