"""How functions, classes and modules that cells define or import are pickled.

cloudpickle copies what it cannot import: the globals that a function names, its closure, a class
without its slots. A copy stops following the original, so here a function of the namespace has the
namespace as its globals again, closures share their cells, and a class is made anew as it was.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import functools
import gc
import importlib
import sys
import types
import typing
import uuid
import weakref
from enum import Enum
from pickle import PicklingError
from typing import Any, Callable, Dict, Iterator, List, Mapping, NoReturn, Tuple

#: What a pickler takes: a callable, its arguments, a state, two unused fields, and its setter.
Reduced = Tuple[Any, ...]

_HEAP_TYPE = 1 << 9
_FUNCTION = ["__qualname__", "__kwdefaults__", "__defaults__", "__module__", "__doc__"]
# Reading __annotations__ of Python 3.14 runs them, and a name in them may not exist yet.
_FUNCTION.append("__annotate__" if sys.version_info >= (3, 14) else "__annotations__")
_FUNCTION += ["__type_params__"] if sys.version_info >= (3, 12) else []
#: Of a class: what Python makes itself, and what is given when it is created.
_MADE = {"__dict__", "__weakref__", "_abc_impl", "__annotate_func__", "__annotations_cache__"}
_CREATED = ("__module__", "__doc__", "__slots__")
_ENUM_MADE = {"__new__", "__new_member__", "__reduce_ex__"}
_MEMBER_MADE = {"_value_", "_name_", "__objclass__", "_sort_order_"}
#: Classes that cells defined, by what stands for each in a pickle: a process has each once.
_TOKENS: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()
_CLASSES: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()
_UNFINISHED: weakref.WeakSet[type] = weakref.WeakSet()


def is_importable(value: Any) -> bool:
    """Tell whether a function or class can be pickled by its name: not where a cell defined it."""
    if value.__module__ == "__main__" or value.__module__ is None:
        return False
    place: Any = sys.modules.get(value.__module__)
    for name in value.__qualname__.split("."):
        place = getattr(place, name, None)
    return place is value


def is_dynamic(cls: type) -> bool:
    """Tell whether Python code made a class that cannot be imported."""
    return bool(cls.__flags__ & _HEAP_TYPE) and not is_importable(cls)


# ---------------------------------------------------------------------- functions
def reduce_function(function: types.FunctionType, namespace: Dict[str, Any]) -> Reduced:
    """Reduce a function to its code, its globals and the cells that it shares with others."""
    table: Any = function.__globals__
    module = sys.modules.get(table.get("__name__", ""))
    if table is not namespace and module is not None and vars(module) is table:
        table = _ModuleGlobals(module.__name__)
    args = (function.__code__, table, function.__name__, None, function.__closure__)
    state = {name: getattr(function, name) for name in _FUNCTION}
    return types.FunctionType, args, (state, vars(function)), None, None, _set_function


def _set_function(function: types.FunctionType, state: Tuple[Dict[str, Any], Any]) -> None:
    for name, value in state[0].items():
        setattr(function, name, value)
    function.__dict__.update(state[1])


class _ModuleGlobals:
    """The globals of a function that a library made: those of its module, not a copy."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __reduce__(self) -> Reduced:
        return _module_globals, (self._name,)


def _module_globals(name: str) -> Dict[str, Any]:
    return vars(importlib.import_module(name))


def _reduce_cell(cell: types.CellType) -> Reduced:
    try:
        return types.CellType, (), (cell.cell_contents,), None, None, _set_cell
    except ValueError:  # it is empty
        return types.CellType, ()


def _set_cell(cell: types.CellType, contents: Tuple[Any]) -> None:
    [cell.cell_contents] = contents  # alone, None would count as no state


def _reduce_lru_cache(function: Any) -> Any:
    if is_importable(function):
        return function.__qualname__
    # Python 3.8 does not say whether it is typed.
    typed = hasattr(function, "cache_parameters") and function.cache_parameters()["typed"]
    args = (function.__wrapped__, function.cache_info().maxsize, typed)
    return _make_lru_cache, args, vars(function), None, None, _set_attributes


def _make_lru_cache(function: Callable[..., Any], size: Any, typed: bool) -> Any:
    return functools.lru_cache(size, typed)(function)


def _set_attributes(value: Any, attributes: Dict[str, Any]) -> None:
    vars(value).update(attributes)


def _reduce_cached_property(value: Any) -> Reduced:
    attributes = {name: item for name, item in vars(value).items() if name != "lock"}
    return functools.cached_property, (value.func,), attributes, None, None, _set_attributes


# ---------------------------------------------------------------------- classes
def reduce_class(cls: type) -> Reduced:
    """Reduce a class to its bases and attributes; its instances stay those of a single class."""
    token = _TOKENS.setdefault(cls, uuid.uuid4().hex)
    _CLASSES[token] = cls
    state = {name: value for name, value in vars(cls).items() if not _is_made(cls, name, value)}
    created = {name: state.pop(name) for name in _CREATED if name in state}
    created["__qualname__"] = cls.__qualname__
    registered: List[type] = []
    if isinstance(cls, abc.ABCMeta):
        references = abc._get_dump(cls)[0]  # type: ignore[attr-defined]
        registered = [sub for sub in (reference() for reference in references) if sub]
    if issubclass(cls, Enum):
        members = {name: member._value_ for name, member in cls.__members__.items()}
        if "__new_member__" in vars(cls) and vars(cls)["_member_type_"] is not object:
            raise PicklingError(f"{cls.__name__} makes its members by a __new__ of its own")
        make: Any = _make_enum
        bases, created = cls.__bases__, {**created, **members}
        extra = {name: _member_attributes(member) for name, member in cls.__members__.items()}
    else:
        make, bases, extra = _make_plain, _bases(cls), {}
    args = (token, make, type(cls), cls.__name__, bases, created)
    return _make_class, args, (state, registered, extra), None, None, _set_class


def _is_made(cls: type, name: str, value: Any) -> bool:
    if name in _MADE or (isinstance(value, types.MemberDescriptorType) and name != "__slots__"):
        return True
    if not issubclass(cls, Enum):
        return False
    machinery = name.startswith("_") and name.endswith("_") and not name.startswith("__")
    return name in cls.__members__ or name in _ENUM_MADE or (machinery and name != "_missing_")


def _member_attributes(member: Any) -> Dict[str, Any]:
    return {name: value for name, value in vars(member).items() if name not in _MEMBER_MADE}


def _bases(cls: type) -> Tuple[Any, ...]:
    """Return the bases as they were written, where the class can be made from those."""
    written = vars(cls).get("__orig_bases__", cls.__bases__)
    plain = type(cls) is type and types.resolve_bases(written) != cls.__bases__
    return cls.__bases__ if plain else tuple(written)


def _make_class(token: str, make: Callable[..., type], meta: type, *args: Any) -> type:
    """Return the class that this process has already, or make it, still without its attributes."""
    cls = _CLASSES.get(token)
    if cls is None:
        cls = make(meta, *args)
        _CLASSES[token] = cls
        _TOKENS[cls] = token
        _UNFINISHED.add(cls)
    return cls


def _make_plain(meta: type, name: str, bases: Tuple[Any, ...], created: Dict[str, Any]) -> type:
    resolved = types.resolve_bases(bases)
    if resolved != bases:
        created = {**created, "__orig_bases__": bases}
    with _without_hooks(resolved):
        if meta in _TOKENS:  # its __new__ and __init__ have done their work already
            maker: Any = next(m for m in meta.__mro__ if m not in _TOKENS)
            return typing.cast(type, maker.__new__(meta, name, resolved, dict(created)))
        return types.new_class(name, bases, {"metaclass": meta}, lambda ns: ns.update(created))


@contextlib.contextmanager
def _without_hooks(bases: Tuple[type, ...]) -> Iterator[None]:
    """Take __init_subclass__ away from classes of cells: it ran when the class was defined."""
    name = "__init_subclass__"
    parents = {parent for base in bases for parent in base.__mro__ if parent in _TOKENS}
    hooks = {parent: vars(parent)[name] for parent in parents if name in vars(parent)}
    for parent in hooks:
        delattr(parent, name)
    try:
        yield
    finally:
        for parent, hook in hooks.items():
            setattr(parent, name, hook)


def _make_enum(meta: Any, name: str, bases: Tuple[type, ...], created: Dict[str, Any]) -> type:
    names = meta.__prepare__(name, bases)
    for key, value in created.items():
        names[key] = value
    return typing.cast(type, meta.__new__(meta, name, bases, names))


def _set_class(cls: Any, state: Tuple[Dict[str, Any], List[type], Dict[str, Any]]) -> None:
    if cls not in _UNFINISHED:
        return  # the kernel has it, perhaps changed since: it stays as it is
    _UNFINISHED.discard(cls)
    for name, value in state[0].items():
        type.__setattr__(cls, name, value)
    if "__firstlineno__" in state[0]:  # Python 3.13 drops it when another attribute is set
        type.__setattr__(cls, "__firstlineno__", state[0]["__firstlineno__"])
    for subclass in state[1]:
        cls.register(subclass)
    for name, attributes in state[2].items():
        vars(cls.__members__[name]).update(attributes)


# ---------------------------------------------------------------------- modules and views
def _reduce_module(module: types.ModuleType) -> Reduced:
    name = module.__name__
    if sys.modules.get(name) is not module:
        raise PicklingError(f"the module {name} cannot be imported")
    # `import xml.etree.ElementTree` defines only `xml`; the rest of it is imported as well.
    below = sorted(key for key in sys.modules if key.startswith(f"{name}.") and "._" not in key)
    return _import, (name, below)


def _import(name: str, below: List[str]) -> types.ModuleType:
    module = importlib.import_module(name)
    for submodule in below:
        if submodule not in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(submodule)
    return module


def _reduce_view(view: Any) -> Reduced:
    """Reduce a view of a dictionary to that dictionary, whose later changes it shows."""
    [mapping] = gc.get_referents(view)
    return _VIEWS[type(view)], (mapping,)


_ORDERED: Any = __import__("collections").OrderedDict
_VIEWS: Dict[type, Callable[..., Any]] = {
    type({}.keys()): dict.keys,
    type({}.values()): dict.values,
    type({}.items()): dict.items,
    type(_ORDERED().keys()): _ORDERED.keys,
    type(_ORDERED().values()): _ORDERED.values,
    type(_ORDERED().items()): _ORDERED.items,
    types.MappingProxyType: types.MappingProxyType,
}


def _refuse(value: Any) -> NoReturn:
    raise PicklingError(f"cannot pickle '{type(value).__name__}' object")


def _reduce_weak(mapping: Any) -> Reduced:
    return type(mapping), (dict(mapping.items()),)


def reducers() -> Mapping[type, Callable[[Any], Any]]:
    """Return the reducers by type, for a pickler."""
    import io

    table: Dict[type, Callable[[Any], Any]] = dict.fromkeys(_VIEWS, _reduce_view)
    table[types.CellType] = _reduce_cell
    table[types.ModuleType] = _reduce_module
    table[type(functools.lru_cache(None)(_refuse))] = _reduce_lru_cache
    table[functools.cached_property] = _reduce_cached_property
    table[weakref.WeakKeyDictionary] = table[weakref.WeakValueDictionary] = _reduce_weak
    table[type(dataclasses.MISSING)] = lambda value: "MISSING"
    table[type(dataclasses._FIELD)] = lambda value: value.name  # type: ignore[attr-defined]
    # cloudpickle makes a StringIO and bytes of these.
    table[io.TextIOWrapper] = table[memoryview] = _refuse
    if isinstance(typing.NewType, type):  # from Python 3.10 on
        table[typing.NewType] = lambda new: (typing.NewType, (new.__name__, new.__supertype__))
    return table
