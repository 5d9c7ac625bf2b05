"""7z, and zips that Python cannot read: 7-Zip lists the members, and prints their content in a row.

7-Zip itself writes no file.
"""

from __future__ import annotations

import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Dict, Iterator, List

from ..core.process import run
from .compressed import environment, find_program, output
from .member import CheckSize, Member, SizeLimit, Stream, encrypted, seconds


def read_members(archive: Path, label: str, check_size: CheckSize) -> Iterator[Member]:
    """Yield the members of an archive in its order; any exception if it is damaged."""
    program = find_program(["7zz", "7z", "7za"], label, "7-Zip", "7zip")
    entries = _list(program, archive, label)
    if any(entry.get("Encrypted") == "+" for entry in entries):
        raise encrypted(label)
    check_size(sum(int(entry.get("Size") or 0) for entry in entries))
    with output([program, "x", "-so", "-p", "--", str(archive)]) as raw:
        stream = Stream(raw, SizeLimit(archive, label))
        for entry in entries:
            data = _content(stream, entry)
            yield _member(entry, data).with_target()
            for _ in data:
                pass  # of a member that was not read
        if stream.read(1):
            raise EOFError("7-Zip prints more than it lists")


def _list(program: str, archive: Path, label: str) -> List[Dict[str, str]]:
    result = run([program, "l", "-slt", "-ba", "-p", "--", str(archive)], environment())
    if any("open encrypted archive" in line for line in result.lines):  # the list is, too
        raise encrypted(label)
    if result.status:
        raise EOFError("7-Zip has failed")
    entries: List[Dict[str, str]] = []
    for line in result.lines:
        key, _, text = line.partition(" = ")
        if key == "Path":
            entries.append({})
        if entries:
            entries[-1][key] = text
    return entries


def _member(entry: Dict[str, str], data: Iterator[bytes]) -> Member:
    # The attributes are those of Windows and then, perhaps, ``-rw-r--r--``.
    attributes = entry.get("Attributes", "")
    unix = attributes.split()[-1] if attributes else ""
    kind, mode, mtime = "folder" if attributes.startswith("D") else "file", 0, 0.0
    if len(unix) == 10:
        kind = {"-": "file", "d": "folder", "l": "symlink"}.get(unix[0], "other")
        mode = int("".join("0" if bit == "-" else "1" for bit in unix[1:]), 2)
    with suppress(ValueError):
        modified = time.strptime(entry.get("Modified", "")[:19], "%Y-%m-%d %H:%M:%S")
        mtime = seconds(*modified[:6])
    return Member(entry["Path"], kind, mode, mtime, data=data)


def _content(stream: Stream, entry: Dict[str, str]) -> Iterator[bytes]:
    crc = 0
    for block in stream.blocks(int(entry.get("Size") or 0)):
        crc = zlib.crc32(block, crc)
        yield block
    if crc != int(entry.get("CRC") or "0", 16):
        raise EOFError("the check sum is wrong")
