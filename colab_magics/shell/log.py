"""All that a command printed, in a file where that is more than a notebook holds."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, List, Optional

from ..core.folders import cache_folder

#: Bytes that are buffered before a file is made: most commands print less.
BUFFER = 64 * 1024
#: The longest log, so that a command without end does not fill the disk.
LIMIT = 200 * 10**6
#: The size of all logs together, and the days after which one is deleted.
TOGETHER, DAYS = 500 * 10**6, 14


def folder() -> Path:
    """Return where the logs are."""
    return cache_folder("logs")


class Log:
    """One command's log; ``path`` is None while there is no file.

    ``trouble`` says why there is none, or why it is not complete.
    """

    def __init__(self) -> None:
        self.path: Optional[Path] = None
        self.trouble = ""
        self._buffer: List[bytes] = []
        self._size = 0
        self._stream: Optional[IO[bytes]] = None

    def write(self, data: bytes) -> None:
        """Add bytes; a disk that is full costs the log and nothing else."""
        if self.trouble:
            return
        self._size += len(data)
        self._buffer.append(data)
        if self._size > BUFFER:
            self.flush()
        if self._size > LIMIT and not self.trouble:
            self.trouble = f"The log ends after {LIMIT // 10**6} MB"

    def flush(self) -> None:
        """Write the buffer into the file."""
        if self.trouble:
            return
        try:
            if self._stream is None:
                self._stream = self._open()
            self._stream.write(b"".join(self._buffer))
            self._stream.flush()
        except OSError as error:
            self.trouble = f"The log could not be written: {error.strerror}"
            with suppress(OSError):
                if self.path is not None and not self.path.stat().st_size:
                    self.path.unlink()
                    self.path = None
        self._buffer.clear()

    def close(self) -> None:
        """Close the file; what is still buffered is dropped."""
        if self._stream is not None:
            with suppress(OSError):
                self._stream.close()
        self._buffer.clear()

    def _open(self) -> IO[bytes]:
        _prune(folder())
        prefix = time.strftime("shell-%Y%m%d-%H%M%S-")
        handle, path = tempfile.mkstemp(".log", prefix, folder())
        self.path = Path(path)
        return os.fdopen(handle, "wb")


def _prune(place: Path) -> None:
    """Delete logs that are too old, and the oldest where they are too large together."""
    logs = []
    for path in place.glob("shell-*.log"):
        with suppress(OSError):
            status = path.stat()
            logs.append((status.st_mtime, status.st_size, path))
    total, oldest = 0, time.time() - DAYS * 86400
    for changed, size, path in sorted(logs, reverse=True):
        total += size
        if changed < oldest or total > TOGETHER:
            with suppress(OSError):
                path.unlink()
