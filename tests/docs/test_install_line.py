"""The setup cell brings this package itself: on a machine that has none, from a package index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict

import pytest
from doubles.index import make_wheel, serve
from support.notebooks import notebook, setup_text, shown

from colab_magics.pin.uv import find_uv

WHEEL = os.environ.get("COLAB_MAGICS_WHEEL", "")

#: Runs a notebook as any executor does, and keeps its outputs.
EXECUTE = """\
import sys, nbformat
from nbclient import NotebookClient
node = nbformat.read(sys.argv[1], 4)
NotebookClient(node, kernel_name="python3").execute()
nbformat.write(node, sys.argv[1])
"""


@pytest.mark.skipif(not WHEEL, reason="needs the wheel: run tests/run.py")
def test_on_a_machine_without_us_the_cell_installs_the_release(tmp_path: Path) -> None:
    """Installed from an index, the cell names that release; where we are missing it brings us."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    shutil.copy(WHEEL, shelf)
    make_wheel(shelf, "tinypkg", "1.0")
    folder = tmp_path / "environment"
    python = folder / "bin" / "python"
    uv = str(find_uv())
    run(uv, "venv", "-q", "--python", sys.executable, str(folder))
    # All that we depend on, as on a hosted machine; then without us.
    run(uv, "pip", "install", "-q", "--python", str(python), WHEEL, "pip")
    run(uv, "pip", "uninstall", "-q", "--python", str(python), "colab-magics")

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

        run(uv, "pip", "uninstall", "-q", "--python", str(python), "colab-magics", "tinypkg")
        alone = notebook(tmp_path / "alone.ipynb", text)
        run(str(python), "-c", EXECUTE, str(alone), env=env)
        assert "tinypkg 1.0 installed" in shown(alone)[0]
        run(str(python), "-c", "import tinypkg, colab_magics")


def run(*command: str, env: Dict[str, str] | None = None) -> None:
    """Run a command, which is to succeed."""
    done = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
