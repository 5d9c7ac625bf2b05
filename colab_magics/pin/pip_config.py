"""The user's pip settings, and what they are in uv's terms.

People behind a mirror have configured pip, not uv; their first pin must not fail for it. They are
read here because an environment may have no pip that could be asked.
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

from .day import SETTING, day_before

#: pip's settings that only change what pip prints, or that uv decides by itself. ``no-deps`` is an
#: argument of both.
_HARMLESS = re.compile(
    "cache-dir|config-file|disable-pip-version-check|exists-action|format|log|no-color|no-compile|"
    "no-deps|no-input|no-python-version-warning|no-warn-conflicts|no-warn-script-location|"
    "prefer-binary|progress-bar|quiet|retries|root-user-action|upgrade-strategy|use-deprecated|"
    "use-feature|use-pep517|verbose"
)

#: pip's setting → the variable of uv with the same meaning and form.
_SAME = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
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
        """Add the settings of one ``%pin``: they win, also over variables; places are added."""
        values = {**self.values, **line}
        for name in _ADDED & line.keys() & self.values.keys():
            values[name] = f"{line[name]} {self.values[name]}"
        return PipSettings(values, {name: values[name] for name in line})

    @property
    def day(self) -> str:
        """The day of the line's ``--as-of``; empty without it."""
        return day_before(self.line.get(SETTING, ""))

    def words(self, name: str) -> List[str]:
        """Return the values of a setting that holds several."""
        return self.values.get(name, "").split()

    def on(self, name: str) -> bool:
        """Return whether a switch is on."""
        return self.values.get(name, "").strip().lower() in {"1", "true", "yes", "on"}

    def _off(self, name: str) -> bool:
        """Return whether a switch is off, or asks for what is so already."""
        if name == "require-virtualenv" and sys.prefix != sys.base_prefix:
            return True
        return self.values.get(name, "").strip().lower() in {"0", "false", "no", "off"}

    def patience(self, environment: Mapping[str, str]) -> float:
        """Return the seconds that an index may be silent: the user's own, else `PATIENCE`."""
        values = [environment.get(name, "") for name in _TIMEOUTS]
        values += [self.values.get(name, "") for name in _PIP_TIMEOUTS]
        numbers = [float(value) for value in values if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value)]
        return next(filter(None, numbers), PATIENCE)

    @property
    def indexes(self) -> List[str]:
        """The addresses that pip would ask, the main index first."""
        if self.on("no-index"):
            return []
        main = self.values.get("index-url", "https://pypi.org/simple")
        return [main.strip(), *self.words("extra-index-url")]

    def for_uv(self, environment: Mapping[str, str]) -> ForUv:
        """Return these settings as uv takes them; ``environment`` is what is set already."""
        variables: Dict[str, str] = {}
        options: List[str] = []
        unknown: List[str] = []
        for name, value in self.values.items():
            words = value.split()
            if name in _SAME:
                variables[_SAME[name]] = " ".join(words)
            elif name in _SWITCHES:
                variables.update([_SWITCHES[name]] if self.on(name) else [])
            elif name == "proxy":
                variables["HTTP_PROXY"] = variables["HTTPS_PROXY"] = value.strip()
            elif name == SETTING and day_before(value):
                variables["UV_EXCLUDE_NEWER"] = value.strip()
            elif name == "find-links":  # uv insists on folders that exist
                if self.day:  # its files have no dates: uv would take the newest
                    continue
                folders = [place if "://" in place else _expanded(place) for place in words]
                reachable = [p for p in folders if "://" in p or Path(p).exists()]
                variables["UV_FIND_LINKS"] = ",".join(reachable)
            elif name == "constraint":  # a variable would give way to our own argument
                options += [
                    f"-c {p if '://' in p else Path(_expanded(p)).absolute()}" for p in words
                ]
            elif name == "no-index":
                options += ["--no-index"] if self.on(name) else []
            elif name in {"only-binary", "no-binary"}:
                options.append(f"--{name} {value.strip()}")
            elif not _HARMLESS.fullmatch(name) and not self._off(name):
                unknown.append(name)
        if "extra-index-url" in self.values:  # pip takes the best version of all indexes
            variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        variables = {k: v for k, v in variables.items() if v and not _is_set(k, environment)}
        if self.line:
            variables.update(PipSettings(self.line).for_uv({}).environment)
        return ForUv(variables, options, unknown)


def _is_set(name: str, environment: Mapping[str, str]) -> bool:
    """Return whether the user has set a variable of uv, by this name or its older one."""
    older = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
    return name.startswith("UV_") and (name in environment or older.get(name, "") in environment)


def _expanded(place: str) -> str:
    return str(Path(place).expanduser())


def configuration_files(environment: Mapping[str, str]) -> List[Path]:
    """Return where pip looks for its settings on this system, those that win last."""
    home, named = Path.home(), environment.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []
    if sys.platform == "win32":
        file = "pip.ini"
        shared = [Path(environment.get("PROGRAMDATA", "C:/ProgramData"), "pip")]
        own = [home / "pip", Path(environment.get("APPDATA", home / "AppData/Roaming"), "pip")]
    else:
        file = "pip.conf"
        folders = environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
        shared = [*(Path(folder, "pip") for folder in folders if folder), Path("/etc")]
        own = [home / ".pip", Path(environment.get("XDG_CONFIG_HOME", home / ".config"), "pip")]
        if sys.platform == "darwin":
            support = "Library/Application Support/pip"
            shared, own = [Path("/", support), *shared], [*own, home / support]
    if named and Path(named).exists():  # then pip passes over the user's own
        own = []
    files = [folder / file for folder in (*shared, *own, Path(sys.prefix))]
    return [*files, Path(named)] if named else files


def read_settings(environment: Optional[Mapping[str, str]] = None) -> PipSettings:
    """Return what pip would go by when it installs into this interpreter."""
    environment = os.environ if environment is None else environment
    values: Dict[str, str] = {}
    for section in ("global", "install"):
        settings: Dict[str, str] = {}
        for path in configuration_files(environment):
            settings.update(_section(path, section))
        values.update({name: value for name, value in settings.items() if value})
    for name, value in environment.items():
        if name.startswith("PIP_") and value:
            values[name[4:].lower().replace("_", "-")] = value
    return PipSettings(values)


def _section(path: Path, section: str) -> Dict[str, str]:
    """Return the settings in one section of a file, if both are there."""
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return {}  # pip itself says what is wrong with it
    items = parser.items(section) if parser.has_section(section) else ()
    return {re.sub("^--", "", name.replace("_", "-")): value for name, value in items}
