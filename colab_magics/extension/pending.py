"""Lines that are remembered and not in a notebook yet."""

from __future__ import annotations

from typing import Callable, Dict, List, Sequence, Tuple

from ..core.host import Host
from ..core.steps import Step
from ..record.cell import Line, render_step
from ..record.merge import Entry, Merged, merge


def edit_entries(
    entries: Sequence[Entry],
    change: Callable[[Sequence[Line]], Merged],
    new: Sequence[Entry] = (),
) -> Tuple[List[Entry], Tuple[str, ...]]:
    """Return entries changed as lines are, each with its note, and what was changed."""
    notes = dict([*entries, *new])
    lines, changes = change([Line(render_step(step), step) for step, _ in entries])
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
    def steps(self) -> List[Step]:
        """Their steps."""
        return [step for step, _ in self.entries]

    @property
    def elsewhere(self) -> bool:
        """Whether another notebook on this kernel, or an earlier page, has some."""
        return any(v for k, v in self._entries.items() if k != self._host.client)

    def adopt(self) -> None:
        """Take over those of the other clients of this kernel."""
        for client in [c for c in self._entries if c != self._host.client]:
            for entry in self._entries.pop(client):
                self.hold([entry])

    def hold(self, new: Sequence[Entry]) -> None:
        """Merge some in: a later pin of the same package takes the earlier's place."""
        self.entries[:], _ = edit_entries(self.entries, lambda lines: merge(lines, new), new)

    def edit(self, change: Callable[[Sequence[Line]], Merged]) -> Tuple[str, ...]:
        """Change them as lines; return what was changed."""
        self.entries[:], changes = edit_entries(self.entries, change)
        return changes

    def drop_recorded(self, lines: Sequence[Line], first: bool) -> None:
        """Drop what a setup cell of these lines holds, since it has run.

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
