"""The sampler's own process, so that a cell that holds the GIL is measured too.

`main` reads commands from standard input: ``+ NUMBER SECONDS`` begins a measurement, ``- NUMBER
SECONDS`` ends it and is answered with one line of JSON, ``? NUMBER SECONDS`` is answered so and
goes on; the seconds are those of the monotonic clock, which processes share. The end of the input,
or of the parent, ends it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, List, Optional, Tuple

from ..core.registry import load
from .model import VENDORS, Gpu, Reading, Vendor, Watch

#: Seconds between two samples.
STEP = 0.1
#: A timeline has at most so many points; it is coarsened to half of them when it is full.
_POINTS = 240
#: Whose memory it is is asked when the memory is at a peak, and not more often than this.
_LISTING = 1.0
#: A card's counter is updated every 20 to 100 ms, so that it says little of less than this (s).
COUNTED = 0.5
#: So long after the beginning (s) they are asked.
_BRIEF = 0.01
#: An idle sampler looks so often whether its parent is still there.
_IDLE = 5.0
#: Seconds without a measurement after which it ends, and lets the driver sleep.
_REST = 600.0


@dataclass
class Tally:
    """What was measured of one GPU: bytes, percent, joules; None where nobody says.

    ``own`` is the most that the measured process had, as often as that was looked at; ``power``
    gives joules by the power at each sample, ``counter`` those of the card's own counter;
    ``points`` are (seconds, bytes, percent); ``shared`` is whether the memory is the machine's own,
    with all that is in it.
    """

    name: str
    total: Optional[int] = None
    shared: bool = False
    before: Optional[int] = None
    peak: Optional[int] = None
    own: Optional[int] = None
    mean_load: Optional[float] = None
    max_load: Optional[int] = None
    counter: Optional[float] = None
    power: Optional[float] = None
    points: List[Tuple[float, Optional[int], Optional[int]]] = field(default_factory=list)


class _Gpu:
    """One GPU while it is measured."""

    def __init__(self, gpu: Gpu) -> None:
        self.tally = Tally(gpu.label, gpu.total, gpu.shared)
        self._loads: List[float] = [0.0, 0.0]  # percent by seconds, and seconds
        self._first: Optional[float] = None
        self._width = 0.0
        self._until = 0.0

    def add(self, now: float, gap: float, reading: Reading) -> None:
        """Take in a reading, ``gap`` seconds after the one before it."""
        tally = self.tally
        if reading.used is not None:
            tally.before = reading.used if tally.before is None else tally.before
            tally.peak = max(tally.peak or 0, reading.used)
        if reading.load is not None:
            self._loads[0] += reading.load * gap
            self._loads[1] += gap
            tally.max_load = max(tally.max_load or 0, reading.load)
            tally.mean_load = self._loads[0] / self._loads[1] if self._loads[1] else reading.load
        if reading.power is not None:
            tally.power = (tally.power or 0.0) + reading.power * gap
        self._draw(now, reading)

    def count(self, joules: Optional[float]) -> None:
        """Take in the card's own counter, when the measurement begins and when it ends."""
        if joules is not None and self._first is not None:
            self.tally.counter = joules - self._first
        self._first = joules if self._first is None else self._first

    def _draw(self, now: float, reading: Reading) -> None:
        """Add a point to the timeline; where the last one is close, keep the higher of both."""
        points = self.tally.points
        if points and now < self._until:
            _, used, load = points[-1]
            points[-1] = (now, _most(used, reading.used), _most(load, reading.load))
            return
        points.append((now, reading.used, reading.load))
        if len(points) >= _POINTS:
            pairs = zip(points[::2], points[1::2])
            points[:] = [(b[0], _most(a[1], b[1]), _most(a[2], b[2])) for a, b in pairs]
            self._width = 2 * (self._width or STEP)
        self._until = now + self._width


class _Run:
    """One measurement."""

    def __init__(self, watches: List[Watch], pid: int, started: float) -> None:
        self._watches, self._pid = watches, pid
        self.started = self.last = self.due = started
        self.count, self.gap, self._counting = 0, 0.0, False
        self.gpus = [list(map(_Gpu, watch.gpus)) for watch in watches]
        self._listed = (float("-inf"), [-1 for watch in watches])

    def sample(self, last: bool = False) -> None:
        """Read all GPUs."""
        now = time.monotonic()
        for at, watch in enumerate(self._watches):
            readings = watch.read()
            for gpu, reading in zip(self.gpus[at], readings):
                gpu.add(now - self.started, now - self.last, reading)
            self._own(at, sum(reading.used or 0 for reading in readings), now, last)
        self.count, self.gap = self.count + 1, max(self.gap, now - self.last)
        self.last, self.due = now, max(self.due + STEP, now)
        if last and now - self.started >= COUNTED:
            self._count()

    @property
    def next(self) -> float:
        """When there is something to do; a cell is hardly kept waiting for counters that it is too
        short for.
        """
        return self.due if self._counting or not self.count else self.last + _BRIEF

    def go_on(self) -> None:
        """Do what is due."""
        if self._counting or not self.count:
            self.sample()
        else:
            self._count()

    def _count(self) -> None:
        """Ask the cards' own counters: some take milliseconds of a processor to answer."""
        self._counting = True
        for gpus, watch in zip(self.gpus, self._watches):
            for gpu, joules in zip(gpus, watch.energy()):
                gpu.count(joules)

    def _own(self, at: int, used: int, now: float, last: bool) -> None:
        """Read how much of it is the measured process's own, seldom: it takes the driver long."""
        when, most = self._listed
        if not last and (used <= most[at] or now - when < _LISTING):
            return
        most[at] = max(used, most[at])
        self._listed = (now, most)
        for gpu, own in zip(self.gpus[at], self._watches[at].memory_of(self._pid)):
            gpu.tally.own = _most(gpu.tally.own, own)

    def result(self, ended: float) -> Any:
        """Return all of it, as JSON has it; what was read after the end is one sample."""
        return {
            "count": self.count,
            "gap": max(self.gap, ended - self.last),
            "gpus": [asdict(gpu.tally) for gpus in self.gpus for gpu in gpus],
        }


def main(pid: int) -> None:
    """Measure for a process, by the commands that it sends, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Jupyter interrupts all processes of a kernel
    commands: SimpleQueue[str] = SimpleQueue()
    Thread(target=_listen, args=(commands,), daemon=True).start()
    with ExitStack() as stack:
        watches, reasons = _open(stack)
        run: Optional[_Run] = None
        busy = time.monotonic()
        while True:
            until = run.next - time.monotonic() if run else _IDLE
            try:
                command = commands.get(timeout=max(0.0, until))
            except Empty:
                if _alone(pid) or (not run and time.monotonic() - busy > _REST):
                    return
                if run:
                    run.go_on()
                continue
            busy = time.monotonic()
            if not command:
                return
            sign, number, seconds = command.split()
            if sign == "+":
                run = _Run(watches, pid, float(seconds))
            elif run:
                run.sample(last=sign == "-")
                answer = {"number": int(number), "reasons": reasons, **run.result(float(seconds))}
                print(json.dumps(answer), flush=True)
                run = None if sign == "-" else run


def _open(stack: ExitStack) -> Tuple[List[Watch], List[str]]:
    """Open the GPUs of each vendor that has some, and say why another one has none."""
    watches: List[Watch] = []
    reasons: List[str] = []
    for target in VENDORS:
        vendor: Vendor = load(target)()
        snapshot = vendor.find(detailed=False)
        reasons += snapshot.reasons
        if snapshot.gpus:
            watches.append(stack.enter_context(vendor.watch()))
    return watches, reasons


def _listen(commands: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        commands.put(line)
    commands.put("")


def _alone(pid: int) -> bool:
    """Tell whether the parent has ended, though a fork of it may still hold our input open."""
    return os.name == "posix" and os.getppid() != pid


def _most(first: Optional[int], second: Optional[int]) -> Optional[int]:
    return max((size for size in (first, second) if size is not None), default=None)
