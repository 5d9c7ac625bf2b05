"""One line below a cell when an hour, half an hour, ten minutes are left of this machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable, Optional, Set

from ..core.display import duration
from ..core.errors import bad_input
from ..extension.hooks import Hook
from ..extension.output import say
from .limit import NOTICES, left, lent

if TYPE_CHECKING:
    from ..extension.recorder import Session


class TimeLeft(Hook):
    """What one kernel has said of it. ``clock`` gives seconds since 1970."""

    def __init__(self, session: Session, clock: Callable[[], float] = time.time) -> None:
        super().__init__(session)
        self._clock = clock
        self._started: Optional[float] = None
        self._said: Set[int] = set()

    def cell_recorded(self, result: Any) -> None:
        """Say it where the machine is lent, and somebody may read it."""
        if self.session.depth != 1 or not lent() or not self.session.host.live:
            return
        try:
            limit = left(self._since(), self._clock())
        except bad_input():  # said by %session
            return
        minutes = limit.notice if limit is not None else None
        if limit is None or minutes is None or minutes in self._said:
            return
        self._said.update(one for one in NOTICES if one >= minutes)
        say(
            f"{duration(limit.left)} left of the {duration(limit.seconds)} of this machine. "
            "Keep what is only here: %drive flush, %github save"
        )

    def _since(self) -> float:
        if self._started is None:
            from .machine import look

            self._started = look([]).started
        return self._started
