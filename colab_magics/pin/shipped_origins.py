"""A ``direct_url.json`` that a wheel from an index has brought along is taken out again.

PEP 610 has installers write that file for what was not taken from an index, and ours reads from
it which address is to be recorded. A wheel that ships one would choose that address itself.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Dict, Iterable, Set

from ..core import files
from ..core.origin import parse_origin
from .environment import canonical_name
from .integrity import infos, name_of

FILE = "direct_url.json"


def origin_files() -> Dict[Path, bytes]:
    """Read each file that says where a package came from, by the folder that it lies in."""
    found = {}
    for info in infos():
        if (info / FILE).is_file():
            found[info] = (info / FILE).read_bytes()
    return found


def remove_shipped(before: Dict[Path, bytes], by_url: Iterable[str], folders: Set[Path]) -> None:
    """Take out what is new since ``before`` and belongs to none of these.

    ``by_url`` are the names that were asked for by a URL, ``folders`` those that were asked for as
    editable. What an installed package needs by a URL came from there too.
    """
    new = {info: text for info, text in origin_files().items() if before.get(info) != text}
    if not new:
        return
    expected = {*map(canonical_name, by_url), *_needed_by_url()}
    for info, text in new.items():
        if name_of(info) not in expected and not _is_editable(text, folders):
            _unlist(info / "RECORD", f"{info.name}/{FILE}")
            (info / FILE).unlink()


def _needed_by_url() -> Set[str]:
    """Canonical names that installed packages need by a URL."""
    names = set()
    for info in infos():
        head = (info / "METADATA").read_text(encoding="utf-8", errors="replace")
        for name in re.findall(r"(?mi)^Requires-Dist: *([\w.-]+)[^@;\n]* @ ", head):
            names.add(canonical_name(name))
    return names


def _is_editable(text: bytes, folders: Set[Path]) -> bool:
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    origin = parse_origin(text.decode("utf-8", "replace"))
    if origin is None or not origin.editable:
        return False
    return Path(url2pathname(urlsplit(origin.url).path)).resolve() in folders


def _unlist(record: Path, name: str) -> None:
    """Take a file out of a RECORD, so that nothing is missing afterwards."""
    lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
    left = [line for line in lines if next(csv.reader(io.StringIO(line)), [""])[0] != name]
    files.save(record, "".join(left))
