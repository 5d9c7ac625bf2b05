"""7z, and zips of a rare kind: 7-Zip lists the members, and prints what they hold, all in a row."""

from __future__ import annotations

import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Dict, Iterator, List

from ..core.process import run
from .compressed import environment, installed, output
from .member import Counted, Expect, Member, encrypted, seconds, sound

_BLOCK = 1 << 20


def members(archive: Path, label: str, expect: Expect) -> Iterator[Member]:
    """What it holds; 7-Zip itself writes no file."""
    program = installed(["7zz", "7z", "7za"], label, "7-Zip", "7zip")
    listed = _listing(program, archive, label)
    if any(one.get("Encrypted") == "+" for one in listed):
        raise encrypted(label)
    expect(sum(int(one.get("Size") or 0) for one in listed))
    with output([program, "x", "-so", "-p", "--", str(archive)]) as raw:
        stream = Counted(raw, archive, label)
        for one in listed:
            data = _part(stream, one, label)
            yield _member(one, data).pointing()
            for _ in data:
                pass  # of one that was not wanted


def _listing(program: str, archive: Path, label: str) -> List[Dict[str, str]]:
    """What 7-Zip says of each member, in their order."""
    done = run([program, "l", "-slt", "-ba", "-p", "--", str(archive)], environment())
    if any("open encrypted archive" in line for line in done.lines):  # the list is, too
        raise encrypted(label)
    if done.status:
        raise EOFError("7-Zip has failed")
    listed: List[Dict[str, str]] = []
    for line in done.lines:
        key, _, said = line.partition(" = ")
        if key == "Path":
            listed.append({})
        if listed:
            listed[-1][key] = said
    return listed


def _member(one: Dict[str, str], data: Iterator[bytes]) -> Member:
    """From its attributes, those of Windows and then, perhaps, ``-rw-r--r--``."""
    attributes = one.get("Attributes", "")
    unix = attributes.split()[-1] if attributes else ""
    kind, mode, mtime = "folder" if attributes.startswith("D") else "file", 0, 0.0
    if len(unix) == 10:
        kind = {"-": "file", "d": "folder", "l": "symlink"}.get(unix[0], "other")
        mode = int("".join("0" if bit == "-" else "1" for bit in unix[1:]), 2)
    with suppress(ValueError):
        mtime = seconds(time.strptime(one.get("Modified", "")[:19], "%Y-%m-%d %H:%M:%S"))
    return Member(one["Path"], kind, mode, mtime, data=data)


def _part(stream: Counted, one: Dict[str, str], label: str) -> Iterator[bytes]:
    """The next bytes, as many as belong to this member; proved by its check sum."""
    left, crc = int(one.get("Size") or 0), 0
    with sound(label):
        while left:
            block = stream.read(min(left, _BLOCK))
            if not block:
                raise EOFError("7-Zip has stopped before the end")
            left, crc = left - len(block), zlib.crc32(block, crc)
            yield block
        if crc != int(one.get("CRC") or "0", 16):
            raise EOFError("the check sum is wrong")
