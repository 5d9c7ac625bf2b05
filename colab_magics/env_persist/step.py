"""``%env_persist`` as a step: variables of the environment."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, ClassVar, FrozenSet, List, Optional, Sequence, Tuple

from ..core.arguments import Parser
from ..core.effects import (
    SERVICES,
    Danger,
    Effects,
    clean_text,
    contact,
    is_plain,
    join,
    read_hosts,
    read_urls,
)
from ..core.errors import usage_error
from ..core.host import Host
from ..core.redact import register_secret
from ..core.secret_scan import looks_secret
from ..core.steps import Outcome, Progress, Step, Verdict

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Lists of folders that programs need.
_LISTS = frozenset({"PATH", "PYTHONPATH", "LD_LIBRARY_PATH"})
#: Read once, when a process starts.
_AT_START = re.compile(r"LD_\w+|DYLD_\w+|PYTHON(PATH|HASHSEED|HOME|STARTUP|UTF8)")
#: Variables -> the modules that read them when they are imported, or soon after.
_READERS = (
    (re.compile(r"(CUDA|NVIDIA|NCCL)_\w+"), ("torch", "tensorflow", "jax", "cupy")),
    (re.compile(r"(TF|XLA|JAX)_\w+"), ("tensorflow", "jax")),
    (re.compile(r"(OMP|MKL|OPENBLAS)_\w+"), ("numpy", "torch", "sklearn")),
    (re.compile(r"(HF|TRANSFORMERS)_\w+"), ("huggingface_hub", "transformers", "datasets")),
)

#: Variables that say where packages come from.
_INDEXES = re.compile(
    r"(PIP|UV)_\w*(INDEX|FIND_LINKS|CONFIG_FILE|TRUSTED_HOST|INSECURE_HOST)\w*", re.I
)

#: What is said of variables that were set, for each mode.
_VERBS = {"": "set", "prepend": "put first", "append": "put last"}

#: The name of a variable and its value, as typed.
Entry = Tuple[str, str]


@dataclass(frozen=True)
class EnvironmentStep(Step):
    """Variables as typed; ``mode``: ``prepend`` or ``append`` a folder to a list of folders."""

    variables: Tuple[Entry, ...]
    mode: str = ""

    word: ClassVar[str] = "env_persist"
    rank: ClassVar[int] = 70

    def arguments(self) -> Tuple[str, ...]:
        """Return the option of the mode and ``NAME=VALUE`` for each variable."""
        option = (f"--{self.mode}",) if self.mode else ()
        return (*option, *(f"{name}={value}" for name, value in self.variables))

    @property
    def keys(self) -> FrozenSet[str]:
        """The names; with the folder where it is one of several in a list."""
        return frozenset(_key(entry, self.mode) for entry in self.variables)

    def spelled(self, spell: Callable[[str], str]) -> EnvironmentStep:
        """See `Step`: a folder that is put into a list is a path."""
        if not self.mode:
            return self
        variables = [(n, v if os.pathsep in v else spell(v)) for n, v in self.variables]
        return replace(self, variables=_unique(variables, self.mode))

    def parts(self) -> Sequence[EnvironmentStep]:
        """Return one step for each variable."""
        return tuple(replace(self, variables=(entry,)) for entry in self.variables)

    def merged_with(self, other: Step) -> Optional[Step]:
        """Return all variables on one line; None where one is set and the other is added to."""
        if not isinstance(other, EnvironmentStep) or other.mode != self.mode:
            return None
        return replace(self, variables=_unique((*self.variables, *other.variables), self.mode))

    def without(self, keys: FrozenSet[str]) -> Optional[Step]:
        """Return the other variables, or None where there are none."""
        rest = tuple(entry for entry in self.variables if _key(entry, self.mode) not in keys)
        return replace(self, variables=rest) if rest else None

    def check(self, host: Host) -> Verdict:
        """Tell whether all variables have their values."""
        if host.shell is None:
            return Verdict("ok", "set when the notebook runs")
        differing = self._differing(host)
        if not differing:
            return Verdict(
                "ok", f"{self._list(self.variables)} already{'' if self.mode else ' set'}"
            )
        name = differing[0][0]
        if name not in os.environ:
            return Verdict("differs", f"{name} is not set")
        return Verdict(
            "differs", f"{name} does not contain it" if self.mode else f"{name} has another value"
        )

    def effects(self, host: Host) -> Effects:
        """See `Step`: programs of the machine ask the servers that a value names."""
        return join([self._effects_of(*entry) for entry in self.variables])

    def _effects_of(self, name: str, value: str) -> Effects:
        urls = read_urls(value)
        hosts = tuple(other for url in urls for other in read_hosts(url))
        effects = Effects(hosts=hosts, redirects=hosts, variables=(clean_text(f"{name}={value}"),))
        if name.startswith("COLAB_MAGICS_"):
            return join([effects, Effects(dangers=(Danger("trust", name),))])
        if not _INDEXES.fullmatch(name):
            return effects
        dangers = [Danger("other-index", x) for x in hosts or (name,) if x not in SERVICES]
        dangers += [each for url in urls if is_plain(url) for each in contact(url).dangers]
        return join([effects, Effects(indexes=urls, dangers=tuple(dangers))])

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Set them, in this process and for those that it starts."""
        differing = self._differing(host)
        hints = [self._hint(*entry) for entry in differing]
        for name, value in differing:
            os.environ[name] = self._new_value(host, name, value)
            if self._is_import_path(name):
                self._add_to_path(_folder(host, value))
        message = f"{self._list(differing)} {_VERBS[self.mode]}"
        return Outcome("applied", message, self, " ".join(dict.fromkeys(filter(None, hints))))

    def _differing(self, host: Host) -> List[Entry]:
        return [
            (name, value)
            for name, value in self.variables
            if os.environ.get(name) != self._new_value(host, name, value)
            or (self._is_import_path(name) and _folder(host, value) not in sys.path)
        ]

    def _is_import_path(self, name: str) -> bool:
        """Whether a folder is for imports, of this kernel too: it reads PYTHONPATH at its start."""
        return bool(self.mode) and name == "PYTHONPATH"

    def _add_to_path(self, folder: str) -> None:
        if folder not in sys.path:
            sys.path.insert(0 if self.mode == "prepend" else len(sys.path), folder)

    def _new_value(self, host: Host, name: str, value: str) -> str:
        """Return the value that a variable is to have; a folder is in its list once."""
        if not self.mode:
            return str(Path(value).expanduser()) if re.match(r"~(/|$)", value) else value
        folder, old = _folder(host, value), os.environ.get(name, "")
        entries = old.split(os.pathsep) if old else []
        if folder in entries:
            return old
        return os.pathsep.join([folder, *entries] if self.mode == "prepend" else [*entries, folder])

    def _list(self, variables: Sequence[Entry]) -> str:
        if self.mode:
            return ", ".join(f"{value} in {name}" for name, value in variables)
        return ", ".join(f"{name}={value}" for name, value in variables)

    def _hint(self, name: str, value: str) -> str:
        """Return a warning about a variable that is about to be set, or the empty text."""
        home = re.match(r"\$(HOME\b|\{HOME\})", value)
        if home:
            return f"{name} has the text $HOME in it. For home write {name}=~{value[home.end() :]}"
        if not self.mode and set(value) & set("${}"):
            return f"To have it remembered, write in a cell: os.environ[{name!r}] = {value!r}"
        old = os.environ.get(name, "")
        if not self.mode and name in _LISTS and old and old not in value:
            return f"{name} has lost all that was in it. To add to it: --prepend {name}=FOLDER"
        if _AT_START.fullmatch(name) and not self._is_import_path(name):
            return f"{name} is read when a process starts: this kernel does not see the change"
        for names, modules in _READERS:
            late = [module for module in modules if module in sys.modules]
            if late and names.fullmatch(name):
                return f"{late[0]} is imported already and may not see {name}: restart the kernel"
        return ""


def remove(host: Host, name: str, recorded: Sequence[EnvironmentStep]) -> bool:
    """Remove a variable, or from a list the folders that were put in it; False: nothing to do."""
    old = os.environ.get(name)
    if old is None:
        return False
    folders = [_folder(host, v) for step in recorded if step.mode for n, v in step.variables]
    if name == "PATH" and not folders:
        raise usage_error(
            "Without PATH no program is found.", "To set it: %env_persist PATH=...", code="path"
        )
    rest = [entry for entry in old.split(os.pathsep) if entry not in folders]
    if name == "PYTHONPATH":
        sys.path[:] = [entry for entry in sys.path if entry not in folders]
    if folders and rest:
        os.environ[name] = os.pathsep.join(rest)
    else:
        del os.environ[name]
    return os.environ.get(name) != old


def parser() -> Parser:
    """Return the arguments of ``%env_persist``."""
    tree = Parser("%env_persist")
    modes = tree.add_mutually_exclusive_group()
    for name, text in (
        ("prepend", "put a folder first in a list of folders, such as PATH"),
        ("append", "put it last"),
        ("unset", "remove variables, from the environment and from the setup cell: NAME ..."),
    ):
        modes.add_argument(
            f"--{name}", dest="mode", action="store_const", const=name, default="", help=text
        )
    tree.add_argument("variables", nargs="*", metavar="NAME=VALUE", help="~/ at its start is home")
    return tree


def parse(words: List[str]) -> Optional[EnvironmentStep]:
    """Return the variables of a line; None for a bare line and for ``--unset``."""
    _refuse_secrets(words)
    arguments = parser().parse_words(words)[1]
    mode = arguments.mode
    if mode == "unset":
        return None
    entries = [_entry(text) for text in arguments.variables]
    if mode and not (entries and all(value for _, value in entries)):
        raise usage_error(
            f"%env_persist --{mode}: no folder is named.", "Type NAME=FOLDER.", code="no-folder"
        )
    return EnvironmentStep(_unique(entries, mode), mode) if entries else None


def _refuse_secrets(words: Sequence[str]) -> None:
    """Raise where a word looks like a secret, before any of them is set, recorded or shown."""
    for word in words:
        plain = re.sub(r"^-[\w-]+=(?=\w+=)", "", word).lstrip("-")  # a misspelt option
        name, _, value = plain.partition("=")
        if looks_secret(name, value) or looks_secret("", plain):
            register_secret(value or word)
            name = name if value and _NAME.fullmatch(name) else "NAME"
            raise usage_error(
                f"Not set, not recorded: {name} looks like a secret, and this cell shows it.",
                "Delete it from the cell, clear the history (%history -g), then: "
                f"%secret set {name}, and %secret {name} in the notebook.",
                code="secret",
            )


def _entry(text: str) -> Entry:
    """Return the name and the value of ``NAME=VALUE``."""
    name, equals, value = text.partition("=")
    if not _NAME.fullmatch(name) or not equals:
        raise usage_error(
            f"%env_persist: {name!r} is not NAME=VALUE.", "See: %env_persist?", code="no-entry"
        )
    if re.search(rf"\$\{{?{name}\b", value):
        raise usage_error(
            f"The old value of {name} cannot be used in a line.",
            f"To add to it: %env_persist --prepend {name}=FOLDER (or --append).",
            code="old-value",
        )
    return name, value


def _folder(host: Host, value: str) -> str:
    folder = str(host.resolve(value))
    if os.pathsep in folder:
        raise usage_error(
            f"{value!r} is more than one folder.", "Type NAME=FOLDER for each.", code="folders"
        )
    return folder


def _key(entry: Entry, mode: str) -> str:
    return ":".join(entry) if mode else entry[0]


def _unique(entries: Sequence[Entry], mode: str) -> Tuple[Entry, ...]:
    """Return each variable once, in its first place, with its last value."""
    return tuple({_key(entry, mode): entry for entry in entries}.values())
