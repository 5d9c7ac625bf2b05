"""A signal at any moment of ``colab-magics run``: it ends soon, and what was computed is kept."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable

import pytest
from support.notebooks import notebook, shown, state
from support.runs import Started, counting, interrupted

pytestmark = pytest.mark.skipif(os.name == "nt", reason="elsewhere: signals are POSIX's")

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
#: Seconds within which it is to end; it takes 4 at most, where nothing else has the processors.
SOON = 10

#: Each: a cell that a kernel does not leave by being interrupted.
STUBBORN = {
    "swallows it": "while True:\n    try: time.sleep(600)\n    except KeyboardInterrupt: pass",
    "ignores it": "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)",
}


def one_round(folder: Path, number: int, seconds: float, cells: int) -> tuple[float, str]:
    """One run and one signal after some seconds: how long it took to end, and what was wrong."""
    folder.mkdir(parents=True)
    path = counting(folder / "notebooks", cells)
    before = state(folder)
    run = Started(path)
    time.sleep(seconds)
    run.send(number)
    try:
        ended = run.ended()
    except subprocess.TimeoutExpired:
        return 60, f"{number} after {seconds:.3f} s: it hangs"
    wrong = interrupted(ended, path) or "; ".join(run.left())
    if not wrong and not any(shown(path)):
        wrong = "" if state(folder) == before else "the file has changed"
    return ended.seconds, wrong and f"{number} after {seconds:.3f} s: {wrong}"


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("number", SIGNALS, ids=[number.name for number in SIGNALS])
def test_a_signal_at_a_random_moment(
    number: signal.Signals, tmp_path: Path, long: bool, held: Callable[[int, int], None]
) -> None:
    """Soon ended, with one line and exit 130, outputs so far in the notebook, nothing left."""
    count, cells = (500, 250) if long else (1, 40)
    started = time.monotonic()
    whole = Started(counting(tmp_path / "whole" / "notebooks", cells))
    assert whole.ended(120).status == 0
    lasts = time.monotonic() - started
    moments = random.Random(int(number))
    failed = []
    for turn in range(count):
        seconds = moments.uniform(0, lasts)
        took, wrong = one_round(tmp_path / str(turn), number, seconds, cells)
        if wrong or took > SOON:
            failed.append(f"{wrong or 'late'} ({took:.1f} s)")
    held(count, count - len(failed))
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("cell", list(STUBBORN.values()), ids=list(STUBBORN))
@pytest.mark.parametrize("times", [1, 2])
def test_a_cell_that_does_not_end(cell: str, times: int, tmp_path: Path, long: bool) -> None:
    """Its kernel is killed, sooner after a second signal; the outputs so far are kept."""
    if not long and (times == 2) != ("SIG_IGN" in cell):
        pytest.skip("elsewhere: with --long")
    path = notebook(
        tmp_path / "notebooks" / "nb.ipynb",
        "print('first')",
        f"import time; print('so far', flush=True); open({str(tmp_path / 'there')!r}, 'w').close()"
        f"\n{cell}",
    )
    run = Started(path)
    while not (tmp_path / "there").exists():
        time.sleep(0.02)
    time.sleep(0.5)  # what is put out is on its way
    for turn in range(times):
        time.sleep(0.3 * turn)
        run.send(signal.SIGINT)
    ended = run.ended()
    assert (ended.status, ended.errors.count("\n")) == (130, 1), ended
    assert shown(path) == ["first\n", "so far\n"]
    assert ended.seconds < SOON and run.left() == []


def test_a_cell_may_end_in_its_own_way(tmp_path: Path) -> None:
    """What a cell does when it is interrupted is done, though a second signal comes at the end."""
    cell = (
        f"import time\ntry:\n    open({str(tmp_path / 'there')!r}, 'w').close(); time.sleep(600)\n"
        "finally:\n    time.sleep(0.2); print('saved')"
    )
    path = notebook(tmp_path / "notebooks" / "nb.ipynb", cell, "print('never')")
    run = Started(path)
    while not (tmp_path / "there").exists():
        time.sleep(0.02)
    run.send(signal.SIGTERM)
    run.until("[  1/2] failed")
    run.send(signal.SIGTERM)
    ended = run.ended()
    assert (ended.status, ended.errors.count("\n")) == (130, 1), ended
    assert shown(path)[0].startswith("saved\n") and shown(path)[1] == ""
    assert run.left() == []


def test_what_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """A run that was started by nohup goes on when its terminal is closed."""
    path = notebook(tmp_path / "notebooks" / "nb.ipynb", "print(1)", "print(2)")
    run = Started(path, prelude="import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    run.until("[  1/2]")
    run.send(signal.SIGHUP)
    assert run.ended().status == 0
    assert shown(path) == ["1\n", "2\n"]


def test_nobody_reads_what_it_says(tmp_path: Path) -> None:
    """A pipe that is closed at the other end ends neither the run nor its saving."""
    path = notebook(tmp_path / "notebooks" / "nb.ipynb", "print(1)", "print(2)")
    reading, writing = os.pipe()
    run = Started(path, stdout=writing)
    os.close(writing)
    os.close(reading)
    ended = run.ended()
    assert ended.errors == ""
    assert shown(path) == ["1\n", "2\n"] and run.left() == []
