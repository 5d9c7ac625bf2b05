"""Load pickles that share a memo, also where some of them cannot be loaded.

An object that a failed pickle would have made is never referred to: a pickle that does is lost as
well, by name. What is a value of its own in it (a text, a class of a library) is read all the same.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import pickletools
from pickle import UnpicklingError
from typing import Any, Dict, Iterator, Sequence, Tuple

#: Makes two objects that `persistent_load` returns the first of the memo: the memo of the C
#: unpickler can be filled by a pickle only.
_FIRST = b"\x80\x05K\x00Q\x940K\x01Q\x940N."


_Python: Any = pickle._Unpickler  # the one of Python alone, whose memo is a dictionary


class _Source:
    """Bytes between two places, as a file."""

    def use(self, data: Any, start: int, end: int) -> None:
        self._view, self.position, self.end = memoryview(data), start, end

    def read(self, size: int) -> bytes:
        data = bytes(self._view[self.position : min(self.position + size, self.end)])
        self.position += len(data)
        return data

    def readinto(self, target: Any) -> int:
        size = min(len(target), self.end - self.position)
        target[:size] = self._view[self.position : self.position + size]
        self.position += size
        return size

    def readline(self) -> bytes:
        raise UnpicklingError("a line of text is in the pickle")


class _Buffers:
    """The buffers from the one on that a pickle begins with; each is writable."""

    def __init__(self, buffers: Sequence[Any]) -> None:
        self._buffers, self.position = buffers, 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.position >= len(self._buffers):
            raise StopIteration
        buffer = self._buffers[self.position]
        self.position += 1
        return bytearray(buffer) if memoryview(buffer).readonly else buffer


class _Names:
    """What both unpicklers do with names."""

    known: Sequence[Any] = ()

    def persistent_load(self, number: Any) -> Any:
        return self.known[number]

    def find_class(self, module: str, name: str) -> Any:
        if module == "__main__":  # the kernel may have another one of that name
            raise UnpicklingError(f"{name} was saved by its name alone")
        return super().find_class(module, name)  # type: ignore[misc]


class _Fast(_Names, pickle.Unpickler):
    pass


class _Careful(_Names, _Python):  # type: ignore[misc]
    """Refuses what refers to an object that is not there."""


class _Nothing:
    """Stands for an object that was not loaded, while a failed pickle is read to its end."""

    def __init__(self, name: str) -> None:
        self.name = name

    def append(self, *_: Any) -> None:
        """Take what belongs to the object that is not there."""

    extend = add = update = __setitem__ = append


class _Memo(Dict[int, Any]):
    """Objects by number; while ``strict``, raises for those that are not there."""

    strict = True

    def __getitem__(self, number: int) -> Any:
        value = super().__getitem__(number)
        if self.strict and isinstance(value, _Nothing):
            raise UnpicklingError(f"it shares an object with {value.name}, which is lost")
        return value


class _Salvage(_Names, _Python):  # type: ignore[misc]
    """Reads a failed pickle to its end without making its objects: what else is in it is needed."""

    lost = ""

    def find_class(self, module: str, name: str) -> Any:
        try:
            value = super().find_class(module, name)
        except Exception:
            return _Nothing(self.lost)
        self.imported.add(id(value))
        return value

    def _reduce(self) -> None:
        args, function = self.stack.pop(), self.stack[-1]
        plain = isinstance(function, type) and _is_dtype(function)
        self.stack[-1] = function(*args) if plain else _Nothing(self.lost)

    def _new(self) -> None:
        self.stack.pop()
        self.stack[-1] = _Nothing(self.lost)

    def _new_with_keywords(self) -> None:
        self.stack.pop()
        self._new()

    def _build(self) -> None:
        state = self.stack.pop()
        if _is_dtype(type(self.stack[-1])):
            self.stack[-1].__setstate__(state)

    dispatch = {
        **_Python.dispatch,
        pickle.REDUCE[0]: _reduce,
        pickle.NEWOBJ[0]: _new,
        pickle.NEWOBJ_EX[0]: _new_with_keywords,
        pickle.BUILD[0]: _build,
    }


def _is_dtype(kind: type) -> bool:
    return any(base.__name__ == "dtype" and base.__module__ == "numpy" for base in kind.__mro__)


class Loader:
    """Loads the pickles of a stream, in their order. ``known`` are the first two objects."""

    def __init__(self, stream: Any, buffers: Sequence[Any], known: Sequence[Any]) -> None:
        self._stream, self._source, self._buffers = stream, _Source(), _Buffers(buffers)
        self._known = known
        self._unpickler = self._make(_Fast)
        self._source.use(_FIRST, 0, len(_FIRST))
        self._unpickler.load()

    def load(self, name: str, start: int, end: int) -> Any:
        """Return what the pickle between two places has. Where it raises, the next can be loaded.

        ``name`` is that of the variable.
        """
        self._source.use(self._stream, start, end)
        buffer, memo = self._buffers.position, self._unpickler.memo
        number = len(memo) if isinstance(memo, _Memo) else None
        try:
            [value] = self._unpickler.load()
            if self._source.position != end:
                raise UnpicklingError("the pickle ends before its segment")
        except Exception:
            if number is None:  # the C unpickler does not tell how many objects it had
                number = len(self._known) + self._count(0, start)[0]
            self._skip(name, start, end, number, buffer)
            raise
        return value

    def _count(self, start: int, end: int) -> Tuple[int, int]:
        """Return how many objects and buffers pickles have; nothing is unpickled."""
        file, counts = io.BytesIO(self._stream[start:end]), {"MEMOIZE": 0, "NEXT_BUFFER": 0}
        while file.tell() < end - start:
            for opcode, _, _ in pickletools.genops(file):
                if opcode.name in counts:
                    counts[opcode.name] += 1
        return counts["MEMOIZE"], counts["NEXT_BUFFER"]

    def _skip(self, name: str, start: int, end: int, number: int, buffer: int) -> None:
        """Go on after a pickle that raised, before which there were so many objects and buffers."""
        objects, buffers = self._count(start, end)
        memo = self._unpickler.memo
        if not isinstance(memo, _Memo):
            memo = _Memo(memo.copy())
        while len(memo) > number:
            del memo[len(memo) - 1]
        salvage = self._make(_Salvage)
        salvage.lost, salvage.imported, salvage.memo = name, set(), memo
        self._source.use(self._stream, start, end)
        self._buffers.position = buffer
        memo.strict = False
        with contextlib.suppress(Exception):
            salvage.load()
        for at in range(number, number + objects):
            value = memo.get(at)
            plain = type(value) in (str, bytes) or _is_dtype(type(value))
            if not plain and id(value) not in salvage.imported:
                memo[at] = _Nothing(name)
        memo.strict = True
        self._buffers.position = buffer + buffers
        self._unpickler = self._make(_Careful)
        self._unpickler.memo = memo

    def _make(self, kind: Any) -> Any:
        unpickler = kind(self._source, buffers=self._buffers)
        unpickler.known = self._known
        return unpickler
