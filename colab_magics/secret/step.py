"""``%secret`` as a step: names of environment variables that are set to secrets."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import ClassVar, Dict, FrozenSet, List, Optional, Sequence, Tuple

from ..core.arguments import Choice, Parser, find_meant
from ..core.effects import Effects
from ..core.errors import usage_error
from ..core.host import Host
from ..core.redact import register_secret
from ..core.steps import Outcome, Progress, Step, Verdict
from .lookup import PLACES, TYPED, find, is_name
from .stores import STORES


@dataclass(frozen=True)
class SecretStep(Step):
    """Names, never values; an empty ``source`` means any place."""

    names: Tuple[str, ...]
    source: str = ""

    word: ClassVar[str] = "secret"
    rank: ClassVar[int] = 20

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        return (*self.names, *(("--from", self.source) if self.source else ()))

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`."""
        return frozenset(self.names)

    def parts(self) -> Sequence[Step]:
        """See `Step`."""
        return [replace(self, names=(name,)) for name in self.names]

    def merged_with(self, other: Step) -> Optional[Step]:
        """See `Step`: those of one source share a line."""
        if not isinstance(other, SecretStep) or other.source != self.source:
            return other if self.keys == other.keys else None
        return replace(self, names=tuple(dict.fromkeys((*self.names, *other.names))))

    def without(self, keys: FrozenSet[str]) -> Optional[Step]:
        """See `Step`."""
        rest = tuple(name for name in self.names if name not in keys)
        return replace(self, names=rest) if rest else None

    def check(self, host: Host) -> Verdict:
        """See `Step`: what is in the environment holds, wherever it came from."""
        missing = [name for name in self.names if not os.environ.get(name)]
        for name in set(self.names) - set(missing):
            register_secret(os.environ[name])
        subject = _subject(missing or self.names)
        if missing:
            return Verdict("differs", f"{subject} not set")
        return Verdict("ok", f"{subject} already set")

    def effects(self, host: Host) -> Effects:
        """See `Step`."""
        return Effects(secrets=self.names)

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Look each one up, and set them once all are found."""
        values: Dict[str, str] = {}
        names: Dict[str, List[str]] = {}
        for name in self.names:
            if not os.environ.get(name):
                wait = "; Colab may ask you to allow it" if host.colab_page else ""
                progress(f"looking for {name}{wait}")
                values[name], place = find(host, name, self.source or "auto")
                names.setdefault(place.label, []).append(name)
        os.environ.update(values)
        message = "; ".join(f"{_subject(names[label])} set{_where(label)}" for label in names)
        typed = names.get(TYPED, [])
        hint = f"To store it on this machine: %secret set {typed[0]}" if typed else ""
        return Outcome("applied", message, self, hint)


def _subject(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def _where(label: str) -> str:
    return " for this kernel" if label == TYPED else f", from {label}"


def parser() -> Parser:
    """Return the arguments of ``%secret``."""
    tree = Parser("%secret", description="Set environment variables, and remember their names.")
    tree.add_argument(
        "--from",
        dest="source",
        type=Choice("%secret", "place", ["auto", *PLACES]),
        default="",
        metavar="PLACE",
        help=f"look only there: {', '.join(PLACES)}",
    )
    store = tree.add_command("set", "Ask you for a secret, and store it on this machine.")
    store.add_argument(
        "--to",
        type=Choice("%secret set", "store", STORES),
        default="",
        metavar="STORE",
        help=f"{' or '.join(STORES)}; without it the first that can be used",
    )
    tree.add_command("list", "List the names of the stored secrets.")
    tree.add_command("delete", "Delete a stored secret.")
    for command in (tree, store, tree.commands["delete"]):
        command.add_argument("names", nargs="*", metavar="NAME")
    return tree


def parse(words: List[str]) -> Optional[SecretStep]:
    """Return the secrets that a line sets; None for a bare line and the commands."""
    values = [word for word in words if _may_be_value(word)]
    if values:  # before a parser repeats them
        raise _refuse(values)
    command, arguments = parser().parse_words(words)
    if command in ("set", "delete") and len(arguments.names) != 1:
        raise _refuse(arguments.names[1:])
    if command or not words:
        return None
    if not arguments.names:
        raise _refuse([])
    names = tuple(dict.fromkeys(arguments.names))
    return SecretStep(names, "" if arguments.source == "auto" else arguments.source)


def _may_be_value(word: str) -> bool:
    """Tell whether a word may be a secret: it is no name, and no option or a misspelt one."""
    option, equals, choice = word.partition("=")
    if equals and option in ("--from", "--to"):
        return not is_name(choice)
    return not is_name(word) and not find_meant(word, ("--from", "--to"))


def _refuse(words: Sequence[str]) -> Exception:
    """Return the error for words that are no names; each may be a secret, and is not shown."""
    for word in words:
        register_secret(word)
        register_secret(word.partition("=")[2])
    return usage_error(
        "%secret takes names, such as HF_TOKEN; set and delete take one name. If the cell contains "
        "a secret, remove it, and clear the cell's output and history.",
        "Then store it: %secret set NAME asks you for it",
        code="secret-value",
    )
