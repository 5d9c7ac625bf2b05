"""``%%gpu``: what the running cell costs, told when it ends, however it ends."""

from __future__ import annotations

import re
import time
from itertools import chain
from typing import TYPE_CHECKING, Any, List, NamedTuple, Tuple

from ..core.errors import usage_error
from ..extension.hooks import Hook
from ..extension.magic import Call
from ..extension.output import say, show
from .measurement import Measured, Meter, Peak, first_line, meters
from .model import advice, find
from .sampler import Sampler

if TYPE_CHECKING:
    from ..extension.recorder import Session

#: The variable that ``%%gpu -o`` puts a measurement into where no other one is named.
NAME = "gpu_cost"
#: The text of a cell that is measured; IPython tells no end of cells that `%run` runs.
_MEASURED = re.compile(r"(?m)^\s*%%gpu\b|run_cell_magic\(.gpu")


class Measuring(Hook):
    """The measurements of cells, one in another; samplers stay, so that the next begins at once."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._idle: List[Sampler] = []
        self._running: List[_Running] = []

    def begin(self, call: Call) -> None:
        """Measure the running cell from here on."""
        depth, source = self.session.depth, self.session.source
        names = [word for word in call.words if word.isidentifier()]
        if len(call.words) > 1 or len(names) != len(call.words):
            raise usage_error(
                "%%gpu around a cell takes -q and -o NAME.", "Other words need %gpu, one line."
            )
        if names and "output" not in call.flags:
            raise usage_error(f"%%gpu {names[0]}: what about it?", f"Write %%gpu -o {names[0]}")
        if not _MEASURED.search(source):
            say("%%gpu: not measured: the end of a cell that %run or a program runs is not told")
            return
        used = meters()
        _, failed = _ask(lambda meter: meter.begin(), used)
        sampler = self._idle.pop() if self._idle else Sampler()
        try:
            sampler.begin()
        except Exception as error:  # the cell is run all the same
            why = getattr(error, "strerror", None) or error
            failed = (*failed, f"The sampler cannot be started: {why}")
        self._running.append(_Running(call, depth, used, sampler, failed, time.perf_counter()))

    def cell_ends(self, result: Any) -> None:
        """Tell what the cell cost, if it is one that is measured."""
        ended, depth = time.perf_counter(), self.session.depth
        while self._running and self._running[-1].depth >= depth:
            running = self._running.pop()
            self._idle.append(running.sampler)
            if running.depth == depth:
                self._tell(running, ended - running.started, result)

    def _tell(self, running: _Running, seconds: float, result: Any) -> None:
        call, sampler = running.call, running.sampler
        peaks, failed = _ask(lambda meter: meter.peaks(), running.meters)
        if any(peaks):  # what the cell has asked of the GPU was waited for
            seconds = time.perf_counter() - running.started
        samples = sampler.end()
        error = result.error_before_exec or result.error_in_exec
        measured = Measured(
            seconds,
            samples,
            tuple(chain.from_iterable(peaks)),
            type(error).__name__ if error is not None else "",
            (*running.failed, *failed, *self._missing(samples, sampler)),
        )
        if "output" in call.flags:
            self.session.host.shell.push({(*call.words, NAME)[0]: measured})
        if "quiet" not in call.flags:
            show(measured.report())

    def close(self) -> None:
        """End the samplers."""
        if self._running:
            say("%%gpu: not measured to its end: the extension was unloaded")
        for sampler in [*self._idle, *(running.sampler for running in self._running)]:
            sampler.close()
        self._idle, self._running = [], []

    def _missing(self, samples: Any, sampler: Sampler) -> Tuple[str, ...]:
        if samples is None and sampler.starting:
            return ("The GPU was not sampled: the driver is slow to start; the next cell may be",)
        if samples is None:
            return ("The GPU was not sampled: the sampler's process has ended or does not answer",)
        if samples.gpus:
            return samples.reasons  # type: ignore[no-any-return]
        return (f"No GPU was measured. {advice(self.session.host, find())}",)


class _Running(NamedTuple):
    """One measurement that is under way."""

    call: Call
    depth: int
    meters: List[Meter]
    sampler: Sampler
    failed: Tuple[str, ...]
    started: float


def _ask(question: Any, meters: List[Meter]) -> Tuple[List[List[Peak]], Tuple[str, ...]]:
    """Ask each framework; of one whose GPU is in a bad state, return its error as a line."""
    answers, failed = [], []
    for meter in meters:
        try:
            answers.append(question(meter) or [])
        except Exception as error:  # such as CUDA's, which the cell has met or the next one will
            failed.append(first_line(meter, error))
    return answers, tuple(failed)
