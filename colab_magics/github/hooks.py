"""Where lines of a notebook clone to: what stands there, another machine will have too."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Iterator

from ..core.errors import bad_input
from ..core.steps import parts_of
from ..extension.hooks import Hook


class Clones(Hook):
    """Finds them in what is recorded, or to be."""

    def clones(self) -> Iterator[Path]:
        """Their folders; the notebook is read where this kernel's own lines are not enough."""
        session = self.session
        own = parts_of("github", [step for step, _ in (*session.pending, *session.cell)])
        step: Any
        for steps in (lambda: own, lambda: session.standing("github")):
            for step in steps():
                with suppress(*bad_input()):  # on a drive that is not there
                    yield step.place(session.host)
