"""What a provider of a drive is, and where drives are put."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Protocol

from ..core.errors import DriveError
from ..core.host import Host
from ..core.steps import Progress


#: Name → class, in the order to try: adding one is one file and one line here.
PROVIDERS = {
    "colab": "colab_magics.drive.colab:Colab",
    "rclone": "colab_magics.drive.rclone.provider:Rclone",
    "desktop": "colab_magics.drive.desktop:Desktop",
    "folder": "colab_magics.drive.local:Folder",
}


class Refused(DriveError):
    """This machine lets nobody mount in this way, which only trying tells; another way may do."""


@dataclass(frozen=True)
class State:
    """How a drive stands at a mount point: usable or not, and the line that says so."""

    healthy: bool
    message: str


@dataclass(frozen=True)
class Wanted:
    """What a line asks for: where, the folder that a stand-in shows, the remote of rclone's."""

    point: Path
    source: Optional[Path] = None
    remote: str = ""


class Provider(Protocol):
    """One way to have a drive. The files are under ``MOUNTPOINT/MyDrive`` in every one."""

    name: str
    #: Whether one that died can be made again without asking a person.
    heals: bool

    def available(self, host: Host, wanted: Wanted) -> Optional[str]:
        """None, or why it cannot be used here."""

    def state(self, host: Host, wanted: Wanted) -> Optional[State]:
        """How it stands, asking nobody; None where nothing of it is there."""

    def mount(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """Make it stand, or raise `DriveError` leaving nothing behind; what more there is to say,
        mostly nothing.
        """

    def flush(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """Wait until all that was written is safe, and say so; `DriveError` where it is not."""

    def unmount(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """Take it away, losing nothing, and say what was done."""


def default_mount_point(host: Host) -> Path:
    """``/content/drive`` where Colab's ``/content`` is, else ``~/drive``."""
    content = Path("/content")
    if content.is_dir() and os.access(content, os.W_OK):
        return content / "drive"
    return Path.home() / "drive"


def root(point: Path) -> Optional[Path]:
    """The folder that holds the files of a drive; None where it cannot be reached."""
    for name in ("MyDrive", "My Drive"):
        try:
            if (point / name).is_dir():
                return point / name
        except OSError:
            return None
    return None


def short(path: Path) -> str:
    """A path as people write it: home is ``~``."""
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except ValueError:
        return str(path)


def leave(host: Host, point: Path) -> Optional[Path]:
    """Step out of a mount, and give the directory that was left; None: it was not inside.

    A directory inside a dead mount cannot even be asked for, so that the shell's own note counts.
    """
    cwd = host.cwd or Path(os.environ.get("PWD") or "/")
    if host.cwd is not None and point not in (cwd, *cwd.parents):
        return None
    os.chdir("/" if point in (host.start, *host.start.parents) else host.start)
    return cwd if point in (cwd, *cwd.parents) else None
