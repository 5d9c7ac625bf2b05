"""The pickler of a namespace: cloudpickle's, with what it would copy or change done otherwise.

It writes variable by variable and keeps its memo, so that they share objects. A variable that
cannot be written leaves nothing behind.
"""

from __future__ import annotations

import builtins
import types
from dataclasses import dataclass
from pickle import PickleBuffer
from typing import Any, Callable, Dict, List, Mapping, Sequence, Set

import cloudpickle

from . import definitions, tensors


@dataclass(frozen=True)
class Pickled:
    """A variable as pieces of bytes and buffers."""

    pieces: Sequence[Any]
    buffers: Sequence[PickleBuffer]


class _Output:
    """What the pickler has written of a variable: pieces of bytes, and buffers out of band."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self.pieces: List[Any] = []
        self.buffers: List[PickleBuffer] = []

    def write(self, data: Any) -> None:
        """Take bytes."""
        self._check()
        self.pieces.append(data)

    def hold(self, buffer: PickleBuffer) -> bool:
        """Take a buffer; true: leave it in the stream, since its memory is not contiguous."""
        self._check()
        try:
            buffer.raw().release()
        except BufferError:
            return True
        self.buffers.append(buffer)
        return False


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    namespace: Dict[str, Any]
    modules: Set[Any]
    table: Mapping[type, Callable[[Any], Any]]

    def reducer_override(self, value: Any) -> Any:
        """Reduce what is not pickled as everywhere; `NotImplemented` leaves it to cloudpickle."""
        kind = type(value)
        self.modules.add(value.__name__ if kind is types.ModuleType else kind.__module__)
        reduce = self.table.get(kind)
        if reduce is not None:
            return reduce(value)
        if kind is types.FunctionType:
            if not definitions.is_importable(value):
                return definitions.reduce_function(value, self.namespace)
            self.modules.add(value.__module__)
        elif issubclass(kind, type):
            if definitions.is_dynamic(value):
                return definitions.reduce_class(value)
            self.modules.add(value.__module__)
            return super().reducer_override(value)
        return NotImplemented


class NamespacePickler:
    """Pickles variables one after the other. Object 0 is the namespace, 1 are the builtins.

    ``check`` is called again and again, and may raise what ends it all.
    """

    def __init__(self, namespace: Dict[str, Any], check: Callable[[], None]) -> None:
        self._namespace = namespace
        self._output = _Output(check)
        self._table = {**definitions.reducers(), **tensors.reducers()}
        self.modules: Set[Any] = set()
        known = enumerate((namespace, vars(builtins)))
        self._pickler = self._make({id(value): (at, value) for at, value in known})

    def dump(self, value: Any, check: Callable[[Pickled], None]) -> Pickled:
        """Pickle a value; whatever this or ``check`` raises, the next one can be pickled."""
        box = [value]
        output = self._output
        output.pieces, output.buffers = [], []
        try:
            self._pickler.dump(box)
            pickled = Pickled(output.pieces, output.buffers)
            check(pickled)
            return pickled
        except Exception:
            self._forget(box)
            raise

    def _forget(self, box: List[Any]) -> None:
        """Forget what was written since a list began, with all that it reached first."""
        memo = self._pickler.memo.copy()
        limit = memo.get(id(box), (len(memo),))[0]
        self._pickler = self._make({key: entry for key, entry in memo.items() if entry[0] < limit})

    def _make(self, memo: Dict[int, Any]) -> _Pickler:
        pickler = _Pickler(self._output, protocol=5, buffer_callback=self._output.hold)
        pickler.memo, pickler.table = memo, self._table
        pickler.namespace, pickler.modules = self._namespace, self.modules
        return pickler
