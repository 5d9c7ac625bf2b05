"""``%env_persist`` as a step: variables of the environment."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, FrozenSet, List, Optional, Sequence, Tuple

from ..core.arguments import Parser
from ..core.errors import usage_error
from ..core.host import Host
from ..core.redact import register_secret
from ..core.secret_scan import looks_secret
from ..core.steps import Outcome, Progress, Step, Verdict

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Lists of folders that programs are lost without.
_LISTS = frozenset({"PATH", "PYTHONPATH", "LD_LIBRARY_PATH"})
#: Read once, when a process starts.
_AT_START = re.compile(r"LD_\w+|DYLD_\w+|PYTHON(PATH|HASHSEED|HOME|STARTUP|UTF8)")
#: Variables -> the modules that read them when they are imported, or not much later.
_READERS = (
    (re.compile(r"(CUDA|NVIDIA|NCCL)_\w+"), ("torch", "tensorflow", "jax", "cupy")),
    (re.compile(r"(TF|XLA|JAX)_\w+"), ("tensorflow", "jax")),
    (re.compile(r"(OMP|MKL|OPENBLAS)_\w+"), ("numpy", "torch", "sklearn")),
    (re.compile(r"(HF|TRANSFORMERS)_\w+"), ("huggingface_hub", "transformers", "datasets")),
)

Entry = Tuple[str, str]


@dataclass(frozen=True)
class EnvironmentStep(Step):
    """Names and values as typed; ``how``: ``prepend`` or ``append`` a folder to a list of them."""

    variables: Tuple[Entry, ...]
    how: str = ""

    word: ClassVar[str] = "env_persist"
    rank: ClassVar[int] = 70

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        how = (f"--{self.how}",) if self.how else ()
        return (*how, *(f"{name}={value}" for name, value in self.variables))

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`: the name; with the folder where it is one of several in a list."""
        return frozenset(_key(entry, self.how) for entry in self.variables)

    def parts(self) -> Sequence[EnvironmentStep]:
        """One step for each variable."""
        return tuple(replace(self, variables=(entry,)) for entry in self.variables)

    def joined(self, other: Step) -> Optional[Step]:
        """All variables on one line; None where one is set and the other is added to."""
        if not isinstance(other, EnvironmentStep) or other.how != self.how:
            return None
        return replace(self, variables=_once((*self.variables, *other.variables), self.how))

    def without(self, keys: FrozenSet[str]) -> Optional[Step]:
        """See `Step`."""
        left = tuple(entry for entry in self.variables if _key(entry, self.how) not in keys)
        return replace(self, variables=left) if left else None

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        if host.shell is None:  # asked from a shell: there is no kernel to have it
            return Verdict("ok", "set when the notebook runs")
        differing = self._differing(host)
        if not differing:
            return Verdict("ok", f"{self._said(self.variables)} already")
        name, _ = differing[0]
        if name not in os.environ:
            return Verdict("differs", f"{name} is not set")
        return Verdict("differs", f"{name} lacks it" if self.how else f"{name} has another value")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Set them, in this process and for those that it starts."""
        differing = self._differing(host)
        hints = [self._hint(*entry) for entry in differing]
        for name, value in differing:
            os.environ[name] = self._with(host, name, value)
        verb = {"": "set", "prepend": "put first", "append": "put last"}[self.how]
        hint = " ".join(dict.fromkeys(filter(None, hints)))
        return Outcome("applied", f"{self._said(differing)} {verb}", self, hint)

    def _differing(self, host: Host) -> List[Entry]:
        return [
            (name, value)
            for name, value in self.variables
            if os.environ.get(name) != self._with(host, name, value)
        ]

    def _with(self, host: Host, name: str, value: str) -> str:
        """The value that the variable is to have; a folder stands in its list once."""
        if not self.how:
            return _at_home(value)
        folder, old = _folder(host, value), os.environ.get(name, "")
        entries = old.split(os.pathsep) if old else []
        if folder in entries:
            return old
        return os.pathsep.join([folder, *entries] if self.how == "prepend" else [*entries, folder])

    def _said(self, variables: Sequence[Entry]) -> str:
        if self.how:
            return ", ".join(f"{value} in {name}" for name, value in variables)
        return ", ".join(f"{name}={value}" for name, value in variables)

    def _hint(self, name: str, value: str) -> str:
        """What to know about a variable that is about to be set; looked at before it is."""
        at_home = re.match(r"\$(HOME\b|\{HOME\})", value)
        if at_home:
            return (
                f"$HOME stands in {name} as it is; for home write {name}=~{value[at_home.end() :]}"
            )
        if not self.how and set(value) & set("${}"):
            return f"To have it remembered, write in a cell: os.environ[{name!r}] = {value!r}"
        old = os.environ.get(name, "")
        if not self.how and name in _LISTS and old and old not in value:
            return f"All that was in {name} is out of it now. To add: --prepend {name}=FOLDER"
        if _AT_START.fullmatch(name):
            return f"{name} counts for programs started from here: this kernel read it at its start"
        readers = [module for names, all_ in _READERS if names.fullmatch(name) for module in all_]
        late = [module for module in readers if module in sys.modules]
        if late:
            return f"{late[0]} is imported already and may not see {name}: restart the kernel"
        return ""


def remove(host: Host, name: str, recorded: Sequence[EnvironmentStep]) -> bool:
    """Take a variable out of the environment, or out of a list the folders that were put in it."""
    old = os.environ.get(name)
    if old is None:
        return False
    folders = [_folder(host, v) for step in recorded if step.how for n, v in step.variables]
    if name == "PATH" and not folders:
        raise usage_error("Without PATH no program is found.", "To set it: %env_persist PATH=...")
    left = [entry for entry in old.split(os.pathsep) if entry not in folders]
    if folders and left:
        os.environ[name] = os.pathsep.join(left)
    else:
        del os.environ[name]
    return os.environ.get(name) != old


def _refuse_secrets(words: Sequence[str]) -> None:
    """Raise where a word looks like a secret, before any of them is set, recorded or shown."""
    for word in words:
        plain = re.sub(r"^-[\w-]+=(?=\w+=)", "", word).lstrip("-")  # an option was misspelled
        name, _, value = plain.partition("=")
        if looks_secret(name, value) or looks_secret("", plain):
            register_secret(value or word)
            name = name if value and _NAME.fullmatch(name) else "NAME"
            raise usage_error(
                f"{name} looks like a secret: not set, not remembered, but it is in this cell now.",
                "Take it out of the cell, clear the history (%history -g), then: "
                f"%secret set {name}, and %secret {name} in the notebook.",
            )


def _at_home(value: str) -> str:
    """A value with home for the ``~`` at its start."""
    return str(Path(value).expanduser()) if re.match(r"~(/|$)", value) else value


def _folder(host: Host, value: str) -> str:
    """The folder that a list gets, as all recorded paths are read: see `Host.resolve`."""
    folder = str(host.resolve(value))
    if os.pathsep in folder:
        raise usage_error(f"{value!r} is more than one folder.", "Give each a NAME= of its own.")
    return folder


def _key(entry: Entry, how: str) -> str:
    return ":".join(entry) if how else entry[0]


def _once(entries: Sequence[Entry], how: str) -> Tuple[Entry, ...]:
    """Each variable once, where it stood first, with the value that it was given last."""
    return tuple({_key(entry, how): entry for entry in entries}.values())


def _entry(text: str) -> Entry:
    """``NAME=VALUE`` taken apart."""
    name, equals, value = text.partition("=")
    if not _NAME.fullmatch(name) or not equals:
        raise usage_error(f"%env_persist: {name!r} is not NAME=VALUE.", "See: %env_persist?")
    if "\0" in value:
        raise usage_error(f"{name}: a value cannot hold a zero byte.", "Take it out.")
    if re.search(rf"\$\{{?{name}\b", value):
        raise usage_error(
            f"The old value of {name} cannot stand in a line.",
            f"To add to it: %env_persist --prepend {name}=FOLDER (or --append).",
        )
    return name, value


def parse(words: List[str]) -> Optional[EnvironmentStep]:
    """The variables that a line asks for; None for a bare line and for ``--unset``."""
    _refuse_secrets(words)
    if "--unset" in words:
        return None
    parser = Parser("%env_persist", usage="%env_persist [--prepend | --append] NAME=VALUE ...")
    how = parser.add_mutually_exclusive_group()
    for name in ("prepend", "append"):
        how.add_argument(f"--{name}", dest="how", action="store_const", const=name, default="")
    parser.add_argument("variables", nargs="*")
    found = parser.parse_args(words)
    entries = [_entry(text) for text in found.variables]
    if found.how and not (entries and all(value for _, value in entries)):
        raise usage_error(f"%env_persist --{found.how}: no folder is named.", "Say NAME=FOLDER.")
    return EnvironmentStep(_once(entries, found.how), found.how) if entries else None
