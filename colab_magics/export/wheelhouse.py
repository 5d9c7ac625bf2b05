"""``wheelhouse``: a folder of wheels, for machines without the internet, such as Kaggle's."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import List

from ..core.errors import InstallFailed
from ..core.process import run
from .formats import File
from .requirements import Requirements


class Wheelhouse(Requirements):
    """The wheels of the pins, of colab_magics and of all they need, for this Python and platform.

    There: ``%pip install --no-index --find-links FOLDER -r FOLDER/requirements.txt``.
    """

    name = "wheelhouse"
    path = "wheelhouse"
    is_folder = True

    def files(self) -> List[File]:
        """See `Format`: requirements without their indexes, which are not asked there."""
        own = ["colab-magics"] if self.recipe.package else []
        return [("requirements.txt", "".join(f"{x}\n" for x in [*self.requirements, *own]))]

    def complete(self, folder: Path) -> None:
        """Collect the wheels; `InstallFailed` where pip is missing, or one cannot be had."""
        if find_spec("pip") is None:
            raise InstallFailed("pip is not here, which collects wheels.", "%uv pip install pip")
        sources, held = folder / "sources.txt", folder / "held.txt"
        text = self.text() + f"{self.recipe.package}\n"
        sources.write_text(text, encoding="utf-8")
        held.write_text("".join(f"{x}=={v}\n" for x, v in self.recipe.locked), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-input"]
        command += ["--wheel-dir", str(folder), "-r", str(sources), "-c", str(held)]
        done = run(command)
        sources.unlink()
        held.unlink()
        if done.status:
            lines = "\n".join(done.lines[-8:])
            raise InstallFailed("The wheels could not be had.", "Read below why.", lines)
