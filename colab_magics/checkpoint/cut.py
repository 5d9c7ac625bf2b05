"""A loop that was cut and is restored: whether its variables let it go on."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any, Container, Dict, Iterable, Mapping, Optional, Sequence, Set

from .iterables import CODE, find_globals
from .loop import Cell, NotResumable, Position
from .names import changed_names, read_names

#: Those are equal where they are made again.
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


@dataclass(frozen=True)
class Cut:
    """Where a loop was cut, and the variables as they were restored; ``missing`` were not."""

    position: Position
    restored: Mapping[str, Any]
    missing: Container[str]

    @classmethod
    def read(
        cls, state: Any, names: Iterable[str], missing: Container[str], namespace: Dict[str, Any]
    ) -> Optional[Cut]:
        """Return it from the state of a checkpoint; None for that of another version."""
        try:
            position = Position(**state)
        except TypeError:
            return None
        return cls(position, {x: _mark(namespace[x]) for x in names if x in namespace}, missing)

    def find_reason(self, cell: Cell, namespace: Dict[str, Any]) -> str:
        """Return why the cell must begin at its start, else an empty text.

        Raise `NotResumable` where it would not do there either: with variables of other cells that
        the turns have changed.
        """
        changed = changed_names([cell.loop, *cell.after])
        reason = self._find_lack([cell.loop, *cell.after], changed, namespace)
        outer = read_names([*cell.before, cell.loop, *cell.after]) & changed
        outer -= {name for name in outer if isinstance(namespace.get(name), CODE)}
        stale = sorted(name for name in outer if self._is_restored(name, namespace))
        if not reason or not stale:
            return reason
        raise NotResumable(
            f"%%resumable: it cannot go on: {reason}; "
            f"{', '.join(stale)}: as after turn {self.position.turn}.",
            f"Run the cells that make {', '.join(stale)} again, and then this one.",
            code="lost-variable",
        )

    def _find_lack(
        self, statements: Sequence[ast.stmt], changed: Set[str], namespace: Dict[str, Any]
    ) -> str:
        """Return which variable is not as it was at the turn."""
        direct = read_names(statements)
        for name in sorted(direct | find_globals(direct, namespace)[0]):
            value = namespace.get(name)
            if self._is_restored(name, namespace) or isinstance(value, CODE):
                continue
            if name in self.restored:
                return f"{name} was made again since"
            if name in self.missing and (name not in namespace or name in changed):
                return f"{name} was not restored"
            if name in namespace and name in changed:
                return f"{name} is not in the checkpoint"
        return ""

    def _is_restored(self, name: str, namespace: Dict[str, Any]) -> bool:
        marks = self.restored
        return name in marks and name in namespace and _mark(namespace[name]) == marks[name]


def _mark(value: Any) -> Any:
    """Return what a variable's value is known by, without holding it."""
    return (type(value), repr(value)) if type(value) in _PLAIN else id(value)
