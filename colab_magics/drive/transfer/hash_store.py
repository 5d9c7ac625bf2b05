"""Files by their hash in a folder of the drive, for ``%fetch --cache``."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Optional

from ...core.errors import DriveError
from ...core.host import Host
from ...core.meter import AT_ONCE, Meter, Track
from .copy import absent
from .download import receive
from .local import LocalStore
from .places import locate_on_drive, open_drive
from .store import Entry, FileSource


class HashStore:
    """One folder, such as ``drive:cache``; a file in it is whole, or not there.

    ``is_local``: the drive is a folder of this machine. All of it raises `DriveError` or `OSError`.
    """

    def __init__(self, host: Host, folder: str, meter: Meter) -> None:
        drive = open_drive(host, meter, AT_ONCE)
        self.is_local = drive.is_local
        self._place, self._lock = locate_on_drive(folder, drive.store), threading.Lock()

    def size(self, name: str) -> Optional[int]:
        """Return the bytes of a file; None where there is none."""
        entry = self._find(name)
        return None if entry is None else entry.size

    def get(self, name: str, place: Path, track: Track) -> None:
        """Copy a file to a place on this machine; a large one that was cut off is gone on with."""
        entry = self._find(name)
        if entry is None:
            raise absent(name)
        old = LocalStore().stat(str(place))
        receive(place, FileSource(self._place.store, entry), old, track)

    def put(self, name: str, file: Path, track: Track) -> None:
        """Copy a file of this machine there, in the place of what has that name."""
        here = LocalStore()
        entry = here.stat(str(file))
        if entry is None:
            raise absent(file.name)
        folder, old = self._make_folder(), self._find(name)
        self._place.store.write(folder, name, FileSource(here, entry), old, track)

    def _find(self, name: str) -> Optional[Entry]:
        entry = self._place.store.stat(f"{self._place.path}/{name}")
        if entry is not None and entry.kind != "file":
            message = f"{self._place.typed}/{name} is no file."
            raise DriveError(message, "Move it away.", code="in-the-way")
        return entry

    def _make_folder(self) -> Entry:
        """Return the folder, which is made by one thread: Drive may have two of one name."""
        store, parts = self._place.store, self._place.parts
        with self._lock:
            folder = store.stat("")
            for number, name in enumerate(parts, 1):
                if folder is None:
                    break
                folder = store.stat("/".join(parts[:number])) or store.make_folder(folder, name)
        if folder is None or folder.kind != "folder":
            message = f"{self._place.typed} is no folder."
            raise DriveError(message, "Name another one.", code="not-a-folder")
        return folder
