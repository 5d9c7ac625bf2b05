"""A folder as a store: the stand-in, a mounted drive, any other path of this machine."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from ...core.errors import DriveError, NotebookError
from ...core.files import open_regular
from ...core.meter import Track
from .download import PART, receive
from .store import BLOCK, Changes, Entry, Kind, Source


class LocalStore:
    """The files below a folder; an ``id`` is a path. A path that is absolute counts from the root.

    Links are not followed, but for the one that a person names.
    """

    def __init__(self, root: Path = Path()) -> None:
        self._root = root

    def list(self, folder: Entry) -> List[Entry]:
        """Return what is in a folder, without what is half received."""
        entries: List[Entry] = []
        with os.scandir(folder.id) as items:
            for item in items:
                with suppress(FileNotFoundError):  # deleted meanwhile
                    entries.append(_entry(item.path, item.stat(follow_symlinks=False)))
        return sorted((x for x in entries if not x.name.endswith(PART)), key=lambda x: x.name)

    def place(self, path: str) -> Path:
        """Return the path on this machine."""
        return self._root / path

    def stat(self, path: str) -> Optional[Entry]:
        """Return what is there, behind a link too."""
        place = self._root / path
        try:
            return _entry(str(place), place.stat())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read(self, entry: Entry, start: int, end: int) -> Iterator[bytes]:
        """Yield a part of a file; `DriveError` if it is not as it was when it was listed."""
        try:
            with open_regular(Path(entry.id)) as stream:
                stream.seek(start)
                while start < end and (block := stream.read(min(BLOCK, end - start))):
                    start += len(block)
                    yield block
                status = os.fstat(stream.fileno())
        except (OSError, NotebookError) as error:
            reason = getattr(error, "strerror", "") or "it is no plain file"
            raise DriveError(
                f"{entry.name} cannot be read: {reason}.", "Check it.", code="not-readable"
            ) from None
        if start < end or (status.st_size, status.st_mtime_ns) != (entry.size, entry.mtime_ns):
            raise DriveError(
                f"{entry.name} was changed while it was read.",
                "Run it again when nothing writes it.",
                code="changed",
            )

    def write(
        self, folder: Entry, name: str, source: Source, old: Optional[Entry], track: Track
    ) -> Entry:
        """Write beside the place, then move there."""
        place = Path(folder.id, name)
        md5 = receive(place, source, old, track)
        return replace(_entry(str(place), place.stat()), md5=md5)

    def make_folder(self, folder: Entry, name: str) -> Entry:
        """Make a folder; what is there and is none is left alone."""
        place = Path(folder.id, name)
        try:
            place.mkdir(exist_ok=True)
        except FileExistsError:
            raise DriveError(
                f"{name} is no folder.", "Name another place.", code="not-a-folder"
            ) from None
        return _entry(str(place), place.lstat())

    def _check_unchanged(self, place: Path, old: Entry) -> None:
        """Raise `DriveError` if a file was edited since it was listed."""
        now = _entry(str(place), place.lstat()) if os.path.lexists(place) else None
        if now is None or (now.kind, now.size, now.mtime_ns) != (old.kind, old.size, old.mtime_ns):
            raise DriveError(
                f"{old.name} was changed meanwhile; it was left alone.",
                "Run it again.",
                code="changed",
            )

    def delete(self, entry: Entry) -> None:
        """Delete it, if it is as it was when it was listed; of a link, the link alone."""
        place = Path(entry.id)
        if place.is_symlink():
            place.unlink()
        elif entry.kind == "folder":
            shutil.rmtree(place)
        else:
            self._check_unchanged(place, entry)
            place.unlink()

    def delete_empty(self, folder: Entry) -> bool:
        """Delete a folder with nothing in it; what comes into it meanwhile stays."""
        try:
            Path(folder.id).rmdir()
        except OSError:
            return False
        return True

    def refresh(self, entry: Entry) -> Optional[Entry]:
        """Return what is at its path; of a link, the link."""
        try:
            return _entry(entry.id, os.lstat(entry.id))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def begin_changes(self, folder: Entry) -> Tuple[Entry, str]:
        """Return the folder; a file system does not tell what has changed."""
        return folder, ""

    def changes(self, token: str) -> Optional[Changes]:
        """Return nothing."""
        return None


def _entry(path: str, status: os.stat_result) -> Entry:
    kind: Kind = "other"
    if stat.S_ISREG(status.st_mode):
        kind = "file"
    elif stat.S_ISDIR(status.st_mode):
        kind = "folder"
    size = status.st_size if kind == "file" else 0
    return Entry(path, os.path.basename(path), kind, size, status.st_mtime_ns)  # noqa: PTH119
