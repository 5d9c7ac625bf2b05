"""The log of a job: on this machine, and on request copied to where machines do not end.

A drive uploads a file when it is closed, and uploads all of it: so the copy is added to now and
then, and closed each time.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, List, NamedTuple, Optional, Tuple

from ..core.display import amount
from ..core.errors import CommandFailed
from ..core.files import open_own
from ..core.ownership import make_private

#: A log that has become so long is moved aside, in place of the one that was moved before.
LIMIT = 100 * 10**6
#: Seconds between two additions to a copy; and how many times longer than one of them lasts.
EVERY, SHARE = 30.0, 20
#: Seconds in which a copy that cannot be written is an error of the start.
SOON = 1.0
#: Bytes of a log in which its last lines are searched.
_FAR = 1 << 20


class _Part(NamedTuple):
    """A file of a log, and how much was written before it."""

    start: int
    stream: BinaryIO


class RotatingLog:
    """A log that a process adds to; what it has written can be read, even if it was deleted.

    ``folder`` is an open one that its path is relative to.
    """

    def __init__(self, path: Path, folder: Optional[int] = None) -> None:
        self._path, self._folder = path, folder
        self._lock = threading.Lock()
        self._parts: List[_Part] = []
        self._size = 0
        self._failure = ""
        self._rotate()

    def write(self, data: bytes) -> None:
        """Add bytes; a disk that is full costs the log and nothing else."""
        try:
            with self._lock:
                if self._size - self._parts[-1].start > LIMIT:
                    self._rotate()
                self._size += self._parts[-1].stream.write(data) or 0
        except OSError as error:
            self._failure = f"The log is not complete: {error.strerror}"

    def read(self, at: int) -> Tuple[int, bytes]:
        """Return bytes from a place on, or from the first that is still there, and that place."""
        with self._lock:
            ends = [*(part.start for part in self._parts[1:]), self._size]
            for (start, stream), end in zip(self._parts, ends):
                if at < end:
                    at = max(at, start)
                    return at, os.pread(stream.fileno(), min(1 << 20, end - at), at - start)
        return at, b""

    @property
    def trouble(self) -> str:
        """Why something is missing in it."""
        gone = self._parts[0].start
        cut = f"The first {amount(gone)} of the log are gone" if gone else ""
        return ". ".join(filter(None, [cut, self._failure]))

    def _rotate(self) -> None:
        if self._parts:
            with suppress(FileNotFoundError):  # somebody has deleted it
                folders = {"src_dir_fd": self._folder, "dst_dir_fd": self._folder}
                os.replace(self._path, _aside(self._path), **folders)  # noqa: PTH105
        handle = open_own(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, folder=self._folder)
        self._parts.append(_Part(self._size, os.fdopen(handle, "a+b", buffering=0)))
        if len(self._parts) > 2:
            self._parts.pop(0).stream.close()


class LogCopy:
    """A file that gets what a log gets, with a line before it and, unless the machine goes, after.

    It is made in a thread: a drive that is slow holds up nothing.
    """

    def __init__(self, path: Path, log: RotatingLog, title: str) -> None:
        self._path, self._log = path, log
        self._title = f"# {title}\n".encode("utf-8", "replace")
        self._at = self._missing = 0
        self._error: Optional[OSError] = None
        self._tried, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._add_again, daemon=True)

    def start(self) -> None:
        """Add what is new from now on; raise `OSError` if it soon turns out to be impossible."""
        self._thread.start()
        if self._tried.wait(SOON) and self._error is not None:
            raise self._error

    def end(self, last_line: str) -> None:
        """Add the rest, however long that takes."""
        self._ended.set()
        self._thread.join()
        self._try_to_add(f"\n# {last_line}\n".encode("utf-8", "replace"))

    @property
    def trouble(self) -> str:
        """Why something is missing in it, for now or for good."""
        error, missing = self._error, self._missing
        cut = f"{amount(missing)} are missing in the copy of the log" if missing else ""
        failure = f"The copy of the log is not complete: {error.strerror}" if error else ""
        return ". ".join(filter(None, [cut, failure]))

    def _add_again(self) -> None:
        pause = 0.0
        while not self._ended.wait(pause):
            started = time.monotonic()
            self._try_to_add()
            pause = max(EVERY, SHARE * (time.monotonic() - started))

    def _try_to_add(self, last: bytes = b"") -> None:
        try:
            self._add(last)
            self._error = None
        except OSError as error:
            self._error = error
        self._tried.set()

    def _add(self, last: bytes) -> None:
        reached, missing = self._at, self._missing
        at, new = self._log.read(reached)
        if not (self._title or new or last):
            return
        if self._title:  # later, a folder that is gone may be a drive that is not mounted any more
            make_private(self._path.parent)
        handle = open_own(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        with os.fdopen(handle, "ab") as copy:
            copy.write(self._title)
            while new:
                if at > reached:
                    copy.write(f"\n# {amount(at - reached)} are missing here\n".encode())
                    missing += at - reached
                copy.write(new)
                reached = at + len(new)
                at, new = self._log.read(reached)
            copy.write(last)
        self._at, self._missing, self._title = reached, missing, b""


class LogReader:
    """The end of a log, from so many lines before it (None: all of it), and what is added."""

    def __init__(self, path: Path, lines: Optional[int]) -> None:
        self._path = path
        self._stream = _open(path if lines is not None else list_parts(path)[0])
        if lines is not None:
            self._stream.seek(_find_last(self._stream, lines))

    def read(self) -> bytes:
        """Return bytes that were not read yet; empty if there are none yet."""
        data = self._stream.read(1 << 16)
        if not data and self._is_rotated():
            self.close()
            self._stream = _open(self._path)
            data = self._stream.read(1 << 16)
        return data

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _is_rotated(self) -> bool:
        with suppress(FileNotFoundError):  # somebody has deleted it
            return self._path.stat().st_ino != os.fstat(self._stream.fileno()).st_ino
        return False


def list_parts(path: Path) -> List[Path]:
    """Return the files of a log: the part that was moved aside, if there is one, and the last."""
    return [_aside(path), path] if _aside(path).exists() else [path]


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def _open(path: Path) -> BinaryIO:
    try:
        return os.fdopen(open_own(path), "rb")
    except OSError as error:
        message = f"{path} cannot be shown: {error.strerror}."
        raise CommandFailed(message, "Delete the job: %jobs remove NAME", code="no-log") from None


def _find_last(stream: BinaryIO, lines: int) -> int:
    """Return where the last lines begin; a line that is very long is cut."""
    size = stream.seek(0, os.SEEK_END)
    start = max(0, size - _FAR)
    stream.seek(start)
    data = stream.read(_FAR)
    at = len(data) - 1 if data.endswith(b"\n") else len(data)
    for _ in range(lines):
        at = data.rfind(b"\n", 0, at)
        if at < 0:
            return start
    return start + at + 1
