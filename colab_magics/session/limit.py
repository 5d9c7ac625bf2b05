"""How long a machine is lent, and what of it is left.

Sources: Colab's and Kaggle's own help say 12 hours at most; neither says on the machine when they
are over, and either may take it back sooner. So what is left here is counted from its start.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from typing import Optional

from ..core.errors import usage_error

#: Set by a person: the hours of this host, or 0 for none. ``%env_persist`` keeps it in a notebook.
VARIABLE = "COLAB_MAGICS_SESSION_HOURS"
#: How many minutes before its end are said.
NOTICES = (10, 30, 60)
_HOURS = 12.0
_HOSTS = ("COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Limit:
    """``seconds`` that a machine is lent, ``left`` of them now: negative where that is over."""

    seconds: float
    left: float

    @property
    def notice(self) -> Optional[int]:
        """Which of the minutes that are said have been reached: the least.

        None once it is over: a machine that is still there was lent for longer.
        """
        if self.left < 1:
            return None
        return next((minutes for minutes in NOTICES if self.left <= 60 * minutes), None)


def lent() -> bool:
    """Whether there may be a limit; costs next to nothing."""
    return any(name in os.environ for name in (VARIABLE, *_HOSTS))


def hours() -> Optional[float]:
    """The hours that this host lends a machine; None where there is no limit.

    ``UsageError`` where the variable says something else than a number of hours.
    """
    said = os.environ.get(VARIABLE, "").strip()
    if not said:
        return _HOURS if any(name in os.environ for name in _HOSTS) else None
    try:
        found = float(said)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise usage_error(
            f"{VARIABLE}={said}: not a number of hours.", f"%env_persist {VARIABLE}=12"
        )
    return found or None


def parse_duration(text: str) -> float:
    """Seconds of ``90s``, ``30m``, ``2h`` or ``1d``; ``UsageError`` for anything else."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise usage_error(f"{text}: not a time.", "Say 30m, 2h or 1d.")
    return float(found.group(1)) * _UNITS[found.group(2)]


def left(started: float, now: float) -> Optional[Limit]:
    """What is left of a machine that came up then; None where there is no limit."""
    lent = hours()
    return None if lent is None else Limit(3600 * lent, 3600 * lent - (now - started))
