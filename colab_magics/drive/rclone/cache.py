"""The cache of one mount by rclone on disk: what is not sent yet, and what a kill has damaged.

rclone keeps a file's data below ``vfs``, and what it knows of it as JSON below ``vfsMeta``, which
it writes in place. Killed within milliseconds of a close it leaves that empty, and then throws the
data away, or without the written ranges, and then never sends it (seen with 1.60 and
1.75: 3 of 12 files). The data itself is complete.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple

_DATA, _ABOUT = "vfs", "vfsMeta"
#: Beside the cache: files that rclone would throw away.
ASIDE = "rescued"


def unsent(cache: Path) -> Dict[str, int]:
    """Return the files that are written, in part or completely, and not on the remote; their sizes.

    One whose metadata cannot be read counts: rclone is writing that, or was killed doing so.
    """
    return {
        name: _size(cache / _DATA / name)
        for name, about in _entries(cache)
        if ((cache / _DATA / name).is_file() if about is None else about.get("Dirty"))
    }


def repair(cache: Path) -> None:
    """Let the next rclone see what was written, and put aside what it would throw away."""
    for name, about in list(_entries(cache)):
        data = cache / _DATA / name
        if not data.is_file():
            continue
        if about is None:
            target = cache.parent / ASIDE / name
            target.parent.mkdir(parents=True, exist_ok=True)
            data.replace(target)
        elif about.get("Dirty") and not about.get("Fingerprint"):  # a new file: all of it is here
            size = data.stat().st_size
            complete = {"Size": size, "Rs": [{"Pos": 0, "Size": size}] if size else None}
            if any(about.get(key) != value for key, value in complete.items()):
                # Not by `core.files.save`: its NAME.new may be the metadata of a file of that name.
                path = cache / _ABOUT / name
                new = path.with_name(f"{path.name}.mended")
                new.write_text(json.dumps({**about, **complete}), encoding="utf-8")
                new.replace(path)


def restore(cache: Path, root: Path, files: Path) -> None:
    """After a mount, write what was put aside where it belongs, unless something is there.

    ``root`` is where the cache has the data of ``files``. What stays aside may be an older state,
    or a part, of what is there.
    """
    aside = cache.parent / ASIDE
    for path in [path for path in aside.rglob("*") if path.is_file()]:
        with suppress(OSError, ValueError):  # it stays aside
            target = files / (cache / _DATA / path.relative_to(aside)).relative_to(root)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                path.unlink()


def _entries(cache: Path) -> Iterator[Tuple[str, Optional[Dict[str, Any]]]]:
    """Yield each file that the cache has, and its metadata; None where that cannot be read."""
    root = cache / _ABOUT
    for path in root.rglob("*"):
        if path.is_file():
            try:
                about = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                about = None
            yield str(path.relative_to(root)), about if isinstance(about, dict) else None


def _size(data: Path) -> int:
    try:
        return data.stat().st_size
    except OSError:
        return 0
