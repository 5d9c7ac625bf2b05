"""A plain folder beside Google Drive, where nothing can be mounted.

Files come and go when a person says so, by ``%drive pull`` and ``%drive push``. ``drive:`` in those
lines is Google Drive itself, since somebody is logged in; in others it is the folder.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Optional

from ..core.errors import ColabMagicsError
from ..core.folders import user_path
from ..core.host import Host
from ..core.steps import Progress
from .providers import LOGIN_FILE, Request, State, leave, make_folder, short

#: A file beside the folder, which tells it from a stand-in.
_MARK = ".colab-magics-mirror"


class Mirror:
    """``MOUNTPOINT/MyDrive`` as a folder of this machine that push and pull fill and empty."""

    name = "mirror"
    heals = False
    option = ""
    by_name = True

    def available(self, host: Host, request: Request) -> Optional[str]:
        """Return None where somebody is logged in, and the place is free or a folder."""
        if request.mounted or request.files.is_symlink():
            return "another drive is there"
        with suppress(ColabMagicsError):  # the folder of the login is another user's
            if user_path("config", LOGIN_FILE).exists():
                return None
        return "nobody is logged in to Google Drive (%drive login)"

    def state(self, host: Host, request: Request) -> Optional[State]:
        """Return that the folder is there."""
        if not _mark(request).exists() or not request.files.is_dir():
            return None
        return State(True, "A mirror of Google Drive", short(request.files))

    def mount(self, host: Host, request: Request, progress: Progress) -> str:
        """Make the folder; what is in it stays."""
        make_folder(request.files)
        _mark(request).touch()
        return self._describe(request)

    def flush(self, host: Host, request: Request, progress: Progress) -> str:
        """Return how to send something."""
        return f"Nothing is sent by itself: {self._describe(request)}"

    def unmount(self, host: Host, request: Request, progress: Progress) -> str:
        """Leave the folder as it is, if anything is in it."""
        files = request.files
        _mark(request).unlink()
        if any(files.iterdir()):
            return f"{short(files)} is a folder on this machine now; its files stay where they are"
        leave(host, request.point)
        files.rmdir()
        return f"{short(files)} was removed; it was empty"

    def _describe(self, request: Request) -> str:
        place = short(request.files)
        return f"to get files: %drive pull drive:x {place}, to send: %drive push {place}/x drive:"


def _mark(request: Request) -> Path:
    return request.point / _MARK
