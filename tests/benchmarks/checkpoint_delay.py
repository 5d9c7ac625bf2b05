"""The delay that a cell sees while checkpoints are made: ``python tests/benchmarks/...delay.py``.

With 1 GB of arrays and one every five seconds: cells one right behind another, as Run All sends
them, then with pauses of three seconds. The time is from the request to the first statement.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import List

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.cells import Cells, new_shell

from colab_magics.checkpoint.snapshot import keeper_of
from colab_magics.checkpoint.store import Store
from colab_magics.extension.session import get_session

SECONDS = 25.0
ARRAYS = (
    "import numpy, time\narrays = [numpy.random.rand(12_500_000) for _ in range(10)]\nbegan = []"
)


def measure(pause: float, folder: Path) -> None:
    """Run cells for `SECONDS`, and print what they have waited for."""
    cells, delays, end = Cells(new_shell()), [], time.monotonic() + SECONDS
    cells(f"%load_ext colab_magics\n{ARRAYS}")
    cells(f"%checkpoint --to {folder} --every 5s")
    while time.monotonic() < end:
        asked = time.perf_counter()
        cells("began.append(time.perf_counter()); time.sleep(0.05)")
        delays.append(cells.shell.user_ns["began"][-1] - asked)
        time.sleep(pause)
    tell(pause, sorted(delays), len(Store(folder).names()))
    keeper_of(get_session(cells.shell).host).end()


def tell(pause: float, delays: List[float], count: int) -> None:
    """Print the middle, the worst and the sum."""
    middle, worst = delays[len(delays) // 2], delays[-1]
    print(
        f"pauses of {pause:.0f} s: {len(delays)} cells, median {middle * 1e3:.1f} ms, worst "
        f"{worst * 1e3:.0f} ms, in all {sum(delays):.2f} of {SECONDS:.0f} s; {count} checkpoints"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = home
        for pause in (0.0, 3.0):
            measure(pause, Path(home, str(pause)))
