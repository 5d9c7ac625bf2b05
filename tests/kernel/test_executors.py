"""Executors (nbclient, papermill, nbval): they own the notebook, and nothing of ours touches it."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict

import pytest
from support.machine import Machine
from support.notebooks import MARKER, notebook, shown, source, state, whole

LOAD = "%load_ext colab_magics"
NOTICE = "Setup cell: nothing is written while an executor runs the notebook"
KERNEL = {"name": "python3", "display_name": "Python 3"}


def _nbclient(machine: Machine, path: Path, output: Path) -> None:
    machine.execute(path, output)


def _papermill(machine: Machine, path: Path, output: Path) -> None:
    done = machine.run("-m", "papermill", "--no-progress-bar", path, output, cwd=path.parent)
    assert done.returncode == 0, done.stderr


def _nbval(machine: Machine, path: Path, output: Path) -> None:
    words = ["-m", "pytest", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", path.parent]
    done = machine.run(*words, "--nbval", path, cwd=path.parent)
    assert done.returncode == 0, done.stdout


EXECUTORS: Dict[str, Callable[[Machine, Path, Path], None]] = {
    "nbclient": _nbclient,
    "papermill": _papermill,
}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_executor_keeps_its_notebook(
    executor: str, machine: Machine, folder: Path, tmp_path: Path
) -> None:
    """The source keeps its bytes, no setup cell appears, and one line says why, once."""
    (folder / "a").mkdir()
    standing = f"{MARKER}\n%reload_ext colab_magics\n%cd_persist a"
    path = notebook(
        folder / "nb.ipynb",
        LOAD if executor == "nbclient" else standing,
        "%pin tinypkg==1.0\n%drive mount ~/drive",
        "%cd_persist .",
        "%setup write",
        kernelspec=KERNEL,
    )
    before = state(folder)
    EXECUTORS[executor](machine, path, tmp_path / "out.ipynb")
    assert state(folder) == before
    assert "\n".join(shown(tmp_path / "out.ipynb")[:-1]).count(NOTICE) == 1
    expected = [] if executor == "nbclient" else [standing]
    found = [source(cell) for cell in whole(tmp_path / "out.ipynb")["cells"]]
    assert [text for text in found if MARKER in text] == expected


def test_nbval_compares_equal_and_keeps_the_notebook(
    machine: Machine, folder: Path, tmp_path: Path
) -> None:
    """A notebook with our magics passes nbval on its saved outputs, and keeps its bytes."""
    (folder / "a").mkdir()
    path = notebook(
        folder / "nb.ipynb",
        LOAD,
        "%pin tinypkg==1.0",
        "%drive mount ~/drive",
        "%cd_persist a",
        "%pin",
        "%setup check",
        kernelspec=KERNEL,
    )
    machine.install("tinypkg==1.0")
    machine.execute(path, path)
    before = state(folder)
    _nbval(machine, path, tmp_path)
    assert state(folder) == before


def test_a_needed_restart_is_an_error_of_its_own_name(
    machine: Machine, folder: Path, tmp_path: Path
) -> None:
    """RestartRequired is a real error output, two lines, without a path of the machine."""
    machine.install("tinypkg==1.0")
    path = notebook(
        folder / "nb.ipynb", LOAD + "\nimport tinypkg", "%pin tinypkg==2.0", kernelspec=KERNEL
    )
    machine.execute(path, tmp_path / "out.ipynb", allow_errors=True)
    outputs = whole(tmp_path / "out.ipynb")["cells"][1]["outputs"]
    errors = [one for one in outputs if one["output_type"] == "error"]
    assert [one["ename"] for one in errors] == ["RestartRequired"]
    assert errors[0]["evalue"].splitlines()[0] == (
        "tinypkg 2.0 is installed; this kernel still uses 1.0."
    )
    assert str(machine.home.parent) not in errors[0]["evalue"]
    assert len(errors[0]["traceback"]) == 1
