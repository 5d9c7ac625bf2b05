"""Google Drive for desktop: the folder that it keeps is linked to, never copied.

Sources: Google's help, "Use Google Drive for desktop" (macOS keeps it in ``CloudStorage``, Windows
as a drive letter); the name of the folder with one's own files follows the system's language.
"""

import string
import sys
from pathlib import Path
from typing import Iterator, List, Optional

from ..core.errors import DriveError
from ..core.host import Host
from ..core.steps import Progress
from .providers import State, Wanted, leave, short


#: What the folder of one's own files is called in some languages; English comes first.
NAMES = (
    "My Drive",
    "Mi unidad",
    "Mon Drive",
    "Mon disque",
    "Meine Ablage",
    "Il mio Drive",
    "Meu Drive",
    "O meu disco",
    "Mijn Drive",
    "Min enhet",
    "Mitt Drive",
    "Mój dysk",
    "Мой диск",
    "マイドライブ",
    "내 드라이브",
    "我的云端硬盘",
    "我的雲端硬碟",
)


class Desktop:
    """``MOUNTPOINT/MyDrive`` as a link to the folder of Google Drive for desktop."""

    name = "desktop"
    heals = False

    def available(self, host: Host, wanted: Wanted) -> Optional[str]:
        """See `Provider`."""
        if wanted.source is not None:
            return "--from belongs to the stand-in"
        if wanted.remote:
            return "--remote belongs to rclone"
        found = _folders()
        if not found:
            return "Google Drive for desktop is not here"
        if len(found) > 1:
            some = ", ".join(short(path) for path in found)
            return f"it has several accounts; link one: --from {some}"
        files = wanted.point / "MyDrive"
        there = files.exists() and not files.is_symlink()
        return "files are there, in the place of the link" if there else None

    def state(self, host: Host, wanted: Wanted) -> Optional[State]:
        """See `Provider`."""
        files = wanted.point / "MyDrive"
        if not files.is_symlink() or files.resolve() not in [path.resolve() for path in _folders()]:
            return None
        return State(
            True, f"Google Drive for desktop was already at {short(files)}; it uploads by itself"
        )

    def mount(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """Make the link."""
        files = wanted.point / "MyDrive"
        try:
            wanted.point.mkdir(parents=True, exist_ok=True)
            if files.is_symlink():
                files.unlink()
            files.symlink_to(_folders()[0], target_is_directory=True)
        except OSError as error:
            raise DriveError(
                f"{short(files)} cannot be made: {error.strerror}.", "Name another MOUNTPOINT."
            ) from None
        return ""

    def flush(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """See `Provider`: that program tells nobody what it has sent."""
        return "Google Drive for desktop uploads by itself; its icon says what is left"

    def unmount(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """Take the link away, and nothing else."""
        leave(host, wanted.point)
        files = wanted.point / "MyDrive"
        if files.is_symlink():
            files.unlink()
        return f"the link {short(files)} is gone; Google Drive for desktop keeps the files"


def _folders() -> List[Path]:
    """One's own files in each account that is logged in."""
    places = sorted((Path.home() / "Library" / "CloudStorage").glob("GoogleDrive-*"))
    if sys.platform == "win32":
        places += [Path(f"{letter}:/") for letter in string.ascii_uppercase[3:]]
    return list(_own(places))


def _own(places: List[Path]) -> Iterator[Path]:
    for place in places:
        found = [place / name for name in NAMES if (place / name).is_dir()]
        yield from found[:1]
