"""What ``%%resumable`` adds to a loop, at one save a minute and for each turn.

``python tests/benchmarks/resumable.py [SECONDS]`` runs a numpy training for that long (180: three
saves), plain, with it and plain again, each in a process, and prints the shares. Below 2 % is
promised.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

MAKE = """\
import numpy as np
np.random.seed(1)
X = np.random.normal(size=(200_000, 50)); y = X @ np.arange(50.0)
others = [np.random.normal(size=1_000_000) for _ in range(20)]
losses = []"""
#: As many turns in each: what is compared is the time that they take.
TRAIN = """\
w = np.zeros(50)
for turn in range({turns}):
    error = X @ w - y
    w -= 1e-6 * X.T @ error
    losses.append(float(error @ error))"""
EMPTY = "for turn in range(1_000_000): pass"


class Spent(NamedTuple):
    """What a loop took: seconds, those of the kernel's processor, those in which it was saved."""

    wall: float
    processor: float
    saving: float


def child(folder: str, line: str, body: str) -> Spent:
    """Run a loop in a fresh shell whose checkpoints go into a folder."""
    from support.cells import new_shell

    from colab_magics.checkpoint.hooks import Checkpoints
    from colab_magics.extension.session import get_session

    shell = new_shell()
    os.chdir(folder)
    for cell in ("%load_ext colab_magics", f"%checkpoint --to {folder}/saved --every 10h", MAKE):
        shell.run_cell(cell).raise_error()
    time.sleep(5)  # the first checkpoint is written
    checkpoints = get_session(shell).hooks.of(Checkpoints)
    save, saving = checkpoints.save, []

    def timed(states: Any) -> float:
        began = time.perf_counter()
        seconds = save(states)
        saving.append(time.perf_counter() - began)
        return seconds

    checkpoints.save = timed  # type: ignore[method-assign]
    wall, processor = time.perf_counter(), time.process_time()
    shell.run_cell(f"{line}\n{body}" if line else body).raise_error()
    return Spent(time.perf_counter() - wall, time.process_time() - processor, sum(saving))


def measure(line: str, body: str) -> Spent:
    """Do so in a process of its own."""
    folder = tempfile.mkdtemp()
    arguments = json.dumps([folder, line, body])
    command = [sys.executable, __file__, "--child", arguments]
    environment: Dict[str, Any] = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["OPENBLAS_NUM_THREADS"] = "1"
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    shutil.rmtree(folder, ignore_errors=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return Spent(*map(float, done.stdout.split()[-3:]))


def main(seconds: float) -> None:
    """Compare, the plain one before and after."""
    turns = int(200 * seconds / measure("", TRAIN.format(turns=200)).wall)
    body = TRAIN.format(turns=turns)
    plain = measure("", body)
    ours = measure("%%resumable --every 1m", body)
    again = measure("", body)
    print(f"{turns} turns of a training, beside 240 MB of arrays, a save a minute (below 2 %):")
    print(f"held up by saving: {ours.saving:.2f} s, {100 * ours.saving / ours.wall:.2f} %")
    for field in ("wall", "processor"):
        before, between, after = (getattr(x, field) for x in (plain, ours, again))
        more = 100 * (2 * between / (before + after) - 1)
        print(
            f"{field}: plain {before:.1f} and {after:.1f} s, with it {between:.1f} s: {more:+.2f} %"
        )
    empty, counted = (measure(line, EMPTY) for line in ("", "%%resumable --every 1h"))
    print(
        f"an empty turn: {1e3 * empty.processor:.0f} ns, with it {1e3 * counted.processor:.0f} ns"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(*child(*json.loads(sys.argv[2])), flush=True)
        os._exit(0)
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 180.0)
