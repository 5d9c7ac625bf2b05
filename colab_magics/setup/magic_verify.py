"""Whether a second run of the setup cell changes nothing: for ``colab-magics verify``."""

from __future__ import annotations

from typing import Any, List, Tuple

from ..core.errors import SetupDiffers
from ..core.steps import Outcome, Step
from ..extension.session import Hook, get_session
from ..record.cell import brief, render_step


class Repetition(Hook):
    """Notes the lines that change something, from when it is made."""

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.changed: List[str] = []

    def step_ended(self, step: Step, outcome: Outcome, flags: Tuple[str, ...]) -> None:
        """Note a line that did not hold."""
        if outcome.status == "applied":
            self.changed.append(brief(render_step(step)))


def watch() -> None:
    """Note from now on which lines of this kernel change something."""
    _repetition().changed.clear()


def require_unchanged() -> None:
    """Raise `SetupDiffers` where a line has changed something since `watch`."""
    changed = tuple(_repetition().changed)
    if changed:
        error = SetupDiffers(
            f"The second run of the setup cell changes something again: {'; '.join(changed)}.",
            "Run the cell twice in a notebook, and compare what it says.",
            code="setup-repeats",
        )
        error.lines = changed
        raise error


def _repetition() -> Repetition:
    from IPython import get_ipython

    return get_session(get_ipython()).hooks.of(Repetition)
