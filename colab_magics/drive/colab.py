"""Colab's own mount of Google Drive, asked only where it can answer.

``google.colab.drive.mount`` sends its request to the browser before it checks whether the drive
is mounted, and then waits for two minutes where nobody answers (read in colabtools, 2026-04).
So a healthy mount is recognised here, and without a person the answer is an error at once.
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

from ..core.display import duration
from ..core.errors import DriveError
from ..core.host import Host
from ..core.menus import menu
from ..core.process import within
from ..core.steps import Progress
from .providers import COLAB_KIND, Request, State, leave

#: Colab's machines have this file; its mount refuses to work without it.
VM_MARK = Path("/var/colab/hostname")
#: Seconds that a flush may take: Colab's own limit, after which it fails by itself, and a minute.
FLUSH_LIMIT = 24 * 3600 + 60

#: A part of what Colab's mount raises, in lower case -> the code (colabtools 2026-04, #5531, #5944,
#: #6063; the words of VS Code: colab-vscode 0.9). The first that fits counts.
_PARTS = {
    "must not be a symlink": "mount-point-link",
    "already contain files": "mount-point-not-empty",
    "must either be a directory": "mount-point-file",
    "in a directory that exists": "mount-point-parent",
    "propagation": "no-permission",
    "cancelled": "no-permission",
    "domain policy": "domain-policy",
    "root folder": "root-timeout",
}
#: Code -> what failed, and what to do.
_FAILURES = {
    "mount-point-link": (
        "{point} is a link, and Colab mounts on none.",
        "Remove the link, or name another MOUNTPOINT.",
    ),
    "mount-point-not-empty": (
        "{point} is not empty: what is in it is on this machine only, not in Google Drive.",
        "Move it away: %shell mv {point} {point}-local, then run it again.",
    ),
    "mount-point-file": (
        "{point} is a file, and Colab mounts on a folder.",
        "Move it away, or name another MOUNTPOINT.",
    ),
    "mount-point-parent": (
        "There is no folder {parent} to mount in.",
        "Make it: %shell mkdir -p {parent}, then run it again.",
    ),
    "no-permission": (
        "Google did not get your permission for Drive.",
        "Run it again and tick every box in Google's window, with the account {account}.",
    ),
    "domain-policy": (
        "The administrator of this account has switched Google Drive for desktop off.",
        "Use another account, or ask the administrator: "
        "https://support.google.com/a/answer/7496409",
    ),
    "root-timeout": (
        "Google Drive did not list its top folder in time: very many files are directly in it.",
        "Run it again, which goes on from where it was; if it stays so, move files into folders: "
        "https://research.google.com/colaboratory/faq.html#drive-timeout",
    ),
    "mount-failed": (
        "Colab could not mount Google Drive.",
        "Run it again, and allow access within two minutes; if it stays so: {delete}.",
    ),
}


class Colab:
    """Google Drive by ``google.colab.drive``."""

    name = "colab"
    heals = False
    option = ""
    by_name = False

    def available(self, host: Host, request: Request) -> Optional[str]:
        """Return None on a Colab machine with its package."""
        if not host.colab or not VM_MARK.exists():
            return "this is not a Colab machine"
        if os.environ.get("VERTEX_PRODUCT") == "COLAB_ENTERPRISE":
            return "Colab Enterprise has no mount of Drive"
        try:
            return None if find_spec("google.colab") else "google.colab is not installed"
        except ModuleNotFoundError:
            return "google.colab is not installed"

    def state(self, host: Host, request: Request) -> Optional[State]:
        """Return how the mount is; a dead one is not healthy."""
        mounted = request.mounted
        if mounted is None or mounted.kind != COLAB_KIND:
            return None
        try:
            next(request.point.iterdir(), None)
        except OSError:
            return State(False, f"Google Drive at {request.point} does not answer")
        return State(True, "Google Drive", f"{request.point}{mounted.note}")

    def mount(self, host: Host, request: Request, progress: Progress) -> str:
        """Have Colab ask the person; a dead mount is replaced."""
        point, is_mounted = request.point, self.state(host, request) is not None
        if " " in str(point):
            raise DriveError(
                f"Colab cannot mount on a path with a space: {point}.", "Name another MOUNTPOINT."
            )
        if not host.person:
            raise DriveError(
                "Nobody is there to allow access to Google Drive; nothing was mounted.",
                "Run this in the Colab page, mount it by Colab's command line: colab drivemount "
                f"{point}, or use: %drive mount --provider folder",
                code="no-person",
            )
        if is_mounted:
            leave(host, point)
        else:
            _check(host, point)
        place = "VS Code, then the browser" if host.vscode else "the browser"
        progress(f"waiting for your permission in {place}")
        from google.colab import drive

        try:
            drive.mount(str(point), force_remount=is_mounted)
        except Exception as error:
            raise _mount_failure(host, point, error) from None
        return ""

    def flush(self, host: Host, request: Request, progress: Progress) -> str:
        """Unmount and mount again: Colab can flush in no other way."""
        if not host.person:  # it could not be mounted again
            raise DriveError(
                "Colab flushes by unmounting, and nobody is there to allow the mount after it.",
                "Run this in the Colab page, or end with: %drive unmount",
                code="no-person",
            )
        progress("Colab flushes by unmounting: Google Drive is gone for a moment")
        cwd = _unmount(host, request, progress)
        try:
            self.mount(host, Request(request.point), progress)
        except DriveError as error:
            raise DriveError(
                f"Google Drive has all that was written, and is not mounted again: {error.message}",
                error.hint,
                error.details,
                code=error.code,
            ) from None
        _return_to(cwd)
        return f"Google Drive was flushed and is mounted at {request.point} again"

    def unmount(self, host: Host, request: Request, progress: Progress) -> str:
        """Have Colab flush and unmount."""
        _unmount(host, request, progress)
        return f"Google Drive was flushed and is no longer mounted at {request.point}"


def _check(host: Host, point: Path) -> None:
    """Refuse what Colab's mount refuses as well, but only once the person has allowed it."""
    if point.is_symlink():
        raise _error("mount-point-link", host, point)
    if point.is_dir():
        if any(point.iterdir()):
            raise _error("mount-point-not-empty", host, point)
    elif point.exists():
        raise _error("mount-point-file", host, point)
    elif not point.parent.exists():
        raise _error("mount-point-parent", host, point)


def _mount_failure(host: Host, point: Path, error: Exception) -> DriveError:
    """Return the error for what Colab's mount has raised."""
    text = str(error).lower()
    code = next((code for part, code in _PARTS.items() if part in text), "")
    if code:
        return _error(code, host, point)
    return _error("mount-failed", host, point, f"{type(error).__name__}: {error}")


def _error(code: str, host: Host, point: Path, details: str = "") -> DriveError:
    message, hint = _FAILURES[code]
    values = {
        "point": point,
        "parent": point.parent,
        "delete": menu(host, "delete"),
        "account": "that VS Code is signed in with" if host.vscode else "of this page",
    }
    return DriveError(message.format(**values), hint.format(**values), details, code=code)


def _unmount(host: Host, request: Request, progress: Progress) -> Optional[Path]:
    """Have Colab flush and unmount; return the directory inside it that was left, if any.

    `DriveError` says whether what was written is safe; the directory is as it was then.
    """
    from google.colab import drive

    def show(seconds: float) -> None:
        progress(f"sending what was written to Google Drive, for {duration(int(seconds))} so far")

    cwd = leave(host, request.point)
    try:
        within(FLUSH_LIMIT, drive.flush_and_unmount, show)
    except BaseException as error:
        _return_to(cwd)
        if isinstance(error, Exception):
            raise _flush_failure(request.point, error) from None
        raise
    if Request(request.point).mounted is not None:
        _return_to(cwd)
        raise DriveError(
            f"Google Drive was flushed, and is still mounted at {request.point}.",
            "What you wrote is safe. Run it again once no program uses a file of it.",
            code="still-mounted",
        )
    return cwd


def _return_to(cwd: Optional[Path]) -> None:
    """Change back to a directory, where it is there."""
    if cwd is not None:
        with suppress(OSError):
            os.chdir(cwd)


def _flush_failure(point: Path, error: Exception) -> DriveError:
    """Return the error of a flush that failed: where the files are that were written lately."""
    code = "not-flushed"
    if isinstance(error, NotImplementedError):
        code = "no-flush"
        message = "Colab cannot flush or unmount Google Drive on this machine; it stays mounted."
        hint = (
            "What you wrote is sent in the background: see at drive.google.com that all is there, "
            "before the machine ends."
        )
    elif Request(point).mounted is not None:
        message = (
            "Google Drive was not flushed, and is still mounted: what was written lately may be on "
            "this machine only."
        )
        hint = "Run it again, and do not end the machine before it succeeds."
    else:
        code = "flush-unknown"
        message = (
            "Google Drive is not mounted any more, and Colab does not say that all was sent: what "
            "was written lately may be on this machine only."
        )
        hint = "Mount it again: %drive mount, and see at drive.google.com that all is there."
    return DriveError(message, hint, f"{type(error).__name__}: {error}", code=code)
