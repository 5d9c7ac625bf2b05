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
    """One distribution to be put in place; ``size`` in bytes, None where nobody said it."""

    name: str
    version: str
    cached: bool = False
    size: Optional[int] = None

    @property
    def is_on_index(self) -> bool:
        """Whether it is to be fetched from an index: it has a version, and no URL."""
        return not self.cached and " " not in self.version

    @property
    def download(self) -> str:
        """What the table says of its download."""
        if self.cached:
            return "in the cache"
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

    A file of this machine is not downloaded; of several it is not known which is taken.
    """
    sized = dict(plan)
    for package in parse_toml(pylock).get("packages", ()):
        files = package.get("wheels") or [package.get("sdist") or {}]
        if len(files) == 1 and files[0].get("url", "").startswith("http"):
            name = package["name"]
            sized[name] = replace(plan[name], size=files[0].get("size"))
    return sized


def table(
    plan: Plan, first: Sequence[str], installed: Mapping[str, str], notes: Iterable[str] = ()
) -> Report:
    """Return the plan in one line, and in a table where it is of more than one package.

    ``first`` are the canonical names on the line, which come first; ``installed`` is what is
    there in which version; ``notes`` are more lines.
    """

    def weigh(item: Item) -> Tuple[bool, int, str]:
        """Put what replaces another version first, then what is largest."""
        same = installed.get(item.name, item.version) == item.version
        return same, -(item.size or 0), item.name

    pinned = [plan[name] for name in dict.fromkeys(first) if name in plan]
    rest = sorted((item for item in plan.values() if item not in pinned), key=weigh)
    items = [*pinned, *rest]
    lines = (_summary(items, len(pinned), installed), *notes)
    if len(items) < 2:
        return Report(lines)
    rows = [(i.name, installed.get(i.name, ""), i.version, i.download) for i in items[:_ROWS]]
    columns = 4 if any(row[3] for row in rows) else 3
    more = len(items) - _ROWS
    return Report(
        lines,
        tuple(row[:columns] for row in (_HEAD, *rows)),
        (f"and {more} more",) if more > 0 else (),
    )


def _summary(items: Sequence[Item], pinned: int, installed: Mapping[str, str]) -> str:
    """Return ``numpy 2.1.3 -> 1.26.4 and 3 more, 18.2 MB to download``."""
    if not items:
        return "nothing to install"
    arrows = []
    for item in items[: min(pinned, 3) or 1]:
        old = installed.get(item.name, item.version)
        arrows.append(f"{item.name} {f'{old} -> ' if old != item.version else ''}{item.version}")
    more = len(items) - len(arrows)
    sizes = [item.size for item in items if not item.cached]
    total, least = sum(size or 0 for size in sizes), " or more" if None in sizes else ""
    return (
        ", ".join(arrows)
        + (f" and {more} more" if more else "")
        + (f", {amount(total)}{least} to download" if total else "")
    )


class PlanWatch:
    """Takes in what an installer prints while it works, and shows the plan once it is complete."""

    def __init__(self, read: Callable[[Sequence[str]], Plan], show: Callable[[Plan], None]) -> None:
        self._read, self._show = read, show
        self._lines: List[str] = []
        self._shown: Plan = {}

    def add(self, line: str, is_debug: bool) -> None:
        """Take in a line; debug lines tell the plan piece by piece."""
        self._lines.append(line)
        if is_debug:
            return
        with suppress(Exception):  # whatever it is, no table is worth an installation
            plan = self._read(self._lines)
            if plan and plan != self._shown:
                self._shown = plan
                self._show(plan)
