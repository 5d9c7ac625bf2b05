"""A notice below a cell when an hour, half an hour or ten minutes of this machine remain."""

from __future__ import annotations

import math
import time
from typing import Any, Callable, Optional

from ..core.display import duration
from ..core.errors import input_errors
from ..extension.output import say
from ..extension.session import Hook, Session
from .limit import may_be_limited, read_limit


class TimeLeft(Hook):
    """Gives each notice once. ``clock`` returns seconds since 1970."""

    def __init__(self, session: Session, clock: Callable[[], float] = time.time) -> None:
        super().__init__(session)
        self._clock = clock
        self._started: Optional[float] = None
        self._last_notice = self._last_event = math.inf

    def cell_recorded(self, result: Any) -> None:
        """Tell the hooks of a notice that is due, and the person if somebody may read it."""
        if self.session.depth != 1 or not may_be_limited():
            return
        if self._started is None:
            from .machine import read_start

            self._started = read_start()
        try:
            limit = read_limit(self._started, self._clock())
        except input_errors():  # %session reports it
            return
        if limit is None or limit.notice is None:
            return
        if limit.notice < self._last_event:
            self._last_event = limit.notice
            for hook in self.session.hooks:
                hook.time_is_short()
        if limit.notice >= self._last_notice or not self.session.host.live:
            return
        self._last_notice = limit.notice
        say(
            f"{duration(limit.remaining)} left of the {duration(limit.seconds)} of this machine. "
            "Save what exists only here: %drive flush, %github save"
        )
