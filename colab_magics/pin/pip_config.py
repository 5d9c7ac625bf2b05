"""The user's pip settings, and what they are in uv's terms.

People behind a mirror have configured pip, not uv; their first pin must not fail for it.
Sources: pip's user guide ("Configuration": files, their order, ``PIP_*`` variables) and uv's
reference of environment variables. An explicit ``UV_*`` variable wins over a translated one.
Values go through the environment, never through arguments: an index's URL may hold a password.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional
from urllib.request import url2pathname

#: pip's settings that only change what pip prints, or that uv decides by itself.
_HARMLESS = {
    "disable-pip-version-check",
    "quiet",
    "verbose",
    "no-color",
    "progress-bar",
    "no-input",
    "retries",
    "cache-dir",
    "root-user-action",
    "no-warn-script-location",
    "use-pep517",
    "no-python-version-warning",
    "log",
    "exists-action",
    "format",
    "no-compile",
    "prefer-binary",
    "use-feature",
    "use-deprecated",
    "no-warn-conflicts",
    "upgrade-strategy",
    "config-file",
    "no-deps",  # an argument of both
}

#: pip's setting → the variable of uv with the same meaning and form.
_SAME = {
    "index-url": "UV_DEFAULT_INDEX",
    "client-cert": "SSL_CLIENT_CERT",
    "cert": "SSL_CERT_FILE",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "trusted-host": "UV_INSECURE_HOST",
    "keyring-provider": "UV_KEYRING_PROVIDER",
    "torch-backend": "UV_TORCH_BACKEND",
}

#: pip's switch → uv's variable and value.
_SWITCHES = {
    "pre": ("UV_PRERELEASE", "allow"),
    "no-cache-dir": ("UV_NO_CACHE", "1"),
    "break-system-packages": ("UV_BREAK_SYSTEM_PACKAGES", "1"),
    "no-build-isolation": ("UV_NO_BUILD_ISOLATION", "1"),
}


_BEST = "unsafe-best-match"
#: Settings of a line that do not take the place of the user's own.
_ADDED = {"extra-index-url", "find-links", "constraint"}


#: Seconds without a byte, while an index is asked or a file is fetched, after which it is given up.
PATIENCE = 20.0
#: What users set for that, in the order in which it counts: variables of uv, settings of pip.
_TIMEOUTS = ("UV_HTTP_TIMEOUT", "UV_REQUEST_TIMEOUT", "HTTP_TIMEOUT")
_PIP_TIMEOUTS = ("timeout", "default-timeout")


class ForUv(NamedTuple):
    """pip's settings for uv: variables, lines for the requirements file, and what has no equal."""

    environment: Dict[str, str]
    options: List[str]
    untranslated: List[str]


class PipSettings:
    """pip's settings by their long names; later files win over earlier ones."""

    def __init__(self, values: Mapping[str, str], line: Mapping[str, str] = {}) -> None:
        self.values = dict(values)
        self.line = dict(line)

    def with_line(self, line: Mapping[str, str]) -> PipSettings:
        """With the settings of one ``%pin``: they win, also over variables; places are added."""
        values = {**self.values, **line}
        for name in _ADDED & line.keys() & self.values.keys():
            values[name] = f"{line[name]} {self.values[name]}"
        return PipSettings(values, {name: values[name] for name in line})

    def words(self, name: str) -> List[str]:
        """The values of a setting that holds several."""
        return self.values.get(name, "").split()

    def on(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.values.get(name, "").strip().lower() in {"1", "true", "yes", "on"}

    def _off(self, name: str) -> bool:
        """Whether a switch is off, or asks for what is so already."""
        if name == "require-virtualenv" and sys.prefix != sys.base_prefix:
            return True
        return self.values.get(name, "").strip().lower() in {"0", "false", "no", "off"}

    def patience(self, environment: Mapping[str, str]) -> float:
        """The seconds that an index may be silent: the user's own, else `PATIENCE`."""
        values = [environment.get(name, "") for name in _TIMEOUTS]
        values += [self.values.get(name, "") for name in _PIP_TIMEOUTS]
        numbers = [float(value) for value in values if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value)]
        return next((number for number in numbers if number), PATIENCE)

    @property
    def indexes(self) -> List[str]:
        """The addresses that pip would ask, the main index first."""
        if self.on("no-index"):
            return []
        main = self.values.get("index-url", "https://pypi.org/simple")
        return [main.strip(), *self.words("extra-index-url")]

    @property
    def places(self) -> List[str]:
        """The folders, and pages of links, that are looked into beside the indexes."""
        return [_home(place) for place in self.words("find-links")]

    @property
    def folders(self) -> List[Path]:
        """Those of the places that are folders of this machine, and are there."""
        paths = (url2pathname(re.sub("^file://(localhost)?", "", one)) for one in self.places)
        return [Path(path) for path in paths if Path(path).is_dir()]

    def for_uv(self, environment: Mapping[str, str]) -> ForUv:
        """These settings as uv is told them; ``environment`` is what is set already."""
        given: Dict[str, str] = {}
        options: List[str] = []
        unknown: List[str] = []
        for name, value in self.values.items():
            if name in _SAME:
                given[_SAME[name]] = " ".join(value.split())
            elif name in _SWITCHES:
                given.update([_SWITCHES[name]] if self.on(name) else [])
            elif name == "proxy":
                given["HTTP_PROXY"] = given["HTTPS_PROXY"] = value.strip()
            elif name == "extra-index-url":
                # pip takes the best version of all indexes; uv would stop at the first.
                given.update(UV_INDEX=" ".join(value.split()), UV_INDEX_STRATEGY=_BEST)
            elif name == "find-links":
                given["UV_FIND_LINKS"] = ",".join(filter(_reachable, self.places))
            elif name == "constraint":  # a variable would give way to our own argument
                options += [f"-c {_absolute(place)}" for place in value.split()]
            elif name == "no-index":
                options += ["--no-index"] if self.on(name) else []
            elif name in {"only-binary", "no-binary"}:
                options += [f"--{name} {value.strip()}"]
            elif name not in _HARMLESS and not self._off(name):
                unknown.append(name)
        kept = {k: v for k, v in given.items() if v and not _explicit(k, environment)}
        if self.line:
            kept.update(PipSettings(self.line).for_uv({}).environment)
        return ForUv(kept, options, unknown)


def _explicit(name: str, environment: Mapping[str, str]) -> bool:
    older = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
    return name.startswith("UV_") and (name in environment or older.get(name, "") in environment)


def _home(place: str) -> str:
    """A place with ``~`` spelled out, as pip does."""
    return place if "://" in place else str(Path(place).expanduser())


def _absolute(place: str) -> str:
    """A place as a requirements file elsewhere may name it."""
    return place if "://" in place else str(Path(place).expanduser().absolute())


def _reachable(place: str) -> bool:
    """Uv insists on folders that exist; pip passes over those that do not."""
    return "://" in place or Path(place).exists()


def configuration_files(environment: Mapping[str, str]) -> List[Path]:
    """Where pip looks for its settings on this system, those that win last."""
    home = Path.home()
    named = environment.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    alone = bool(named) and Path(str(named)).exists()  # then pip passes over the user's own
    if sys.platform == "win32":
        data = environment.get("APPDATA", str(home / "AppData/Roaming"))
        files = [Path(environment.get("PROGRAMDATA", "C:/ProgramData"), "pip/pip.ini")]
        files += [] if alone else [home / "pip/pip.ini", Path(data, "pip/pip.ini")]
        files.append(Path(sys.prefix, "pip.ini"))
    else:
        shared = environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
        config = Path(environment.get("XDG_CONFIG_HOME", str(home / ".config")))
        files = [Path(folder, "pip/pip.conf") for folder in shared if folder]
        files.append(Path("/etc/pip.conf"))
        own = [home / ".pip/pip.conf", config / "pip/pip.conf"]
        if sys.platform == "darwin":
            support = "Library/Application Support/pip/pip.conf"
            files, own = [Path("/") / support, *files], [*own, home / support]
        files += [] if alone else own
        files.append(Path(sys.prefix, "pip.conf"))
    return [*files, Path(named)] if named else files


def read_settings(environment: Optional[Mapping[str, str]] = None) -> PipSettings:
    """What pip would go by when it installs into this interpreter."""
    environment = os.environ if environment is None else environment
    values: Dict[str, str] = {}
    for section in ("global", "install"):
        found: Dict[str, str] = {}
        for path in configuration_files(environment):
            found.update(_section(path, section))
        values.update({name: value for name, value in found.items() if value})
    for name, value in environment.items():
        if name.startswith("PIP_") and value:
            values[name[4:].lower().replace("_", "-")] = value
    return PipSettings(values)


def _section(path: Path, section: str) -> Dict[str, str]:
    """The settings in one section of a file, if both are there."""
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return {}  # pip itself says what is wrong with it
    if not parser.has_section(section):
        return {}
    return {re.sub("^--", "", k.replace("_", "-")): v for k, v in parser.items(section)}
