"""Installing with pip, where uv cannot do what the user has set up."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from .environment import canonical_name, find
from .installer import Installer
from .pip_config import PipSettings
from .plan import Item, Plan


class Pip(Installer):
    """``python -m pip install`` with the interpreter of the kernel.

    It reads its settings itself, and takes back what fails.
    """

    name = "pip"

    def available(self, settings: PipSettings) -> Optional[str]:
        """Return None, or why pip cannot be used."""
        if "torch-backend" in settings.values:
            return "pip has no --torch-backend"
        return None if find_spec("pip") else "pip is not installed beside this kernel"

    def version_command(self) -> List[str]:
        """See `Installer`."""
        return [sys.executable, "-m", "pip", "--version"]

    def install_command(
        self, requirements: Path, constraints: Path, reinstall: Sequence[str]
    ) -> List[str]:
        """See `Installer`; pip itself installs again what came from another URL."""
        command = [sys.executable, "-m", "pip", "install", "--no-input"]
        return [*command, "--requirement", str(requirements), "--constraint", str(constraints)]

    def environment(self, settings: PipSettings) -> Dict[str, str]:
        """Return this process's variables and the line's settings; pip reads the others itself."""
        late = str(int(settings.patience(os.environ)) + 5)  # a little more than our own time box
        return {
            **os.environ,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_PROGRESS_BAR": "off",
            "NO_COLOR": "1",
            "PIP_TIMEOUT": late,
            "PIP_DEFAULT_TIMEOUT": late,
            **({} if "retries" in settings.values else {"PIP_RETRIES": "2"}),
            **{"PIP_" + k.upper().replace("-", "_"): v for k, v in settings.line.items()},
        }

    def upgrade_options(self, names: Sequence[str]) -> List[str]:
        """See `Installer`: what suffices below them stays, which is pip's own way."""
        return ["--upgrade"] if names else ["--upgrade", "--upgrade-strategy=eager"]

    def uninstall_command(self, names: Sequence[str]) -> List[str]:
        """See `Installer`."""
        return [sys.executable, "-m", "pip", "uninstall", "--yes", *names]

    def is_writing(self, lines: Sequence[str]) -> bool:
        """See `Installer`; judged by what it has printed."""
        return any(line.startswith(_WRITES) for line in lines)

    def dry_run_options(self, report: Path) -> Optional[List[str]]:
        """See `Installer`: ``--report`` came with pip 22.2."""
        from packaging.version import Version

        pip = find("pip")
        if pip is None or Version(pip.version) < Version("22.2"):
            return None
        return ["--dry-run", "--report", str(report)]

    def read_plan(self, lines: Sequence[str], report: str = "") -> Plan:
        """See `Installer`; while it works, pip says nothing of what is to come."""
        plan: Plan = {}
        for entry in json.loads(report).get("install", ()) if report else ():
            name = canonical_name(entry["metadata"]["name"])
            plan[name] = Item(name, entry["metadata"]["version"])
        return plan

    def changed_names(self, line: str, previous: str) -> List[str]:
        """See `Installer`."""
        names = line[len(_WRITES) :] if line.startswith(_WRITES) else ""
        return [name.strip() for name in names.split(",") if name.strip()]


_WRITES = "Installing collected packages:"
