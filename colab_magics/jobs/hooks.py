"""The line below a later cell that says that a job of this kernel has ended by itself."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Set

from ..core.errors import CommandFailed
from ..extension.hooks import Hook
from ..extension.output import say

if TYPE_CHECKING:
    from ..extension.recorder import Session


class EndedJobs(Hook):
    """Says it once for each job."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        #: The jobs of this kernel that may still run, and whose end nobody has been shown.
        self.names: Set[str] = set()

    def cell_ends(self, result: Any) -> None:
        """Look at them, below a cell that no other cell runs."""
        if self.session.depth == 1:
            for name in sorted(self.names):
                self._look(name)

    def _look(self, name: str) -> None:
        from .job import find
        from .magic_start import became

        job = None
        with suppress(CommandFailed):  # its folder is another user's by now
            job = find(name)
        if job is not None and job.running:
            return
        self.names.discard(name)
        if job is not None and job.state != "stopped":
            say(f"{name}: {became(job)}: %jobs log {name}")
