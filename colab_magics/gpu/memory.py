"""Giving back GPU memory that nothing needs, and naming what still holds some; nothing is ended."""

from __future__ import annotations

import gc
import inspect
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Dict, Iterable, List, Mapping, Set, Tuple

from .measurement import first_line, meters
from .model import GIB, Gpu, find, memory

#: So many variables are named.
_NAMED = 5
#: Where Python keeps the last error, and with it all that its functions held.
_LAST = ("last_exc", "last_type", "last_value", "last_traceback")


#: Flags of code that stops and goes on: generators, coroutines and both.
_SUSPENDS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


@dataclass(frozen=True)
class Freed:
    """What came of it: the GPUs before and after, and (name, bytes) of what still holds some."""

    before: Tuple[Gpu, ...]
    after: Tuple[Gpu, ...]
    held: Tuple[Tuple[str, int], ...] = ()
    failed: Tuple[str, ...] = ()

    def lines(self) -> List[str]:
        """One line for each GPU, and one for what is still held."""
        lines = [*(_line(*pair) for pair in zip(self.before, self.after)), *self.failed]
        if self.held:
            names = (f"{name} {size / GIB:.2f} GiB" for name, size in self.held[:_NAMED])
            more = len(self.held) - _NAMED
            rest = f" and {more} more" if more > 0 else ""
            lines.append(f"still held: {', '.join(names)}{rest}")
            name = self.held[0][0]
            what = f"del {name}" if name.isidentifier() else "%reset -f out"
            lines.append(f"What is not needed any more: {what}, then %gpu free")
        return lines


def free(namespace: Mapping[str, Any], errors: Iterable[Any] = ()) -> Freed:
    """Collect garbage and let the loaded frameworks give back what they keep for later.

    The functions of errors that are over let go of what they held: those that Python keeps, and
    ``errors``. ``namespace`` has the variables to name.
    """
    before = find().gpus
    _forget(errors)
    gc.collect()
    held: Dict[str, int] = {}
    failed: List[str] = []
    for meter in meters():
        try:
            meter.free()
            held.update(meter.held(namespace))
        except Exception as error:  # such as CUDA's, after which no framework answers
            failed.append(first_line(meter, error))
    largest = sorted(held.items(), key=lambda item: -item[1])
    return Freed(before, find().gpus, tuple(largest), tuple(failed))


def _forget(errors: Iterable[Any]) -> None:
    """Take the locals out of the frames of these errors, and the last error out of Python."""
    left = [*errors, *(getattr(sys, name, None) for name in _LAST)]
    seen: Set[int] = set()
    while left:
        error = left.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        left += [getattr(error, name, None) for name in ("__cause__", "__context__")]
        trace = getattr(error, "__traceback__", error)
        if isinstance(trace, TracebackType):
            for frame, _ in traceback.walk_tb(trace):
                _let_go(frame)
    for name in _LAST:
        if hasattr(sys, name):
            delattr(sys, name)


def _let_go(frame: FrameType) -> None:
    """Empty a frame that is over; a generator may only be suspended, and go on later."""
    if not frame.f_code.co_flags & _SUSPENDS:
        with suppress(RuntimeError):  # it is running
            frame.clear()
        _ = frame.f_locals  # what a report of the error copied is brought up to date


def _line(before: Gpu, after: Gpu) -> str:
    who = after.label
    if before.free is None or after.free is None:
        return f"{who} · memory n/a"
    more = after.free - before.free
    what = f"{more / GIB:.2f} GiB freed" if more > 0 else "nothing to free"
    return f"{who} · {what} · {memory(after)}"
