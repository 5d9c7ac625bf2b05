"""Colab's own mount of Google Drive, asked only where it can answer.

``google.colab.drive.mount`` sends its request to the browser before it checks whether the drive
is mounted, and then waits for two minutes where nobody answers (read in colabtools, 2026-04).
So a healthy mount is recognised here, and without a person the answer is an error at once.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

from ..core.errors import DriveError
from ..core.host import Host
from ..core.steps import Progress
from .providers import COLAB_KIND, Request, State, leave

#: Colab's machines have this file; its mount refuses to work without it.
VM_MARK = Path("/var/colab/hostname")

#: A part of what Colab's mount raises -> the code, what failed, and what to do (colabtools #5531,
#: #5944, #6063).
_FAILURES = {
    "credential propagation": (
        "no-permission",
        "Google did not get your permission for Drive.",
        "Run it again and tick every box in Google's window, with the account of this page.",
    ),
    "mount failed": (
        "mount-failed",
        "Colab could not mount Google Drive.",
        "Run it again; if it stays so: Runtime > Disconnect and delete runtime.",
    ),
}


class Colab:
    """Google Drive by ``google.colab.drive``."""

    name = "colab"
    heals = False
    option = ""

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
                "Run this in the Colab page, or use: %drive mount --provider folder",
                code="no-person",
            )
        if is_mounted:
            leave(host, point)
        progress("waiting for your permission in the browser")
        from google.colab import drive

        try:
            drive.mount(str(point), force_remount=is_mounted)
        except Exception as error:
            raise _failure(str(error)) from None
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
        cwd = leave(host, request.point)
        self.unmount(host, request, progress)
        self.mount(host, Request(request.point), progress)
        if cwd is not None and cwd.is_dir():
            os.chdir(cwd)
        return f"Google Drive was flushed and is mounted at {request.point} again"

    def unmount(self, host: Host, request: Request, progress: Progress) -> str:
        """Have Colab flush and unmount."""
        from google.colab import drive

        leave(host, request.point)
        drive.flush_and_unmount()
        return f"Google Drive was flushed and is no longer mounted at {request.point}"


def _failure(text: str) -> DriveError:
    """Return the error for what Colab's mount has raised."""
    for part, (code, message, hint) in _FAILURES.items():
        if part in text:
            return DriveError(message, hint, code=code)
    return DriveError(f"Colab could not mount Google Drive: {text}.", "Run it again.")
