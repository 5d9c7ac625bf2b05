"""What is half sent or half received, on disk before its first byte: the next run goes on with it.

One small file for each, in this user's state folder. A session's address is a secret: who has it
can write into the file.
"""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Iterator, Optional, Set

from ...core import files
from ...core.controls import visible
from ...core.errors import DriveError
from ...core.file_lock import alone
from ...core.folders import hash_path, remove_abandoned, user_path
from ...core.ownership import make_private
from ...core.redact import register_secret

#: Seconds that a session lives on Google's servers, and that a journal is of use: a week.
_WEEK = 7 * 86400


@dataclass(frozen=True)
class Record:
    """One transfer that has begun: of what (and which version of it), to where.

    ``path`` is the file or folder on this machine, ``id`` what Drive calls the other side, ``uri``
    the address of an upload's session.
    """

    path: str
    version: str
    size: int
    id: str
    uri: str = ""


class Journal:
    """The record of one transfer; nobody else transfers the same while it is held."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Optional[Record]:
        """Return the record; None where there is none, or none that this version can read."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            values = json.loads(files.read_own(self._path))
            record = Record(**values)
            if all(type(values[x.name]).__name__ == x.type for x in fields(Record)):
                register_secret(record.uri)
                return record
        return None

    def save(self, record: Record) -> None:
        """Put the record on disk, for this user alone."""
        register_secret(record.uri)
        files.save(self._path, json.dumps(asdict(record)))

    def remove(self) -> None:
        """Forget the transfer: it is done, or cannot be gone on with."""
        with suppress(FileNotFoundError):
            self._path.unlink()


@contextmanager
def held(key: str, label: str) -> Iterator[Journal]:
    """Yield the journal of a transfer; `DriveError` while another process is at the same one."""
    folder = user_path("state", "transfers")
    make_private(folder)
    path = folder / f"{hash_path(Path(key))}.json"
    lock = path.with_suffix(".lock")

    def refuse(seconds: float) -> None:
        message = f"{visible(label)} is being transferred by another process."
        raise DriveError(message, "Run it again when that one has ended.", code="busy")

    with ExitStack() as stack:
        handle = stack.enter_context(alone(lock, refuse))
        # Its last holder may have deleted it while this one opened it.
        while not _leads_to(lock, handle):
            stack.close()
            handle = stack.enter_context(alone(lock, refuse))
        try:
            yield Journal(path)
        finally:
            with suppress(OSError):  # Windows keeps what is open
                lock.unlink()


def clean_up(present: Set[str]) -> None:
    """Delete what killed runs have left that nobody needs.

    That is locks, journals that no server knows any more, and those of files that are there:
    ``present`` are their ids in their stores. Their run was killed after its last byte.
    """
    folder = user_path("state", "transfers")
    remove_abandoned(folder, re.compile(r"[0-9a-f]{16}\.lock"))
    oldest = time.time() - _WEEK
    for path in folder.glob("*.json"):
        record = Journal(path).load() if present else None
        with suppress(OSError):
            is_done = record is not None and bool(present & {record.id, record.path})
            if is_done or path.stat().st_mtime < oldest:
                path.unlink()


def _leads_to(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
