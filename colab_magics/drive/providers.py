"""What a provider of a drive is, where drives are put, and what the system says is mounted."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional, Protocol, Tuple

from ..core.errors import DriveError
from ..core.host import Host
from ..core.process import run
from ..core.steps import Progress

#: Name → class, in the order to try: adding one is one file and one line here.
PROVIDERS = {
    "colab": "colab_magics.drive.colab:Colab",
    "rclone": "colab_magics.drive.rclone.provider:Rclone",
    "desktop": "colab_magics.drive.local:Desktop",
    "folder": "colab_magics.drive.local:Folder",
}

#: What is mounted, by the system's own list: a dead mount lies to ``exists``.
MOUNTS = Path("/proc/mounts")
_ESCAPED = re.compile(r"\\([0-7]{3})")


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

    @property
    def files(self) -> Path:
        """The folder that a provider puts the files of the drive in."""
        return self.point / "MyDrive"


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


def default_root(host: Host) -> Optional[Path]:
    """What ``drive:`` means where no line of the notebook has mounted it elsewhere."""
    return root(default_mount_point(host))


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


class Mounted(NamedTuple):
    """What is mounted (``gdrive:``), of which kind of file system (``fuse.rclone``), and how."""

    device: str
    kind: str
    options: Tuple[str, ...] = ()


def mounted(place: Path, table: Optional[Path] = None) -> Optional[Mounted]:
    """What is mounted at just this place, the topmost; None where nothing is."""
    try:
        lines = (table or MOUNTS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        fields = [_ESCAPED.sub(lambda x: chr(int(x.group(1), 8)), one) for one in line.split()]
        if len(fields) > 2 and fields[1] == str(place):
            return Mounted(fields[0], fields[2], tuple(",".join(fields[3:4]).split(",")))
    return None


def read_only(place: Path, table: Optional[Path] = None) -> bool:
    """Whether what is mounted there may only be read."""
    found = mounted(place, table)
    return found is not None and "ro" in found.options


def fusermount(option: str, files: Path) -> str:
    """Unmount; what it said where it did not."""
    name = shutil.which("fusermount3") or shutil.which("fusermount") or "fusermount3"
    done = run([name, option, str(files)], timeout=30)
    return done.lines[-1] if done.status and done.lines else ""
