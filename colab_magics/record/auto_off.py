"""``%setup auto off`` as a line of the setup cell: recording is off in this notebook.

Kept as a line like any other, so that it travels with the notebook through every front end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, FrozenSet, List, Optional, Tuple

from ..core.host import Host
from ..core.steps import Outcome, Progress, Step, Verdict


@dataclass(frozen=True)
class AutoOff(Step):
    """Recording is off; it always holds."""

    word: ClassVar[str] = "setup"
    rank: ClassVar[int] = 90

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        return ("auto", "off")

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`."""
        return frozenset({"auto"})

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        return Verdict("ok", "recording is off in this notebook; on again: %setup auto on")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """See `Step`."""
        return Outcome("unchanged", self.check(host).message, self)


def parse(words: List[str]) -> Optional[AutoOff]:
    """`AutoOff` for ``auto off``; other words are commands, not steps."""
    return AutoOff() if words == ["auto", "off"] else None
