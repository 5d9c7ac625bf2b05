"""The log of a job: on this machine, and where it is asked for, copied to where machines end not.

A drive sends a file when it is closed, and sends it whole: so the copy is added to now and then,
and closed each time.
"""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Optional

__all__ = ["BEFORE", "LIMIT", "Copy", "Written"]

#: A log that has become so long is put aside, in the place of the one that was put aside before.
LIMIT = 100 * 10**6
BEFORE = ".1"
#: Seconds between two additions to a copy; and how many times longer than one of them lasts.
EVERY, SHARE = 30.0, 20
_CHUNK = 1 << 20


class Written:
    """A log that a process adds to; ``trouble`` says why something is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: Optional[BinaryIO] = path.open("ab", buffering=0)
        self._size = 0
        self.trouble = ""

    def write(self, data: bytes) -> None:
        """Add to it; a disk that is full costs the log and nothing else."""
        try:
            if self._stream is None or self._size > LIMIT:
                self._begin_again()
            if self._stream is not None:
                self._size += self._stream.write(data) or 0
        except OSError as error:
            self.trouble = f"The log is not whole: {error.strerror}"

    def _begin_again(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None
        with suppress(FileNotFoundError):  # somebody has deleted it
            os.replace(self._path, f"{self._path}{BEFORE}")  # noqa: PTH105
        self._stream, self._size = self._path.open("ab", buffering=0), 0


class Copy:
    """A file that gets what a log gets, with lines before it and, unless the machine goes, after.

    Made in a thread of its own: a drive that is slow holds up nothing. `OSError` where it may not
    be written at all; ``trouble`` says later why something is missing in it.
    """

    def __init__(self, path: Path, log: Path, before: str) -> None:
        self._path, self._log = path, log
        self._source = log.open("rb")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._bring_all, daemon=True)
        self.trouble = ""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._add(f"# {before}\n".encode("utf-8", "replace"))

    def start(self) -> None:
        """Add what is new from now on."""
        self._thread.start()

    def end(self, after: str) -> None:
        """Add the rest, and how it ended; takes as long as it takes."""
        self._done.set()
        self._thread.join()
        self._bring(f"\n# {after}\n".encode("utf-8", "replace"))
        self._source.close()

    def _bring_all(self) -> None:
        pause = EVERY
        while not self._done.wait(pause):
            started = time.monotonic()
            self._bring()
            pause = max(EVERY, SHARE * (time.monotonic() - started))

    def _bring(self, last: bytes = b"") -> None:
        """Add what is new. Where that fails, it is tried again the next time."""
        at = self._source.tell()
        try:
            self._add(last=last)
            self.trouble = ""
        except OSError as error:
            self._source.seek(at)
            self.trouble = f"The copy of the log is not whole: {error.strerror}"

    def _add(self, first: bytes = b"", last: bytes = b"") -> None:
        new = self._source.read(_CHUNK)
        if not (first or new or last):
            return
        with self._path.open("ab") as copy:
            copy.write(first)
            while new or self._begun_again():
                copy.write(new)
                new = self._source.read(_CHUNK)
            copy.write(last)

    def _begun_again(self) -> bool:
        """Go on with the log that has taken the place of the one that was read to its end."""
        try:
            if self._log.stat().st_ino == os.fstat(self._source.fileno()).st_ino:
                return False
            source = self._log.open("rb")
        except OSError:
            return False
        self._source.close()
        self._source = source
        return True
