"""Colab's own mount of Google Drive, asked only where it can answer.

``google.colab.drive.mount`` sends its request to the browser before it looks whether the drive
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
from .providers import MOUNTS, State, Wanted, leave, mounted, read_only

#: Colab's machines have this file; its mount refuses to work without it.
VM_MARK = Path("/var/colab/hostname")


class Colab:
    """Google Drive by ``google.colab.drive``."""

    name = "colab"
    heals = False

    def available(self, host: Host, wanted: Wanted) -> Optional[str]:
        """See `Provider`."""
        if not host.colab or not VM_MARK.exists():
            return "this is not a Colab machine"
        if wanted.source is not None:
            return "--from belongs to the stand-in"
        if wanted.remote:
            return "--remote belongs to rclone"
        if os.environ.get("VERTEX_PRODUCT") == "COLAB_ENTERPRISE":
            return "Colab Enterprise has no mount of Drive"
        try:
            return None if find_spec("google.colab") else "google.colab is not installed"
        except ModuleNotFoundError:
            return "google.colab is not installed"

    def state(self, host: Host, wanted: Wanted) -> Optional[State]:
        """See `Provider`; a mount that died is there and not healthy."""
        point = wanted.point
        if not listed(point):
            return None
        try:
            next(point.iterdir(), None)
        except OSError:
            return State(False, f"Google Drive at {point} does not answer")
        only = ", read-only" if read_only(point, MOUNTS) else ""
        return State(True, f"Google Drive was already at {point}, nothing asked{only}")

    def mount(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """See `Provider`; a mount that died is made anew."""
        point = wanted.point
        if " " in str(point):
            raise DriveError(f"Colab mounts no path with a space: {point}.", "Take it out.")
        if not host.person:
            raise DriveError(
                "Nobody is there to allow access to Google Drive; nothing was mounted.",
                "Run this in the Colab page, or use: %drive mount --provider folder",
            )
        stale = self.state(host, wanted) is not None
        if stale:
            leave(host, point)
        progress("waiting for your permission in the browser")
        from google.colab import drive

        try:
            drive.mount(str(point), force_remount=stale)
        except Exception as error:
            raise _advice(error) from None
        return ""

    def flush(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """See `Provider`; Colab can only by unmounting, so that it is mounted again after that."""
        if not host.person:  # it could not be mounted again
            raise DriveError(
                "Colab flushes by unmounting, and nobody is there to allow the mount after it.",
                "Run this in the Colab page, or end with: %drive unmount",
            )
        progress("Colab flushes by unmounting: Google Drive is gone for a moment")
        back = leave(host, wanted.point)
        self.unmount(host, wanted, progress)
        self.mount(host, wanted, progress)
        if back is not None and back.is_dir():
            os.chdir(back)
        return f"Google Drive was flushed and is at {wanted.point} again"

    def unmount(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """See `Provider`; Colab's own flush is the only one that is sure."""
        from google.colab import drive

        leave(host, wanted.point)
        drive.flush_and_unmount()
        return f"Google Drive was flushed and is no longer at {wanted.point}"


def listed(point: Path) -> bool:
    """Whether the kernel of the system lists Drive there; a dead mount lies to ``exists``."""
    found = mounted(point, MOUNTS)
    return found is not None and found.kind == "fuse.drive"


def _advice(error: Exception) -> DriveError:
    """Colab's two known failures in words that help (colabtools #5531, #5944, #6063)."""
    text = str(error)
    if "credential propagation" in text:
        return DriveError(
            "Google did not get your permission for Drive.",
            "Run it again and tick every box in Google's window, with the account of this page.",
        )
    if "mount failed" in text:
        return DriveError(
            "Colab could not mount Google Drive.",
            "Run it again; if it stays so: Runtime > Disconnect and delete runtime.",
        )
    return DriveError(f"Colab could not mount Google Drive: {text}.", "Run it again.")
