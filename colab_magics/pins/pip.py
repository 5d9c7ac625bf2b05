"""Installing with pip, where uv cannot do what the user has set up."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from .settings import PipSettings

__all__ = ["Pip"]


class Pip:
    """``python -m pip install`` with the interpreter of the kernel."""

    name = "pip"

    def available(self, settings: PipSettings) -> Optional[str]:
        """None, or why pip cannot be used."""
        if "torch-backend" in settings.values:
            return "pip has no --torch-backend"
        return None if find_spec("pip") else "pip is not installed beside this kernel"

    def command(self, requirements: Path, constraints: Path, again: Sequence[str]) -> List[str]:
        """See `Installer`; pip itself installs again what came from another URL."""
        command = [sys.executable, "-m", "pip", "install", "--no-input"]
        return [*command, "--requirement", str(requirements), "--constraint", str(constraints)]

    def environment(self, settings: PipSettings) -> Dict[str, str]:
        """This process's variables and the line's settings; pip reads the others itself."""
        quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_PROGRESS_BAR": "off", "NO_COLOR": "1"}
        line = {"PIP_" + k.upper().replace("-", "_"): v for k, v in settings.line.items()}
        return {**os.environ, **quiet, **line}

    def options(self, settings: PipSettings) -> List[str]:
        """Nothing: pip reads its settings itself."""
        return []

    def upgrade(self, names: Sequence[str]) -> List[str]:
        """See `Installer`: what suffices below them stays, which is pip's own way."""
        return ["--upgrade"]

    def removal(self, names: Sequence[str]) -> List[str]:
        """See `Installer`."""
        return [sys.executable, "-m", "pip", "uninstall", "--yes", *names]

    def in_place(self, lines: Sequence[str]) -> bool:
        """Whether it is putting files in place, judged by what it has printed."""
        return any(line.startswith("Installing collected packages") for line in lines)

    def aside(self, line: str) -> bool:
        """See `Installer`: nothing."""
        return False
