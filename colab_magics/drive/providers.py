"""What a provider of a drive is, where drives are mounted, and what the system says is mounted."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Dict, NamedTuple, Optional, Protocol, Tuple

from ..core.errors import DriveError
from ..core.host import Host
from ..core.steps import Progress

#: Name -> class, in the order to try: adding one is one file and one line here.
PROVIDERS = {
    "colab": "colab_magics.drive.colab:Colab",
    "rclone": "colab_magics.drive.rclone.provider:Rclone",
    "desktop": "colab_magics.drive.local:Desktop",
    "mirror": "colab_magics.drive.mirror:Mirror",
    "folder": "colab_magics.drive.local:Folder",
}

#: The file of a login to Google Drive, in the user's folder of settings.
LOGIN_FILE = "google-drive.json"
#: The system's list of what is mounted: ``exists`` is wrong about a dead mount, and may hang.
MOUNTS = Path("/proc/mounts")
#: The kind of file system that Colab mounts.
COLAB_KIND = "fuse.drive"
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Refused(DriveError):
    """The machine allows no mount of this kind, which only trying shows; another may work."""

    code = "refused"


class Mounted(NamedTuple):
    """What is mounted (``gdrive:``), of which kind of file system (``fuse.rclone``), and how."""

    device: str
    kind: str
    options: Tuple[str, ...]

    @property
    def note(self) -> str:
        """The end of a line about it: empty, or that it is read-only."""
        return ", read-only" if "ro" in self.options else ""


def read_mounts() -> Dict[str, Mounted]:
    """Return mount point -> what is mounted there, the topmost."""
    try:
        text = MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    mounts = {}
    for line in text.splitlines():
        fields = [_ESCAPED.sub(lambda x: chr(int(x.group(1), 8)), field) for field in line.split()]
        if len(fields) > 3:
            mounts[fields[1]] = Mounted(fields[0], fields[2], tuple(fields[3].split(",")))
    return mounts


@dataclass(frozen=True)
class Request:
    """What a line asks for: a mount point, the folder of a stand-in, a remote of rclone.

    What is mounted is read once; make a new one after something was mounted.
    """

    point: Path
    source: Optional[Path] = None
    remote: str = ""

    @property
    def files(self) -> Path:
        """The folder that has the files of the drive."""
        return self.point / "MyDrive"

    @cached_property
    def mounted(self) -> Optional[Mounted]:
        """The drive that is mounted there, alive or dead: Colab's, or the folder of files."""
        mounts = read_mounts()
        at_point = mounts.get(str(self.point))
        if at_point is not None and at_point.kind == COLAB_KIND:
            return at_point
        return mounts.get(str(self.files))


@dataclass(frozen=True)
class State:
    """How a drive is: usable or not, and a text; with a ``place`` the text is its name."""

    healthy: bool
    text: str
    place: str = ""

    def describe(self, verb: str = "is already mounted at") -> str:
        """Return the line for people."""
        return f"{self.text} {verb} {self.place}" if self.place else self.text


class Provider(Protocol):
    """One way to have a drive. The files are under ``MOUNTPOINT/MyDrive`` in every one."""

    name: str
    #: Whether one that died can be mounted again without asking a person.
    heals: bool
    #: The option of the line that is for it alone.
    option: str
    #: Whether only a line with ``--provider`` mounts by it.
    by_name: bool

    def available(self, host: Host, request: Request) -> Optional[str]:
        """Return None, or why it cannot be used here."""

    def state(self, host: Host, request: Request) -> Optional[State]:
        """Return how the drive is, asking nobody; None where it has none there."""

    def mount(self, host: Host, request: Request, progress: Progress) -> str:
        """Mount, or raise `DriveError` and leave nothing; return what to add to the message."""

    def flush(self, host: Host, request: Request, progress: Progress) -> str:
        """Wait until all that was written is safe; return a message."""

    def unmount(self, host: Host, request: Request, progress: Progress) -> str:
        """Unmount, losing nothing; return a message."""


def default_mount_point(host: Host) -> Path:
    """Return ``/content/drive`` where Colab's ``/content`` is, else ``~/drive``."""
    content = Path("/content")
    if content.is_dir() and os.access(content, os.W_OK):
        return content / "drive"
    return Path.home() / "drive"


def default_root(host: Host) -> Optional[Path]:
    """Return the folder of ``drive:`` where no line of the notebook has mounted it elsewhere."""
    return root(default_mount_point(host))


def root(point: Path) -> Optional[Path]:
    """Return the folder with the files of a drive; None where it cannot be reached."""
    for name in ("MyDrive", "My Drive"):
        try:
            if (point / name).is_dir():
                return point / name
        except OSError:
            return None
    return None


def short(path: Path) -> str:
    """Return a path as people write it: home is ``~``."""
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except ValueError:
        return str(path)


def make_folder(path: Path, hint: str = "Name another MOUNTPOINT.") -> None:
    """Make a folder and those above it; `DriveError` where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DriveError(f"{short(path)} cannot be made: {error.strerror}.", hint) from None


def leave(host: Host, point: Path) -> Optional[Path]:
    """Change the directory to one outside a mount; return the one inside it, None for none.

    A directory inside a dead mount cannot be asked for: there the shell's own ``PWD`` counts.
    """
    cwd = host.cwd or Path(os.environ.get("PWD") or "/")
    inside = point in (cwd, *cwd.parents)
    if inside or host.cwd is None:
        os.chdir("/" if point in (host.start, *host.start.parents) else host.start)
    return cwd if inside else None
