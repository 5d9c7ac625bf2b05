"""What a provider of a drive is, and where drives are put."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Protocol

from ..host import Host
from ..steps import Progress

__all__ = ["PROVIDERS", "Provider", "State", "default_mount_point", "root", "short"]

#: Name → class, in the order to try: adding one is one file and one line here.
PROVIDERS = {
    "colab": "colab_magics.drive.colab:Colab",
    "folder": "colab_magics.drive.folder:Folder",
}


@dataclass(frozen=True)
class State:
    """How a drive stands at a mount point: usable or not, and the line that says so."""

    healthy: bool
    message: str


class Provider(Protocol):
    """One way to have a drive. The files are under ``MOUNTPOINT/MyDrive`` in every one."""

    name: str

    def available(self, host: Host, point: Path) -> Optional[str]:
        """None, or why it cannot be used here."""

    def state(self, host: Host, point: Path, source: Optional[Path]) -> Optional[State]:
        """How it stands, asking nobody; None where nothing of it is there."""

    def mount(self, host: Host, point: Path, source: Optional[Path], progress: Progress) -> None:
        """Make it stand, or raise `DriveError` leaving nothing behind."""

    def unmount(self, host: Host, point: Path) -> str:
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
