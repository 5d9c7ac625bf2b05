"""The log of a job: on this machine, and where it is asked for, copied to where machines end not.

A drive sends a file when it is closed, and sends it whole: so the copy is added to now and then,
and closed each time.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, List, NamedTuple, Optional, Tuple

from ..core.display import amount
from ..core.files import open_own
from ..core.ownership import make_private

#: A log that has become so long is put aside, in the place of the one that was put aside before.
LIMIT = 100 * 10**6
BEFORE = ".1"
#: Seconds between two additions to a copy; and how many times longer than one of them lasts.
EVERY, SHARE = 30.0, 20
#: Seconds in which a copy that cannot be written is an error of the start.
SOON = 1.0
_CHUNK = 1 << 20


class _Part(NamedTuple):
    """A file of a log: ``start`` is how much was written before it."""

    start: int
    stream: BinaryIO


class Written:
    """A log that a process adds to; it and the part before it can be read, deleted even.

    ``folder`` is an open one that its path begins at.
    """

    def __init__(self, path: Path, folder: Optional[int] = None) -> None:
        self._path, self._folder = path, folder
        self._lock = threading.Lock()
        self._parts: List[_Part] = []
        self._size = 0
        self._failed = ""
        self._begin()

    def write(self, data: bytes) -> None:
        """Add to it; a disk that is full costs the log and nothing else."""
        try:
            with self._lock:
                if self._size - self._parts[-1].start > LIMIT:
                    self._begin()
                self._size += self._parts[-1].stream.write(data) or 0
        except OSError as error:
            self._failed = f"The log is not whole: {error.strerror}"

    def read(self, at: int) -> Tuple[int, bytes]:
        """What follows so many bytes, or the first of it that is kept, and where that stands."""
        with self._lock:
            ends = [*(part.start for part in self._parts[1:]), self._size]
            for (start, stream), end in zip(self._parts, ends):
                if at < end:
                    at = max(at, start)
                    return at, os.pread(stream.fileno(), min(_CHUNK, end - at), at - start)
        return at, b""

    @property
    def trouble(self) -> str:
        """Why something is missing in it."""
        gone = self._parts[0].start
        cut = f"Of the log the first {amount(gone)} were not kept" if gone else ""
        return ". ".join(filter(None, [cut, self._failed]))

    def _begin(self) -> None:
        """Put the part that is full aside, in the place of the one before it."""
        if self._parts:
            with suppress(FileNotFoundError):  # somebody has deleted it
                aside = {"src_dir_fd": self._folder, "dst_dir_fd": self._folder}
                os.replace(self._path, f"{self._path}{BEFORE}", **aside)  # noqa: PTH105
        handle = open_own(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, folder=self._folder)
        self._parts.append(_Part(self._size, os.fdopen(handle, "a+b", buffering=0)))
        while len(self._parts) > 2:
            self._parts.pop(0).stream.close()


class Copy:
    """A file that gets what a log gets, with lines before it and, unless the machine goes, after.

    Made in a thread of its own: a drive that is slow holds up nothing.
    """

    def __init__(self, path: Path, log: Written, before: str) -> None:
        self._path, self._log = path, log
        self._first = f"# {before}\n".encode("utf-8", "replace")
        self._at = self._lost = 0
        self._error: Optional[OSError] = None
        self._tried, self._done = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._bring_all, daemon=True)

    def start(self) -> None:
        """Add what is new from now on; `OSError` where it is soon known that this cannot be."""
        self._thread.start()
        if self._tried.wait(SOON) and self._error is not None:
            raise self._error

    def end(self, after: str) -> None:
        """Add the rest, and how it ended; takes as long as it takes."""
        self._done.set()
        self._thread.join()
        self._bring(f"\n# {after}\n".encode("utf-8", "replace"))

    @property
    def trouble(self) -> str:
        """Why something is missing in it, for now or for good."""
        cut = f"In the copy of the log {amount(self._lost)} are missing" if self._lost else ""
        error = self._error
        failed = f"The copy of the log is not whole: {error.strerror}" if error else ""
        return ". ".join(filter(None, [cut, failed]))

    def _bring_all(self) -> None:
        pause = 0.0
        while not self._done.wait(pause):
            started = time.monotonic()
            self._bring()
            pause = max(EVERY, SHARE * (time.monotonic() - started))

    def _bring(self, last: bytes = b"") -> None:
        """Add what is new. Where that fails, it is tried again the next time."""
        try:
            self._add(last)
            self._error = None
        except OSError as error:
            self._error = error
        self._tried.set()

    def _add(self, last: bytes) -> None:
        reached, lost = self._at, self._lost
        at, new = self._log.read(reached)
        if not (self._first or new or last):
            return
        if self._first:  # later, a folder that is gone may be a drive that is not there any more
            make_private(self._path.parent)
        handle = open_own(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        with os.fdopen(handle, "ab") as copy:
            copy.write(self._first)
            while new:
                if at > reached:
                    copy.write(f"\n# {amount(at - reached)} are missing here\n".encode())
                    lost += at - reached
                copy.write(new)
                reached = at + len(new)
                at, new = self._log.read(reached)
            copy.write(last)
        self._at, self._lost, self._first = reached, lost, b""
