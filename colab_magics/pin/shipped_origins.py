"""Removing a ``direct_url.json`` that a wheel from an index contains.

PEP 610 has installers write that file for what was not taken from an index, and ours reads from
it which address is to be recorded. A wheel that ships one would choose that address itself.
"""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from pathlib import Path
from typing import Dict, Iterable, Set

from ..core import files
from ..core.errors import input_errors
from ..core.origin import parse_origin
from .environment import canonical_name, find
from .integrity import name_of, origin_files
from .requirements import requirement

FILE = "direct_url.json"


def remove_shipped(before: Dict[Path, bytes], by_url: Iterable[str], folders: Set[Path]) -> None:
    """Delete the files that are new since ``before`` and belong to none of these.

    ``by_url`` are the names that were asked for by a URL, ``folders`` those that were asked for as
    editable. What these need by a URL came from there too.
    """
    new = {name_of(info): info for info, text in origin_files().items() if before.get(info) != text}
    if not new:
        return
    editable = {name for name, info in new.items() if _is_editable(info, folders)}
    expected = _with_needs({*map(canonical_name, by_url), *editable})
    for info in (info for name, info in new.items() if name not in expected):
        _unlist(info / "RECORD", f"{info.name}/{FILE}")
        (info / FILE).unlink()


def _with_needs(names: Set[str]) -> Set[str]:
    """Add what these need by a URL, and so on: a wheel from an index says nothing of itself."""
    result, queue = {*names}, [*names]
    while queue:
        distribution = find(queue.pop())
        for text in (distribution.requires or ()) if distribution else ():
            with suppress(*input_errors()):
                need = requirement(text)
                if need.url and canonical_name(need.name) not in result:
                    result.add(canonical_name(need.name))
                    queue.append(need.name)
    return result


def _is_editable(info: Path, folders: Set[Path]) -> bool:
    origin = parse_origin((info / FILE).read_text(encoding="utf-8", errors="replace"))
    return origin is not None and origin.editable and origin.folder.resolve() in folders


def _unlist(record: Path, name: str) -> None:
    """Take a file out of a RECORD, so that nothing is missing afterwards."""
    lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
    rest = [line for line in lines if next(csv.reader(io.StringIO(line)), [""])[0] != name]
    files.save(record, "".join(rest))
