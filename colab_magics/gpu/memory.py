"""Give GPU memory back that nothing needs, and name the variables that still hold some."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass
from typing import Any, Iterator, List, Mapping, Optional, Sequence, Tuple

from . import torch
from .devices import take_snapshot
from .format import describe_memory
from .model import GIB, Gpu

#: So many variables are named.
_NAMED = 5
#: What IPython puts beside a user's variables, but for ``_`` and the like.
_IPYTHON = {"In", "Out", "exit", "quit", "get_ipython"}
#: Where Python keeps the last error, and with its traceback all that its functions held.
_LAST_ERROR = ("last_exc", "last_type", "last_value", "last_traceback")


@dataclass(frozen=True)
class Freed:
    """The GPUs before and after, and (name, bytes) of each variable that still holds memory."""

    before: Tuple[Gpu, ...]
    after: Tuple[Gpu, ...]
    holders: Tuple[Tuple[str, int], ...] = ()
    errors: Tuple[str, ...] = ()

    def lines(self) -> List[str]:
        """Return a line for each GPU, and what still holds memory."""
        lines = [*map(_format_gpu, self.before, self.after), *self.errors]
        if self.holders:
            sizes = [f"{name} {size / GIB:.2f} GiB" for name, size in self.holders[:_NAMED]]
            more = f" and {len(self.holders) - _NAMED} more" if len(self.holders) > _NAMED else ""
            name = self.holders[0][0]
            command = f"del {name}" if name.isidentifier() else "%reset -f out"
            lines.append(f"still held: {', '.join(sizes)}{more}")
            lines.append(f"Delete what you do not need: {command}, then %gpu free")
        return lines


def free_memory(
    before: Sequence[Gpu], namespace: Mapping[str, Any], error: Optional[BaseException] = None
) -> Freed:
    """Drop the last error's traceback, collect garbage, and empty the cache of torch.

    ``error`` is that of the last cell. Nothing in the user's ``namespace`` is deleted.
    """
    _drop_tracebacks(error, getattr(sys, "last_value", None))
    for name in _LAST_ERROR:
        vars(sys).pop(name, None)
    gc.collect()
    holders: List[Tuple[str, int]] = []
    errors = []
    try:
        torch.empty_cache()
        sizes = torch.measure_variables(_list_variables(namespace))
        holders = sorted(sizes.items(), key=lambda item: -item[1])
    except Exception as failure:  # such as CUDA's, after which torch does not answer
        errors.append(torch.first_line(failure))
    return Freed(tuple(before), take_snapshot().gpus, tuple(holders), tuple(errors))


def _drop_tracebacks(*errors: Optional[BaseException]) -> None:
    """Drop the tracebacks of errors, which others may hold, and of those that caused them."""
    pending = [*errors]
    while pending:
        error = pending.pop()
        if error is not None and error.__traceback__ is not None:
            error.__traceback__ = None
            pending += [error.__cause__, error.__context__]


def _list_variables(namespace: Mapping[str, Any]) -> Iterator[Tuple[str, Any]]:
    """Yield the user's variables, then results by number, then other names of the same."""
    names = [name for name in namespace if name not in _IPYTHON]
    yield from ((name, namespace[name]) for name in names if not name.startswith("_"))
    results = namespace.get("Out")
    if isinstance(results, dict):
        yield from ((f"Out[{number}]", value) for number, value in results.items())
    yield from ((name, namespace[name]) for name in names if name.startswith("_"))


def _format_gpu(before: Gpu, after: Gpu) -> str:
    if before.free is None or after.free is None:
        return f"{after.label} · memory n/a"
    more = after.free - before.free
    freed = f"{more / GIB:.2f} GiB freed" if more > 0 else "nothing to free"
    return f"{after.label} · {freed} · {describe_memory(after)} used"
