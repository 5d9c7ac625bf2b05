"""The servers of apt's sources. Source: ``man sources.list``, both of its formats."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator, Tuple

from ..core.effects import read_hosts

#: Where they are; tests set it to a folder of their own.
FOLDER = Path("/etc/apt")
_LINE = re.compile(r"^[ \t]*(?:deb(?:-src)?[ \t]+(?:\[[^\]]*\][ \t]*)?|URIs:[ \t]*)(.+)", re.M)


def read_sources() -> Tuple[str, ...]:
    """Return the servers that apt is set to ask."""
    return tuple(dict.fromkeys(host for url in _list_urls() for host in read_hosts(url)))


def _list_urls() -> Iterator[str]:
    for path in sorted([FOLDER / "sources.list", *FOLDER.glob("sources.list.d/*")]):
        if path.suffix not in (".list", ".sources"):
            continue
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for line in _LINE.findall(text):
            yield from line.split() if path.suffix == ".sources" else line.split()[:1]
