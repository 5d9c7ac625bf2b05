"""Workers of Dask and ipyparallel on this machine: processes that a test starts and ends."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any


def make_python(folder: Path) -> Path:
    """An environment of its own, which sees the engines that are installed here, and not us."""
    venv.EnvBuilder(symlinks=os.name != "nt", with_pip=False).create(folder)
    packages = [path for path in sys.path if Path(path).name == "site-packages"]
    site = next(folder.rglob("site-packages"))
    (site / "borrowed.pth").write_text("\n".join(packages) + "\n")
    (site / "colab_magics.py").write_text("raise ImportError('not on this machine')\n")
    return folder / "bin" / "python"


class Workers:
    """Processes, each in a folder and an environment of its own, and what they print."""

    def __init__(self, folder: Path, index: str) -> None:
        self.folder, self.processes = folder, []
        self.variables = {**os.environ, "PIP_INDEX_URL": index, "UV_INDEX_URL": index}
        self.variables.update(UV_CACHE_DIR=str(folder / "uv"), PYTHONWARNINGS="ignore")
        for name in ("HF_TOKEN", "VIRTUAL_ENV", "PYTHONPATH"):
            self.variables.pop(name, None)

    def start(self, name: str, *words: str) -> None:
        """Start a module."""
        folder = self.folder / name
        folder.mkdir()
        with (folder / "log").open("wb") as log:
            command = [str(make_python(folder / "environment")), "-m", *words]
            process: Any = subprocess.Popen(
                command, cwd=folder, env=self.variables, stdout=log, stderr=log
            )
        self.processes.append(process)

    def stop(self) -> None:
        """End all of them."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(30)

    def printed(self) -> str:
        """What all of them have printed."""
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("*/log"))
