"""What an installation is about to do, as the installer itself says it: a small table.

While it runs, an installer says what it will fetch before it puts anything in place; so the table
costs no second resolution. A rehearsal (``--dry-run``) says the same and does nothing.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..core.display import Report, amount

if TYPE_CHECKING:
    from ..core.steps import Progress


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


#: By canonical name.
Plan = Dict[str, Item]


def table(
    plan: Plan, asked: Sequence[str], here: Mapping[str, str], notes: Iterable[str] = ()
) -> Report:
    """The plan in one line, and in a table where it is of more than one package.

    ``asked`` are the canonical names on the line, which come first; ``here`` is what is installed
    in which version; ``notes`` are more lines.
    """
    first = [plan[name] for name in dict.fromkeys(asked) if name in plan]
    rest = sorted((item for item in plan.values() if item not in first), key=_weight(here))
    items = [*first, *rest]
    lines = (_summary(items, len(first), here), *notes)
    if len(items) < 2:
        return Report(lines)
    rows = [(i.name, here.get(i.name, ""), i.version, _fetched(i)) for i in items[:_ROWS]]
    more = len(items) - _ROWS
    said = 4 if any(row[3] for row in rows) else 3
    return Report(
        lines,
        tuple(row[:said] for row in (_HEAD, *rows)),
        (f"and {more} more",) if more > 0 else (),
    )


def _weight(here: Mapping[str, str]) -> Callable[[Item], Tuple[bool, int, str]]:
    """What is installed in another version comes first, then what is largest."""

    def weigh(item: Item) -> Tuple[bool, int, str]:
        same = here.get(item.name, item.version) == item.version
        return same, -(item.size or 0), item.name

    return weigh


def _summary(items: Sequence[Item], asked: int, here: Mapping[str, str]) -> str:
    """``numpy 2.1.3 -> 1.26.4 and 3 more, 18.2 MB to download``."""
    if not items:
        return "nothing to install"
    named = items[: min(asked, 3) or 1]
    old = [here.get(item.name, item.version) for item in named]
    arrows = [
        f"{item.name} {f'{was} -> ' if was != item.version else ''}{item.version}"
        for item, was in zip(named, old)
    ]
    more = len(items) - len(named)
    fetched = [item for item in items if not item.cached]
    known = sum(item.size or 0 for item in fetched)
    least = "" if all(item.size is not None for item in fetched) else " or more"
    return (
        ", ".join(arrows)
        + (f" and {more} more" if more else "")
        + (f", {amount(known)}{least} to download" if known else "")
    )


def _fetched(item: Item) -> str:
    """What is said of the download of one distribution."""
    if item.cached:
        return "in the cache"
    return "" if item.size is None else amount(item.size)


class Watch:
    """Hears what an installer prints while it works, and shows the plan once it is whole.

    ``read`` makes the plan of all that was printed; ``advise`` has notes on a plan, which are
    kept in `notes`; ``here`` is what is installed before.
    """

    def __init__(
        self,
        asked: Sequence[str],
        read: Callable[[Sequence[str]], Plan],
        advise: Callable[[Plan], List[str]],
        progress: Progress,
        here: Mapping[str, str],
    ) -> None:
        self._asked, self._read, self._advise = asked, read, advise
        self._progress = progress
        self._lines: List[str] = []
        self._shown: Plan = {}
        self._here = here
        self.notes: Tuple[str, ...] = ()

    def hear(self, line: str, aside: bool) -> None:
        """Take in a line; those that stand ``aside`` tell the plan piece by piece."""
        self._lines.append(line)
        if not aside:
            with suppress(Exception):  # whatever it is, no table is worth an installation
                self._look()

    def _look(self) -> None:
        """Show the plan if it is another one now."""
        plan = self._read(self._lines)
        if plan and plan != self._shown:
            self._shown = plan
            self.notes = tuple(self._advise(plan))
            self._progress(table(plan, self._asked, self._here, self.notes))
