"""The folders that a notebook's lines clone into: on another machine these will exist too."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Iterator

from ..core.errors import input_errors
from ..core.steps import parts_of
from ..extension.session import Hook


class Clones(Hook):
    """Finds the clones in what is recorded, or to be recorded."""

    def clones(self) -> Iterator[Path]:
        """Yield their folders; the notebook is read only after this kernel's own lines."""
        session = self.session
        own = parts_of("github", session.unsaved)
        step: Any
        for steps in (lambda: own, lambda: session.recorded_parts("github")):
            for step in steps():
                with suppress(*input_errors()):  # on a drive that is not mounted
                    yield step.place(session.host)
