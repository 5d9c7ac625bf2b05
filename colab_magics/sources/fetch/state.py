"""What was fetched to this machine, and whether it is still as it was: told by size and time.

One small file in the user's cache for each target. It only saves work: without it a file is read
once more, and its hash decides.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

__all__ = ["Entry", "digest", "folder", "seen", "short"]

#: Path below the place, size in bytes, time of its last change in nanoseconds.
Seen = Tuple[str, int, int]

_BLOCK = 1 << 20


class Entry(NamedTuple):
    """What one address brought. ``place`` is the folder that the names of ``files`` are below."""

    place: str
    name: str
    sha256: str
    files: Tuple[Seen, ...]

    @classmethod
    def read(cls, key: str) -> "Optional[Entry]":
        """What is known of a target; None where nothing is, or it cannot be read."""
        try:
            found: Dict[str, Any] = json.loads(_file(key).read_text(encoding="utf-8"))
            files = tuple((str(a), int(b), int(c)) for a, b, c in found["files"])
            return cls(str(found["place"]), str(found["name"]), str(found["sha256"]), files)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, *keys: str) -> None:
        """Keep it under these keys."""
        for key in keys:
            file = _file(key)
            file.parent.mkdir(parents=True, exist_ok=True)
            fresh = file.with_suffix(f".{os.getpid()}")
            fresh.write_text(json.dumps(self._asdict()), encoding="utf-8")
            fresh.replace(file)

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(size for _, size, _ in self.files)

    def differing(self) -> Iterator[Tuple[str, bool]]:
        """Each file that is not as it was, and whether it is there at all."""
        for name, size, changed in self.files:
            try:
                now = os.stat(os.path.join(self.place, name))  # noqa: PTH116, PTH118 - thousands
            except OSError:
                yield name, False
                continue
            if (now.st_size, now.st_mtime_ns) != (size, changed):
                yield name, True


def seen(place: Path, names: Sequence[str]) -> Tuple[Seen, ...]:
    """These files as they are now."""
    found: List[Seen] = []
    for name in names:
        now = (place / name).stat()
        found.append((name, now.st_size, now.st_mtime_ns))
    return tuple(found)


def folder() -> Path:
    """Where that is kept, and what is only half here."""
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("colab-magics", appauthor=False)) / "fetched"


def digest(path: Path, kind: str = "sha256") -> str:
    """The hash of a file, in hexadecimal."""
    found = hashlib.new(kind)
    with path.open("rb") as stream:
        while True:
            block = stream.read(_BLOCK)
            if not block:
                return found.hexdigest()
            found.update(block)


def short(sha256: str) -> str:
    """As much of a hash as people compare."""
    return sha256[:7]


def _file(key: str) -> Path:
    return folder() / f"{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()}.json"
