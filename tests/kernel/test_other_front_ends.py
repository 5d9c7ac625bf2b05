"""VS Code and Colab: the running cell becomes the setup cell, and it is seen whether it did."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Iterator, List, Type

import pytest
from support.colab_machine import as_colab
from support.front_end import Kernel, started
from support.machine import Machine
from support.notebooks import MARKER, notebook
from support.other_front_ends import (
    AddingTwo,
    Colab,
    ColabExec,
    ColabMcp,
    ReplacingNothing,
    VSCode,
)

LOAD = "%load_ext colab_magics"
ASKED = "%setup write"
SETUP = f"{MARKER}\n%reload_ext colab_magics"


@pytest.fixture
def kernel(machine: Machine, folder: Path) -> Iterator[Kernel]:
    """A kernel in a folder with a folder to go to."""
    (folder / "a").mkdir()
    with started(machine, folder) as running:
        yield running


@pytest.fixture
def colab(machine: Machine, folder: Path) -> Iterator[Kernel]:
    """A kernel that Colab's own server has started on a Colab machine."""
    (folder / "a").mkdir()
    with started(as_colab(machine), folder) as running:
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
    shown = window.run(LOAD + "\n%setup where -v", metadata={"cellId": address}).text
    rows = {line.split("  ")[0]: line for line in shown.split("\n")}
    assert "vscode" in rows["runs in"]
    assert path in rows["notebook"]


# ---------------------------------------------------------------------- Colab
def test_colab_replaces_the_cell(colab: Kernel) -> None:
    """%setup write becomes the setup cell, and the next cell says that it was seen."""
    page = colab.open(Colab, ASKED, LOAD + "\n%cd_persist a", "1 + 1", ASKED)
    page.play_ok(1)
    assert page.asked == 0, "a magic costs no request"
    answer = page.play_ok(0).text
    assert "sent to Colab" in answer and "this cell is it now" not in answer
    assert "%cd_persist a" in page.cells[0]
    assert "Setup cell: seen in the notebook, cell 2: move it to the top" in page.play_ok(2).text
    assert "Setup cell" not in page.play_ok(2).text
    assert len(page.cells) == 4


def obey(page: Colab, text: str) -> List[int]:
    """Do what the follow-up says, and return the numbers of the cells that were to be deleted.

    The page has a cell of text on top, which stays there.
    """
    match = re.search(r"the new one is cell (\d+), .*Delete cells? ([\d and]+), and move", text)
    assert match is not None, text
    new, rest = int(match.group(1)), [int(word) for word in re.findall(r"\d+", match.group(2))]
    texts = {at + 2: cell for at, cell in enumerate(page.cells)}
    page.cells = [texts.pop(new), *(cell for at, cell in texts.items() if at not in rest)]
    return rest


@pytest.mark.parametrize(("kind", "rest"), [(ReplacingNothing, [2]), (AddingTwo, [2, 4])])
def test_colab_that_adds_cells_leaves_one(
    colab: Kernel, kind: Type[Colab], rest: List[int]
) -> None:
    """Nothing says that the cell was replaced, the cells to delete are named, and one is left;
    from then on no cell is added: the new text is shown, and is remembered until it was copied.
    """
    page = colab.open(kind, ASKED, LOAD + "\n%cd_persist a", "1 + 1", "%env_persist B=1")
    page.play_ok(1)
    assert "this cell is it now" not in page.play_ok(0).text
    assert page.cells[0] == ASKED and MARKER in page.cells[1]
    cells, text = list(page.cells), page.play_ok(0).text
    assert page.cells == cells and "not written" in text, "it is added once"
    assert obey(page, text) == rest
    assert [MARKER in cell for cell in page.cells] == [True, False, False, False]
    page.play_ok(3)
    for _ in range(2):
        answer = page.play_ok(0)
        assert not answer.payload, "no further cell is added"
        assert MARKER in answer.text and "%env_persist B=1" in answer.text
    page.cells[0] = page.cells[0].replace("%cd", "%env_persist B=1\n%cd")
    page.play_ok(0)
    assert MARKER not in page.play_ok(0).text, "it was copied"


def test_colab_that_adds_below_an_old_setup_cell(colab: Kernel) -> None:
    """A setup cell that took in a line and stands there twice is said; a third is refused."""
    page = colab.open(ReplacingNothing, SETUP, "%cd_persist a", "1 + 1")
    page.play_ok(0)
    page.play_ok(1)
    page.play_ok(0)
    assert page.cells[0] == SETUP and page.cells[1] == SETUP + "\n%cd_persist a"
    text = page.play_ok(3).text
    assert "Cells 2 and 3 are both setup cells" in page.play_ok(0).text
    assert len(page.cells) == 4
    assert obey(page, text) == [2]
    assert page.cells == [SETUP + "\n%cd_persist a", "%cd_persist a", "1 + 1"]


def test_a_setup_cell_of_five_pins_asks_colab_for_one_notebook(colab: Kernel) -> None:
    """The whole notebook is sent for each request, so a cell makes one, however many pins it has
    and whether they are installed or hold already.
    """
    pins = [f"{name}=={version(name)}" for name in ("packaging", "psutil", "python-dateutil")]
    pins += ["tinypkg==1.0", "tinyother==1.0"]
    page = colab.open(Colab, "\n".join([SETUP, *(f"%pin {pin}" for pin in pins)]))
    page.play_ok(0)
    assert page.asked == 1
    page.play_ok(0)
    assert page.asked == 2


def test_colab_takes_a_new_line_into_the_setup_cell(colab: Kernel) -> None:
    """A setup cell that is run takes in what is pending; nothing of it is lost."""
    page = colab.open(Colab, SETUP + "\nmine = 1", "%cd_persist a")
    page.play_ok(0)
    page.play_ok(1)
    page.play_ok(0)
    assert page.cells == [SETUP + "\n%cd_persist a\nmine = 1", "%cd_persist a"]


def test_bare_setup_reads_the_cell_in_the_browser(colab: Kernel) -> None:
    """On a fresh machine %setup shows the lines of the setup cell before it was ever run."""
    page = colab.open(Colab, SETUP + "\n%cd_persist a", LOAD, "%setup")
    page.play_ok(1)
    shown = page.play_ok(2).text
    assert "Setup cell, in the notebook" in shown
    assert "differs" in shown and "%cd_persist a" in shown


@pytest.mark.parametrize("how", ["silent", "error"])
def test_colab_without_its_browser(colab: Kernel, how: str) -> None:
    """A session of Colab's command line does not give the notebook: replaced, and said so."""
    page = colab.open(Colab, ASKED, LOAD + "\n%cd_persist a", "1 + 1")
    page.answers, page.error = how != "silent", "not here" if how == "error" else None
    page.run(
        "import colab_magics.notebook.colab_message as message; message.PATIENCE = 1", silent=True
    )
    page.play_ok(1)
    page.play_ok(0)
    assert "%cd_persist a" in page.cells[0]
    assert "this session of Colab cannot tell" in page.play_ok(2).text


def test_colab_gets_its_own_restart_button(colab: Kernel) -> None:
    """A restart that is needed shows Colab's button for the packages, below the error."""
    page = colab.open(Colab, LOAD + "\n%pin tinypkg==1.0\nimport tinypkg", "%pin tinypkg==2.0")
    page.play_ok(0)
    answer = page.play(1)
    assert answer.reply["ename"] == "RestartRequired"
    kind = "application/vnd.colab-display-data+json"
    shown = [one["data"][kind] for one in answer.of("display_data") if kind in one["data"]]
    assert [one["pip_warning"] for one in shown] == [{"packages": ["tinypkg"]}]


# ---------------------------------------------------------------------- Colab without a page
@pytest.mark.parametrize("kind", [ColabExec, ColabMcp])
def test_a_client_of_a_colab_machine_gets_the_text_to_copy(
    colab: Kernel, kind: Type[ColabExec]
) -> None:
    """It replaces no cell: nothing says so, the cell is printed and stays remembered. A window of
    JupyterLab on the same machine names its cell, and that becomes the setup cell.
    """
    client = colab.open(kind)
    assert "%setup write prints it" in client.run(LOAD + "\n%cd_persist a").text
    answer = client.run(ASKED)
    assert MARKER in answer.text and "%cd_persist a" in answer.text
    assert not answer.payload and "this cell is it now" not in answer.text
    assert "Not in the notebook yet" in client.run("%setup").text
    window = colab.page()
    window.ok("%cd_persist .")
    (payload,) = window.ok(ASKED).payload
    assert payload["replace"] and MARKER in payload["text"]


def test_what_needs_the_page_names_colabs_command_line(colab: Kernel) -> None:
    """No client of the kernel can allow Drive or has Colab's secrets: nobody is waited for, and the
    error has the command that does it, with the mount point and the name.
    """
    for kind in (ColabExec, ColabMcp):
        client = colab.open(kind)
        client.run(f"{LOAD}\nfrom colab_magics.drive import colab; colab.VM_MARK = colab.Path('/')")
        errors = [client.run(line).of("error") for line in ("%drive mount x", "%secret HF_TOKEN")]
        (drive,), (secret,) = errors
        assert drive["ename"] == "DriveError" and secret["ename"] == "SourceError"
        assert re.search(r"colab drivemount \S+/x, ", drive["evalue"])
        assert "colab exec --env HF_TOKEN=" in secret["evalue"]


def test_variables_of_colab_exec_hide_no_setup_cell(colab: Kernel) -> None:
    """``--env`` puts lines before each cell: the setup cell is one all the same, and is not
    remembered a second time; what is shown has no value.
    """
    client = colab.open(ColabExec)
    client.variables = {"HF_TOKEN": "canary'7"}
    answer = client.run(SETUP + "\n%cd_persist a")
    assert answer.reply["status"] == "ok" and "Setup cell" not in answer.text
    shown = client.run("print(os.environ['HF_TOKEN'] == \"canary'7\")\n%setup").text
    assert "True" in shown and "as it was last run" in shown and "canary" not in shown


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
