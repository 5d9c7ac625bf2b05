"""Beginning the downloads of a setup cell while its earlier lines work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Optional

from ..core.steps import Step, parts_of
from ..extension.hooks import Hook
from ..record.cell import parse

if TYPE_CHECKING:
    from .prefetch import EarlyDownloads


class Prefetch(Hook):
    """The early downloads of the setup cell that runs in this kernel."""

    _begun = False
    _early: Optional[EarlyDownloads] = None

    def step_begins(self, step: Step) -> None:
        """Begin the downloads of the cell's other lines, once in each cell."""
        session = self.session
        if self._begun or step.word == "fetch" or not session.runs_setup:
            return
        if "%fetch" not in session.running:
            return
        self._begun = True
        steps: List[Any] = parts_of("fetch", [line.step for line in parse(session.running)])
        if steps:
            from .prefetch import EarlyDownloads

            self._early = EarlyDownloads(steps, session.host)

    def cell_ends(self, result: Any) -> None:
        """End the downloads that no line has taken over."""
        if self.session.depth < 2:
            self.close()

    def close(self) -> None:
        """End what is still on its way."""
        early, self._early, self._begun = self._early, None, False
        if early is not None:
            early.close()
