"""The variables of a kernel as pickles that share objects, and back.

Each variable is a segment of one stream, pickled by one pickler: what two variables share is
written with the first and referred to by the second. Only `load` unpickles.
"""

from __future__ import annotations

import builtins
import platform
import re
import sys
import types
from dataclasses import dataclass, field
from importlib import metadata
from pickle import PicklingError
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Container,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Sequence,
)

from ..core.redact import registered_secrets
from . import tensors
from .manifest import Lost, Segment, SegmentKind, Variables
from .unpickling import Loader

if TYPE_CHECKING:
    from .pickling import Pickled

#: What is written at once, in bytes.
_CHUNK = 1 << 20
_IPYTHON = re.compile(r"_+|_\d+|_i+|_i\d+|_[iod]h|In|Out|__\w+__")

Write = Callable[[Any], object]


class Stopped(BaseException):
    """The caller of `dump` wants no more of it; no handler of a variable's own code gets it."""


@dataclass(frozen=True)
class Dumped:
    """What `dump` wrote: the segments of the stream, and the sizes of the buffers, in order."""

    segments: Sequence[Segment]
    lost: Sequence[Lost]
    packages: Mapping[str, str]
    buffer_sizes: Sequence[int]


@dataclass(frozen=True)
class Mismatch:
    """A package, or ``python``, in another version than where the variables were saved.

    ``here`` is empty where it is not installed.
    """

    package: str
    saved: str
    here: str


@dataclass
class Loaded:
    """What `load` put into the namespace, and the names that did not come back, with reasons."""

    names: List[str] = field(default_factory=list)
    states: Dict[str, Any] = field(default_factory=dict)
    lost: List[Lost] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)


def user_names(user_ns: Mapping[str, Any], hidden: Mapping[str, Any]) -> List[str]:
    """Return the names that cells define; ``hidden`` is what IPython hid when it started."""
    nothing = object()
    return [
        name
        for name, value in list(user_ns.items())
        if not _IPYTHON.fullmatch(name) and hidden.get(name, nothing) is not value
    ]


# ---------------------------------------------------------------------- saving
def dump(
    namespace: Dict[str, Any],
    names: Iterable[str],
    states: Mapping[str, Any],
    write: Write,
    write_buffer: Write,
    stopped: Callable[[], bool] = lambda: False,
) -> Dumped:
    """Write the variables of these names, and these states, each as a segment.

    What cannot be pickled, or has a registered secret in it, is left out and named. Raises
    `Stopped` soon after ``stopped`` returns true. Modules and definitions come first, since objects
    may need them while they are loaded.
    """
    from .pickling import NamespacePickler

    def check() -> None:
        if stopped():
            raise Stopped

    pickler, writer = NamespacePickler(namespace, check), _Writer(write, write_buffer, check)
    segments: List[Segment] = []
    lost: List[Lost] = []
    values = {name: namespace[name] for name in names if name in namespace}
    variables = sorted(values.items(), key=lambda item: _rank(item[1]))
    for at, (name, value) in enumerate([*variables, *states.items()]):
        kind: SegmentKind = "variable" if at < len(variables) else "state"
        try:
            pickled = pickler.dump(value, _refuse_secrets)
        except Exception as error:
            lost.append(Lost(name, _type_name(value), _reason(error)))
        else:
            segments.append(Segment(name, kind, writer.add(pickled)))
    writer.flush()
    return Dumped(segments, lost, packages_of(pickler.modules), writer.buffer_sizes)


def _rank(value: Any) -> int:
    if isinstance(value, types.ModuleType):
        return 0
    return 1 if isinstance(value, (type, types.FunctionType)) else 2


class _Writer:
    """Writes whole variables: small ones together, a large piece and a buffer as they are."""

    def __init__(self, write: Write, write_buffer: Write, check: Callable[[], None]) -> None:
        self._write, self._write_buffer, self._check = write, write_buffer, check
        self._chunk = bytearray()
        self.buffer_sizes: List[int] = []

    def add(self, pickled: Pickled) -> int:
        """Write a variable; return the bytes of its segment."""
        for piece in pickled.pieces:
            if len(self._chunk) + len(piece) > _CHUNK:
                self.flush()
            if len(piece) > _CHUNK:
                self._write(piece)
            else:
                self._chunk += piece
        for buffer in pickled.buffers:
            self._check()
            with buffer.raw() as view:
                self._write_buffer(view)
                self.buffer_sizes.append(view.nbytes)
        return sum(len(piece) for piece in pickled.pieces)

    def flush(self) -> None:
        """Write what is collected."""
        if self._chunk:
            self._write(bytes(self._chunk))
            self._chunk = bytearray()


def _refuse_secrets(pickled: Pickled) -> None:
    secrets = [secret.encode("utf-8", "surrogatepass") for secret in registered_secrets()]
    data = b"".join(pickled.pieces) if secrets else b""
    if any(secret in data for secret in secrets):
        raise PicklingError("a secret is in it")


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _reason(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


# ---------------------------------------------------------------------- packages
_PACKAGES: Dict[str, Dict[str, str]] = {}


def packages_of(modules: Iterable[str]) -> Dict[str, str]:
    """Return the distributions that bring these modules, with their versions."""
    tops = {name.partition(".")[0] for name in modules if isinstance(name, str)}
    tops -= {
        "__main__",
        "builtins",
        "cloudpickle",
        "colab_magics",
        *getattr(sys, "stdlib_module_names", ()),
    }
    if not tops <= _PACKAGES.keys():
        _PACKAGES.update({top: {} for top in tops})
        for distribution in metadata.distributions():
            for top in tops & set(_top_names(distribution)):
                _PACKAGES[top][str(distribution.metadata["Name"])] = distribution.version
    return {name: version for top in sorted(tops) for name, version in _PACKAGES[top].items()}


def _top_names(distribution: metadata.Distribution) -> List[str]:
    text = distribution.read_text("top_level.txt")
    if text:
        return text.split()
    lines = (distribution.read_text("RECORD") or "").splitlines()
    return [re.split(r"[/,.]", line, maxsplit=1)[0] for line in lines]


def mismatches(variables: Variables) -> List[Mismatch]:
    """Return in which Python and packages these variables were saved, where those here differ.

    Nothing is imported. Of Python what bytecode depends on counts: 3.13, not 3.13.1.
    """
    here = platform.python_version()
    records = []
    if variables.python.split(".")[:2] != here.split(".")[:2]:
        records.append(Mismatch("python", variables.python, here))
    for package, saved in variables.packages.items():
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            version = ""
        if version != saved:
            records.append(Mismatch(package, saved, version))
    return records


# ---------------------------------------------------------------------- restoring
def load(
    variables: Variables,
    stream: Any,
    buffers: Sequence[Any],
    namespace: Dict[str, Any],
    names: Optional[Container[str]] = None,
) -> Loaded:
    """Unpickle the variables, then put those of these names (None: all) into the namespace.

    This runs code of whoever saved them. Buffers that are writable become the memory of arrays.
    What cannot be loaded, and what shares an object with that, is named as lost. An interrupt
    leaves the namespace as it was.
    """
    loader = Loader(stream, buffers, (namespace, vars(builtins)))
    loaded = Loaded()
    before = dict(namespace)
    values: Dict[str, Any] = {}
    tensors.MOVED.clear()
    start = end = 0
    try:
        for segment in variables.segments:
            start, end = end, end + segment.size
            try:
                value = loader.load(segment.name, start, end)
            except Exception as error:
                loaded.lost.append(Lost(segment.name, "", _reason(error)))
                continue
            if segment.kind == "state":
                loaded.states[segment.name] = value
                continue
            values[segment.name] = value
            # Objects that are loaded later may need it.
            namespace.setdefault(segment.name, value)
    finally:
        for name in values:
            namespace.pop(name, None)
        namespace.update((name, before[name]) for name in values if name in before)
    wanted = {name: value for name, value in values.items() if names is None or name in names}
    namespace.update(wanted)
    loaded.names = list(wanted)
    loaded.notes += [f"tensors of {device} are on the CPU" for device in sorted(tensors.MOVED)]
    return loaded


# ---------------------------------------------------------------------- random generators
def get_states() -> Dict[str, Any]:
    """Return the states of the random generators of the modules that are loaded."""
    states: Dict[str, Any] = {}
    if "random" in sys.modules:
        states["random"] = sys.modules["random"].getstate()
    if hasattr(sys.modules.get("numpy"), "random"):
        states["numpy.random"] = sys.modules["numpy"].random.get_state()
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "get_rng_state"):
        states["torch"] = torch.get_rng_state()
        if torch.cuda.is_initialized():
            states["torch.cuda"] = torch.cuda.get_rng_state_all()
    return states


def set_states(states: Mapping[str, Any]) -> List[str]:
    """Set the states that `get_states` returned, of these; return those without a place here."""
    import random

    unset: List[str] = []
    if "random" in states:
        random.setstate(states["random"])
    if "numpy.random" in states:
        import numpy

        numpy.random.set_state(states["numpy.random"])
    if "torch" in states:
        import torch

        torch.set_rng_state(states["torch"])
        if "torch.cuda" in states:
            if torch.cuda.is_available():
                torch.cuda.set_rng_state_all(states["torch.cuda"][: torch.cuda.device_count()])
            else:
                unset.append("torch.cuda")
    return unset
