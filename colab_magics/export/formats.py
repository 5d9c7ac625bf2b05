"""The formats that a set-up is exported to: a registry, and the class that each of them extends."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Dict, FrozenSet, List, Mapping, Sequence, Tuple

from ..core.display import Report
from ..core.registry import load
from .recipe import Gpu, Pins, Recipe, Variables

#: Name of a format -> its class.
FORMATS = {
    "plain": "colab_magics.export.plain:Plain",
    "requirements": "colab_magics.export.requirements:Requirements",
    "pylock": "colab_magics.export.pylock:Pylock",
    "pep723": "colab_magics.export.pep723:Script",
    "environment.yml": "colab_magics.export.conda:Conda",
    "dockerfile": "colab_magics.export.dockerfile:Dockerfile",
    "binder": "colab_magics.export.binder:Binder",
    "devcontainer": "colab_magics.export.devcontainer:Devcontainer",
    "shell": "colab_magics.export.shell:Shell",
    "wheelhouse": "colab_magics.export.wheelhouse:Wheelhouse",
    "ray": "colab_magics.export.ray:Ray",
    "dask": "colab_magics.export.dask:Dask",
    "modal": "colab_magics.export.modal:Modal",
    "skypilot": "colab_magics.export.skypilot:Skypilot",
}
#: Kind of line -> what to do about one that a format has no place for.
_INSTEAD = {
    "apt": "install the system's packages there yourself",
    "cd": "start there in that folder",
    "clone": "clone it there yourself",
    "code": "code of your own: copy it",
    "drive": "no drive is there: copy its files",
    "env": "set it there yourself",
    "fetch": "download it there yourself",
    "gpu": "choose a machine with that GPU",
    "secret": "set it there yourself, under that name",
}
#: Options that change when or how a package is looked for, and not which index is asked.
_LOSABLE = {
    "--as-of": "what the packages need may be newer",
    "--torch-backend": "choose the build of PyTorch by its index",
    "--index-auth": "log in to its index by netrc",
}
File = Tuple[str, str]


@dataclass(frozen=True)
class Omission:
    """A line, or with ``part`` that part of it, which a format does not hold, and why."""

    line: str
    code: str
    reason: str
    part: str = ""


class NotHeld(Exception):
    """A format has no place for an item: a code, and a reason for people."""


@dataclass(frozen=True)
class Export:
    """A set-up in a format: its files by their relative paths, and what they do not hold."""

    format: str
    files: Tuple[File, ...]
    omissions: Tuple[Omission, ...]

    def as_json(self) -> Dict[str, Any]:
        """Return it as one object: ``schema`` 1, ``format``, ``files`` and ``omissions``."""
        files = [{"path": path, "text": text} for path, text in self.files]
        omissions = [asdict(each) for each in self.omissions]
        return {"schema": 1, "format": self.format, "files": files, "omissions": omissions}

    def report(self, *lines: str) -> Report:
        """Return the table of what is not held, below lines."""
        rows = [(f"{x.part} of {x.line}" if x.part else x.line, x.reason) for x in self.omissions]
        head = (f"not in {self.format}", "why")
        return Report(lines, tuple(rows), (), head if rows else ())


class Format:
    """One format. A subclass has a method ``_add_KIND`` for each kind of item that it holds."""

    name: ClassVar[str]
    #: The name of its file, or of the folder for its files.
    path: ClassVar[str]
    is_folder: ClassVar[bool] = False
    #: Whether lines with different options can be held.
    has_groups: ClassVar[bool] = False
    #: The options of a pin that it can say.
    options: ClassVar[FrozenSet[str]] = frozenset(
        ("--index-url", "--extra-index-url", "--find-links", "--constraint", "--pre", "--no-deps")
    )
    #: Kind of line -> what to do instead, where other words than `_INSTEAD` help.
    instead: ClassVar[Mapping[str, str]] = {}

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.omissions: List[Omission] = []
        self.pins: List[Pins] = []
        self.variables: Dict[str, str] = {}
        sizes: Counter[Any] = Counter()
        for item in recipe.items:
            if isinstance(item, Pins):
                sizes[self.group_of(item)] += len(item.requirements) + len(item.folders)
        #: The options of most requirements, for a format that has one set for all.
        self.main = sizes.most_common(1)[0][0] if sizes else None

    def export(self) -> Export:
        """Return the files, and line by line what they do not hold."""
        for item in self.recipe.items:
            try:
                getattr(self, f"_add_{item.kind}", self.refuse)(item)
            except NotHeld as error:
                self.omissions.append(Omission(item.line, *error.args))
        return Export(self.name, tuple(self.files()), tuple(self.omissions))

    def files(self) -> Sequence[File]:
        """Return each file as its relative path and its text."""
        raise NotImplementedError

    def complete(self, folder: Path) -> None:
        """Add to a folder with the files what only a program can make."""

    def refuse(self, item: Any) -> None:
        """Raise `NotHeld` for a line that there is no place for."""
        reason = self.instead.get(item.kind) or _INSTEAD.get(item.kind, "")
        raise NotHeld(getattr(item, "code", "not-held"), getattr(item, "reason", reason))

    def note(self, item: Any, code: str, reason: str, part: str) -> None:
        """Name a part of a line that is not held."""
        self.omissions.append(Omission(item.line, code, reason, part))

    def note_more(self, item: Gpu) -> None:
        """Name the requirements of a GPU that are not held."""
        if item.more:
            self.note(item, "option", "a GPU is asked for without that", item.more)

    def group_of(self, pins: Pins) -> Tuple[Any, bool]:
        """Return what lines that are installed together have in common in this format."""
        return tuple(pair for pair in pins.options if pair[0] in self.options), pins.hashed

    def _add_pin(self, pins: Pins) -> None:
        """Hold the requirements, without the options that this format cannot say."""
        group = self.group_of(pins)
        if not self.has_groups and group != self.main:
            raise NotHeld("other-options", "one set of options is for all: see shell, dockerfile")
        unsaid = [pair for pair in pins.options if pair not in group[0]]
        for option, _ in unsaid:
            if option not in _LOSABLE:
                raise NotHeld("option", f"there is no place for {option}")
        for option, value in unsaid:
            self.note(pins, "option", _LOSABLE[option], f"{option} {value}")
        self.pins.append(replace(pins, options=group[0]))

    def _add_env(self, item: Variables) -> None:
        """Hold variables whose values are the same on each machine."""
        if item.mode or any(value.startswith("~") for value in item.values):
            raise NotHeld("needs-machine", "its value depends on the machine: set it there")
        self.variables.update(item.pairs)

    @property
    def requirements(self) -> List[str]:
        """All requirements that are held."""
        return [text for pins in self.pins for text in pins.requirements]


class Packages(Format):
    """A format without folders and hashes."""

    def _add_pin(self, pins: Pins) -> None:
        if pins.folders:
            raise NotHeld("folder", "a folder is not copied there: make a package of it")
        if pins.hashed:
            raise NotHeld("hashes", "there is no place for hashes: see requirements, shell")
        super()._add_pin(pins)


def make(name: str, recipe: Recipe) -> Tuple[Format, Export]:
    """Return a recipe in one of `FORMATS`."""
    part: Format = load(FORMATS[name])(recipe)
    return part, part.export()


def as_data(value: Any) -> str:
    """Return data as JSON, which is YAML too."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
