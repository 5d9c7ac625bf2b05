"""A drive that is a folder of this machine: the stand-in, and what Google Drive for desktop keeps.

The stand-in needs no credentials and no Google; it never says that something is mounted, or Drive,
without saying in the same line what it is. The folder of Google Drive for desktop is linked to,
never copied. Sources: Google's help, "Use Google Drive for desktop" (macOS keeps it in
``CloudStorage``, Windows as a drive letter); the name of the folder with one's own files follows
the language of the system.
"""

from __future__ import annotations

import os
import string
import sys
from pathlib import Path
from typing import Iterator, List, Optional

from ..core.errors import DriveError
from ..core.host import Host
from ..core.steps import Progress
from .colab import listed
from .providers import State, Wanted, leave, mounted, short

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


class Folder:
    """``MOUNTPOINT/MyDrive`` as a folder of this machine, or as a link to one."""

    name = "folder"
    heals = False

    def available(self, host: Host, wanted: Wanted) -> Optional[str]:
        """See `Provider`: always, but not on top of another one."""
        if wanted.remote:
            return "--remote belongs to rclone"
        return "a drive is mounted there" if self._mounted(wanted.point) else None

    def state(self, host: Host, wanted: Wanted) -> Optional[State]:
        """See `Provider`."""
        source, files = wanted.source, wanted.files
        if self._mounted(wanted.point):  # which may hang
            return None
        if not files.is_dir():
            return None
        if source is not None and files.resolve() != source.resolve():
            return State(False, f"{short(files)} is not the folder {short(source)}")
        return State(True, self._words(host, files))

    def mount(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """Make the folder, or the link to ``source``."""
        point, source, files = wanted.point, wanted.source, wanted.files
        if source is not None and not source.is_dir():
            raise DriveError(f"There is no folder {short(source)}.", "Make it, or check --from.")
        try:
            if source is None:
                files.mkdir(parents=True, exist_ok=True)
                return ""
            point.mkdir(parents=True, exist_ok=True)
            self._clear(files)
            files.symlink_to(source, target_is_directory=True)
        except OSError as error:
            raise _not_made(files, error) from None
        return ""

    def flush(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """See `Provider`: there is nowhere to send anything to."""
        return self._words(host, wanted.files)

    def unmount(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """Take the link or the empty folder away; a folder with files in it stays."""
        files = wanted.files
        if files.is_dir() and not files.is_symlink() and any(files.iterdir()):
            return (
                f"Not Google Drive: {short(files)} is a folder on this machine; nothing is "
                "uploaded, and its files stay where they are"
            )
        leave(host, wanted.point)
        self._clear(files)
        return (
            f"{short(files)} is gone. It was not Google Drive but a folder on this machine; "
            "nothing is uploaded"
        )

    def _mounted(self, point: Path) -> bool:
        return listed(point) or mounted(point / "MyDrive") is not None

    def _clear(self, files: Path) -> None:
        """Make room for a link without losing a file."""
        if files.is_symlink():
            files.unlink()
        elif files.is_dir():
            if any(files.iterdir()):
                raise DriveError(
                    f"{short(files)} holds files; it was left alone.",
                    "Name another MOUNTPOINT, or move the files.",
                )
            files.rmdir()

    def _words(self, host: Host, files: Path) -> str:
        what = f"a link to {short(files.resolve())}" if files.is_symlink() else "a folder"
        more = ", it is lost with the machine" if host.ephemeral else ""
        more += "" if os.access(str(files), os.W_OK) else ", read-only"
        return (
            f"Not Google Drive: {short(files)} is {what} on this machine; nothing is uploaded{more}"
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
        files = wanted.files
        there = files.exists() and not files.is_symlink()
        return "files are there, in the place of the link" if there else None

    def state(self, host: Host, wanted: Wanted) -> Optional[State]:
        """See `Provider`."""
        files = wanted.files
        if not files.is_symlink() or files.resolve() not in [path.resolve() for path in _folders()]:
            return None
        return State(
            True, f"Google Drive for desktop was already at {short(files)}; it uploads by itself"
        )

    def mount(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """Make the link."""
        files = wanted.files
        try:
            wanted.point.mkdir(parents=True, exist_ok=True)
            if files.is_symlink():
                files.unlink()
            files.symlink_to(_folders()[0], target_is_directory=True)
        except OSError as error:
            raise _not_made(files, error) from None
        return ""

    def flush(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """See `Provider`: that program tells nobody what it has sent."""
        return "Google Drive for desktop uploads by itself; its icon says what is left"

    def unmount(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """Take the link away, and nothing else."""
        leave(host, wanted.point)
        files = wanted.files
        if files.is_symlink():
            files.unlink()
        return f"the link {short(files)} is gone; Google Drive for desktop keeps the files"


def _not_made(files: Path, error: OSError) -> DriveError:
    return DriveError(
        f"{short(files)} cannot be made: {error.strerror}.", "Name another MOUNTPOINT."
    )


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
