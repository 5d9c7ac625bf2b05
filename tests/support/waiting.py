"""Waiting for what another process or thread does, and tells of only when it is asked."""

from __future__ import annotations

import time
from typing import Any, Callable

#: Seconds between two questions.
INTERVAL = 0.02


def until(true: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Return what is true of the answers of a function, as soon as it is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = true()
        if result:
            return result
        time.sleep(INTERVAL)
    raise AssertionError("it did not come true")
