"""The setup cell installs this package where it is missing: from wherever it came."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict

import pytest
from doubles.git_server import Server, git
from doubles.index import make_wheel, serve
from support.notebooks import notebook, setup_text, shown

from colab_magics.pin.uv import find_uv

WHEEL = os.environ.get("COLAB_MAGICS_WHEEL", "")
ROOT = Path(__file__).parents[2]
UV = str(find_uv())

#: Runs a notebook as any executor does, and keeps its outputs.
EXECUTE = """\
import sys, nbformat
from nbclient import NotebookClient
node = nbformat.read(sys.argv[1], 4)
NotebookClient(node, kernel_name="python3").execute()
nbformat.write(node, sys.argv[1])
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with all that we depend on, as on a hosted machine.

    pip is in it, and what builds us, so that pip need not install that anew for each build.
    """
    folder = tmp_path_factory.mktemp("hosted") / "environment"
    python = folder / "bin/python"
    run(UV, "venv", "-q", "--python", sys.executable, str(folder))
    source = (WHEEL or str(ROOT), "pip", "hatchling", "editables")
    run(UV, "pip", "install", "-q", "--python", str(python), *source)
    return python


@pytest.fixture
def python(environment: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That interpreter, without us."""
    without_us(environment)
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip's way to say: without isolation
    monkeypatch.setenv("PIP_NO_COMPILE", "1")
    return environment


def without_us(python: Path) -> None:
    """Take out what a cell is to bring back."""
    names = ("colab-magics", "tinypkg")
    run(UV, "pip", "uninstall", "-q", "--python", str(python), *names)


@pytest.mark.once
@pytest.mark.skipif(not WHEEL, reason="needs the wheel: run tests/run.py")
def test_on_a_machine_without_us_the_cell_installs_the_release(
    python: Path, tmp_path: Path
) -> None:
    """Installed from an index, the cell names that release; where we are missing it brings us."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    shutil.copy(WHEEL, shelf)
    make_wheel(shelf, "tinypkg", "1.0")

    with serve(shelf) as index:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
        env.update(PIP_INDEX_URL=index, PIP_CONFIG_FILE=os.devnull)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        run(*pip, "colab-magics", env=env)
        path = notebook(tmp_path / "nb.ipynb", "%load_ext colab_magics\n%pin tinypkg==1.0")
        run(str(python), "-m", "colab_magics", "run", str(path), env=env)
        text = setup_text(path) or ""
        version = Path(WHEEL).name.split("-")[1]
        assert f"    %pip install -q colab-magics~={version}" in text.split("\n")

        without_us(python)
        alone = notebook(tmp_path / "alone.ipynb", text)
        run(str(python), "-c", EXECUTE, str(alone), env=env)
        assert "tinypkg 1.0 installed" in shown(alone)[0]
        run(str(python), "-c", "import tinypkg, colab_magics")


@pytest.mark.once
@pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="needs the sources")
@pytest.mark.parametrize("way", ["address", "clone", "folder"])
def test_without_an_index_it_comes_from_where_it_came(
    python: Path, tmp_path: Path, way: str
) -> None:
    """A git address at its commit; a clone's origin at its commit; a folder beside the notebook."""
    server = Server(tmp_path / "server")
    try:
        url = server.make("tools")
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, server.folder / "tools")
        unneeded = shutil.ignore_patterns("__pycache__")
        package = server.folder / "tools/colab_magics"
        shutil.copytree(ROOT / "colab_magics", package, ignore=unneeded)
        commit = server.commit("tools")
        git(tmp_path, "clone", "-q", url, "clone")
        git(tmp_path, "clone", "-q", url, "folder")
        git(tmp_path / "folder", "remote", "remove", "origin")
        source = {"address": [f"git+{url}"], "clone": ["-e", "./clone"], "folder": ["./folder"]}
        line = "./folder" if way == "folder" else f"git+{url}@{commit}"

        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        run(*pip, *source[way], cwd=tmp_path)
        path = notebook(tmp_path / "nb.ipynb", "%load_ext colab_magics\n%env_persist A=1")
        run(str(python), "-m", "colab_magics", "run", str(path))
        text = setup_text(path) or ""
        assert f"    %pip install -q {line}" in text.split("\n")

        without_us(python)
        alone = notebook(tmp_path / "alone.ipynb", text, "import os; print(os.environ['A'])")
        run(str(python), "-c", EXECUTE, str(alone), cwd=tmp_path)
        assert shown(alone)[1].split() == ["1"]
    finally:
        server.close()


def run(*command: str, env: Dict[str, str] | None = None, cwd: Path | None = None) -> None:
    """Run a command, which is to succeed."""
    done = subprocess.run(
        command, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
