"""A file that comes into a folder: beside its place first, verified, then moved there at once."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Iterator, Optional

from ...core.display import amount
from ...core.errors import DriveError
from ...core.files import open_own
from ...core.folders import hash_path
from ...core.meter import Track
from .journal import Journal, Record, held
from .retry import Backoff, read_on
from .store import SMALL, Entry, Source, new_md5

#: What the name of a half received file ends in.
PART = ".colab-magics-part"
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def receive(place: Path, source: Source, old: Optional[Entry], track: Track) -> str:
    """Put what a source holds in its place, whole and verified, or leave what is there.

    Only ``old`` is replaced, as it was when it was listed. Returns the md5.

    A large one that was cut off is gone on with by the next run. `DriveError` where its md5 is not
    the source's, twice, or where something is in its place that is not to be replaced.
    """
    for _ in range(2):
        with _part(place, source) as part:
            digest = _fill(part, source, track)
            if digest == (source.md5 or digest):
                part.put(source.mtime_ns, old)
                return digest
            part.drop()
    raise DriveError(
        f"{place.name} arrived damaged, twice: its md5 is not the one that the drive has.",
        "Run it again. The file may have been changed meanwhile.",
        code="hash-differs",
    )


class _Part:
    """The file beside the place; ``have`` bytes of this version are in it."""

    def __init__(self, place: Path, journal: Journal, resumes: bool) -> None:
        self._place, self._journal, self._resumes = place, journal, resumes
        self._path = place.with_name(f".{hash_path(place)}{PART}")
        self.stream: Optional[BinaryIO] = None
        self.have = 0

    def open(self, source: Source) -> BinaryIO:
        """Open what is there of the same version, else a new file."""
        record = Record(str(self._place), source.version, source.size, source.id)
        if self._resumes and self._journal.load() == record:
            with suppress(OSError):
                self.stream = os.fdopen(open_own(self._path, os.O_RDWR), "r+b")
                self.have = min(self.stream.seek(0, os.SEEK_END), source.size)
                self.stream.truncate(self.have)
                return self.stream
        with suppress(FileNotFoundError):
            self._path.unlink()
        if self._resumes:
            self._journal.save(record)
        self.stream = os.fdopen(os.open(str(self._path), _NEW, 0o666), "w+b")
        return self.stream

    def check_space(self, size: int) -> None:
        """Raise `DriveError` if there is no room for what is missing."""
        free = shutil.disk_usage(str(self._place.parent)).free
        if size > free:
            message = f"{self._place.name} needs {amount(size)}, and {amount(free)} are free."
            raise DriveError(message, "Make room, or name another folder.", code="no-space")

    def put(self, mtime_ns: int, old: Optional[Entry]) -> None:
        """Move the file to its place."""
        assert self.stream is not None  # noqa: S101 - it is open
        self.stream.flush()
        with suppress(OSError):  # a drive may have no times
            os.utime(self._path, ns=(mtime_ns, mtime_ns))
        self._close()
        self._refuse_other(old)
        self._path.replace(self._place)
        self._journal.remove()

    def _refuse_other(self, old: Optional[Entry]) -> None:
        """Raise `DriveError` if something else is in the place than when it was listed."""
        try:
            status = self._place.lstat()
        except FileNotFoundError:
            return
        if old is None:
            # It is new, or the disk takes its name for another's.
            message = f"{self._place.name} is there now; it was left alone."
            raise DriveError(message, "Run it again.", code="exists")
        if (status.st_size, status.st_mtime_ns) != (old.size, old.mtime_ns):
            message = f"{self._place.name} was changed meanwhile; it was left alone."
            raise DriveError(message, "Run it again.", code="changed")

    def drop(self) -> None:
        """Delete it."""
        self._close()
        with suppress(OSError):
            self._path.unlink()
        self._journal.remove()

    def _close(self) -> None:
        if self.stream is not None:
            with suppress(OSError):  # the disk is full, which was raised on writing
                self.stream.close()
            self.stream = None

    def cut_off(self, error: BaseException) -> None:
        """Leave it to the next run where that can go on with it."""
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if not self._resumes or full:
            self.drop()
        self._close()


@contextmanager
def _part(place: Path, source: Source) -> Iterator[_Part]:
    with held(str(place), place.name) as journal:
        part = _Part(place, journal, source.size > SMALL)
        try:
            yield part
        except BaseException as error:
            part.cut_off(error)
            raise


def _fill(part: _Part, source: Source, track: Track) -> str:
    """Write what is missing, and return the md5 of all of it."""
    out, state = part.open(source), new_md5()
    out.seek(0)
    remaining = part.have
    while remaining > 0 and (block := out.read(min(remaining, 1 << 20))):
        track.check()
        state.update(block)
        remaining -= len(block)
    done = part.have
    track.advance(done, source.size)
    part.check_space(source.size - done)
    backoff = Backoff(track.stop, track.say)
    for block in read_on(source.read, done, source.size, backoff):
        track.check()
        out.write(block)
        state.update(block)
        done += len(block)
        track.advance(done, source.size)
    return str(state.hexdigest())
