"""The line below a later cell that says that a job of this kernel has ended."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Set

from ..core.errors import CommandFailed
from ..extension.output import say
from ..extension.session import Hook, Session


class EndedJobs(Hook):
    """Reports the end of each job once."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        #: The jobs of this kernel whose end was not shown yet.
        self.names: Set[str] = set()

    def cell_ends(self, result: Any) -> None:
        """Report below a cell that no other cell runs."""
        if self.session.depth != 1 or not self.names:
            return
        from .description import describe
        from .job import find_job

        for name in sorted(self.names):
            job = None
            with suppress(CommandFailed):  # its folder is another user's by now
                job = find_job(name)
            if job is not None and job.running:
                continue
            self.names.discard(name)
            if job is not None and job.state != "stopped":
                say(f"{name}: {describe(job)}: %jobs log {name}")
