"""``--python``: environments of other Pythons, made by the real uv for the real interpreters."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import List, Optional

import pytest
from support.colab_machine import as_colab
from support.machine import Machine
from support.notebooks import notebook, setup_text, shown
from test_install import ALONE, Notebook, Serve, serve, wheels

from colab_magics.pin.environments.interpreters import local, platform

__all__ = ["serve", "wheels"]

#: Where pyenv's interpreters are, by the home of whoever runs the tests.
PYENV = os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv")
_ENSURE = """\
import sys
from pathlib import Path
from colab_magics.pin.environments.make import ensure
where, version, *texts = sys.argv[1:]
print(ensure(Path(where), version, lambda text: None, texts).interpreter)
"""

#: What programs that own the notebook are told, in words for ``python -m``.
EXECUTORS = {
    "nbclient": ("jupyter", "execute", "{path}"),
    "papermill": ("papermill", "--no-progress-bar", "{path}", "{out}.ipynb"),
    "nbval": ("pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", "{path}"),
}


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> str:
    """A Python that is on this machine and is not the one that runs."""
    monkeypatch.setenv("PYENV_ROOT", PYENV)  # the home of tests is an empty one
    found = [f"3.{minor}" for minor in range(8, 15) if f"3.{minor}" != platform()]
    here = next((version for version in found if local(version)), "")
    if not here:
        pytest.skip("elsewhere: only one Python is on this machine")
    return here


@pytest.fixture
def machine(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    serve: Serve,
    wheels: Path,
    other: str,
) -> Machine:
    """A machine whose pip also knows an index with tiny packages; Pythons are not fetched."""
    made = Machine.make(tmp_path / "environment", tmp_path / "home", serve(wheels).url)
    index = made.variables.pop("PIP_INDEX_URL")
    made.variables.update(PIP_EXTRA_INDEX_URL=index, UV_PYTHON_DOWNLOADS="never")
    made.variables["UV_CACHE_DIR"] = str(tmp_path_factory.getbasetemp() / "uv")
    made.variables["PYENV_ROOT"] = os.environ["PYENV_ROOT"]
    return made


def environments(machine: Machine) -> List[Path]:
    """What was made, whole or not."""
    return sorted(machine.home.glob(".local/share/colab-magics/environments/[!.]*"))


def kernels(machine: Machine) -> List[str]:
    """The kernels that Jupyter finds for this user."""
    return sorted(path.name for path in machine.home.glob(".local/share/jupyter/kernels/*"))


def ensure(machine: Machine, path: Path, version: str) -> subprocess.Popen[str]:
    """Have one made by a process of its own."""
    return subprocess.Popen(
        [str(machine.python), "-c", _ENSURE, str(path), version],
        env=machine.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.once
def test_a_run_goes_on_in_the_other_python(machine: Machine, other: str, tmp_path: Path) -> None:
    """Run: the environment is made; again: as it is; after a wipe: made before the first cell.

    On a machine whose configuration names a kernel class for each Python that only its own has.
    """
    version, machine = other, as_colab(machine)
    path = notebook(
        tmp_path / "nb.ipynb",
        "%load_ext colab_magics",
        f"%pin tinypkg --python {version}",
        "import sys, tinypkg; print('%d.%d' % sys.version_info[:2], tinypkg.__version__)",
    )
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr + done.stdout
    assert f"Making an environment with Python {version}, and installing" in done.stdout
    assert shown(path)[-1] == f"{version} 2.0\n"
    assert f"%pin tinypkg==2.0 --python {version}" in (setup_text(path) or "")
    (made,) = environments(machine)
    assert kernels(machine) == [made.name]
    before = (made / "pyvenv.cfg").stat().st_mtime_ns

    again = machine.cli("run", path)
    assert "making" not in again.stdout and "restarting" not in again.stdout
    assert again.returncode == 0
    assert (made / "pyvenv.cfg").stat().st_mtime_ns == before

    shutil.rmtree(made)
    wiped = machine.cli("run", path)
    assert wiped.returncode == 0, wiped.stderr + wiped.stdout
    assert "making an environment" in wiped.stdout and "restarting" not in wiped.stdout
    assert shown(path)[-1] == f"{version} 2.0\n"


@pytest.mark.once
@pytest.mark.parametrize("executor", list(EXECUTORS))
def test_an_executor_gets_a_named_error(
    machine: Machine, other: str, tmp_path: Path, executor: str
) -> None:
    """nbclient, papermill and nbval end with `OtherPython`, which says how to run it."""
    version = other
    path = notebook(
        tmp_path / "nb.ipynb",
        "%load_ext colab_magics",
        f"%pin tinypkg --python {version}",
        kernelspec={"name": "python3", "display_name": "Python 3", "language": "python"},
    )
    words = [str(word).format(path=path, out=tmp_path / "out") for word in EXECUTORS[executor]]
    done = machine.run("-m", *words, cwd=tmp_path)
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert "OtherPython" in said
    assert f"colab-magics run NOTEBOOK --python {version}" in said
    assert environments(machine) == kernels(machine) == []


@pytest.mark.once
def test_what_that_python_cannot_have_is_said_first(
    machine: Machine, other: str, tmp_path: Path
) -> None:
    """The plan of ``--dry-run`` makes nothing; without one the line ends where it stands."""
    found = Notebook(machine, {name: machine.variables.get(name, "") for name in ALONE})
    shown = found.child(f"%pin tinyparent==1.0 --python {other} --dry-run")
    assert f"Would make an environment with Python {other}, and install" in shown
    assert re.search(r"\nipykernel +\d", shown) and re.search(r"\nand \d+ more", shown)
    lines = found.child(f"%pin tinypkg==9 --python {other} --dry-run").splitlines()
    assert lines[1].startswith(f"Not available for Python {other}: ")
    assert environments(machine) == kernels(machine) == found.left_over() == []
    found.restart()
    asked = [str(machine.python), "-c", _ENSURE, str(tmp_path / "nb.ipynb"), other, "tinypkg==9"]
    done = machine.run(*asked[1:])
    assert "Not available for Python" in done.stderr
    assert environments(machine) == kernels(machine) == []


@pytest.mark.once
def test_an_older_colab_magics_in_it_is_brought_up_to_date(
    machine: Machine, other: str, tmp_path: Path
) -> None:
    """An environment that an older version of this package made is used on, with this one in it."""
    assert ensure(machine, tmp_path / "nb.ipynb", other).wait(120) == 0
    (made,) = environments(machine)
    kept = json.loads((made / "made.json").read_text())
    (here,) = made.rglob("colab_magics-*.dist-info")
    assert kept["version"] == here.name.split("-")[1].replace(".dist", "")
    (made / "made.json").write_text(json.dumps({**kept, "version": "0.0.1"}))
    shutil.rmtree(here)
    assert ensure(machine, tmp_path / "nb.ipynb", other).wait(120) == 0
    assert json.loads((made / "made.json").read_text()) == kept
    assert len(list(made.rglob("colab_magics-*.dist-info"))) == 1


def test_no_such_python(machine: Machine, tmp_path: Path) -> None:
    """None here and none to fetch: one line, and nothing is left behind."""
    path = notebook(tmp_path / "nb.ipynb", "1")
    before = path.read_bytes()
    done = machine.cli("run", path, "--python", "3.99")
    assert done.returncode == 5
    assert "There is no Python 3.99 here, and none could be fetched." in done.stderr
    assert "Traceback" not in done.stderr
    assert environments(machine) == kernels(machine) == []
    assert path.read_bytes() == before
    wrong = machine.cli("run", path, "--python", "new")
    assert wrong.returncode == 2 and "not a version" in wrong.stderr


@pytest.mark.once
@pytest.mark.skipif(os.name != "posix", reason="elsewhere: kills a group of processes")
def test_one_that_was_cut_is_made_afresh(
    machine: Machine, other: str, tmp_path: Path, long: bool
) -> None:
    """SIGKILL at any moment: the next time there is a whole one, whose kernel starts."""
    version, path = other, tmp_path / "nb.ipynb"
    made: Optional[str] = None
    for number in range(20 if long else 2):
        cut = ensure(machine, path, version)
        time.sleep(random.Random(number).uniform(0.3, 5))  # the moment is what is tested
        os.killpg(cut.pid, signal.SIGKILL)
        for child in subprocess.run(
            ["pgrep", "-f", str(machine.home)], capture_output=True, text=True
        ).stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        cut.communicate()
        said, error = ensure(machine, path, version).communicate(timeout=120)
        made = said.strip()
        assert made, error
        check = [made, "-I", "-c", "import ipykernel, colab_magics"]
        assert subprocess.run(check, check=False).returncode == 0
        assert kernels(machine) == [environments(machine)[0].name]
        if number % 2:
            shutil.rmtree(environments(machine)[0])


@pytest.mark.once
def test_listed_and_removed(machine: Machine, other: str, tmp_path: Path) -> None:
    """``%pin environments`` names it with size and date; removed, its kernel goes too."""
    found = Notebook(machine, machine.variables)
    assert "There is no other Python here." in found.child("%pin environments")
    version = other
    assert ensure(machine, tmp_path / "My work.ipynb", version).wait(120) == 0
    (made,) = environments(machine)
    assert made.name.startswith("my-work-") and made.name.endswith(f"-py{version}")
    listed = found.child("%pin environments")
    assert made.name in listed and time.strftime("%Y-%m-%d") in listed and " MB" in listed
    spec = json.loads(next(machine.home.rglob(f"{made.name}/kernel.json")).read_text())
    assert spec["display_name"] == f"My work (Python {version})"
    assert "There is no environment x." in found.child.attempt("%pin environments remove x").message
    assert environments(machine) == [made]
    found.child(f"%pin environments remove {made.name}")
    assert environments(machine) == kernels(machine) == []
    found.restart()
