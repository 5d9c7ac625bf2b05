"""What a setup cell would do, as one card: a line, which a browser unfolds, and the same as data.

As JSON it is one object: ``schema`` is 1; ``lines`` has an object for each line with ``line``,
``state`` (as ``setup check`` has it), ``trusted`` (whether nobody would be asked about it) and
``effects``; the ``effects`` of the object are those of all lines, with the fields of `Effects`;
``vulnerabilities`` are those that are known, None where they were not looked up, for the reason
``audit``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from typing import Any, Dict, Optional, Tuple

from ..core.display import Report, printable
from ..core.effects import Danger, Effects

#: The field of `Effects`, what its row is called, and whether the line above the fold has it.
_ROWS = (
    ("installs", "installs", True),
    ("indexes", "takes packages from", True),
    ("hosts", "contacts", True),
    ("redirects", "which may send on", False),
    ("secrets", "wants the secrets", True),
    ("variables", "sets", False),
    ("writes", "writes", True),
    ("unknown", "not known", True),
)
#: What a danger means, in words.
_DANGERS = {
    "plain-http": "{} is asked over plain http, where others can change what comes",
    "other-index": "packages come from {}, which is no index of this machine",
    "secret-to-host": "a secret is sent to {}",
    "into-repository": "an archive is unpacked over the repository in {}",
    "trust": "{} decides whether you are asked",
}
#: So many names of a kind above the fold.
_FEW = 3


def describe_danger(danger: Danger) -> str:
    """Return a danger in words."""
    return _DANGERS[danger.code].format(danger.subject)


@dataclass(frozen=True)
class Vulnerability:
    """A known one of a package: ``fixed`` are the versions without it."""

    package: str
    version: str
    name: str
    summary: str = ""
    fixed: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Audit:
    """What is known of the packages; without ``found``, ``reason`` says why nothing is."""

    found: Optional[Tuple[Vulnerability, ...]] = None
    reason: str = "not looked up"

    def describe(self) -> str:
        """Return it in one line."""
        if self.found is None:
            return self.reason
        return (
            "; ".join(
                f"{x.package} {x.version}: {x.name} {x.summary}".rstrip()
                + (f", fixed in {', '.join(x.fixed)}" if x.fixed else "")
                for x in self.found
            )
            or "none (uv audit)"
        )


@dataclass(frozen=True)
class Card:
    """The effects of lines, and what is known of their packages."""

    effects: Effects
    audit: Optional[Audit] = None

    def summary(self) -> str:
        """Return the line above the fold."""
        parts = [
            f"{name} {_brief(getattr(self.effects, field))}"
            for field, name, is_above in _ROWS
            if is_above and getattr(self.effects, field)
        ]
        count = len((self.audit and self.audit.found) or ())
        known = [f"has known vulnerabilities: {count}"] if count else []
        return f"This cell {'; '.join([*parts, *known]) or 'only sets variables'}"

    def report(self) -> Report:
        """Return all of it, a row for each kind."""
        rows = [
            (name, ", ".join(getattr(self.effects, field)))
            for field, name, _ in _ROWS
            if getattr(self.effects, field)
        ]
        rows += [("dangerous", describe_danger(danger)) for danger in self.effects.dangers]
        rows += [("known vulnerabilities", self.audit.describe())] if self.audit else []
        return Report((), tuple(rows))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, str]:
        """Return one line of text, and HTML that is folded."""
        fold = f"<summary>{escape(printable(self.summary()))}</summary>{self.report().html()}"
        style = "font-family:var(--jp-code-font-family,monospace);font-size:13px"
        text = printable(f"{self.summary()}. All of it: %setup plan")
        return {"text/plain": text, "text/html": f'<details style="{style}">{fold}</details>'}


def _brief(names: Tuple[str, ...]) -> str:
    more = len(names) - _FEW
    return ", ".join(names[:_FEW]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True)
class PlannedLine:
    """A line of the setup cell, without secrets: how it stands here, and what it would do."""

    line: str
    state: str
    trusted: bool
    effects: Effects


@dataclass(frozen=True)
class Plan:
    """What a setup cell would do on a machine that has nothing of it."""

    lines: Tuple[PlannedLine, ...]
    card: Card

    def as_json(self) -> Dict[str, Any]:
        """Return the plan as JSON has it; see the module."""
        audit = self.card.audit or Audit()
        return {
            "schema": 1,
            "lines": [asdict(line) for line in self.lines],
            "effects": asdict(self.card.effects),
            "vulnerabilities": None if audit.found is None else [asdict(x) for x in audit.found],
            "audit": "" if audit.found is not None else audit.reason,
        }

    def report(self) -> Report:
        """Return the card unfolded, below how many lines hold already."""
        held = sum(line.state == "ok" for line in self.lines)
        head = f"The setup cell has {len(self.lines)} lines; {held} hold here already. It:"
        return Report((head,), self.card.report().rows, ("Nothing was changed.",))
