"""``%%gpu``: what the running cell costs, told when it ends, however it ends."""

import time
from typing import Any, List, Optional, Tuple

from ..errors import usage_error
from ..gpu.devices import advice, find
from ..gpu.measured import Measured, Meter, Peak, meters
from ..gpu.sampler import Sampler
from ..host import Host
from ._base import Call, show

__all__ = ["NAME", "Measuring"]

#: The variable that ``%%gpu -o`` puts a measurement into where no other one is named.
NAME = "gpu_cost"


class Measuring:
    """The measurement of one cell; the sampler stays, so that the next one begins at once."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._sampler = Sampler()
        self._meters: List[Meter] = []
        self._call: Optional[Call] = None
        self._depth = 0
        self._started = 0.0

    def begin(self, call: Call, depth: int) -> None:
        """Measure the running cell, ``depth`` cells deep, from here on."""
        names = [word for word in call.words if word.isidentifier()]
        if len(call.words) > 1 or len(names) != len(call.words):
            raise usage_error(
                "%%gpu around a cell takes -q and -o NAME.", "Other words need %gpu, one line."
            )
        if names and "output" not in call.flags:
            raise usage_error(f"%%gpu {names[0]}: what about it?", f"Write %%gpu -o {names[0]}")
        self._call, self._depth = call, depth
        self._meters = meters()
        _asked(lambda meter: meter.begin(), self._meters)
        self._sampler.begin()
        self._started = time.perf_counter()

    def end(self, result: Any, depth: int) -> None:
        """A cell has ended: tell what it cost, if it is the one."""
        if self._call is None or depth != self._depth:
            return
        seconds = time.perf_counter() - self._started
        call, self._call = self._call, None
        peaks, failed = _asked(lambda meter: meter.peaks(), self._meters)
        waited = time.perf_counter() - self._started if any(peaks) else seconds
        samples = self._sampler.end()
        error = result.error_before_exec or result.error_in_exec
        found = Measured(
            waited,
            samples,
            tuple(peak for some in peaks for peak in some),
            type(error).__name__ if error is not None else "",
            (*failed, *self._missing(samples)),
        )
        if "output" in call.flags:
            self._host.shell.push({(*call.words, NAME)[0]: found})
        if "quiet" not in call.flags:
            show(found.report())

    def close(self) -> None:
        """End the sampler."""
        self._sampler.close()

    def _missing(self, samples: Any) -> Tuple[str, ...]:
        if samples is None:
            return ("The GPU was not sampled: the sampler's process has ended or does not answer",)
        if samples.gpus:
            return samples.reasons  # type: ignore[no-any-return]
        return (f"No GPU was measured. {advice(self._host, find())}",)


def _asked(question: Any, meters: List[Meter]) -> Tuple[List[List[Peak]], Tuple[str, ...]]:
    """The answers, and of a framework whose GPU is in a bad state its error, in one line."""
    answers, failed = [], []
    for meter in meters:
        try:
            answers.append(question(meter) or [])
        except Exception as error:  # such as CUDA's, which the cell has met or the next one will
            failed.append(f"{type(meter).__name__}: {str(error).splitlines()[0][:150]}")
    return answers, tuple(failed)
