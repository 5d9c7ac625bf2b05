"""Which GPU architectures a compiled library carries, read from its file: nothing is imported.

NVIDIA's compiler puts the code for each architecture into "fat binaries" inside the library: a
header, then entries, each with the number of its architecture. Source: the header ``fatbinary.h``
of the CUDA toolkit (magic number, sizes); the layout of the entries was derived from PyTorch's own
libraries of 1.5.0 (CUDA 10.2) and 2.8.0 (CUDA 12.8), whose lists of architectures are known.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import FrozenSet, Iterator, List, NamedTuple, Tuple

#: A compute capability, such as (7, 5).
Capability = Tuple[int, int]

_MAGIC = b"\x50\xed\x55\xba"
_HEADER = struct.Struct("<4sHHQ")  # magic, version, size of the header, size of the entries
_ENTRY = struct.Struct("<HHIQ")  # kind, version, size of the header, size of the code
_SECTION = struct.Struct("<IIQQQQIIQQ")  # name, ..., offset (the fifth), size, ...
#: The sections of an ELF file that NVIDIA's compiler puts them into.
_SECTION_NAMES = (b".nv_fatbin\0", b"__nv_relfatbin\0")
_ARCHITECTURE = 28  # offset in an entry's header, as 75 for 7.5
_PTX, _SASS = 1, 2
#: The share of the fat binaries that an architecture of all kernels has, by kind: fewer have
#: compiled code for special ones, and PTX is of use only where nearly all have it.
_COMMON = {_SASS: 0.2, _PTX: 0.8}
#: About so many of them are read; there are hundreds, and most are alike.
_SAMPLE = 60


class Kernels(NamedTuple):
    """The architectures with compiled code, and those with PTX, which a driver can compile."""

    sass: FrozenSet[Capability] = frozenset()
    ptx: FrozenSet[Capability] = frozenset()


def parse_architecture(number: int) -> Capability:
    """Return ``75`` as (7, 5), ``120`` as (12, 0)."""
    return number // 10, number % 10


def read_kernels(library: Path) -> Kernels:
    """Return what a library carries; nothing where it is no such library or cannot be read."""
    try:
        state = library.stat()
        return _read_cached(library, state.st_size, state.st_mtime_ns)
    except (OSError, ValueError):  # ValueError: it is empty
        return Kernels()


@lru_cache(maxsize=16)
def _read_cached(library: Path, size: int, changed: int) -> Kernels:
    """Cached for as long as the file has this size and this time of change."""
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        counts = Counter(_sample_entries(data))
    most = max(counts.values(), default=0)
    common = [entry for entry, count in counts.items() if count >= _COMMON[entry[0]] * most]
    return Kernels(
        frozenset(parse_architecture(number) for kind, number in common if kind == _SASS),
        frozenset(parse_architecture(number) for kind, number in common if kind == _PTX),
    )


def _sample_entries(data: mmap.mmap) -> Iterator[Tuple[int, int]]:
    """Yield kind and architecture of the entries of some fat binaries, evenly spread."""
    if hasattr(mmap, "MADV_RANDOM"):
        data.madvise(mmap.MADV_RANDOM)  # no read-ahead of what lies between them
    spans = _find_sections(data) or [(0, len(data))]
    binaries = [binary for span in spans for binary in _find_binaries(data, *span)]
    for at, end in binaries[:: max(1, len(binaries) // _SAMPLE)]:
        while at + _ARCHITECTURE + 4 <= end:
            kind, _, header, length = _ENTRY.unpack_from(data, at)
            if kind not in (_PTX, _SASS) or not 32 <= header <= 4096:
                break
            (number,) = struct.unpack_from("<I", data, at + _ARCHITECTURE)
            yield kind, number
            at += header + length


def _find_binaries(data: mmap.mmap, at: int, size: int) -> Iterator[Tuple[int, int]]:
    """Yield where the entries of each fat binary begin and end."""
    at = data.find(_MAGIC, at, size)
    while 0 <= at <= size - _HEADER.size:
        _, version, header, length = _HEADER.unpack_from(data, at)
        end = at + header + length
        if version == 1 and header == _HEADER.size and end <= size:
            yield at + header, end
        else:  # the same bytes by chance
            end = at + 4
        at = data.find(_MAGIC, end, size)


def _find_sections(data: mmap.mmap) -> List[Tuple[int, int]]:
    """Return where a library of Linux has its fat binaries, so that the rest is not read.

    Source: the ELF-64 object file format, "Section header table".
    """
    if data[:6] != b"\x7fELF\x02\x01" or len(data) < 64:  # 64 bits, little-endian
        return []
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    if size != _SECTION.size or table + size * count > len(data) or names >= count:
        return []
    headers = [_SECTION.unpack_from(data, table + size * number) for number in range(count)]
    texts = headers[names][4]
    sections = []
    for name, _, _, _, start, length, *_ in headers:
        text = data[texts + name : texts + name + 16]
        if start + length <= len(data) and text.startswith(_SECTION_NAMES):
            sections.append((start, start + length))
    return sections
