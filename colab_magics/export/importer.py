"""Read what other tools set up by: requirements, pylock, pyproject, PEP 723 and environment files.

Nothing is executed. What a setup cell cannot hold is named, line by line.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..core.errors import NotebookError
from ..core.files import content
from ..core.registry import load
from .formats import Omission
from .recipe import Pins, Place

#: The head of a script: the regular expression of PEP 723.
_BLOCK = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
_OPTION = re.compile(r"(-[a-zA-Z]|--[a-z-]+)[\s=]*(.*)")
_SHORT = {"-i": "--index-url", "-f": "--find-links", "-c": "--constraint", "-e": "--editable"}
_OPTIONS = ("--index-url", "--extra-index-url", "--find-links", "--constraint", "--pre")
#: conda's ``name=1.2`` or ``name==1.2``, perhaps with a build; or a name with bounds.
_CONDA = re.compile(
    r"([\w.-]+)\s*(?:={1,2}\s*([\w.!+]+)(=[\w*]+)?|([<>!~][\w.,<>=!~* ]*)?)", re.ASCII
)
Options = Tuple[Tuple[str, str], ...]


class Import(NamedTuple):
    """The pins of a file, those with one set of options together, and what cannot be held."""

    pins: Tuple[Pins, ...]
    omissions: Tuple[Omission, ...]


class Reader:
    """Collects requirements, each by the options of its group."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._groups: Dict[Options, List[Pins]] = {}
        self.omissions: List[Omission] = []
        self.options: List[Tuple[str, str]] = []

    def result(self) -> Import:
        """Return all that was read."""
        pins = []
        for options, group in self._groups.items():
            needs = tuple(dict.fromkeys(text for each in group for text in each.requirements))
            folders = tuple(folder for each in group for folder in each.folders)
            pins.append(Pins(group[0].line, needs, folders, options or tuple(self.options)))
        return Import(tuple(pins), tuple(self.omissions))

    def omit(self, line: str, code: str, reason: str) -> None:
        """Name a line that is not held."""
        self.omissions.append(Omission(line, code, reason))

    def add(self, text: Any, options: Options = ()) -> None:
        """Take a requirement, with options of its own where it has them."""
        text = " ".join(str(text).split())
        try:
            self._groups.setdefault(options, []).append(Pins(text, (text,)))
        except ValueError:
            self.omit(text, "not-a-requirement", "not a requirement that a line can hold")

    def add_option(self, line: str) -> None:
        """Take a line of options of a requirements file."""
        match = _OPTION.fullmatch(line)
        name, value = (match[1], match[2].strip()) if match else ("", "")
        name = _SHORT.get(name, name)
        if name in ("--find-links", "--constraint", "--editable") and "://" not in value:
            value = str(self._folder / value)
        try:
            if name == "--editable":
                self._groups.setdefault((), []).append(Pins(line, (), (Place(value),)))
            elif name in _OPTIONS:
                self.options += Pins(line, (), (), ((name, value),)).options
            else:
                self.omit(line, "option", "no line has this option")
        except ValueError:
            self.omit(line, "option", "a value with spaces or quotes")


def read(path: Path) -> Import:
    """Return the pins of a file; `NotebookError` where its name says no kind, or it is none."""
    kinds: Tuple[Tuple[str, Callable[[Reader, str], None]], ...] = (
        (r"pylock(\..+)?\.toml", _read_pylock),
        (r".*\.toml", _read_project),
        (r".*\.py", _read_script),
        (r".*\.ya?ml", _read_conda),
        (r".*\.(txt|in)", _read_requirements),
    )
    kind = next((read for name, read in kinds if re.fullmatch(name, path.name)), None)
    if kind is None:
        raise NotebookError(
            f"{path.name} is no file that can be imported.",
            "Name a .txt, .toml, .py, .yml or .ipynb file.",
            code="unknown-kind",
        )
    reader = Reader(path.parent)
    try:
        kind(reader, content(path).decode("utf-8-sig"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise NotebookError(
            f"{path.name} cannot be read as what its name says.", "Check it.", code="unreadable"
        ) from None
    return reader.result()


def _read_requirements(reader: Reader, text: str) -> None:
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        code = re.sub(r"(^|\s)#.*", "", line).strip()
        if re.match(r"(-r|--requirement)\b", code):
            reader.omit(code, "included", "import that file too")
        elif code.startswith("-"):
            reader.add_option(code)
        elif code:
            reader.add(code)


def _parse_toml(text: str) -> Dict[str, Any]:
    try:
        parse = load("tomllib:loads")
    except ImportError:  # before Python 3.11
        parse = load("tomli:loads")
    table: Dict[str, Any] = parse(text)
    return table


def _read_pylock(reader: Reader, text: str) -> None:
    from packaging.markers import Marker

    for package in _parse_toml(text)["packages"]:
        name, archive, vcs = package["name"], package.get("archive"), package.get("vcs")
        if "marker" in package and not Marker(package["marker"]).evaluate():
            continue
        if archive and "url" in archive:
            reader.add(f"{name} @ {archive['url']}")
        elif vcs and "url" in vcs:
            reader.add(f"{name} @ {vcs['type']}+{vcs['url']}@{vcs['commit-id']}")
        elif "version" in package:
            reader.add(f"{name}=={package['version']}")
        else:
            reader.omit(name, "folder", "a folder: pin it by %pin -e FOLDER")
    reader.omit("hashes", "hashes", "they are made anew: %pin lock")


def _read_project(reader: Reader, text: str) -> None:
    data = _parse_toml(text)
    project = data.get("project", {})
    for name in (*project.get("optional-dependencies", {}), *data.get("dependency-groups", {})):
        reader.omit(name, "extra", "a group of its own: pin what you need of it")
    _read_needs(reader, project, data)


def _read_script(reader: Reader, text: str) -> None:
    block = _BLOCK.search(text.replace("\r\n", "\n"))
    if block is None:
        raise ValueError
    lines = block["content"].splitlines(keepends=True)
    data = _parse_toml("".join(line[2:] if line.startswith("# ") else line[1:] for line in lines))
    _read_needs(reader, data, data)


def _read_needs(reader: Reader, table: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Take dependencies, with the indexes of uv: an explicit one is that of its packages alone."""
    uv = data.get("tool", {}).get("uv", {})
    explicit = {x["name"]: x["url"] for x in uv.get("index", ()) if x.get("explicit")}
    for index in uv.get("index", ()):
        if not index.get("explicit"):
            option = "--index-url" if index.get("default") else "--extra-index-url"
            reader.add_option(f"{option} {index['url']}")
    sources = {_name(name): source for name, source in uv.get("sources", {}).items()}
    for text in table.get("dependencies", ()):
        source = sources.get(_name(text), {})
        if source and source.get("index") not in explicit:
            reader.omit(text, "source", "its source is in [tool.uv.sources]: pin it from there")
        else:
            reader.add(text, (("--index-url", explicit[source["index"]]),) if source else ())
    if "exclude-newer" in uv:
        reader.options.append(("--as-of", str(uv["exclude-newer"])[:10]))
    if "requires-python" in table:
        line = f"requires-python {table['requires-python']}"
        reader.omit(line, "python", "this kernel's Python stays: see %pin --python")


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", text.strip())[0]).lower()


def _read_conda(reader: Reader, text: str) -> None:
    data: Optional[Dict[str, Any]] = None
    with suppress(ValueError):
        data = json.loads(text)
    if data is None:
        data = _parse_yaml(text)
    for need in data["dependencies"]:
        if isinstance(need, dict):
            _read_requirements(reader, "\n".join(map(str, need.get("pip", ()))))
            continue
        match = _CONDA.fullmatch(need)
        if match is None or match[1] in ("python", "pip"):
            reader.omit(need, "python" if match else "conda", "conda alone has it")
            continue
        name, version, build, bounds = match.groups()
        exact = f"=={version}" + ("" if build or "==" in need else ".*") if version else ""
        reader.add(f"{name}{exact or bounds or ''}")
        reader.omit(need, "conda-name", "taken by its name: on PyPI it may have another one")
    for name in data.get("variables", {}):
        reader.omit(name, "variable", "type: %env_persist NAME=VALUE")


def _parse_yaml(text: str) -> Dict[str, Any]:
    try:
        parse = load("yaml:safe_load")
    except ImportError:
        raise NotebookError(
            "Reading YAML takes PyYAML, which is not here.", "%pip install pyyaml", code="no-yaml"
        ) from None
    try:
        table: Dict[str, Any] = parse(text)
        return table
    except load("yaml:YAMLError"):
        raise ValueError from None
