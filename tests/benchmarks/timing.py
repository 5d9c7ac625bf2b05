"""How long something takes, for the scripts of this folder, and the rows of `table`."""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path
from typing import Callable, Dict, List

#: The file that `record` adds to; `table` sets it.
ROWS = "BENCHMARK_ROWS"


def milliseconds(do: Callable[[], object], rounds: int = 7) -> float:
    """Median of a few rounds, after a first one that does not count."""
    taken: List[float] = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        do()
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken[1:])


def record(subject: str, unit: str, ours: float, peers: Dict[str, float]) -> None:
    """Note a row of the table, where `table` runs the script: less is better in each."""
    if ROWS in os.environ:
        row = {"subject": subject, "unit": unit, "ours": ours, "peers": peers}
        with Path(os.environ[ROWS]).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
