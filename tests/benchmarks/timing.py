"""How long something takes, for the scripts of this folder."""

from __future__ import annotations

import statistics
import time
from typing import Callable, List


def milliseconds(do: Callable[[], object], rounds: int = 7) -> float:
    """Median of a few rounds, after a first one that does not count."""
    taken: List[float] = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        do()
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken[1:])
