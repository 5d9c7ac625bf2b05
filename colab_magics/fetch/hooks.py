"""What later lines of a setup cell fetch is begun while its earlier lines work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Optional

from ..core.steps import Step, parts_of
from ..extension.hooks import Hook
from ..record.cell import parse

if TYPE_CHECKING:
    from ..extension.recorder import Session
    from .prefetch import Ahead


class Prefetch(Hook):
    """What the running setup cell has begun to download, for the one kernel."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._begun = False
        self._ahead: Optional[Ahead] = None

    def step_begins(self, step: Step) -> None:
        """Begin the downloads of the cell's other lines, once in each cell."""
        session = self.session
        if self._begun or step.word == "fetch":
            return
        if not session.runs_setup or "%fetch" not in session.running:
            return
        self._begun = True
        parts: List[Any] = [*parts_of("fetch", [line.step for line in parse(session.running)])]
        if parts:
            from .prefetch import Ahead

            self._ahead = Ahead(parts, session.host)

    def cell_ends(self, result: Any) -> None:
        """No line of it will take what is left."""
        if self.session.depth < 2:
            self.close()

    def close(self) -> None:
        """Stop what is still on its way."""
        ahead, self._ahead, self._begun = self._ahead, None, False
        if ahead is not None:
            ahead.close()
