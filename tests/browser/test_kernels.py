"""Kernels of other versions than the server's own, which is what all other tests run."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict

import pytest
from support.kernels import environment, register, versions
from support.window import LOAD, Server

from .conftest import EVERY, Open, on

Python = Callable[[str], Path]


@pytest.fixture(scope="session")
def python_of(tmp_path_factory: pytest.TempPathFactory) -> Python:
    """The interpreter of an environment with that kernel, made when first asked for."""
    made: Dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in made:
            made[name] = environment(name, tmp_path_factory.mktemp(name) / "env")
        return made[name]

    return of


@on("lab", long=EVERY)
@pytest.mark.parametrize(
    "kernel", ["ipykernel-colab", pytest.param("ipykernel-6.29.5", marks=pytest.mark.long)]
)
def test_insert_update_and_run_all(
    server: Server, open_notebook: Open, python_of: Python, kernel: str
) -> None:
    """The cell is added, gets a line, and Run All changes nothing more, on each kernel."""
    register(kernel, python_of(kernel), server.data)
    drive, version = LOAD + "\n%drive mount", "import ipykernel; print(ipykernel.__version__)"
    window = open_notebook(server, drive, "%cd_persist drive:", version, kernel=kernel)
    assert "added on top, saved" in window.run(0, "Setup cell")
    assert "%cd_persist drive: - saved" in window.run(2, "Setup cell")
    written = window.on_disk()[0]
    assert window.saved() == ["%drive mount", "%cd_persist drive:"]
    shown = window.run_all()
    assert not any("Setup cell:" in text for text in shown)
    assert f"ipykernel=={shown[-1].strip()}" in versions()[kernel]
    assert window.on_disk()[0] == window.texts[0] == written
    assert window.dialogs == 0
