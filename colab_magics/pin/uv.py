"""Installing with uv, which needs seconds where pip needs a minute."""

from __future__ import annotations

import os
import re
import shutil
import site
import sys
import sysconfig
import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Sequence
from urllib.parse import urlsplit

from ..core.folders import claim_folder
from ..core.process import run
from .pip_config import PipSettings
from .plan import Item, Plan

#: Has uv say which packages it has to fetch; see `Uv.in_place` and `Uv.planned`.
_TELLS = "uv_installer::plan=debug"
_FOUND = re.compile(
    r"DEBUG (?:(Identified uncached distribution)|.* already cached): "
    r"([\w.-]+)(?:\[[^\]]*\])?(?:==(\S+)| @ (\S+))"
)
_FETCHES = re.compile(r"Downloading ([\w.-]+) \((\d+(?:\.\d+)?)([KMG]?)i?B\)")
_ADDS = re.compile(r" \+ ([\w.-]+)==(\S+)")
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


def find_uv() -> Optional[str]:
    """The uv that was installed with this package, else the one on PATH."""
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        return shutil.which("uv")


def _config() -> Dict[str, str]:
    """Have uv read the settings of this user or this machine alone.

    By itself it reads ``uv.toml`` and ``pyproject.toml`` where the kernel stands and above: what a
    clone or an archive has put there would name the index. Source: uv's "Configuration files".
    """
    if {"UV_CONFIG_FILE", "UV_NO_CONFIG"} & os.environ.keys():
        return {}
    if os.name == "nt":
        folders = [os.environ.get("APPDATA", ""), os.environ.get("PROGRAMDATA", "")]
    else:
        home = os.environ.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
        folders = [home, *os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"), "/etc"]
    places = [Path(folder, "uv", "uv.toml") for folder in folders if folder]
    own = next((place for place in places if place.is_file()), None)
    return {"UV_NO_CONFIG": "1"} if own is None else {"UV_CONFIG_FILE": str(own)}


def _cache() -> Dict[str, str]:
    """A cache of its own for uv where the user's own cannot be written."""
    from platformdirs import user_cache_dir

    place = Path(user_cache_dir("uv"))
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    if os.access(there, os.W_OK):
        return {}
    return _own_cache()


@lru_cache(maxsize=None)
def _own_cache() -> Dict[str, str]:
    """What lies in the folder for temporary files may have been put there by anybody."""
    try:
        name = f"uv-cache-{getattr(os, 'getuid', int)()}"
        return {"UV_CACHE_DIR": str(claim_folder(Path(tempfile.gettempdir(), name)))}
    except OSError:
        return {}  # uv says what it cannot write


def _from(url: str) -> str:
    """Where something comes from whose version is not known before it is built."""
    parts = urlsplit(url)
    return f"from {parts.hostname or parts.path.rstrip('/').rpartition('/')[2]}"


class Uv:
    """``uv pip install`` into the interpreter of the kernel, or into another."""

    name = "uv"

    def __init__(self, python: str = sys.executable) -> None:
        self.python = python

    def available(self, settings: PipSettings) -> Optional[str]:
        """None, or why uv cannot do it as this user's pip would."""
        if find_uv() is None:
            return "uv has no build for this machine"
        unknown = settings.for_uv(os.environ).untranslated
        if unknown:
            return f"uv has no equivalent of pip's setting {', '.join(unknown)}"
        if not os.access(sysconfig.get_path("purelib"), os.W_OK) and site.ENABLE_USER_SITE:
            return "only the user's own site-packages can be written, which uv does not know"
        return None

    def trial(self) -> List[str]:
        """See `Installer`."""
        return [str(find_uv()), "--version"]

    def command(self, requirements: Path, constraints: Path, again: Sequence[str]) -> List[str]:
        """See `Installer`."""
        command = [str(find_uv()), "pip", "install", "--python", self.python]
        command += [word for name in again for word in ("--reinstall-package", name)]
        return [*command, "--requirement", str(requirements), "--constraint", str(constraints)]

    def environment(self, settings: PipSettings) -> Dict[str, str]:
        """This process's variables and the translated settings of pip."""
        added = settings.for_uv(os.environ).environment
        quiet = {"UV_NO_PROGRESS": "1", "NO_COLOR": "1", "RUST_LOG": _TELLS}
        # A little more than our own time box, which is the one that can name what it waited for.
        seconds = settings.patience(os.environ)
        late = str(int(seconds) + 5)
        boxed = {"UV_HTTP_CONNECT_TIMEOUT": late, "UV_HTTP_RETRIES": "2"}
        boxed.update(GIT_HTTP_LOW_SPEED_LIMIT="1", GIT_HTTP_LOW_SPEED_TIME=late)
        own = {**boxed, **os.environ, **quiet, **added}
        return {**_cache(), **_config(), **own, "UV_HTTP_TIMEOUT": late}

    def options(self, settings: PipSettings) -> List[str]:
        """Lines for the requirements file that say what no variable can."""
        own = os.environ.get("UV_CONSTRAINT", "").split()  # gives way to our own argument
        held = [f"-c {Path(place).absolute()}" for place in own if "://" not in place]
        return [*settings.for_uv(os.environ).options, *held]

    def upgrade(self, names: Sequence[str]) -> List[str]:
        """See `Installer`; ``--upgrade`` takes what they need in its newest version too."""
        return [f"--upgrade-package={name}" for name in names] or ["--upgrade"]

    def removal(self, names: Sequence[str]) -> List[str]:
        """See `Installer`."""
        return [str(find_uv()), "pip", "uninstall", "--python", self.python, *names]

    def in_place(self, lines: Sequence[str]) -> bool:
        """Whether it is putting files in place, judged by what it has printed.

        What is in its cache already is put in place without a word: only where it has said that
        something has to be fetched is it known to be fetching.
        """
        if any(line.startswith(("Prepared", "Uninstalled")) for line in lines):
            return True
        fetches = any("Identified uncached" in line for line in lines)
        return not fetches and any(line.startswith("Resolved") for line in lines)

    def rehearsal(self, report: Path) -> Optional[List[str]]:
        """See `Installer`."""
        return ["--dry-run"]

    def planned(self, lines: Sequence[str], report: str = "") -> Plan:
        """See `Installer`; sizes are those of what it fetches already.

        What it says before ``Resolved``, and once anything else is going on, is of the
        environments that it builds packages in.
        """
        starts = [at for at, line in enumerate(lines) if line.startswith("Resolved ")]
        after = lines[starts[0] + 1 :] if starts else []
        said = next((at for at, line in enumerate(after) if not self.aside(line)), len(after))
        plan: Plan = {}
        for found in filter(None, map(_FOUND.match, after[:said])):
            uncached, name, version, url = found.groups()
            plan[name] = Item(name, version or _from(url), not uncached)
        for line in after[said:]:
            fetches, adds = _FETCHES.match(line), _ADDS.match(line)
            if fetches and fetches.group(1) in plan:
                name, number, unit = fetches.groups()
                plan[name] = replace(plan[name], size=round(float(number) * _UNITS[unit]))
            elif adds and adds.group(1) in plan:  # the version of what comes from a URL
                plan[adds.group(1)] = replace(plan[adds.group(1)], version=adds.group(2))
        return plan

    def look_up(self, requirements: Path, to: Path) -> Optional[List[str]]:
        """See `Installer`."""
        command = [str(find_uv()), "pip", "compile", "--quiet", "--python", self.python]
        command += ["--no-deps", "--no-header", "--no-annotate", "--format", "pylock.toml"]
        return [*command, "--output-file", str(to), str(requirements)]

    def aside(self, line: str) -> bool:
        """See `Installer`: what `_TELLS` adds."""
        return line.startswith(("DEBUG ", "  Installed: ", "  Requested: "))

    def touches(self, line: str, after: str) -> List[str]:
        """See `Installer`; anywhere else it speaks of the environments that it builds in."""
        found = _FOUND.match(line) if after.startswith("Resolved ") else None
        return [found.group(2)] if found else []

    def records(self, names: Iterable[str]) -> List[Path]:
        """See `Installer`: those of its cache, in all versions."""
        done = run([str(find_uv()), "cache", "dir"], {**_cache(), **os.environ})
        wheels = Path(done.lines[-1] if done.lines else "", "archive-v0")
        patterns = (f"*/{name.replace('-', '_')}-*.dist-info/RECORD" for name in names)
        return [record for pattern in patterns for record in wheels.glob(pattern)]
