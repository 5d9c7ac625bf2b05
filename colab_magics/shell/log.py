"""The whole of what a command printed, in a file where that is more than a notebook holds."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, List, Optional

from ..core.folders import cache_folder

#: So many bytes are held back before a file is made: most commands print less.
HELD = 64 * 1024
#: A log ends there, so that a command without end does not fill the disk.
LIMIT = 200 * 10**6
#: What all logs together may take, and how long they are kept.
TOGETHER, DAYS = 500 * 10**6, 14


def folder() -> Path:
    """Where the logs are."""
    return cache_folder("logs")


class Log:
    """One command's log; `path` is None while there is no file."""

    #: What it is called below an output, and where no path is to be shown.
    whole, named = "All of it", "the log that %shell names"

    def __init__(self) -> None:
        self.path: Optional[Path] = None
        #: Why there is none, or not all of it.
        self.trouble = ""
        self._held: List[bytes] = []
        self._size = 0
        self._stream: Optional[IO[bytes]] = None

    def write(self, data: bytes) -> None:
        """Add what was printed; a disk that is full costs the log and nothing else."""
        if self.trouble:
            return
        self._size += len(data)
        self._held.append(data)
        if self._size > HELD:
            self.flush()
        if self._size > LIMIT and not self.trouble:
            self.trouble = f"The log ends after {LIMIT // 10**6} MB"

    def flush(self) -> None:
        """Put what is held back into the file."""
        try:
            if self._stream is None:
                self._stream = self._open()
            self._stream.write(b"".join(self._held))
            self._stream.flush()
        except OSError as error:
            self.trouble = f"The log could not be written: {error.strerror}"
            self._forget_an_empty_one()
        self._held.clear()

    @property
    def files(self) -> List[Path]:
        """All of its files, the earliest first."""
        return [self.path] if self.path is not None else []

    def close(self) -> None:
        """End it."""
        if self._stream is not None:
            with suppress(OSError):
                self._stream.close()
        self._held.clear()

    def _forget_an_empty_one(self) -> None:
        with suppress(OSError):
            if self.path is not None and not self.path.stat().st_size:
                self.path.unlink()
                self.path = None

    def _open(self) -> IO[bytes]:
        place = folder()
        _prune(place)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        for number in range(1, 1000):
            path = place / f"shell-{stamp}-{number}.log"
            with suppress(FileExistsError):
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                self.path = path
                return os.fdopen(handle, "wb")
        raise OSError(None, "too many logs in one second")


def _prune(place: Path) -> None:
    """Delete logs that are too old, and the oldest where they are too large together."""
    found = []
    for path in place.glob("shell-*.log"):
        with suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    total, oldest = 0, time.time() - DAYS * 86400
    for changed, size, path in sorted(found, reverse=True):
        total += size
        if changed < oldest or total > TOGETHER:
            with suppress(OSError):
                path.unlink()
