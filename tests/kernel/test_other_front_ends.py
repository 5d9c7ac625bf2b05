"""VS Code and Colab: the running cell becomes the setup cell, and it is seen whether it did."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import doubles
import pytest
from support.front_end import Kernel, started
from support.machine import Machine
from support.notebooks import MARKER, notebook
from support.other_front_ends import Colab, ReplacingNothing, VSCode

LOAD = "%load_ext colab_magics"
ASKED = "%setup write"
SETUP = f"{MARKER}\n%reload_ext colab_magics"


@pytest.fixture
def kernel(machine: Machine, folder: Path) -> Iterator[Kernel]:
    """A kernel that has Colab's own package, in a folder with two folders to go to."""
    for name in ("a", "b"):
        (folder / name).mkdir()
    machine.variables["PYTHONPATH"] = str(Path(doubles.__file__).parent / "google_colab")
    with started(machine, folder) as running:
        yield running


# ---------------------------------------------------------------------- VS Code
def test_vscode_replaces_the_cell(kernel: Kernel) -> None:
    """%setup write becomes the setup cell; run with something new it takes that in."""
    window = kernel.open(VSCode, ASKED, LOAD + "\n%cd_persist a", "%pin tinypkg==1.0")
    assert "remembered" in window.play_ok(1).text
    window.play_ok(0)
    assert window.cells[0].endswith("%cd_persist a") and MARKER in window.cells[0]
    assert "already" in window.play_ok(0).text
    window.play_ok(2)
    before = window.cells[0]
    assert "took in" in window.play_ok(0).text
    assert window.cells[0] == before.replace("%cd", "%pin tinypkg==1.0\n%cd")
    assert len(window.cells) == 3


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("vscode-notebook-cell:/home/me/my%20work/nb.ipynb#W0s", "/home/me/my work/nb.ipynb"),
        ("vscode-notebook-cell://ssh-remote%2Bhost/srv/nb.ipynb#W0s", "/srv/nb.ipynb"),
        ("vscode-notebook-cell:/c%3A/Users/me/nb.ipynb#W0s", "c:/Users/me/nb.ipynb"),
        ("vscode-notebook-cell:Untitled-1.ipynb?jupyter-notebook#W0s", "not known"),
    ],
)
def test_vscode_names_the_file(kernel: Kernel, address: str, path: str) -> None:
    """%setup where takes the notebook from the address of the cell, and writes no file."""
    window = kernel.open(VSCode)
    shown = window.run(LOAD + "\n%setup where", metadata={"cellId": address}).text
    rows = {line.split("  ")[0]: line for line in shown.split("\n")}
    assert "vscode" in rows["runs in"]
    assert path in rows["notebook"]


# ---------------------------------------------------------------------- Colab
def test_colab_replaces_the_cell(kernel: Kernel) -> None:
    """%setup write becomes the setup cell, and the next cell says that it was seen."""
    page = kernel.open(Colab, ASKED, LOAD + "\n%cd_persist a", "1 + 1")
    page.play_ok(1)
    assert page.asked == 0, "a magic costs no request"
    page.play_ok(0)
    assert "%cd_persist a" in page.cells[0]
    assert "Setup cell: seen in the notebook, cell 2: move it to the top" in page.play_ok(2).text
    assert "Setup cell" not in page.play_ok(2).text
    assert len(page.cells) == 3


def test_colab_that_inserts_below_is_told_of(kernel: Kernel) -> None:
    """Where Colab inserts instead, what to move and what to delete is named, and it stays one."""
    page = kernel.open(ReplacingNothing, ASKED, LOAD + "\n%cd_persist a", "1 + 1")
    page.play_ok(1)
    page.play_ok(0)
    assert page.cells[0] == ASKED and MARKER in page.cells[1]
    told = page.play_ok(3).text
    assert "Colab put it below, as cell 3. Move that one to the top, and delete cell 2" in told
    again = page.play_ok(0).text
    assert "Cell 3 is the setup cell already" in again
    assert len(page.cells) == 4, "it is inserted once"


def test_colab_that_inserts_below_an_old_setup_cell(kernel: Kernel) -> None:
    """A setup cell that took in a line and stands there twice is said; a third is refused."""
    page = kernel.open(ReplacingNothing, SETUP, "%cd_persist a", "1 + 1")
    page.play_ok(0)
    page.play_ok(1)
    page.play_ok(0)
    assert page.cells[0] == SETUP and page.cells[1] == SETUP + "\n%cd_persist a"
    assert "as cell 3. Move that one to the top, and delete cell 2" in page.play_ok(3).text
    assert "Cells 2 and 3 are both setup cells" in page.play_ok(0).text
    assert len(page.cells) == 4


def test_colab_takes_a_new_line_into_the_setup_cell(kernel: Kernel) -> None:
    """A setup cell that is run takes in what is pending; nothing of it is lost."""
    page = kernel.open(Colab, SETUP + "\nmine = 1", "%cd_persist a")
    page.play_ok(0)
    page.play_ok(1)
    page.play_ok(0)
    assert page.cells == [SETUP + "\n%cd_persist a\nmine = 1", "%cd_persist a"]


def test_bare_setup_reads_the_cell_in_the_browser(kernel: Kernel) -> None:
    """On a fresh machine %setup shows the lines of the setup cell before it was ever run."""
    page = kernel.open(Colab, SETUP + "\n%cd_persist a", LOAD, "%setup")
    page.play_ok(1)
    shown = page.play_ok(2).text
    assert "Setup cell, in the notebook" in shown
    assert "differs" in shown and "%cd_persist a" in shown


@pytest.mark.parametrize("how", ["silent", "error"])
def test_colab_without_its_browser(kernel: Kernel, how: str) -> None:
    """A session of Colab's command line does not give the notebook: replaced, and said so."""
    page = kernel.open(Colab, ASKED, LOAD + "\n%cd_persist a", "1 + 1")
    page.answers, page.error = how != "silent", "not here" if how == "error" else None
    page.run("import colab_magics.notebook.colab_message as colab; colab.PATIENCE = 1", silent=True)
    page.play_ok(1)
    page.play_ok(0)
    assert "%cd_persist a" in page.cells[0]
    assert "check that it is in the notebook" in page.play_ok(2).text


def test_colab_gets_its_own_restart_button(kernel: Kernel) -> None:
    """A restart that is needed shows Colab's button for the packages, below the error."""
    page = kernel.open(Colab, LOAD + "\n%pin tinypkg==1.0\nimport tinypkg", "%pin tinypkg==2.0")
    page.play_ok(0)
    answer = page.play(1)
    assert answer.reply["ename"] == "RestartRequired"
    kind = "application/vnd.colab-display-data+json"
    shown = [one["data"][kind] for one in answer.of("display_data") if kind in one["data"]]
    assert [one["pip_warning"] for one in shown] == [{"packages": ["tinypkg"]}]


# ---------------------------------------------------------------------- none of these
def test_an_unknown_front_end_gets_the_text_to_copy(machine: Machine, folder: Path) -> None:
    """Nobody knows whether it replaces cells: %setup write shows the cell, and it stays pending."""
    (folder / "a").mkdir()
    with started(machine, folder, served=False) as kernel:
        console = kernel.page()
        console.run(LOAD + "\n%cd_persist a", metadata={})
        shown = console.run(ASKED, metadata={})
        assert MARKER in shown.text and "%cd_persist a" in shown.text
        assert not shown.payload
        assert "Not in the notebook yet" in console.run("%setup", metadata={}).text


def test_a_file_elsewhere_is_left_alone(kernel: Kernel, folder: Path) -> None:
    """Neither front end's notebook is written on disk, also where a file of that name is there."""
    path = notebook(folder / "nb.ipynb", LOAD)
    before = path.read_bytes()
    window = kernel.open(VSCode, LOAD + "\n%cd_persist a")
    window.path = str(path)
    window.play_ok(0)
    assert path.read_bytes() == before
