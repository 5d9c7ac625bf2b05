"""How long a machine is lent, and how much of that remains.

Sources: Colab's and Kaggle's own help say 12 hours at most; neither tells the machine when they
are over, and either may take it back sooner. So the time is counted from the machine's start.
"""

from __future__ import annotations

import math
import os
from typing import NamedTuple, Optional

from ..core.errors import usage_error

#: Set by a person: the hours of this host, or 0 for none. ``%env_persist`` keeps it in a notebook.
VARIABLE = "COLAB_MAGICS_SESSION_HOURS"
#: So many minutes before the end there is a notice.
NOTICES = (10, 30, 60)
_HOURS = 12.0
_HOSTS = ("COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE")


class Limit(NamedTuple):
    """The seconds that a machine is lent, and how many remain: negative once they are over."""

    seconds: float
    remaining: float

    @property
    def notice(self) -> Optional[int]:
        """The least of `NOTICES` that has been reached.

        None once the time is over: a machine that is still there was lent for longer.
        """
        if self.remaining < 1:
            return None
        return next((minutes for minutes in NOTICES if self.remaining <= 60 * minutes), None)


def may_be_limited() -> bool:
    """Return whether there may be a limit; costs next to nothing."""
    return any(name in os.environ for name in (VARIABLE, *_HOSTS))


def read_hours() -> Optional[float]:
    """Return the hours that this host lends a machine; None where there is no limit.

    ``UsageError`` where the variable is not a number of hours.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return _HOURS if any(name in os.environ for name in _HOSTS) else None
    try:
        hours = float(text)
    except ValueError:
        hours = math.nan
    if not 0 <= hours < math.inf:
        raise usage_error(
            f"{VARIABLE}={text} is not a number of hours.",
            f"%env_persist {VARIABLE}=12",
            code="not-hours",
        )
    return hours or None


def read_limit(started: float, now: float) -> Optional[Limit]:
    """Return the limit of a machine that came up then; None where there is none."""
    hours = read_hours()
    return None if hours is None else Limit(3600 * hours, 3600 * hours - (now - started))
