"""The sampler's own process, so that a cell that holds the GIL is measured too.

`main` reads commands from standard input: ``+ NUMBER SECONDS`` begins a measurement, ``- NUMBER
SECONDS`` ends it and is answered with one line of JSON, ``? NUMBER SECONDS`` is answered so and
goes on; the seconds are those of the monotonic clock, which processes share. The end of the input,
or of the parent, ends it. It imports little: until it runs, a cell is not sampled.
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
from typing import Any, Dict, List, Optional, Tuple

from .model import Gpu, Reading, Snapshot
from .nvidia import Device, Unavailable, open_nvml, read_gpus

#: Seconds between two samples.
STEP = 0.1
#: A timeline has at most so many points; it is coarsened to half of them when it is full.
_POINTS = 240
#: Seconds between two queries of the measured process's own memory, which take the driver long.
_LISTING = 1.0
#: A card's counter is updated every 20 to 100 ms: in a shorter time (s) it says little.
COUNTED = 0.5
#: Seconds after the beginning at which counters are read: a shorter cell does not wait for them.
_BRIEF = 0.01
#: Seconds between two checks of an idle sampler that its parent is running.
_IDLE = 5.0
#: Seconds without a measurement after which it ends, and lets the driver sleep.
_REST = 600.0


@dataclass
class Tally:
    """What was measured of one GPU: bytes, percent, joules; None where the driver does not say.

    ``own`` is the most that the measured process had, as often as that was read; ``power`` gives
    joules by the power at each sample, ``counter`` those of the card's own counter; ``points`` are
    (seconds, bytes, percent); ``shared`` memory is the machine's own, with all that is in it.
    """

    name: str
    number: str = ""
    instance: Optional[int] = None
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


class Meter:
    """Adds up the readings of one GPU."""

    def __init__(self, gpu: Gpu, device: Device) -> None:
        self.device = device
        self.tally = Tally(gpu.name, gpu.number, gpu.instance, gpu.total, gpu.shared)
        self._load_seconds = self._seconds = 0.0
        self._first_joules: Optional[float] = None
        self._width = self._until = 0.0

    def sample(self, now: float, gap: float) -> int:
        """Add a reading, ``gap`` seconds after the previous one; return the bytes in use."""
        tally, reading = self.tally, self.device.sample()
        if reading.used is not None:
            tally.before = reading.used if tally.before is None else tally.before
            tally.peak = _maximum(tally.peak, reading.used)
        if reading.load is not None:
            self._load_seconds += reading.load * gap
            self._seconds += gap
            tally.max_load = _maximum(tally.max_load, reading.load)
            tally.mean_load = self._load_seconds / self._seconds if self._seconds else reading.load
        if reading.power is not None:
            tally.power = (tally.power or 0.0) + reading.power * gap
        self._add_point(now, reading)
        return reading.used or 0

    def read_counter(self) -> None:
        """Read the card's own counter of energy, at the beginning and at the end."""
        joules = self.device.read_energy()
        if joules is not None and self._first_joules is not None:
            self.tally.counter = joules - self._first_joules
        self._first_joules = joules if self._first_joules is None else self._first_joules

    def read_own(self, pid: int) -> None:
        """Read the memory of the measured process."""
        self.tally.own = _maximum(self.tally.own, self.device.read_memory_of(pid))

    def _add_point(self, now: float, reading: Reading) -> None:
        """Add a point to the timeline; where the last one is close, keep the maximum of both."""
        points = self.tally.points
        if points and now < self._until:
            _, used, load = points[-1]
            points[-1] = (now, _maximum(used, reading.used), _maximum(load, reading.load))
            return
        points.append((now, reading.used, reading.load))
        if len(points) >= _POINTS:
            pairs = zip(points[::2], points[1::2])
            points[:] = [(b[0], _maximum(a[1], b[1]), _maximum(a[2], b[2])) for a, b in pairs]
            self._width = 2 * (self._width or STEP)
        self._until = now + self._width


class Measurement:
    """One measurement of all GPUs, of which there is none without a driver."""

    def __init__(self, meters: List[Meter], pid: int, started: float) -> None:
        self._meters, self._pid, self._started = meters, pid, started
        self._last = self._due = started
        self._count, self._gap, self._counting = 0, 0.0, False
        self._listed, self._most_used = float("-inf"), -1

    def sample(self, last: bool = False) -> None:
        """Read all GPUs; the memory of the measured process at the end and, seldom, at peaks."""
        now = time.monotonic()
        used = sum(m.sample(now - self._started, now - self._last) for m in self._meters)
        if last or (used > self._most_used and now - self._listed >= _LISTING):
            self._most_used, self._listed = max(used, self._most_used), now
            for meter in self._meters:
                meter.read_own(self._pid)
        self._count, self._gap = self._count + 1, max(self._gap, now - self._last)
        self._last, self._due = now, max(self._due + STEP, now)
        if last and now - self._started >= COUNTED:
            self._read_counters()

    @property
    def next_step(self) -> float:
        """When `step` is to be called."""
        return self._due if self._counting or not self._count else self._last + _BRIEF

    def step(self) -> None:
        """Sample; or, after the first sample, read the counters."""
        if self._counting or not self._count:
            self.sample()
        else:
            self._read_counters()

    def _read_counters(self) -> None:
        self._counting = True
        for meter in self._meters:
            meter.read_counter()

    def result(self, ended: float) -> Dict[str, Any]:
        """Return all of it, as JSON has it."""
        gpus = [asdict(meter.tally) for meter in self._meters]
        return {"count": self._count, "gap": max(self._gap, ended - self._last), "gpus": gpus}


def main(pid: int) -> None:
    """Measure for a process, by the commands that it sends, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Jupyter interrupts all processes of a kernel
    commands: SimpleQueue[str] = SimpleQueue()
    Thread(target=_read_commands, args=(commands,), daemon=True).start()
    with ExitStack() as stack:
        snapshot, devices = _open_driver(stack)
        running: Optional[Measurement] = None
        used = time.monotonic()
        while True:
            wait = running.next_step - time.monotonic() if running else _IDLE
            try:
                command = commands.get(timeout=max(0.0, wait))
            except Empty:
                if _is_orphan(pid) or (not running and time.monotonic() - used > _REST):
                    return
                if running:
                    running.step()
                continue
            used = time.monotonic()
            if not command:
                return
            sign, number, seconds = command.split()
            if sign == "+":
                meters = list(map(Meter, snapshot.gpus, devices))
                running = Measurement(meters, pid, float(seconds))
            elif running:
                running.sample(last=sign == "-")
                answer = {"number": int(number), "reasons": snapshot.reasons}
                print(json.dumps({**answer, **running.result(float(seconds))}), flush=True)
                running = None if sign == "-" else running


def _open_driver(stack: ExitStack) -> Tuple[Snapshot, List[Device]]:
    try:
        return read_gpus(stack.enter_context(open_nvml()))
    except Unavailable:  # the kernel says why
        return Snapshot(), []


def _read_commands(commands: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        commands.put(line)
    commands.put("")


def _is_orphan(pid: int) -> bool:
    """Tell whether the parent has ended; a fork of it may still hold our input open."""
    return os.name == "posix" and os.getppid() != pid


def _maximum(first: Optional[int], second: Optional[int]) -> Optional[int]:
    return max((size for size in (first, second) if size is not None), default=None)
