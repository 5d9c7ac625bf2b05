"""A drive that is a folder of this machine: the stand-in, and that of Google Drive for desktop.

The stand-in needs no credentials and no Google; each line about it says in the same line that it
is no Google Drive. The folder of Google Drive for desktop is linked, never copied. Sources:
Google's help, "Use Google Drive for desktop" (macOS has it in ``CloudStorage``, Windows as a drive
letter); the name of the folder with one's own files follows the language of the system.
"""

from __future__ import annotations

import os
import string
import sys
from dataclasses import replace
from pathlib import Path
from typing import List, Optional

from ..core.errors import DriveError
from ..core.host import Host
from ..core.steps import Progress
from .providers import Request, State, leave, make_folder, short

#: The name of the folder of one's own files in some languages.
_MY_DRIVE = [
    *("My Drive", "Mi unidad", "Mon Drive", "Mon disque", "Meine Ablage", "Il mio Drive"),
    *("Meu Drive", "O meu disco", "Mijn Drive", "Min enhet", "Mitt Drive", "Mój dysk"),
    *("Мой диск", "マイドライブ", "내 드라이브", "我的云端硬盘", "我的雲端硬碟"),
]


class Folder:
    """``MOUNTPOINT/MyDrive`` as a folder of this machine, or as a link to one."""

    name = "folder"
    heals = False
    option = "--from"
    by_name = False

    def available(self, host: Host, request: Request) -> Optional[str]:
        """Return None unless another drive is mounted there."""
        return "a drive is mounted there" if request.mounted else None

    def state(self, host: Host, request: Request) -> Optional[State]:
        """Return what the folder or the link is."""
        source, files = request.source, request.files
        if request.mounted or not files.is_dir():  # a mount is not touched: it may hang
            return None
        if source is not None and files.resolve() != source.resolve():
            return State(False, f"{short(files)} is not the folder {short(source)}")
        return State(True, self._describe(host, files))

    def mount(self, host: Host, request: Request, progress: Progress) -> str:
        """Make the folder, or the link to ``source``."""
        source, files = request.source, request.files
        if source is None:
            make_folder(files)
            return ""
        if not source.is_dir():
            message = f"There is no folder {short(source)}."
            raise DriveError(message, "Make it, or check --from.", code="no-source")
        make_folder(request.point)
        self._clear(files)
        try:
            files.symlink_to(source, target_is_directory=True)
        except OSError as error:
            raise DriveError(
                f"{short(files)} cannot be made: {error.strerror}.", "Name another MOUNTPOINT."
            ) from None
        return ""

    def flush(self, host: Host, request: Request, progress: Progress) -> str:
        """Return what it is: nothing is sent anywhere."""
        return self._describe(host, request.files)

    def unmount(self, host: Host, request: Request, progress: Progress) -> str:
        """Remove the link or the empty folder; a folder with files in it stays."""
        files = request.files
        if files.is_dir() and not files.is_symlink() and any(files.iterdir()):
            return (
                f"Not Google Drive: {short(files)} is a folder on this machine; nothing is "
                "uploaded, and its files stay where they are"
            )
        leave(host, request.point)
        self._clear(files)
        return (
            f"{short(files)} was removed. It was not Google Drive but a folder on this machine; "
            "nothing is uploaded"
        )

    def _clear(self, files: Path) -> None:
        """Remove a link or an empty folder; `DriveError` for one with files."""
        if files.is_symlink():
            files.unlink()
        elif files.is_dir():
            if any(files.iterdir()):
                raise DriveError(
                    f"{short(files)} has files in it; it was not replaced.",
                    "Name another MOUNTPOINT, or move the files.",
                )
            files.rmdir()

    def _describe(self, host: Host, files: Path) -> str:
        kind = f"a link to {short(files.resolve())}" if files.is_symlink() else "a folder"
        notes = ", it is lost with the machine" if host.ephemeral else ""
        notes += "" if os.access(files, os.W_OK) else ", read-only"
        stand_in = f"{short(files)} is {kind} on this machine"
        return f"Not Google Drive: {stand_in}; nothing is uploaded{notes}"


class Desktop(Folder):
    """``MOUNTPOINT/MyDrive`` as a link to the folder of Google Drive for desktop."""

    name = "desktop"
    option = ""

    def available(self, host: Host, request: Request) -> Optional[str]:
        """Return None where there is one such folder, and no files in the place of the link."""
        folders = _desktop_folders()
        if not folders:
            return "Google Drive for desktop is not here"
        if len(folders) > 1:
            return f"it has several accounts; link one: --from {', '.join(map(short, folders))}"
        files = request.files
        has_files = files.exists() and not files.is_symlink()
        return "files are in the place of the link" if has_files else None

    def state(self, host: Host, request: Request) -> Optional[State]:
        """Return that the link is there."""
        files = request.files
        if not files.is_symlink() or files.resolve() not in [
            x.resolve() for x in _desktop_folders()
        ]:
            return None
        return State(True, "Google Drive for desktop", f"{short(files)}; it uploads by itself")

    def mount(self, host: Host, request: Request, progress: Progress) -> str:
        """Make the link."""
        return super().mount(host, replace(request, source=_desktop_folders()[0]), progress)

    def flush(self, host: Host, request: Request, progress: Progress) -> str:
        """Return where to look: that program tells nobody what it has sent."""
        return "Google Drive for desktop uploads by itself; its icon shows what is not sent yet"

    def unmount(self, host: Host, request: Request, progress: Progress) -> str:
        """Remove the link, and nothing else."""
        leave(host, request.point)
        self._clear(request.files)
        return (
            f"the link {short(request.files)} was removed; Google Drive for desktop has the files"
        )


def _desktop_folders() -> List[Path]:
    """Return the folder of one's own files in each account that is logged in."""
    accounts = sorted((Path.home() / "Library" / "CloudStorage").glob("GoogleDrive-*"))
    if sys.platform == "win32":
        accounts += [Path(f"{letter}:/") for letter in string.ascii_uppercase[3:]]
    folders = ([path / name for name in _MY_DRIVE if (path / name).is_dir()] for path in accounts)
    return [names[0] for names in folders if names]
