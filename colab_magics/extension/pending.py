"""Lines that are remembered and not in a notebook yet."""

from __future__ import annotations

from typing import Callable, Dict, Iterable, List, Optional, Sequence, Tuple

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
    """Kept apart for each client, one for each open notebook: two may share a kernel.

    Lines that are in the open notebook, but not in its file, are `unsaved`: a page that is reloaded
    has lost them, and is another client. Until then they are not written again: the user may have
    deleted one.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._entries: Dict[str, List[Entry]] = {}
        self._unsaved: Dict[str, List[Entry]] = {}

    @property
    def entries(self) -> List[Entry]:
        """Those of the notebook whose cell is running."""
        return self._entries.setdefault(self._host.client, [])

    @property
    def unsaved(self) -> List[Entry]:
        """Those that the open notebook has, whose cell is running, and its file has not yet."""
        return self._unsaved.setdefault(self._host.client, [])

    @property
    def steps(self) -> List[Step]:
        """Their steps."""
        return [step for step, _ in self.entries]

    @property
    def elsewhere(self) -> Dict[str, List[Entry]]:
        """Those of other clients: of other notebooks on this kernel, or of earlier pages."""
        held: Dict[str, List[Entry]] = {}
        for client, entries in (*self._unsaved.items(), *self._entries.items()):
            if entries and client != self._host.client:
                held[client] = [*held.get(client, []), *entries]
        return held

    def adopt(self, clients: Optional[Iterable[str]] = None) -> None:
        """Take over those of other clients of this kernel, by default of all."""
        for client in self.elsewhere if clients is None else clients:
            for entry in (*self._unsaved.pop(client, ()), *self._entries.pop(client, ())):
                self.hold([entry])

    def hold(self, new: Sequence[Entry]) -> None:
        """Merge some in: a later pin of the same package takes the earlier's place."""
        _merge_into(self.entries, new)

    def hold_unsaved(self, new: Sequence[Entry]) -> None:
        """Merge some in that the open notebook has by now."""
        _merge_into(self.unsaved, new)

    def edit(self, change: Callable[[Sequence[Line]], Merged]) -> Tuple[str, ...]:
        """Change them as lines; return what was changed."""
        self.unsaved[:], _ = edit_entries(self.unsaved, change)
        self.entries[:], changes = edit_entries(self.entries, change)
        return changes

    def drop_recorded(self, lines: Sequence[Line], first: bool) -> None:
        """Drop what a setup cell of these lines holds, since it has run.

        What was typed before the cell was ever run (``first``) gives way to it: the cell has just
        been applied, so that its version is the one that is there.
        """
        held = {(x.step.word, key) for x in lines if x.step for key in x.step.keys}
        for entries in (self.entries, self.unsaved):
            parts = [(part, note) for step, note in entries for part in step.parts()]
            entries.clear()
            new = [
                (part, note)
                for part, note in parts
                if merge(lines, [(part, note)])[1]
                and not (first and {(part.word, key) for key in part.keys} & held)
            ]
            _merge_into(entries, new)


def _merge_into(entries: List[Entry], new: Sequence[Entry]) -> None:
    entries[:], _ = edit_entries(entries, lambda lines: merge(lines, new), new)
