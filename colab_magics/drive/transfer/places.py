"""What a typed path means: ``drive:…`` is the drive, in whichever way it is to be had, the rest
is on this machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ...core.errors import DriveError
from ...core.host import Host
from ...core.meter import Meter
from ..providers import root
from ..step import current, find_mounted
from .copy import Location
from .local import LocalStore
from .login import Login, load
from .store import Store, split_path

#: What the drive is called in a line.
DRIVE = "drive:"


class Drive(NamedTuple):
    """The drive that ``drive:`` means, and the line that says which.

    ``hint`` is what to do after a push, ``deleted`` what became of what was deleted; ``is_slow``:
    each file takes a request; ``is_local``: it is a folder of this machine, and goes with it.
    """

    store: Store
    line: str
    hint: str = ""
    deleted: str = "Deleted"
    is_slow: bool = False
    is_local: bool = False


def open_drive(host: Host, meter: Meter, jobs: int) -> Drive:
    """Return the drive: by Google's interface where somebody is logged in, else as it is mounted.

    `DriveError` where there is neither, or the mount does not answer.
    """
    stored = load()
    if stored is not None:
        return _open_google(stored, meter, jobs)
    point = current(host)
    mounted = find_mounted(host, point)
    if mounted is None:
        raise DriveError(
            "No drive is mounted, and nobody is logged in.",
            "Mount one: %drive mount, or log in: %drive login",
            code="no-drive",
        )
    provider, state = mounted
    folder = root(point)
    if not state.healthy or folder is None:
        raise DriveError(f"{state.describe()}.", "Mount it again: %drive mount", code="not-mounted")
    line = state.describe("is mounted at")
    sends = provider.name in ("colab", "rclone")
    hint = "Wait until all is sent: %drive flush" if sends else ""
    is_local = provider.name == "folder"
    return Drive(LocalStore(folder), line, hint, is_slow=sends, is_local=is_local)


def _open_google(stored: Login, meter: Meter, jobs: int) -> Drive:
    from .api import Api
    from .rest import DriveStore

    api = Api(stored.token, meter.stop, jobs)
    meter.wakers.append(api.wake)
    line = f"Google Drive of {stored.account}, by Google's interface"
    store = DriveStore(api, has_shared=stored.kind == "service")
    return Drive(store, line, deleted="Moved to the trash", is_slow=True)


def is_on_drive(text: str) -> bool:
    """Tell whether a typed path is on the drive."""
    return text.startswith(DRIVE)


def locate_on_drive(text: str, drive: Store) -> Location:
    """Return what ``drive:x`` means."""
    path = text[len(DRIVE) :]
    parts = split_path(path, text)
    return Location(drive, parts, text, is_contents(path) or not parts)


def locate_here(text: str, host: Host) -> Location:
    """Return what a path of this machine means."""
    place = host.resolve(host.spell_typed(text))
    anchor = Path(place.anchor)
    parts = place.relative_to(anchor).parts
    return Location(LocalStore(anchor), parts, text, is_contents(text))


def is_contents(text: str) -> bool:
    """Tell whether a typed path means what is in a folder."""
    return text.endswith("/") or text.rpartition("/")[2] in (".", "..")
