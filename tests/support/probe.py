"""What a kernel's variables are after each cell, in a form that two kernels can be compared by.

A kernel runs this file when it starts (`install`); it needs nothing but the standard library.
"""

from __future__ import annotations

import enum
import hashlib
import io
import json
import os
import random
import signal
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Set, Tuple

#: Where a kernel writes its records, and the cell within which it is killed.
RECORD, CUT = "PROBE_RECORD", "PROBE_CUT"
#: Characters of a description that are kept; of a longer one, a hash.
_SHOWN = 300
#: Modules whose values have a repr that says all.
_PLAIN = ("builtins", "datetime", "decimal", "fractions", "pathlib", "uuid", "re", "zoneinfo")
_SKIPPED = {
    "__dict__",
    "__weakref__",
    "_abc_impl",
    "__firstlineno__",
    "__static_attributes__",
    "__slotnames__",
}
#: What an enumeration fills with combinations of its members as they are used.
_SKIPPED |= {"_value2member_map_"}
_ATOMS = (str, bytes, int, float, complex, bool, type(None), type(...), range, slice)


# ---------------------------------------------------------------------- describing
class _Description:
    """One variable: its text, the bytes of its objects, and the objects that can be changed."""

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._seen: Dict[int, int] = {}
        self._held: List[Any] = []
        self.size = 0
        self.mutable: Set[int] = set()

    def text(self, value: Any) -> str:
        """Return what a value is, with each object that can be changed once."""
        if isinstance(value, _ATOMS) and type(value).__module__ == "builtins":
            self.size += sys.getsizeof(value)
            return repr(value)
        if isinstance(value, types.ModuleType):
            return f"module {value.__name__}"
        if isinstance(value, (type, types.BuiltinFunctionType)) and _is_library(value):
            return f"{value.__module__}.{value.__qualname__}"
        known = self._seen.get(id(value))
        if known is not None:
            return f"#{known}"
        self._seen[id(value)] = len(self._seen)
        self._held.append(value)  # its id stays its own
        return self._object(value)

    def _object(self, value: Any) -> str:
        kind = type(value)
        for names, describe in _KINDS:
            if any(f"{x.__module__}.{x.__qualname__}" in names for x in kind.__mro__):
                return f"{kind.__qualname__}{describe(self, value)}"
        self.size += sys.getsizeof(value, 0)
        if isinstance(value, (types.FunctionType, type, enum.Enum)):
            return self._definition(value)
        if isinstance(value, types.MethodType):
            return f"method({self.text(value.__self__)}, {value.__name__})"
        if hasattr(value, "__wrapped__") and hasattr(value, "cache_info"):  # the cache is no value
            return f"cached({self.text(value.__wrapped__)})"
        if isinstance(value, (tuple, frozenset)) and kind.__module__ == "builtins":
            return self._items(kind.__name__, value)
        if _is_plain(value):
            return repr(value)
        self.mutable.add(id(value))
        if isinstance(value, (list, set, bytearray)) and kind.__module__ == "builtins":
            data = [bytes(value)] if isinstance(value, bytearray) else value
            return self._items(kind.__name__, data)
        if kind is dict:
            return f"{{{', '.join(f'{self.text(k)}: {self.text(v)}' for k, v in value.items())}}}"
        return self._reduced(value)

    def _items(self, name: str, values: Any) -> str:
        texts = [self.text(value) for value in values]
        return f"{name}[{', '.join(sorted(texts) if 'set' in name else texts)}]"

    def _definition(self, value: Any) -> str:
        if isinstance(value, enum.Enum):
            return f"{type(value).__qualname__}.{value._name_}"
        if isinstance(value, type):
            state = {k: v for k, v in vars(value).items() if k not in _SKIPPED}
            plain = {k: v for k, v in state.items() if not type(v).__name__.endswith("descriptor")}
            bases = [base.__qualname__ for base in value.__bases__]
            return f"class {value.__qualname__}{bases} {self.text(dict(sorted(plain.items())))}"
        closure = [_contents(cell) for cell in value.__closure__ or ()]
        parts = (value.__defaults__, value.__kwdefaults__, dict(vars(value)), closure)
        own = value.__globals__ is self._namespace
        return f"def {value.__qualname__}({own}, {_code(value.__code__)}, {self.text(parts)})"

    def _reduced(self, value: Any) -> str:
        """Describe an object by what a pickle of it would have, one level deep."""
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        try:
            reduced = value.__reduce_ex__(4)
        except Exception:
            return f"opaque {name}"
        if isinstance(reduced, str):
            return reduced
        function, arguments, *rest = reduced
        rest = [list(x) if at else x for at, x in enumerate(rest) if x is not None]
        return f"{name}({self.text(function)}, {self.text(list(arguments))}, {self.text(rest)})"

    # ------------------------------------------------------------------ of libraries
    def _array(self, array: Any) -> str:
        root = array
        while type(root.base) is type(root):
            root = root.base
        self.mutable.add(id(root))
        self.size += array.nbytes
        data = self._items("", array.ravel().tolist()) if array.dtype.hasobject else None
        data = data or hashlib.sha256(array.tobytes()).hexdigest()
        order = array.flags.c_contiguous, array.flags.f_contiguous, array.flags.writeable
        mask = getattr(array, "mask", None)
        more = "" if mask is None else self.text([mask, array.fill_value])
        return f"({array.dtype.descr!r}, {array.shape}, {order}, {data}, {more})"

    def _frame(self, frame: Any) -> str:
        self.mutable.add(id(frame))
        columns = dict(frame.items()) if frame.ndim == 2 else {0: frame}
        self.size += sum(int(x.memory_usage(index=False)) for x in columns.values())
        index = [repr(frame.index.dtype), frame.index.tolist(), list(frame.index.names)]
        return self.text([index, [[k, repr(c.dtype), c.tolist()] for k, c in columns.items()]])

    def _index(self, index: Any) -> str:
        self.size += int(index.memory_usage())
        return self.text([repr(index.dtype), list(index.names), index.tolist()])

    def _tensor(self, tensor: Any) -> str:
        self.mutable.add(tensor.untyped_storage().data_ptr())
        self.size += tensor.nbytes
        values = tensor.detach().contiguous().cpu()
        data = hashlib.sha256(bytes(values.reshape(-1).view(_loaded("torch").uint8).tolist()))
        place = tensor.dtype, tensor.shape, tensor.stride(), tensor.requires_grad
        return f"({place}, {data.hexdigest()}, {self.text(tensor.grad if tensor.is_leaf else 0)})"

    def _figure(self, figure: Any) -> str:
        self.mutable.add(id(figure))
        data = io.BytesIO()
        figure.savefig(data, format="png", metadata={"Software": None})
        self.size += data.tell()
        return f"({hashlib.sha256(data.getvalue()).hexdigest()})"

    def _artist(self, artist: Any) -> str:
        figure = artist.get_figure()
        return f"({self.text(figure)})" if figure is not None else ""


_KINDS: List[Tuple[Set[str], Callable[[_Description, Any], str]]] = [
    ({"numpy.ndarray"}, _Description._array),
    ({"numpy.generic", "numpy.dtype"}, lambda _, value: repr(value)),
    (
        {f"pandas{path}.{name}" for path, name in [("", "DataFrame"), ("", "Series")]}
        | {"pandas.core.frame.DataFrame", "pandas.core.series.Series"},
        _Description._frame,
    ),
    ({"pandas.core.indexes.base.Index", "pandas.Index"}, _Description._index),
    ({"torch.Tensor"}, _Description._tensor),
    # Numbers of the system, another time others.
    ({"threading.Thread", "subprocess.Popen"}, lambda _, value: ""),
    ({"concurrent.futures.thread.ThreadPoolExecutor"}, lambda _, value: str(value._max_workers)),
    ({"torch._C.Generator"}, lambda _, value: str(hash(bytes(value.get_state().tolist())))),
    ({"matplotlib.figure.Figure"}, _Description._figure),
    ({"matplotlib.artist.Artist"}, _Description._artist),
]


def _loaded(name: str) -> Any:
    return sys.modules.get(name)


def _is_library(value: Any) -> bool:
    module: Any = sys.modules.get(value.__module__ or "")
    return value.__module__ != "__main__" and hasattr(module, value.__qualname__.split(".")[0])


def _is_plain(value: Any) -> bool:
    """Tell whether the repr of an object of these modules says all of it."""
    if type(value).__module__ not in _PLAIN or hasattr(value, "__next__"):
        return False
    is_container = isinstance(value, (list, dict, set, bytearray))
    return not is_container and " at 0x" not in repr(value)


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "empty"


def _code(code: types.CodeType) -> str:
    constants = [
        _code(x) if isinstance(x, types.CodeType) else sorted(map(repr, _members(x)))
        for x in code.co_consts
    ]
    return _hash(repr((code.co_code, constants, code.co_names, code.co_varnames)))[:12]


def _members(constant: Any) -> Any:
    return constant if isinstance(constant, frozenset) else [constant]


def describe(namespace: Mapping[str, Any], names: List[str]) -> Dict[str, Any]:
    """Return of each variable: a text, bytes, and the others with which it shares objects."""
    made = {name: _Description(namespace) for name in names}
    texts = {name: made[name].text(namespace[name]) for name in sorted(names)}
    owners: Dict[int, Set[str]] = {}
    for name, description in made.items():
        for key in description.mutable:
            owners.setdefault(key, set()).add(name)
    table: Dict[str, Any] = {}
    for name, text in texts.items():
        shares = set().union(*(owners[key] for key in made[name].mutable)) - {name}
        short = text if len(text) < _SHOWN else text[:_SHOWN] + _hash(text)
        table[name] = [short, made[name].size, sorted(shares)]
    table["<random>"] = [_hash(repr(random.getstate())), 0, []]
    if hasattr(_loaded("numpy"), "random"):
        table["<numpy>"] = [_hash(repr(_loaded("numpy").random.get_state(legacy=False))), 0, []]
    return table


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# ---------------------------------------------------------------------- in the kernel
class _Probe:
    """Records each cell of a kernel; waits before a cell, and kills the kernel within another."""

    def __init__(self, shell: Any, record: Path, cut: Optional[Dict[str, Any]]) -> None:
        self._shell, self._record, self._cut = shell, record, cut
        self._number, self._depth, self._dying = -1, 0, False

    def begin(self, info: Any) -> None:
        """A cell is about to run, before any other hook sees it."""
        self._depth += 1
        if self._depth > 1:  # a cell within a cell
            return
        self._number += 1
        if self._cut and self._number == self._cut["wait"]:
            _wait_for_checkpoint(Path(self._cut["store"]), self._number - 1)
        self._write(event="begin", cell=self._number, time=time.time())
        if self._cut and self._number == self._cut["cell"]:
            self._dying = True
            threading.Timer(self._cut["delay"], _die).start()

    def end(self, result: Any) -> None:
        """A cell has ended."""
        ended = time.time()
        self._depth -= 1
        if self._depth > 0:
            return
        if self._dying:
            threading.Event().wait()
        space, hidden = self._shell.user_ns, self._shell.user_ns_hidden
        names = [x for x in space if not x.startswith("_") and space[x] is not hidden.get(x, _die)]
        names = [x for x in names if x not in ("In", "Out", "exit", "quit", "get_ipython")]
        table = describe(space, names)
        record = {"variables": table, "restored": _restored(self._shell)}
        self._write(event="end", cell=self._number, time=ended, **record)

    def _write(self, **record: Any) -> None:
        with self._record.open("a") as file:
            file.write(json.dumps(record) + "\n")


def _restored(shell: Any) -> Any:
    """Return how many cells the checkpoint has that was restored, and the names that are lost."""
    from colab_magics.checkpoint.snapshot import keeper_of
    from colab_magics.extension.session import get_session

    restored = keeper_of(get_session(shell).host).restored
    if restored is None:
        return None
    return len(restored.manifest.cells), [lost.name for lost in restored.lost]


def _wait_for_checkpoint(store: Path, count: int) -> None:
    """Wait, as a person does between two cells, until one is written that has so many cells."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for manifest in store.glob("checkpoints/*.json"):
            if len(json.loads(manifest.read_bytes().splitlines()[0])["cells"]) >= count:
                return
        time.sleep(0.02)
    raise AssertionError("no checkpoint was made")


def _die() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def install(shell: Any) -> None:
    """Begin to record, as the environment of this kernel says."""
    cut = os.environ.pop(CUT, "")
    probe = _Probe(shell, Path(os.environ.pop(RECORD)), json.loads(cut) if cut else None)
    shell.events.register("pre_run_cell", probe.begin)
    shell.events.register("post_run_cell", probe.end)
