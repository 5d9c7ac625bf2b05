"""Giving back GPU memory that nothing needs, and naming what still holds some; nothing is ended."""

import gc
import sys
import traceback
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Tuple

from .devices import Gpu, find, memory, number
from .measured import meters

__all__ = ["Freed", "free"]

_GIB = 1024**3
#: So many variables are named.
_NAMED = 5
#: Where Python keeps the last error, and with it all that its functions held.
_LAST = ("last_exc", "last_type", "last_value", "last_traceback")


@dataclass(frozen=True)
class Freed:
    """What came of it: the GPUs before and after, and (name, bytes) of what still holds some."""

    before: Tuple[Gpu, ...]
    after: Tuple[Gpu, ...]
    held: Tuple[Tuple[str, int], ...] = ()

    def lines(self) -> List[str]:
        """One line for each GPU, and one for what is still held."""
        lines = [_line(*pair) for pair in zip(self.before, self.after)]
        if self.held:
            names = (f"{name} {size / _GIB:.2f} GiB" for name, size in self.held[:_NAMED])
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
    used = meters()
    for meter in used:
        meter.free()
    held: Dict[str, int] = {}
    for meter in used:
        held.update(meter.held(namespace))
    largest = sorted(held.items(), key=lambda item: -item[1])
    return Freed(before, find().gpus, tuple(largest))


def _forget(errors: Iterable[Any]) -> None:
    """Take the locals out of the frames of these errors, and the last error out of Python."""
    seen = [*errors, *(getattr(sys, name, None) for name in _LAST)]
    for error in seen:
        trace = getattr(error, "__traceback__", error)
        if hasattr(trace, "tb_frame"):
            traceback.clear_frames(trace)
            for frame, _ in traceback.walk_tb(trace):
                _ = frame.f_locals  # what a report of the error copied is brought up to date
    for name in _LAST:
        if hasattr(sys, name):
            delattr(sys, name)


def _line(before: Gpu, after: Gpu) -> str:
    who = f"{number(after)} {after.name}"
    if before.free is None or after.free is None:
        return f"{who} · memory n/a"
    more = after.free - before.free
    what = f"{more / _GIB:.2f} GiB freed" if more > 0 else "nothing to free"
    return f"{who} · {what} · {memory(after)}"
