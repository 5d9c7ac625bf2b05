"""The cache of one mount by rclone on disk: what is not sent yet, and what a kill has damaged.

rclone keeps a file's data below ``vfs``, and what it knows of it as JSON below ``vfsMeta``, which
it writes in place. Killed within milliseconds of a close it leaves that empty, and then throws the
data away, or without the ranges that were written, and then never sends it (seen with 1.60 and
1.75: 3 of 12 files). The data itself is whole.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple

_DATA, _ABOUT = "vfs", "vfsMeta"
#: Where beside the cache stands what was put aside.
ASIDE = "rescued"


def unsent(cache: Path) -> Dict[str, int]:
    """The files that are written, in part or whole, and not on the remote, with their bytes.

    One of which nothing can be read counts: rclone is just writing it down, or was killed doing so.
    """
    return {
        name: _size(cache / _DATA / name)
        for name, about in _entries(cache)
        if ((cache / _DATA / name).is_file() if about is None else about.get("Dirty"))
    }


def mend(cache: Path) -> None:
    """Before a mount: let rclone see what was written; what it would throw away is put aside."""
    for name, about in list(_entries(cache)):
        data = cache / _DATA / name
        if not data.is_file():
            continue
        if about is None:
            place = cache.parent / ASIDE / name
            place.parent.mkdir(parents=True, exist_ok=True)
            data.replace(place)
        elif about.get("Dirty") and not about.get("Fingerprint"):  # new: all there is is here
            size = data.stat().st_size
            whole = {"Size": size, "Rs": [{"Pos": 0, "Size": size}] if size else None}
            if any(about.get(key) != value for key, value in whole.items()):
                _write(cache / _ABOUT / name, {**about, **whole})


def restore(cache: Path, root: Path, files: Path) -> None:
    """After a mount: write what was put aside where it belongs, unless something is there.

    ``root`` is where the cache keeps the data of ``files``. What stays aside may be an older state,
    or a part, of what is there.
    """
    aside = cache.parent / ASIDE
    for place in [path for path in aside.rglob("*") if path.is_file()]:
        try:
            target = files / (cache / _DATA / place.relative_to(aside)).relative_to(root)
            if target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place, target)
            place.unlink()
        except (OSError, ValueError):  # it stays aside
            continue


def _entries(cache: Path) -> Iterator[Tuple[str, Optional[Dict[str, Any]]]]:
    """Each file that the cache knows, and what; None where that cannot be read."""
    root = cache / _ABOUT
    for place in root.rglob("*"):
        if place.is_file():
            try:
                about = json.loads(place.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                about = None
            yield str(place.relative_to(root)), about if isinstance(about, dict) else None


def _size(data: Path) -> int:
    try:
        return data.stat().st_size
    except OSError:
        return 0


def _write(place: Path, about: Dict[str, Any]) -> None:
    # Not by `core.files.save`: what it writes first, NAME.new, may be what rclone knows of a file
    # of that name.
    fresh = place.with_name(place.name + ".mended")
    fresh.write_text(json.dumps(about), encoding="utf-8")
    os.replace(fresh, place)  # noqa: PTH105
