"""`%setup revive` and `colab-magics setup revive`, as people use them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict

import pytest
from support.machine import Machine
from support.notebooks import notebook, setup_text, shown

from colab_magics.core.exit_status import ExitStatus
from colab_magics.pin.environments.interpreters import local

pytestmark = pytest.mark.once

#: Where pyenv's interpreters are, by the home of whoever runs the tests.
PYENV = os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv")
DAY = "2020-07-11"
LINE = f"%pin numpy pandas --as-of {DAY} --python 3.8"
OLD: Dict[str, Any] = {"language_info": {"name": "python", "version": "3.6.9"}}
CELL = "import numpy, pandas as pd\nimport zzz_nobodys"


def test_the_command_line_proposes_and_writes_only_when_asked(
    machine: Machine, folder: Path
) -> None:
    """Nothing is changed by the proposal; applied its line is there; again nothing changes."""
    path = notebook(folder / "old.ipynb", CELL, **OLD)
    before = path.read_bytes()
    words = ("setup", "revive", path, "--as-of", DAY)
    done = machine.cli(*words)
    assert done.returncode == 0 and LINE in done.stdout, done.stderr
    assert "zzz_nobodys" in done.stdout
    found = json.loads(machine.cli(*words, "--json").stdout)
    assert (found["line"], found["unknown"], found["applied"]) == (LINE, ["zzz_nobodys"], None)
    assert path.read_bytes() == before

    assert machine.cli(*words, "--apply").returncode == 0
    text = setup_text(path)
    assert text is not None and text.split("\n")[-1] == LINE
    before = path.read_bytes()
    again = json.loads(machine.cli("setup", "revive", path, "--apply", "--json").stdout)
    assert (again["applied"], again["made"]) == ("unchanged", DAY)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (CELL, ()),
        (CELL, ("--as-of", "2020-02-30")),
        ("x = 1", ("--as-of", DAY, "--apply")),
    ],
    ids=["no day", "no such day", "no package"],
)
def test_what_cannot_be_proposed_is_one_error(
    cell: str, words: Any, machine: Machine, folder: Path
) -> None:
    """One line that says what is wrong, one that says what to do; the file is as it was."""
    path = notebook(folder / "old.ipynb", cell, **OLD)
    before = path.read_bytes()
    done = machine.cli("setup", "revive", path, *words)
    assert done.returncode in (ExitStatus.FAILED, ExitStatus.USAGE)
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 2, done.stderr
    assert path.read_bytes() == before


def test_the_running_notebook_gets_the_line_and_nothing_is_run(
    machine: Machine, folder: Path
) -> None:
    """The magic shows the proposal; with ``--apply`` its line is recorded; nothing is installed."""
    revive = f"%setup revive --as-of {DAY}"
    path = notebook(
        folder / "old.ipynb",
        f"%load_ext colab_magics\n{revive}",
        f"%%time\nif 0:\n    {CELL.splitlines()[0]}",
        **OLD,
    )
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr
    assert LINE in shown(path)[0]
    assert setup_text(path) is None

    path.write_text(path.read_text().replace(revive, f"{revive} --apply"))
    before = machine.installed()
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr
    text = setup_text(path)
    assert text is not None and text.split("\n")[-1] == LINE
    assert machine.installed() == before


@pytest.mark.long
@pytest.mark.parametrize(
    ("more", "versions"),
    [
        ("", "3.8 1.19.0 1.0.5 3.2.2"),
        ("import torch\nassert torch.ones(2).sum() == 2\nprint(torch.__version__)", "1.5.1"),
    ],
    ids=["numpy", "torch"],
)
def test_a_notebook_of_2020_runs_to_its_end(
    more: str, versions: str, machine: Machine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Python 3.8 with the versions of its day, from the index of this machine."""
    monkeypatch.setenv("PYENV_ROOT", PYENV)  # the home of tests is an empty one
    if local("3.8") is None:
        pytest.skip("elsewhere: Python 3.8 is not on this machine")
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        machine.variables.pop(name, None)
    machine.variables.update(UV_PYTHON_DOWNLOADS="never", PYENV_ROOT=PYENV)
    path = notebook(
        folder / "old.ipynb",
        "import sys\nimport numpy as np\nimport pandas as pd\nimport matplotlib\n%matplotlib inline"
        "\nimport matplotlib.pyplot as plt\n" + more,
        "frame = pd.DataFrame({'x': np.arange(10)}).append({'x': np.float(5)}, ignore_index=True)\n"
        "plt.plot(frame.x)\nplt.show()\n"
        "print('%d.%d' % sys.version_info[:2], np.__version__, pd.__version__, "
        "matplotlib.__version__)",
        **OLD,
    )
    assert machine.cli("setup", "revive", path, "--as-of", DAY, "--apply").returncode == 0
    command = [str(machine.python), "-m", "colab_magics", "run", str(path)]
    done = subprocess.run(
        command, env=machine.variables, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert versions in "\n".join(shown(path))
    again = machine.cli("run", path)
    assert again.returncode == 0 and "making" not in again.stdout, again.stdout
