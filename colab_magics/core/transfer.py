"""How far a transfer is, in one line: a bar, the rate, and the time that is left."""

from __future__ import annotations

from collections import deque
from typing import Deque, Tuple

from .display import amount

_WIDTH = 20
#: Seconds over which the rate is measured.
_WINDOW = 5.0


class Transfer:
    """One transfer, or several as one; what is there already when it begins is no progress."""

    def __init__(self) -> None:
        self._samples: Deque[Tuple[float, int]] = deque()

    def describe(self, done: int, total: int, now: float) -> str:
        """Return the line for bytes that are done at a time in seconds; a total of 0: unknown."""
        samples = self._samples
        if samples and done < samples[-1][1]:  # begun anew
            samples.clear()
        samples.append((now, done))
        while len(samples) > 2 and samples[1][0] <= now - _WINDOW:
            samples.popleft()
        seconds = now - samples[0][0]
        rate = (done - samples[0][1]) / seconds if seconds > 0 else 0.0
        return describe(done, total, rate)


def describe(done: int, total: int, rate: float) -> str:
    """Return ``[####    ] 45%  12.3 MB/s  0:12 left``; without a total ``81.0 MB  12.3 MB/s``."""
    share = min(done / total, 1.0) if total else 0.0
    parts = [f"[{'#' * int(_WIDTH * share):{_WIDTH}}] {share:.0%}" if total else amount(done)]
    if rate:
        parts.append(f"{amount(rate)}/s")
        parts += [f"{_clock((total - done) / rate)} left"] if total > done else []
    return "  ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
