"""Installing with uv, which needs seconds where pip needs a minute."""

from __future__ import annotations

import os
import re
import site
import stat
import sys
import sysconfig
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Dict, Iterable, List, Match, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from ..core.ownership import is_trusted
from ..core.process import run
from .environment import canonical_name
from .pip_config import PipSettings
from .plan import Item, Plan

#: The oldest uv that makes locks; see `Uv.pylock_command`.
_OLDEST = (0, 6, 17)
#: Has uv print which packages it has to fetch; see `Uv.is_writing` and `Uv.read_plan`.
_LOG = "uv_installer::plan=debug"
_PLANNED = re.compile(
    r"DEBUG (?:(Identified uncached distribution)|.* already cached): "
    r"([\w.-]+)(?:\[[^\]]*\])?(?:==(\S+)| @ (\S+))"
)
_FETCHES = re.compile(r"Downloading ([\w.-]+) \((\d+(?:\.\d+)?)([KMG]?)i?B\)")
#: What comes from a URL or a folder has ``@`` in the place of ``==``.
_BUILDS = re.compile(r"\s*Building ([\w.-]+)==(\S+)")
_ADDS = re.compile(r" \+ ([\w.-]+)==(\S+)")
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


def find_uv() -> Optional[str]:
    """Return this machine's own uv if it is new enough, else the one of our dependency, else any.

    Colab has its own, in a folder named by ``UV_INSTALL_DIR``.
    """
    own, wheel = _find_own_uv(), _find_wheel()
    if own is None or wheel is None or own == Path(wheel):
        return str(own or wheel or "") or None
    return str(own) if _version_of(own, own.stat().st_mtime) >= _OLDEST else wheel


def _find_own_uv() -> Optional[Path]:
    """Return the first uv in that folder and on PATH; never one of the working directory."""
    folders = map(Path, [os.environ.get("UV_INSTALL_DIR", ""), *os.get_exec_path()])
    name = "uv.exe" if os.name == "nt" else "uv"
    for folder in filter(Path.is_absolute, folders):
        with suppress(OSError):  # it is not there, or in a folder that this user cannot see
            status = (folder / name).stat()
            if stat.S_ISREG(status.st_mode) and is_trusted(status):
                return folder / name
    return None


def _find_wheel() -> Optional[str]:
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        return None


@lru_cache(maxsize=8)
def _version_of(program: Path, changed: float) -> Tuple[int, ...]:
    """Return the version of a uv, none of one that does not work; ``changed``: when it was."""
    with suppress(OSError):
        done = run([str(program), "--version"], timeout=5)
        found = re.match(r"uv (\d+)\.(\d+)\.(\d+)", done.lines[0] if done.lines else "")
        if found and done.status == 0:
            return tuple(map(int, found.groups()))
    return ()


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
    files = (Path(folder, "uv", "uv.toml") for folder in folders if folder)
    own = next(filter(Path.is_file, files), None)
    return {"UV_NO_CONFIG": "1"} if own is None else {"UV_CONFIG_FILE": str(own)}


def _cache() -> Dict[str, str]:
    """Return the variable for no cache where the user's own cannot be written."""
    from platformdirs import user_cache_dir

    cache = Path(user_cache_dir("uv"))
    parent = next(filter(Path.exists, (cache, *cache.parents)))
    return {} if os.access(parent, os.W_OK) else {"UV_NO_CACHE": "1"}


def _origin_of(url: str) -> str:
    """Return where something comes from whose version is not known before it is built."""
    parts = urlsplit(url)
    return f"from {parts.hostname or parts.path.rstrip('/').rpartition('/')[2]}"


class Uv:
    """``uv pip install`` into the interpreter of the kernel, or into another."""

    name = "uv"

    def __init__(self, python: str = sys.executable) -> None:
        self.python = python

    def available(self, settings: PipSettings) -> Optional[str]:
        """Return None, or why uv cannot do it as this user's pip would."""
        if find_uv() is None:
            return "uv has no build for this machine"
        unknown = settings.for_uv(os.environ).untranslated
        if unknown:
            return f"uv has no equivalent of pip's setting {', '.join(unknown)}"
        if not os.access(sysconfig.get_path("purelib"), os.W_OK) and site.ENABLE_USER_SITE:
            return "only the user's own site-packages can be written, which uv does not know"
        return None

    def _pip(self, *words: str) -> List[str]:
        return [str(find_uv()), "pip", words[0], "--python", self.python, *words[1:]]

    def version_command(self) -> List[str]:
        """See `Installer`."""
        return [str(find_uv()), "--version"]

    def install_command(
        self, requirements: Path, constraints: Path, reinstall: Sequence[str]
    ) -> List[str]:
        """See `Installer`."""
        names = [f"--reinstall-package={name}" for name in reinstall]
        files = ["--requirement", str(requirements), "--constraint", str(constraints)]
        return self._pip("install", *names, *files)

    def environment(self, settings: PipSettings) -> Dict[str, str]:
        """Return this process's variables and the translated settings of pip."""
        # A little more than our own time box, which is the one that can name what it waited for.
        late = str(int(settings.patience(os.environ)) + 5)
        variables = {
            **_cache(),
            **_config(),
            "UV_HTTP_CONNECT_TIMEOUT": late,
            "UV_HTTP_RETRIES": "2",
            "GIT_HTTP_LOW_SPEED_LIMIT": "1",
            "GIT_HTTP_LOW_SPEED_TIME": late,
            **os.environ,
            "UV_NO_PROGRESS": "1",
            "NO_COLOR": "1",
            "RUST_LOG": _LOG,
            **settings.for_uv(os.environ).environment,
            "UV_HTTP_TIMEOUT": late,
        }
        if settings.day:  # see `PipSettings.for_uv`
            variables.pop("UV_FIND_LINKS", None)
        return variables

    def option_lines(self, settings: PipSettings) -> List[str]:
        """Return lines for the requirements file that say what no variable can."""
        own = os.environ.get("UV_CONSTRAINT", "").split()  # gives way to our own argument
        held = [f"-c {Path(place).absolute()}" for place in own if "://" not in place]
        return [*settings.for_uv(os.environ).options, *held]

    def upgrade_options(self, names: Sequence[str]) -> List[str]:
        """See `Installer`; ``--upgrade`` takes what they need in its newest version too."""
        return [f"--upgrade-package={name}" for name in names] or ["--upgrade"]

    def uninstall_command(self, names: Sequence[str]) -> List[str]:
        """See `Installer`."""
        return self._pip("uninstall", *names)

    def is_writing(self, lines: Sequence[str]) -> bool:
        """See `Installer`; judged by what it has printed.

        What is in its cache already is put in place without a word: only where it has said that
        something has to be fetched is it known to be fetching.
        """
        if any(line.startswith(("Prepared", "Uninstalled")) for line in lines):
            return True
        fetches = any("Identified uncached" in line for line in lines)
        return not fetches and any(line.startswith("Resolved") for line in lines)

    def dry_run_options(self, report: Path) -> Optional[List[str]]:
        """See `Installer`."""
        return ["--dry-run"]

    def read_plan(self, lines: Sequence[str], report: str = "") -> Plan:
        """See `Installer`; sizes are those of what it fetches already."""
        plan: Plan = {}
        built: Dict[str, str] = {}
        previous = ""
        for line in lines:
            planned = _match_plan(line, previous)
            fetches, adds, builds = (p.match(line) for p in (_FETCHES, _ADDS, _BUILDS))
            if planned:
                uncached, name, version, url = planned.groups()
                plan[name] = Item(name, version or _origin_of(url), not uncached)
            elif fetches and fetches[1] in plan:
                plan[fetches[1]] = replace(plan[fetches[1]], size=_bytes(fetches))
            elif adds and adds[1] in plan:  # the version of what comes from a URL
                plan[adds[1]] = replace(plan[adds[1]], version=adds[2])
            elif builds:
                built[canonical_name(builds[1])] = builds[2]
            previous = previous if self.is_debug(line) else line
        if not plan:  # where only a build says what a release needs, it comes before the plan
            return {name: Item(name, version, built=True) for name, version in built.items()}
        return {n: replace(item, built=built.get(n) == item.version) for n, item in plan.items()}

    def resolve_command(self, requirements: Path, output: Path) -> List[str]:
        """See `Installer`."""
        options = ["--no-header", "--no-annotate", "--output-file", str(output)]
        return self._pip("compile", *options, str(requirements))

    def read_resolved(self, text: str) -> List[str]:
        """See `Installer`."""
        return re.findall(r"^[\w.-]+==[^\s;]+", text, re.MULTILINE)

    def pylock_command(
        self, requirements: Path, output: Path, words: Sequence[str] = ()
    ) -> Optional[List[str]]:
        """See `Installer`."""
        options = ["--no-deps", "--no-header", "--no-annotate", "--format", "pylock.toml", *words]
        files = ["--output-file", str(output), str(requirements)]
        return self._pip("compile", "--quiet", *options, *files)

    def is_debug(self, line: str) -> bool:
        """See `Installer`: what `_LOG` adds."""
        return line.startswith(("DEBUG ", "  Installed: ", "  Requested: "))

    def describe(self, line: str) -> str:
        """See `Installer`."""
        build = re.match(r"\s*Building ([\w.-]+)", line)
        if build:
            return f"building {build[1]} from source"
        is_put = line.startswith(("Prepared", "Uninstalled"))
        return "putting the files in place" if is_put else ""

    def read_size(self, line: str) -> Optional[Tuple[str, int]]:
        """See `Installer`; it names only what is larger than a megabyte."""
        fetches = _FETCHES.match(line)
        return (fetches[1], _bytes(fetches)) if fetches else None

    def read_done(self, line: str) -> Optional[Tuple[int, int]]:
        """See `Installer`: it does not say."""
        return None

    def changed_names(self, line: str, previous: str) -> List[str]:
        """See `Installer`."""
        planned = _match_plan(line, previous)
        return [planned[2]] if planned else []

    def cached_records(self, names: Iterable[str]) -> List[Path]:
        """See `Installer`: those of its cache, in all versions."""
        done = run([str(find_uv()), "cache", "dir"], {**_cache(), **os.environ})
        wheels = Path(done.lines[-1] if done.lines else "", "archive-v0")
        patterns = (f"*/{name.replace('-', '_')}-*.dist-info/RECORD" for name in names)
        return [record for pattern in patterns for record in wheels.glob(pattern)]


def _bytes(fetches: Match[str]) -> int:
    return round(float(fetches[2]) * _UNITS[fetches[3]])


def _match_plan(line: str, previous: str) -> Optional[Match[str]]:
    """Match a line of the plan; anywhere else it is about the environments that uv builds in."""
    return _PLANNED.match(line) if previous.startswith("Resolved ") else None
