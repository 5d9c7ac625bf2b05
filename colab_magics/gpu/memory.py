"""Give GPU memory back that nothing needs, and name the variables that still hold some."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from .measurement import first_line, meters
from .model import GIB, Gpu, find, memory

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
    held: Tuple[Tuple[str, int], ...] = ()
    failed: Tuple[str, ...] = ()

    def lines(self) -> List[str]:
        """Write a line for each GPU, and what still holds memory."""
        lines = [*map(_line, self.before, self.after), *self.failed]
        if self.held:
            texts = [f"{name} {size / GIB:.2f} GiB" for name, size in self.held[:_NAMED]]
            more = f" and {len(self.held) - _NAMED} more" if len(self.held) > _NAMED else ""
            name = self.held[0][0]
            command = f"del {name}" if name.isidentifier() else "%reset -f out"
            lines.append(f"still held: {', '.join(texts)}{more}")
            lines.append(f"What is not needed any more: {command}, then %gpu free")
        return lines


def free(
    before: Sequence[Gpu], namespace: Mapping[str, Any], error: Optional[BaseException] = None
) -> Freed:
    """Forget the last error, collect garbage, and empty the caches of the loaded frameworks.

    ``error`` is that of the last cell. Nothing in the user's ``namespace`` is deleted.
    """
    _drop_tracebacks(error, getattr(sys, "last_value", None))
    for name in _LAST_ERROR:
        vars(sys).pop(name, None)
    gc.collect()
    sizes: Dict[str, int] = {}
    failed: List[str] = []
    for meter in meters():
        try:
            meter.free()
            sizes.update(meter.held(_variables(namespace)))
        except Exception as error:  # such as CUDA's, after which no framework answers
            failed.append(first_line(meter, error))
    held = sorted(sizes.items(), key=lambda item: -item[1])
    return Freed(tuple(before), find().gpus, tuple(held), tuple(failed))


def _drop_tracebacks(*errors: Optional[BaseException]) -> None:
    """Take the tracebacks from errors, which others may hold, and from those that caused them."""
    left = [*errors]
    while left:
        error = left.pop()
        if error is not None and error.__traceback__ is not None:
            error.__traceback__ = None
            left += [error.__cause__, error.__context__]


def _variables(namespace: Mapping[str, Any]) -> Iterator[Tuple[str, Any]]:
    """List the user's variables, then results by number, then other names of the same."""
    names = [name for name in namespace if name not in _IPYTHON]
    yield from ((name, namespace[name]) for name in names if not name.startswith("_"))
    results = namespace.get("Out")
    if isinstance(results, dict):
        yield from ((f"Out[{number}]", value) for number, value in results.items())
    yield from ((name, namespace[name]) for name in names if name.startswith("_"))


def _line(before: Gpu, after: Gpu) -> str:
    if before.free is None or after.free is None:
        return f"{after.label} · memory n/a"
    more = after.free - before.free
    freed = f"{more / GIB:.2f} GiB freed" if more > 0 else "nothing to free"
    return f"{after.label} · {freed} · {memory(after)}"
