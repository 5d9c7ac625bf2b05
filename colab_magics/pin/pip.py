"""Installing with pip, where uv cannot do what the user has set up."""

from __future__ import annotations

import json
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

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
        if settings.day and not _is_pip(_WITH_DAYS):
            return f"pip has --as-of from {_WITH_DAYS} on"
        if settings.day and "find-links" in settings.values:
            return "pip's own find-links has files without a date"
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
            "PIP_PROGRESS_BAR": "raw" if _is_pip("24.1") else "off",
            "NO_COLOR": "1",
            "PIP_TIMEOUT": late,
            "PIP_DEFAULT_TIMEOUT": late,
            **({} if "retries" in settings.values else {"PIP_RETRIES": "2"}),
            **{"PIP_" + k.upper().replace("-", "_"): v for k, v in settings.line.items()},
        }

    def resolve_command(self, requirements: Path, output: Path) -> List[str]:
        """See `Installer`."""
        command = [sys.executable, "-m", "pip", "install", "--no-input", "--dry-run"]
        report = ["--ignore-installed", "--report", str(output)]
        return [*command, *report, "--requirement", str(requirements)]

    def read_resolved(self, text: str) -> List[str]:
        """See `Installer`."""
        entries = json.loads(text or "{}").get("install", ())
        about = [entry["metadata"] for entry in entries if not entry["is_direct"]]
        return [f"{each['name']}=={each['version']}" for each in about]

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
        return ["--dry-run", "--report", str(report)] if _is_pip("22.2") else None

    def read_plan(self, lines: Sequence[str], report: str = "") -> Plan:
        """See `Installer`; while it works, pip names the files that it fetches."""
        plan: Plan = {}
        for previous, line in zip(["", *lines], lines):
            file = _FETCHED.match(line)
            if file is None:
                continue
            name, built = canonical_name(file[1]), not line[file.end() :].startswith("-")
            if not (built and " @ " in previous):  # a source that the line names by its URL
                plan[name] = Item(name, file[2], built=built)
        for entry in json.loads(report).get("install", ()) if report else ():
            name, url = canonical_name(entry["metadata"]["name"]), entry["download_info"]["url"]
            built = not entry["is_direct"] and not url.endswith(".whl")
            plan[name] = Item(name, entry["metadata"]["version"], built=built)
        return plan

    def is_debug(self, line: str) -> bool:
        """See `Installer`."""
        return _DONE.fullmatch(line) is not None

    def describe(self, line: str) -> str:
        """See `Installer`."""
        match = _DOES.match(line)
        if match is None:
            return ""
        verbs = {"Collecting": "looking for", "Downloading": "downloading"}
        name = re.split(r"-\d", match[2].rpartition("/")[2])[0]  # of a file, without the rest
        return f"{verbs.get(match[1], 'building')} {name}"

    def read_done(self, line: str) -> Optional[Tuple[int, int]]:
        """See `Installer`."""
        done = _DONE.fullmatch(line)
        return (int(done[1]), int(done[2])) if done else None

    def changed_names(self, line: str, previous: str) -> List[str]:
        """See `Installer`."""
        names = line[len(_WRITES) :] if line.startswith(_WRITES) else ""
        return [name.strip() for name in names.split(",") if name.strip()]


def _is_pip(version: str) -> bool:
    """Tell whether pip is at least of a version."""
    from packaging.version import Version

    pip = find("pip")
    return pip is not None and Version(pip.version) >= Version(version)


#: The release that brought ``--uploaded-prior-to``.
_WITH_DAYS = "26.0"
#: What it does now, and with what; how far a download is.
_DOES = re.compile(r"\s*(Collecting|Downloading|Building wheel for) ([^\s(]+)")
_DONE = re.compile(r"Progress (\d+) of (\d+)")
_WRITES = "Installing collected packages:"
#: A release that it has fetched: its source, or a wheel. It may fetch the metadata of others too.
_FETCHED = re.compile(
    r"\s*(?:Downloading|Using cached) (?:\S*/)?([\w.-]+?)-(\d[^-/\s]*?)"
    r"(?:\.(?:tar\.gz|zip)\b|(?=-\S+\.whl(?!\.metadata)))"
)
