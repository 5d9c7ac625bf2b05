"""``%github save`` in real kernels: which notebook it is, and what is remembered in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator

import doubles
import pytest
from doubles.github_api import TOKEN, GitHub
from support.front_end import started
from support.machine import Machine
from support.notebooks import notebook, setup_text, shown, whole
from support.other_front_ends import Colab

LOAD = "%load_ext colab_magics"


@pytest.fixture
def github(machine: Machine) -> Iterator[GitHub]:
    """GitHub as that machine sees it, with the token in its environment."""
    found = GitHub()
    machine.variables.update(GITHUB_API_URL=found.url, GH_TOKEN=TOKEN)
    machine.variables.pop("GITHUB_TOKEN", None)
    found.repo("me/work", README="x")
    yield found
    found.close()
    assert "canary" not in repr(found.asked)


def sent(github: GitHub, path: str) -> Dict[str, Any]:
    """A notebook as GitHub has it."""
    found: Dict[str, Any] = json.loads(github.repos["me/work"].files()[path])
    return found


@pytest.mark.once
def test_run_saves_its_notebook_and_remembers_where(
    machine: Machine, github: GitHub, folder: Path
) -> None:
    """``colab-magics run`` names the file; the target is in its metadata then, for the next run."""
    path = notebook(folder / "one.ipynb", f"{LOAD}\n%github save me/work", "%github save")
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr
    first, second = shown(path)
    assert "one.ipynb saved to me/work, branch main: " in first
    assert (
        "Remembered in the notebook" in first
        and "This is the file as it was before this run" in first
    )
    assert (
        "nothing was sent" not in first
        and "one.ipynb is already saved to me/work, branch main" in second
    )
    kept = whole(path)["metadata"]["colab_magics"]
    assert kept == {"github": "repository=me/work&branch=main&path=one.ipynb"}
    assert sent(github, "one.ipynb")["metadata"]["colab_magics"] == kept
    assert setup_text(path) is None, "it is no step"
    notebook(path, LOAD, "%github save", **whole(path)["metadata"])
    assert machine.cli("run", path).returncode == 4, "nobody has said so in this run"
    assert "Only the notebook says that" in "".join(shown(path))
    notebook(path, LOAD, "%github save me/work", **whole(path)["metadata"])
    assert machine.cli("run", path).returncode == 0
    assert "one.ipynb saved to me/work" in shown(path)[1]
    assert "canary" not in path.read_text() + done.stdout + done.stderr


@pytest.mark.once
def test_colab_gives_the_notebook_and_an_executor_none(
    machine: Machine, github: GitHub, folder: Path
) -> None:
    """What is open in Colab's browser is saved; opened from GitHub it says where it goes, which
    counts when that is typed. An executor does not say what it runs: one line, and no wait.
    """
    machine.variables["PYTHONPATH"] = str(Path(doubles.__file__).parent / "google_colab")
    with started(machine, folder, served=False) as kernel:
        page = kernel.open(Colab, LOAD, "%github save me/work", "%github save", "x = 1")
        page.play_ok(0)
        answer = page.play(1)
        assert "The notebook's name is not known here" in answer.text
        page.cells[1] += " --path a/b.ipynb"
        text = page.play_ok(1).text
        assert "a/b.ipynb saved to me/work" in text and "for this kernel" in text
        assert "b.ipynb is already saved to me/work, branch main" in page.play_ok(2).text
        found = sent(github, "a/b.ipynb")
        assert ["".join(cell["source"]) for cell in found["cells"]][1:] == page.cells
    with started(machine, folder, served=False) as kernel:
        page = kernel.open(Colab, LOAD, "%github save me/work", "x = 2")
        page.metadata = found["metadata"]
        page.play_ok(0)
        answer = page.run(page.cells[1], metadata=page.about(1), allow_stdin=False)
        assert "%github save me/work --path a/b.ipynb" in answer.text
        page.cells[1] += " --path a/b.ipynb"
        assert "a/b.ipynb saved to me/work" in page.play_ok(1).text
        answer = page.run("%github save", allow_stdin=False)
        assert answer.reply["ename"] == "NotebookError"
        assert "It is not known which notebook this is." in answer.text
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if b"canary" in path.read_bytes()] == []
