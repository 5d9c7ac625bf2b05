"""What one checkpoint holds, as JSON: written last, so that a manifest stands for whole data.

A manifest comes from a drive that others may write to: `parse` takes nothing that `render` would
not have written. Nothing in it is a line of code, and reading it unpickles nothing.
"""

from __future__ import annotations

import collections.abc
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import (
    Any,
    Callable,
    Dict,
    List,
    Literal,
    Mapping,
    Optional,
    Tuple,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from ..core.errors import ColabMagicsError

FORMAT = 1
#: Bytes of a hash; its text has twice as many characters.
DIGEST = 20
_HASH = re.compile(r"[0-9a-f]{40}")
#: The largest number that a field may have: a size, or nanoseconds since 1970.
_LARGEST = 2**62
#: The latest time that a date has, in seconds since 1970: year 5138.
_LATEST = 1e11

FileKind = Literal["file", "folder", "link"]
#: ``state`` is what belongs to no name: of a random generator, or of a loop.
SegmentKind = Literal["variable", "state"]


class DamagedManifest(ColabMagicsError):
    """A manifest that is cut, changed, or was not written by this package."""

    code = "damaged-checkpoint"


@dataclass(frozen=True)
class Piece:
    """Bytes that are stored once: ``size`` bytes at ``offset`` of a pack, with this hash."""

    hash: str
    size: int
    pack: str
    offset: int


#: Pieces in their order.
Content = Tuple[Piece, ...]


@dataclass(frozen=True)
class File:
    """A file, folder or link below a root, by its POSIX path relative to it (``.``: itself).

    ``mode`` has the permission bits, ``modified`` and ``changed`` are its times as `os.stat` has
    them, in nanoseconds since 1970; ``target`` is a link's.
    """

    path: str
    kind: FileKind
    mode: int
    modified: int
    content: Content = ()
    target: str = ""
    changed: int = 0

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(piece.size for piece in self.content)


@dataclass(frozen=True)
class Root:
    """A path of the line, spelled as it is recorded (`Host.spell`), and all that is below it."""

    path: str
    files: Tuple[File, ...]
    #: Paths below it that could not be read, or changed each time that they were.
    missed: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Segment:
    """The pickle of a variable or state: ``size`` bytes of the stream, after the one before it."""

    name: str
    kind: SegmentKind
    size: int


@dataclass(frozen=True)
class Lost:
    """A variable that could not be pickled: its type, why, and the line that made it."""

    name: str
    type: str
    reason: str
    cell: str = ""


@dataclass(frozen=True)
class Variables:
    """Pickled variables. ``stream`` has their segments, ``buffers`` what is out of band, in order.

    ``packages`` are the distributions whose modules the pickles name, with their versions.
    """

    python: str
    stream: Content
    segments: Tuple[Segment, ...]
    buffers: Tuple[Content, ...]
    packages: Mapping[str, str]
    lost: Tuple[Lost, ...] = ()


@dataclass(frozen=True)
class Cell:
    """A cell that was finished: its id (empty where the front end gives none), hash of its source.

    ``outputs`` is its record: see `cells.encode_run`.
    """

    id: str
    hash: str
    outputs: Content = ()


@dataclass(frozen=True)
class Manifest:
    """A checkpoint. ``time`` is seconds since 1970; ``kernel`` names the process that made it.

    ``cells`` are those that were finished since that kernel began, in the order in which they
    ended; ``running`` is the one that was cut, where the checkpoint was made within it.
    """

    time: float
    kernel: str
    notebook: str
    roots: Tuple[Root, ...] = ()
    variables: Optional[Variables] = None
    cells: Tuple[Cell, ...] = ()
    running: Optional[Cell] = None

    def contents(self) -> List[Content]:
        """Return all contents that it names."""
        variables = self.variables
        cells = (*self.cells, *([self.running] if self.running else []))
        return [
            *(file.content for root in self.roots for file in root.files),
            *((variables.stream, *variables.buffers) if variables else ()),
            *(cell.outputs for cell in cells),
        ]

    @property
    def size(self) -> int:
        """Bytes of all contents, each piece counted once."""
        return sum({p.hash: p.size for content in self.contents() for p in content}.values())


def hash_bytes(data: Any) -> str:
    """Return the hash by which bytes are stored."""
    return blake2b(data, digest_size=DIGEST).hexdigest()


def hash_source(source: str) -> str:
    """Return the hash of a cell's source; line ends and trailing blanks do not count."""
    lines = [line.rstrip() for line in source.strip().splitlines()]
    return hash_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))


def render(manifest: Manifest) -> bytes:
    """Return a manifest as a file: its JSON on one line, the hash of that line on the next."""
    record = {"format": FORMAT, **vars(manifest)}
    text = json.dumps(record, default=vars, separators=(",", ":"), sort_keys=True)
    line = text.encode("ascii")
    return line + b"\n" + hash_bytes(line).encode("ascii") + b"\n"


def parse(data: bytes) -> Manifest:
    """Read a manifest; raise `DamagedManifest` where a byte of it is not as it was written."""
    line, _, rest = data.partition(b"\n")
    if rest != hash_bytes(line).encode("ascii") + b"\n":
        raise _damaged("it is cut, or was changed")
    try:
        record = json.loads(line)
        if record.pop("format") == FORMAT:
            manifest: Manifest = _read(Manifest, record)
            return manifest
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    raise _damaged("it has another form")


def _read(kind: Any, value: Any) -> Any:
    """Return a value as a field of a type has it; raise a `ValueError` where it is none."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Union:
        return None if value is None else _read(inner[0], value)
    if origin is tuple:
        return tuple([_read(inner[0], item) for item in _check(value, type(value) is list)])
    if origin is collections.abc.Mapping:
        pairs = _check(value, type(value) is dict).items()
        return {_read(str, name): _read(str, item) for name, item in pairs}
    if origin is Literal:
        return _check(value, value in inner)
    if kind is str:
        return _check(value, type(value) is str and "\0" not in value)
    if kind is int:
        return _check(value, type(value) is int and abs(value) <= _LARGEST)
    if kind is float:
        return _check(value, type(value) is float and abs(value) <= _LATEST)
    return _read_record(kind, value)


def _read_record(kind: Any, value: Any) -> Any:
    types = _types(kind)
    _check(value, type(value) is dict and value.keys() == types.keys())
    fields = {name: _read(types[name], item) for name, item in value.items()}
    for name, is_right in _FORMS.get(kind, {}).items():
        _check(value, is_right(fields[name]))
    return kind(**fields)


@lru_cache(maxsize=None)
def _types(kind: Any) -> Dict[str, Any]:
    return get_type_hints(kind)


def _check(value: Any, is_right: Any) -> Any:
    if not is_right:
        raise ValueError
    return value


def _is_relative(path: str) -> bool:
    """Tell whether the parts of a path are names, so that it stays below its root."""
    return path == "." or {"", ".", ".."}.isdisjoint(path.split("/"))


#: What a field must be beside its type.
_FORMS: Dict[Any, Dict[str, Callable[[Any], Any]]] = {
    Piece: {"hash": _HASH.fullmatch, "pack": _HASH.fullmatch},
    Cell: {"hash": _HASH.fullmatch},
    File: {"path": _is_relative, "mode": range(0o10000).__contains__},
}


def _damaged(reason: str) -> DamagedManifest:
    return DamagedManifest(
        f"The checkpoint's manifest cannot be read: {reason}.",
        "Take an earlier one: %checkpoint list",
    )
