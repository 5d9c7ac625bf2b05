"""What later lines of a setup cell fetch is begun while its earlier lines work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Optional

from ..record.cell import parse

if TYPE_CHECKING:
    from ..extension.recorder import Session
    from .prefetch import Ahead


class _Early:
    """What the running setup cell has begun, for the one kernel."""

    def __init__(self) -> None:
        self._looked = False
        self._ahead: Optional[Ahead] = None

    def look(self, session: Session) -> None:
        """Begin, once in each cell."""
        if self._looked:
            return
        self._looked = True
        steps: List[Any] = [line.step for line in parse(session.running) if line.step]
        steps = [step for step in steps if step.word == "fetch"]
        if steps:
            from .prefetch import Ahead

            self._ahead = Ahead([part for step in steps for part in step.parts()], session.host)

    def end(self, result: Any, depth: int) -> None:
        """A cell has ended: no line of it will take what is left."""
        if depth < 2:
            self.close()

    def close(self) -> None:
        """Nothing is on its way any more."""
        ahead, self._ahead, self._looked = self._ahead, None, False
        if ahead is not None:
            ahead.close()


def begin(session: Session) -> None:
    """A line of the running cell is about to work: have the downloads of later ones begin."""
    if not session.runs_setup or "%fetch" not in session.running:
        return
    found = next((one for one in session.beside if isinstance(one, _Early)), None)
    if found is None:
        found = _Early()
        session.beside.append(found)
    found.look(session)
