"""``%%gpu``: what the running cell costs, shown when it ends, however it ends."""

from __future__ import annotations

import re
import time
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

from ..core.errors import usage_error
from ..extension.magic import Call
from ..extension.output import say, show
from ..extension.session import Hook, Session
from . import torch
from .devices import advise, take_snapshot
from .measurement import Cost
from .sampler import Sampler, Samples

#: The variable that ``%%gpu -o`` puts a measurement into where it names no other.
NAME = "gpu_cost"
#: The text of a cell that is measured; IPython reports no end of cells that `%run` runs.
_MEASURED = re.compile(r"(?m)^\s*%%gpu\b|run_cell_magic\(.gpu")


class Measuring(Hook):
    """The measurements of cells, nested as they are; samplers stay, so that the next is ready."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._idle: List[Sampler] = []
        self._running: List[_Running] = []

    def begin(self, call: Call) -> None:
        """Measure the running cell from here on."""
        _check_words(call)
        if not _MEASURED.search(self.session.source):
            say("%%gpu: not measured: IPython does not report the end of a cell that %run runs")
            return
        _, errors = _try(torch.reset_peaks)
        sampler = self._idle.pop() if self._idle else Sampler()
        try:
            sampler.begin()
        except Exception as error:  # the cell is run all the same
            reason = getattr(error, "strerror", None) or error
            errors = (*errors, f"The sampler cannot be started: {reason}")
        running = _Running(call, self.session.depth, sampler, errors, time.perf_counter())
        self._running.append(running)

    def cell_ends(self, result: Any) -> None:
        """Show what the cell cost, if it is measured."""
        ended, depth = time.perf_counter(), self.session.depth
        while self._running and self._running[-1].depth >= depth:
            running = self._running.pop()
            self._idle.append(running.sampler)
            if running.depth == depth:
                self._report(running, ended, result.error_before_exec or result.error_in_exec)

    def _report(self, running: _Running, ended: float, cell_error: Optional[BaseException]) -> None:
        call = running.call
        peaks, errors = _try(torch.read_peaks)
        if peaks:  # the work that the cell has handed to the GPU was waited for
            ended = time.perf_counter()
        samples = running.sampler.end()
        cost = Cost(
            ended - running.started,
            samples,
            tuple(peaks),
            type(cell_error).__name__ if cell_error is not None else "",
            (*running.errors, *errors, *self._explain_missing(samples, running.sampler)),
        )
        if "output" in call.flags:
            self.session.host.shell.push({(*call.words, NAME)[0]: cost})
        if "quiet" not in call.flags:
            show(cost.report())

    def close(self) -> None:
        """End the samplers."""
        if self._running:
            say("%%gpu: not measured to its end: the extension was unloaded")
        for sampler in [*self._idle, *(running.sampler for running in self._running)]:
            sampler.close()
        self._idle, self._running = [], []

    def _explain_missing(self, samples: Optional[Samples], sampler: Sampler) -> Tuple[str, ...]:
        if samples is None and sampler.starting:
            return ("The GPU was not sampled: its driver is slow to start. Run the cell again",)
        if samples is None:
            return ("The GPU was not sampled: the sampler's process ended or does not answer",)
        if samples.gpus:
            return samples.reasons
        return (f"No GPU was measured. {advise(self.session.host, take_snapshot())}",)


class _Running(NamedTuple):
    call: Call
    depth: int
    sampler: Sampler
    errors: Tuple[str, ...]
    started: float


def _check_words(call: Call) -> None:
    names = [word for word in call.words if word.isidentifier()]
    if len(call.words) > 1 or len(names) != len(call.words):
        raise usage_error(
            "%%gpu around a cell takes -q and -o NAME.",
            "For commands write %gpu, one line.",
            code="unknown-argument",
        )
    if names and "output" not in call.flags:
        raise usage_error(
            f"%%gpu has no argument {names[0]}.", f"Write %%gpu -o {names[0]}", code="no-output"
        )


def _try(function: Callable[[], Any]) -> Tuple[Sequence[Any], Tuple[str, ...]]:
    """Call torch; if its GPU is in a bad state, return the error as a line."""
    try:
        return function() or (), ()
    except Exception as error:  # such as CUDA's, which the cell has met or the next one will
        return (), (torch.first_line(error),)
