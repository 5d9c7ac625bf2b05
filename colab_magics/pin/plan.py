"""What an installation is about to do, as the installer itself says it: a small table.

While it runs, an installer says what it will fetch before it puts anything in place; so the table
costs no second resolution. A rehearsal (``--dry-run``) says the same and does nothing.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..core.display import Report, amount

#: Rows of the table: more are counted.
_ROWS = 12
_HEAD = ("package", "installed", "wanted", "download")


@dataclass(frozen=True)
class Item:
    """One distribution to be put in place; ``size`` in bytes, None where nobody said it.

    ``built``: a release on an index that is built from source.
    """

    name: str
    version: str
    cached: bool = False
    size: Optional[int] = None
    built: bool = False

    @property
    def is_on_index(self) -> bool:
        """Whether it is to be fetched from an index: it has a version, and no URL."""
        return not self.cached and " " not in self.version

    @property
    def download(self) -> str:
        """What the table says of its download."""
        if self.cached:
            return "in the cache"
        if self.built:
            return "builds from source"
        return "" if self.size is None else amount(self.size)


#: By canonical name.
Plan = Dict[str, Item]


def parse_toml(text: str) -> Dict[str, Any]:
    """Return TOML as Python's own reader reads it, or the package that it came from."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return dict(tomllib.loads(text))


def add_sizes(plan: Plan, pylock: str) -> Plan:
    """Return the plan with the sizes of the files that a ``pylock.toml`` (PEP 751) names.

    A file of this machine is not downloaded; of several it is not known which is taken. What has
    no wheel among its files is built.
    """
    sized = dict(plan)
    for package in parse_toml(pylock).get("packages", ()):
        files = package.get("wheels") or [package.get("sdist") or {}]
        name, built = package["name"], not package.get("wheels") and "sdist" in package
        sized[name] = replace(plan[name], built=built)
        if len(files) == 1 and files[0].get("url", "").startswith("http"):
            sized[name] = replace(sized[name], size=files[0].get("size"))
    return sized


def table(
    plan: Plan,
    first: Sequence[str],
    installed: Mapping[str, str],
    notes: Iterable[str] = (),
    verb: str = "Installing",
) -> Report:
    """Return the plan in one line, and in a table where it is of more than one package.

    ``first`` are the canonical names on the line, which come first; ``installed`` is what is
    there in which version; ``notes`` are more lines; ``verb`` is what the line begins with.
    """

    def weigh(item: Item) -> Tuple[bool, int, str]:
        """Put what replaces another version first, then what is largest."""
        same = installed.get(item.name, item.version) == item.version
        return same, -(item.size or 0), item.name

    pinned = [plan[name] for name in dict.fromkeys(first) if name in plan]
    rest = sorted((item for item in plan.values() if item not in pinned), key=weigh)
    items = [*pinned, *rest]
    lines = (_summary(items, installed, verb), *notes)
    if len(items) < 2:
        return Report(lines)
    rows = [(i.name, installed.get(i.name, ""), i.version, i.download) for i in items[:_ROWS]]
    columns = 4 if any(row[3] for row in rows) else 3
    more = len(items) - _ROWS
    return Report(
        lines,
        tuple(row[:columns] for row in rows),
        (f"and {more} more",) if more > 0 else (),
        _HEAD[:columns],
    )


def _summary(items: Sequence[Item], installed: Mapping[str, str], verb: str) -> str:
    """Return ``Installing 4 packages (18.2 MB):``, or the only one and the version before it."""
    sizes = [item.size for item in items if not item.cached]
    total, least = sum(size or 0 for size in sizes), "at least " if None in sizes else ""
    details = [f"{least}{amount(total)}"] if total else []
    subject, end = f"{len(items)} packages", ":"
    if len(items) == 1:
        (item,) = items
        subject, end = f"{item.name} {item.version}", ""
        old = installed.get(item.name, item.version)
        details[:0] = [f"was {old}"] if old != item.version else []
    size = f" ({', '.join(details)})" if details else ""
    return f"{verb} {subject}{size}{end}" if items else f"{verb} nothing"


class PlanWatch:
    """Takes in what an installer prints while it works, and shows the plan once it is complete."""

    def __init__(self, read: Callable[[Sequence[str]], Plan], show: Callable[[Plan], None]) -> None:
        self._read, self._show = read, show
        self.lines: List[str] = []
        #: What it is about to do, as far as it has said.
        self.plan: Plan = {}

    def add(self, line: str, is_debug: bool) -> None:
        """Take in a line; debug lines tell the plan piece by piece."""
        self.lines.append(line)
        if is_debug:
            return
        with suppress(Exception):  # whatever it is, no table is worth an installation
            plan = self._read(self.lines)
            if plan and plan != self.plan:
                self.plan = plan
                self._show(plan)
