"""Which GPU architectures a compiled library carries, read from its file: nothing is imported.

NVIDIA's compiler puts the code for each architecture into "fat binaries" inside the library: a
header, then entries, each with the number of its architecture. Source: the header ``fatbinary.h``
of the CUDA toolkit (magic number, sizes); the layout of the entries was found by reading PyTorch's
own libraries of 1.5.0 (CUDA 10.2) and 2.8.0 (CUDA 12.8), whose lists of architectures are known.
"""

import mmap
import struct
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import FrozenSet, Iterator, NamedTuple, Tuple

__all__ = ["Capability", "Kernels", "architecture", "kernels"]

#: A compute capability, such as (7, 5).
Capability = Tuple[int, int]

_MAGIC = b"\x50\xed\x55\xba"
_HEADER = struct.Struct("<4sHHQ")  # magic, version, size of the header, size of what follows
_ENTRY = struct.Struct("<HHIQ")  # kind, version, size of the header, size of the code
_ARCHITECTURE = 28  # where in an entry's header it stands, as 75 for 7.5
_PTX, _SASS = 1, 2
#: Which share of the fat binaries has an architecture that is for all kernels, by kind: fewer have
#: compiled code for special ones, and PTX is of use only where nearly all have it.
_COMMON = {_SASS: 0.2, _PTX: 0.8}


class Kernels(NamedTuple):
    """The architectures with compiled code, and those with PTX, which a driver can compile."""

    sass: FrozenSet[Capability] = frozenset()
    ptx: FrozenSet[Capability] = frozenset()


def architecture(number: int) -> Capability:
    """``75`` as (7, 5), ``120`` as (12, 0)."""
    return number // 10, number % 10


def kernels(library: Path) -> Kernels:
    """What a library carries; nothing where it is no such library or cannot be read."""
    try:
        about = library.stat()
    except OSError:
        return Kernels()
    return _kernels(library, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=16)
def _kernels(library: Path, size: int, changed: int) -> Kernels:
    """Kept for as long as the file stays as it is: a library of 1 GB takes a tenth of a second."""
    found: Counter[Tuple[int, int]] = Counter()
    try:
        with library.open("rb") as file, mmap.mmap(
            file.fileno(), 0, access=mmap.ACCESS_READ
        ) as data:
            found.update(_entries(data))
    except (OSError, ValueError):  # not to be read, or empty
        return Kernels()
    most = max(found.values(), default=0)
    common = [entry for entry, count in found.items() if count >= _COMMON[entry[0]] * most]
    return Kernels(
        frozenset(architecture(number) for kind, number in common if kind == _SASS),
        frozenset(architecture(number) for kind, number in common if kind == _PTX),
    )


def _entries(data: mmap.mmap) -> Iterator[Tuple[int, int]]:
    """Kind and architecture of each entry; only the headers are read, so that the rest is not."""
    at, size = data.find(_MAGIC), len(data)
    while 0 <= at <= size - _HEADER.size:
        _, version, header, length = _HEADER.unpack_from(data, at)
        end = at + header + length
        if version == 1 and header == _HEADER.size and end <= size:
            yield from _in_one(data, at + header, end)
            at = data.find(_MAGIC, end)
        else:  # the bytes stand there by chance
            at = data.find(_MAGIC, at + 4)


def _in_one(data: mmap.mmap, at: int, end: int) -> Iterator[Tuple[int, int]]:
    while at + _ARCHITECTURE + 4 <= end:
        kind, _, header, length = _ENTRY.unpack_from(data, at)
        if kind not in (_PTX, _SASS) or not 32 <= header <= 4096:
            return
        (number,) = struct.unpack_from("<I", data, at + _ARCHITECTURE)
        yield kind, number
        at += header + length
