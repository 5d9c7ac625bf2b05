"""``%secret`` as a step: names of environment variables that are set to secrets."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import ClassVar, Dict, FrozenSet, List, Optional, Sequence, Tuple

from ..core import secret_scan
from ..core.arguments import Parser
from ..core.errors import usage_error
from ..core.host import Host
from ..core.redact import register_secret
from ..core.steps import Outcome, Progress, Step, Verdict
from .lookup import PLACES, find, is_name


@dataclass(frozen=True)
class SecretStep(Step):
    """Names, never values; an empty ``source`` means wherever they are."""

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

    def joined(self, other: Step) -> Optional[Step]:
        """See `Step`: those of one source stand on one line."""
        if not isinstance(other, SecretStep) or other.source != self.source:
            return other if self.keys == other.keys else None
        return replace(self, names=tuple(dict.fromkeys((*self.names, *other.names))))

    def without(self, keys: FrozenSet[str]) -> Optional[Step]:
        """See `Step`."""
        left = tuple(name for name in self.names if name not in keys)
        return replace(self, names=left) if left else None

    def check(self, host: Host) -> Verdict:
        """See `Step`: what is in the environment holds, wherever it came from."""
        missing = [name for name in self.names if not os.environ.get(name)]
        for name in set(self.names) - set(missing):
            register_secret(os.environ[name])
        if missing:
            return Verdict("differs", f"{', '.join(missing)} {_are(missing)} not set")
        already = "already" if host.shell is not None else "here"
        return Verdict("ok", f"{', '.join(self.names)} {_are(self.names)} set {already}")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Look each one up, and set them once all are found."""
        found: Dict[str, str] = {}
        said: Dict[str, List[str]] = {}
        for name in self.names:
            if not os.environ.get(name):
                progress(f"looking for {name}")
                found[name], place = find(host, name, self.source or "auto")
                said.setdefault(place.called, []).append(name)
        os.environ.update(found)
        message = "; ".join(f"{', '.join(n)} set, from {place}" for place, n in said.items())
        typed = said.get("you", [])
        hint = f"Kept for this kernel only. Longer: %secret set {typed[0]}" if typed else ""
        return Outcome("applied", message, self, hint)


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def refused(words: Sequence[str], takes: str = "%secret takes names") -> Exception:
    """The error for words that are no names: each may be a secret, and is not shown."""
    for word in words:
        register_secret(word)
        register_secret(word.partition("=")[2])
    return usage_error(
        f"{takes}, such as HF_TOKEN; if a secret stands in this cell, take it out, and clear the "
        "cell's output and history.",
        "Then keep it, which asks you for it: %secret set NAME",
    )


def parse(words: List[str]) -> Optional[SecretStep]:
    """The secrets that a line asks for; None for a bare line and the commands."""
    found = [word for word in words if secret_scan.find(word.lstrip("-"))]
    if found:  # wherever it stands, before a parser repeats it
        raise refused(found)
    if not words or words[0] in {"set", "list", "delete"}:
        return None
    parser = Parser("%secret", usage="%secret NAME... [--from PLACE]")
    parser.add_argument("names", nargs="+")
    parser.add_argument("--from", dest="source", choices=["auto", *PLACES], default="")
    parsed = parser.parse_args(words)
    wrong = [name for name in parsed.names if not is_name(name)]
    if wrong:
        raise refused(wrong)
    names = tuple(dict.fromkeys(parsed.names))
    return SecretStep(names, "" if parsed.source == "auto" else parsed.source)
