"""``%pin --python``: the open notebook is switched to another Python, and goes on there."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest
from support.kernels import register
from support.window import LOAD, Server, Window, until

from colab_magics.pin.environments.interpreters import local

from .conftest import EVERY, Open, on
from .test_restart import Ran, log, run_all, settled

#: Its last release for Python 3.8 is 4.10; a current Python would get a newer one.
PIN = "%pin humanize --python 3.8"
SHOWS = "import sys, humanize; print(sys.version_info[:2], humanize.__version__)"


@pytest.fixture
def made(server: Server) -> Iterator[Path]:
    """Where the environments of that server's kernels are made; gone at the end."""
    folder = server.home / ".local" / "share" / "colab-magics" / "environments"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def kernel(server: Server) -> str:
    """A kernel of this Python; where 3.8 is on this machine, uv does not try to fetch it first."""
    here = {"UV_PYTHON_DOWNLOADS": "never"} if local("3.8") else {}
    register("this-python", Path(sys.executable), server.data, here)
    return "this-python"


def kernel_of(window: Window) -> str:
    """The kernel that the notebook names on disk."""
    found = json.loads(window.path.read_text(encoding="utf-8"))["metadata"].get("kernelspec", {})
    return str(found.get("name", ""))


def lock_of(window: Window) -> str:
    """The lock in the notebook on disk."""
    found = json.loads(window.path.read_text(encoding="utf-8"))["metadata"]
    return str(found.get("colab_magics", {}).get("lock", ""))


def choose(page: Any) -> None:
    """Take the kernel that is offered where the one that the notebook names is not there."""
    accept = "document.querySelector('.jp-Dialog .jp-mod-accept')?.click()"
    page.add_init_script(f"setInterval(() => {accept}, 200)")


@on("lab", long=EVERY)
def test_switched_and_gone_on(
    server: Server, made: Path, kernel: str, open_notebook: Open, long: bool
) -> None:
    """Run All goes on in Python 3.8; straight there the next day; rebuilt after a wipe (long)."""
    ran = Ran(server)
    cells = (f"{LOAD}\n{log('a')}", f"{PIN}\n{log('b')}", SHOWS, log("c"))
    window = open_notebook(server, *cells, kernel=kernel)
    run_all(window)
    until(lambda: ran.names == "a|abc", "the cells have run on both", 120)
    settled(window)
    (environment,) = made.glob("*-py3.8")
    shown = window.shown(window.js("return panel.content.widgets[3].model.id"))
    assert "(3, 8) 4.10.0" in shown
    assert window.saved() == ["%pin humanize==4.10.0 --python 3.8"]
    until(lambda: kernel_of(window) == environment.name, "the notebook names its kernel")
    until(lambda: "humanize-4.10.0-py3" in lock_of(window), "the set is locked there")
    assert "python_version == '3.8'" in lock_of(window)
    assert window.dialogs == 0
    assert "Switched to Python 3.8, to Run All again." in window.page.inner_text("body")

    window.page.close()
    server.end_kernels()
    before = (environment / "pyvenv.cfg").stat().st_mtime
    window = open_notebook(server, name=window.path.stem)
    assert "already installed" in window.run(0, "already installed")
    assert "(3, 8) 4.10.0" in window.run(3, "(3")
    assert (environment / "pyvenv.cfg").stat().st_mtime == before
    if not long:
        return

    window.page.close()
    server.end_kernels()
    shutil.rmtree(environment)
    shutil.rmtree(server.data / "kernels" / environment.name)
    ran = Ran(server)
    window = open_notebook(server, name=window.path.stem, before=choose)
    run_all(window)
    until(lambda: ran.names == "abc", "the cells have run where they belong", 120)
    settled(window)
    assert window.saved() == ["%pin humanize==4.10.0 --python 3.8"]
    assert kernel_of(window) == environment.name


@pytest.mark.long
@on("lab")
def test_a_notebook_of_2020_is_revived(
    server: Server, made: Path, kernel: str, open_notebook: Open
) -> None:
    """Its line is proposed and applied from today's Python; Run All then ends on 3.8."""
    ran = Ran(server)
    imports = "import numpy as np, pandas as pd, matplotlib\nimport matplotlib.pyplot as plt"
    shows = (
        "plt.plot(pd.DataFrame({'x': [1]}).append({'x': np.float(2)}, ignore_index=True).x)\n"
        "import sys; print(sys.version_info[:2], np.__version__, pd.__version__)"
    )
    revive = f"{LOAD}\n%setup revive --as-of 2020-07-11 --apply"
    window = open_notebook(server, revive, imports, shows, log("c"), kernel=kernel)
    window.run(0, "The line goes into the setup cell")
    line = "%pin numpy pandas matplotlib --as-of 2020-07-11 --python 3.8"
    until(lambda: window.saved() == [line], "the line is saved", 30)
    assert list(made.glob("*")) == []
    run_all(window)
    until(lambda: ran.names.endswith("c"), "the cells have run to the end", 240)
    settled(window)
    shown = window.shown(window.js("return panel.content.widgets[3].model.id"))
    assert "(3, 8) 1.19.0 1.0.5" in shown
    assert window.saved() == [line]
