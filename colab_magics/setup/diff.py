"""How the set-ups of two notebooks differ, as data: line by line by their keys, and by their locks.

As JSON it is one object: ``schema`` and ``format`` are 1, ``state`` is ``same`` or ``differs``,
``notebooks`` are the two names. ``lines`` has an object for each line that differs, with the fields
of `LineDifference` and its ``state``; ``packages`` one for each package of which the locks have
other versions, with the fields of `PackageDifference`, or is null where one of the two has no lock.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Literal, Mapping, Optional, Sequence, Tuple

from ..core.display import Mark, Report, printable
from ..core.redact import redact
from ..record.cell import Line, brief, render_step
from .magic_status import body_lines

LineState = Literal["first", "second", "both"]
#: The kind of a line of the user's own, which is its own key.
CODE = "code"
#: The kind of a line, its key, and its text.
Entries = Dict[Tuple[str, str], str]


@dataclass(frozen=True)
class LineDifference:
    """A part of a line: its kind (``pin``; ``code`` for lines of the user's own), its key, and its
    text in each notebook; empty where that has none.
    """

    kind: str
    key: str
    first: str
    second: str

    @property
    def state(self) -> LineState:
        """The notebook that alone has it, or ``both``: with another text in each."""
        if self.first and self.second:
            return "both"
        return "first" if self.first else "second"


@dataclass(frozen=True)
class PackageDifference:
    """A package and its version in each lock; empty where the lock lacks it."""

    name: str
    first: str
    second: str


@dataclass(frozen=True)
class Setup:
    """The set-up of a notebook: its lines, and the versions of its lock by name, if it has one."""

    name: str
    lines: Sequence[Line]
    packages: Optional[Mapping[str, str]] = None


@dataclass(frozen=True)
class Diff:
    """What differs between two set-ups; ``packages`` is None where they cannot be compared."""

    names: Tuple[str, str]
    lines: Tuple[LineDifference, ...]
    packages: Optional[Tuple[PackageDifference, ...]]

    @property
    def same(self) -> bool:
        """Whether nothing differs, as far as it can be compared."""
        return not self.lines and not self.packages

    def as_json(self) -> Dict[str, Any]:
        """Return it as the object that this module describes."""
        lines = [_printable({**asdict(line), "state": line.state}) for line in self.lines]
        packages = [_printable(asdict(package)) for package in self.packages or ()]
        return {
            "schema": 1,
            "format": 1,
            "state": "same" if self.same else "differs",
            "notebooks": [printable(name) for name in self.names],
            "lines": lines,
            "packages": None if self.packages is None else packages,
        }

    def reports(self) -> List[Report]:
        """Return a table of the lines, and one of the packages, where they differ."""
        where = {"first": f"only in {self.names[0]}", "second": f"only in {self.names[1]}"}
        rows = [
            (_mark(where.get(x.state, "")), brief(x.first), brief(x.second)) for x in self.lines
        ]
        others = [
            (_mark(x.name), x.first or "none", x.second or "none") for x in self.packages or ()
        ]
        after = ["The set-ups are the same."] if self.same else []
        if self.packages is None:
            after.append("Packages were not compared: it takes a lock in both notebooks.")
        reports = [
            Report((), tuple(rows), (), ("lines", *self.names)) if rows else None,
            Report((), tuple(others), (), ("locks", *self.names)) if others else None,
            Report(tuple(after)),
        ]
        return [report for report in reports if report is not None and str(report)]


def _mark(text: str) -> Mark:
    return Mark.of(text or "different", "caution")


def _printable(values: Mapping[str, str]) -> Dict[str, str]:
    return {key: printable(value) for key, value in values.items()}


def compare(first: Setup, second: Setup) -> Diff:
    """Compare two set-ups; the order of lines, comments and flags do not count."""
    here, there = _entries(first.lines), _entries(second.lines)
    lines = [
        LineDifference(kind, redact(key), here.get((kind, key), ""), there.get((kind, key), ""))
        for kind, key in dict.fromkeys([*here, *there])
        if here.get((kind, key)) != there.get((kind, key))
    ]
    packages = None
    if first.packages is not None and second.packages is not None:
        packages = _compare_packages(first.packages, second.packages)
    return Diff((first.name, second.name), tuple(lines), packages)


def _entries(lines: Sequence[Line]) -> Entries:
    entries: Entries = {}
    for line in body_lines(lines):
        if line.step is None:
            entries[CODE, line.text] = redact(line.text)
            continue
        for part in line.step.parts():
            text = redact(render_step(part).replace(" \\\n   ", ""))
            entries.update({(part.word, key): text for key in part.keys})
    return entries


def _compare_packages(
    first: Mapping[str, str], second: Mapping[str, str]
) -> Tuple[PackageDifference, ...]:
    return tuple(
        PackageDifference(name, redact(first.get(name, "")), redact(second.get(name, "")))
        for name in sorted({*first, *second})
        if first.get(name) != second.get(name)
    )
