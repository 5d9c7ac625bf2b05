"""What is written down of jobs: a folder for each name, in it one for each start, files in that.

Each start has its own, so that one that fails, or a keeper that still copies, harms no other one.
"""

import json
import os
from pathlib import Path
from typing import Any, Dict, List

from ...files import state_folder

__all__ = [
    "END",
    "FACTS",
    "LOG",
    "SEEN",
    "STOPPED",
    "Record",
    "folder",
    "names",
    "put",
    "read",
    "reserve",
    "starts",
]

#: Who runs since when; what its keeper says of it now and then; what it writes; how it ended; and
#: that it was told to.
FACTS, SEEN, LOG, END, STOPPED = "job.json", "seen.json", "log", "end.json", "stopped"
#: What a file of these says at least.
_KINDS = {
    FACTS: {
        **{"command": str, "copy": str, "started": float, "host": str, "boot": str},
        **{"session": int, "start": str, "mark": str, "keeper": int, "keeper_start": str},
    },
    SEEN: {"trouble": str, "copied": bool},
    END: {"signal": int, "timed_out": bool, "ended": float},
}

#: Bytes that a file of these has at least, so that room for it can be kept.
_SIZE = 1024

Record = Dict[str, Any]


def folder() -> Path:
    """Where the jobs of this user are."""
    return state_folder("jobs")


def starts(place: Path) -> List[Path]:
    """The starts of a name, from its folder, that came to something; the latest one last."""
    found = (path.parent for path in place.glob(f"*/{FACTS}"))
    return sorted((path for path in found if path.name.isdigit()), key=lambda path: int(path.name))


def names() -> List[str]:
    """The names of all jobs, without a look at how they are."""
    return sorted({path.parent.parent.name for path in folder().glob(f"*/*/{FACTS}")})


def read(place: Path, name: str) -> Record:
    """What a file of a start says; nothing where it does not say all that is asked of it."""
    try:
        found = json.loads((place / name).read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    whole = all(isinstance(found.get(key), kind) for key, kind in _KINDS[name].items())
    return found if whole else {}


def put(place: Path, name: str, record: Record) -> None:
    """Write a file of a start, whole or not at all; into the room that was kept for it."""
    data = json.dumps(record).encode().ljust(_SIZE)
    new = _new(place, name)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as stream:
        stream.write(data)
        stream.truncate()
    os.replace(new, place / name)  # noqa: PTH105


def reserve(place: Path, name: str) -> None:
    """Keep room for a file of a start: a job that fills the disk is to be seen to end."""
    _new(place, name).write_bytes(b" " * _SIZE)


def _new(place: Path, name: str) -> Path:
    return (place / name).with_suffix(".new")
