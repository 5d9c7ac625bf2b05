"""Installing with pip, where uv cannot do what the user has set up."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Sequence

from .environment import canonical_name, find
from .pip_config import PipSettings
from .plan import Item, Plan


class Pip:
    """``python -m pip install`` with the interpreter of the kernel."""

    name = "pip"

    def available(self, settings: PipSettings) -> Optional[str]:
        """None, or why pip cannot be used."""
        if "torch-backend" in settings.values:
            return "pip has no --torch-backend"
        return None if find_spec("pip") else "pip is not installed beside this kernel"

    def trial(self) -> List[str]:
        """See `Installer`."""
        return [sys.executable, "-m", "pip", "--version"]

    def command(self, requirements: Path, constraints: Path, again: Sequence[str]) -> List[str]:
        """See `Installer`; pip itself installs again what came from another URL."""
        command = [sys.executable, "-m", "pip", "install", "--no-input"]
        return [*command, "--requirement", str(requirements), "--constraint", str(constraints)]

    def environment(self, settings: PipSettings) -> Dict[str, str]:
        """This process's variables and the line's settings; pip reads the others itself."""
        quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_PROGRESS_BAR": "off", "NO_COLOR": "1"}
        # A little more than our own time box, as for uv.
        late = str(int(settings.patience(os.environ)) + 5)
        quiet.update({"PIP_TIMEOUT": late, "PIP_DEFAULT_TIMEOUT": late})
        quiet.update({} if "retries" in settings.values else {"PIP_RETRIES": "2"})
        line = {"PIP_" + k.upper().replace("-", "_"): v for k, v in settings.line.items()}
        return {**os.environ, **quiet, **line}

    def options(self, settings: PipSettings) -> List[str]:
        """Nothing: pip reads its settings itself."""
        return []

    def upgrade(self, names: Sequence[str]) -> List[str]:
        """See `Installer`: what suffices below them stays, which is pip's own way."""
        return ["--upgrade"] if names else ["--upgrade", "--upgrade-strategy=eager"]

    def removal(self, names: Sequence[str]) -> List[str]:
        """See `Installer`."""
        return [sys.executable, "-m", "pip", "uninstall", "--yes", *names]

    def in_place(self, lines: Sequence[str]) -> bool:
        """Whether it is putting files in place, judged by what it has printed."""
        return any(line.startswith("Installing collected packages") for line in lines)

    def rehearsal(self, report: Path) -> Optional[List[str]]:
        """See `Installer`: ``--report`` came with pip 22.2."""
        from packaging.version import Version

        found = find("pip")
        if found is None or Version(found.version) < Version("22.2"):
            return None
        return ["--dry-run", "--report", str(report)]

    def planned(self, lines: Sequence[str], report: str = "") -> Plan:
        """See `Installer`; while it works, pip says nothing of what is to come."""
        entries = json.loads(report).get("install", ()) if report else ()
        named = [(one["metadata"]["name"], one["metadata"]["version"]) for one in entries]
        return {canonical_name(n): Item(canonical_name(n), version) for n, version in named}

    def look_up(self, requirements: Path, to: Path) -> Optional[List[str]]:
        """See `Installer`."""
        return None

    def aside(self, line: str) -> bool:
        """See `Installer`: nothing."""
        return False

    def touches(self, line: str, after: str) -> List[str]:
        """See `Installer`."""
        head, _, names = line.partition("Installing collected packages:")
        return [] if head else [name.strip() for name in names.split(",") if name.strip()]

    def records(self, names: Iterable[str]) -> List[Path]:
        """See `Installer`: it installs one after the other, and takes back what fails itself."""
        return []
