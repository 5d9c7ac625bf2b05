"""Beginning the downloads of a setup cell while its earlier lines work."""

from __future__ import annotations

from typing import Any, List

from ..core.steps import Step, parts_of
from ..extension.session import Hook
from ..record.cell import parse


class Prefetch(Hook):
    """The early downloads of the setup cell that runs in this kernel."""

    _begun = False
    _downloads: List[Any] = []

    def step_applies(self, step: Step) -> None:
        """Begin the downloads of the cell's other lines, once in each cell."""
        session = self.session
        if self._begun or step.word == "fetch" or not session.is_setup_running:
            return
        if "%fetch" not in session.running:
            return
        self._begun = True
        known: List[Any] = parts_of("fetch", [line.step for line in parse(session.running)])
        # Of what is dangerous a person is asked first.
        steps = [each for each in known if not each.effects(session.host).dangers]
        if steps:
            from .prefetch import begin

            self._downloads = begin(steps, session.host)

    def cell_ends(self, result: Any) -> None:
        """End the downloads that no line has taken over."""
        if self.session.depth < 2:
            self.close()

    def close(self) -> None:
        """End what is still on its way."""
        downloads, self._downloads, self._begun = self._downloads, [], False
        if downloads:
            from .prefetch import end

            end(downloads)
