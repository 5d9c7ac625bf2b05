"""What the kernel tests share: an index on loopback, and machines whose packages may change."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Callable, Iterator

import pytest
from doubles.index import make_wheel, serve
from support.machine import Machine
from support.serving import Ask, serving

MakeMachine = Callable[[], Machine]


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an index with a few tiny packages, some in two versions."""
    folder = tmp_path_factory.mktemp("index")
    for name in ("tinypkg", "tinyother"):
        for version in ("1.0", "2.0"):
            make_wheel(folder, name, version)
    with serve(folder) as url:
        yield url


@pytest.fixture
def make_machine(tmp_path_factory: pytest.TempPathFactory, index: str) -> MakeMachine:
    """Make a fresh machine: nothing on it is left of any other."""

    def make() -> Machine:
        folder = tmp_path_factory.mktemp("machine")
        return Machine.make(folder / "environment", folder / "home", index)

    return make


@pytest.fixture
def machine(make_machine: MakeMachine) -> Machine:
    """A fresh machine."""
    return make_machine()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for notebooks, which outlives machines."""
    path = tmp_path / "notebooks"
    path.mkdir()
    return path


@pytest.fixture
def ask(request: pytest.FixtureRequest, machine: Machine, folder: Path) -> Iterator[Ask]:
    """A real Jupyter Server of the notebooks, to be asked for its sessions.

    Another kind of it by ``parametrize("ask", KINDS, indirect=True)``: see `serving`.
    """
    if importlib.util.find_spec("jupyter_server") is None:
        pytest.skip("jupyter_server is not installed: pip install jupyter_server")
    with serving(machine, folder, getattr(request, "param", "")) as found:
        yield found
