"""What a loop goes through: what it depends on, and whether it is the same another time."""

from __future__ import annotations

import random
from functools import partial
from hashlib import blake2b
from itertools import islice
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, Callable, Dict, Iterable, Iterator, Mapping, Optional, Set, Tuple

from .manifest import DIGEST

#: How many parts of an item are looked at, and how many elements or characters of each.
_PARTS, _ELEMENTS = 64, 8192
#: What holds nothing that a turn changes.
CODE = (ModuleType, FunctionType, BuiltinFunctionType, type)
#: How deep in objects a random generator is searched for: ``loader.sampler.generator``.
_DEPTH = 3


def is_iterator(value: Any) -> bool:
    """Tell whether a value can be gone through only once."""
    try:
        return hasattr(type(value), "__next__") and iter(value) is value
    except Exception:  # the loop raises it
        return False


def find_globals(names: Iterable[str], namespace: Dict[str, Any]) -> Tuple[Set[str], bool]:
    """Return the names that an expression depends on: its own, and those of functions of cells.

    Also tell whether there are such functions, or classes.
    """
    pending, seen, has_functions = set(names), set(), False
    while pending:
        name = pending.pop()
        seen.add(name)
        for function in _functions(namespace.get(name)):
            if function.__globals__ is namespace:
                has_functions = True
                pending |= _code_names(function.__code__) - seen
    return seen & set(namespace), has_functions


def _functions(value: Any) -> Iterator[FunctionType]:
    """Yield the Python functions that a value is, or that its class has."""
    kind = value if isinstance(value, type) else type(value)
    values = [value, *(vars(kind).values() if kind.__module__ == "__main__" else ())]
    for candidate in values:
        candidate = getattr(candidate, "__func__", getattr(candidate, "__wrapped__", candidate))
        if isinstance(candidate, FunctionType):
            yield candidate


def _code_names(code: CodeType) -> Set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(_code_names, inner))


# ---------------------------------------------------------------------- random generators
State = Tuple[Callable[[], Any], Callable[[Any], Any]]


def find_generators(values: Mapping[str, Any]) -> Dict[str, State]:
    """Return what reads and sets each random generator in values and their attributes, by path."""
    result: Dict[str, State] = {}
    seen: Set[int] = set()

    def visit(path: str, value: Any, depth: int) -> None:
        state = _access(value)
        if state is not None:
            result[path] = state
        elif depth and id(value) not in seen and not isinstance(value, (ModuleType, type)):
            seen.add(id(value))
            for name, inner in list(getattr(value, "__dict__", {}).items()):
                visit(f"{path}.{name}", inner, depth - 1)

    for name in sorted(values):
        visit(name, values[name], _DEPTH)
    return result


def _access(value: Any) -> Optional[State]:
    kind = type(value)
    if isinstance(value, random.Random) and not isinstance(value, random.SystemRandom):
        return value.getstate, value.setstate
    if kind.__module__.partition(".")[0] not in {"numpy", "torch"}:
        return None
    if kind.__name__ == "Generator" and hasattr(value, "bit_generator"):
        bits = value.bit_generator
        return partial(getattr, bits, "state"), partial(setattr, bits, "state")
    if kind.__name__ in {"Generator", "RandomState"}:
        return value.get_state, value.set_state
    return None


# ---------------------------------------------------------------------- items
def fingerprint(item: Any, deep: bool) -> str:
    """Return a hash of what is immutable in an item; with ``deep`` of its arrays too.

    Of objects it has only the types: an item that the loop changed has the same.
    """
    digest = blake2b(digest_size=DIGEST)
    for part in islice(_parts(item, deep), _PARTS):
        digest.update(part)
        digest.update(b"\0")
    return digest.hexdigest()


def _parts(value: Any, deep: bool) -> Iterator[bytes]:
    kind = type(value)
    yield kind.__name__.encode("utf-8", "surrogatepass")
    if value is None or kind in (bool, int, float, complex):
        yield repr(value).encode()
    elif kind is str:
        yield value[:_ELEMENTS].encode("utf-8", "surrogatepass")
    elif kind is bytes:
        yield value[:_ELEMENTS]
    elif isinstance(value, tuple):
        for inner in value[:_PARTS]:
            yield from _parts(inner, deep)
    elif kind.__module__ == "numpy" and hasattr(value, "dtype"):
        is_array = kind.__name__ == "ndarray"  # else a scalar, which nothing changes
        if (deep or not is_array) and not value.dtype.hasobject:
            yield repr(value.shape).encode()
            yield value.flat[:_ELEMENTS].tobytes() if is_array else value.tobytes()
