"""Lines that are remembered and not in a notebook yet."""

from __future__ import annotations

from typing import Callable, Dict, List, Sequence, Tuple

from ..core.host import Host
from ..record.cell import Line, render_step
from ..record.merge import Entry, Merged, merge


def edited(
    entries: Sequence[Entry], change: Callable[[Sequence[Line]], Merged]
) -> Tuple[List[Entry], Tuple[str, ...]]:
    """Entries changed as lines are, each with its note; and what was changed."""
    notes = dict(entries)
    lines, changes = change([Line(render_step(step), step) for step in notes])
    return [(x.step, notes.get(x.step, "")) for x in lines if x.step is not None], changes


class Pending:
    """Kept apart for each client, one for each open notebook: two may share a kernel."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._entries: Dict[str, List[Entry]] = {}

    @property
    def entries(self) -> List[Entry]:
        """Those of the notebook whose cell is running."""
        return self._entries.setdefault(self._host.client, [])

    @property
    def elsewhere(self) -> int:
        """How many other notebooks (or an earlier page) on this kernel have."""
        return sum(len(v) for k, v in self._entries.items() if k != self._host.client)

    def adopt(self) -> None:
        """Take over those of the other clients of this kernel."""
        for client in [c for c in self._entries if c != self._host.client]:
            for entry in self._entries.pop(client):
                self.hold([entry])

    def hold(self, entries: Sequence[Entry]) -> None:
        """Merge some in: a later pin of the same package takes the earlier's place."""
        notes = dict([*self.entries, *entries])
        lines, _ = merge([Line(render_step(step), step) for step, _ in self.entries], entries)
        self.entries[:] = [(x.step, notes.get(x.step, "")) for x in lines if x.step is not None]

    def edit(self, change: Callable[[Sequence[Line]], Merged]) -> Tuple[str, ...]:
        """Change them as lines; what was changed."""
        self.entries[:], changes = edited(self.entries, change)
        return changes

    def give_way(self, lines: Sequence[Line], first: bool) -> None:
        """A setup cell of these lines has run: what it holds is pending no more.

        What was typed before the cell was ever run (``first``) gives way to it: the cell has just
        been applied, so that its version is the one that is there.
        """
        held = {(x.step.word, key) for x in lines if x.step for key in x.step.keys}
        parts = [(part, note) for step, note in self.entries for part in step.parts()]
        self.entries.clear()
        self.hold(
            [
                (part, note)
                for part, note in parts
                if merge(lines, [(part, note)])[1]
                and not (first and {(part.word, key) for key in part.keys} & held)
            ]
        )
