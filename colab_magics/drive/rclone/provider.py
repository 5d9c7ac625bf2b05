"""Any remote that rclone knows, mounted by FUSE: Google Drive, S3, WebDAV and the rest.

An unmount by itself loses what was written in the last seconds (rclone's write-back; seen with
every version), so that it is always flushed first. A mount that died is made again with the same
cache, and sends what it had not sent.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import List, Optional

from ...core.display import amount, files
from ...core.errors import DriveError
from ...core.file_lock import alone
from ...core.host import Host
from ...core.process import run
from ...core.steps import Progress
from ..providers import Refused, State, Wanted, leave, mounted, read_only, short
from .cache import ASIDE
from .config import chosen, named, program, remotes
from .control import refusal
from .mount import KIND, Mount, flush, left, shut_out

#: Seconds for a remote to say whether it lets rclone in.
_LOOK = 20.0
#: That this machine lets nobody mount, once it has been tried: another kernel may try again.
_REFUSED: List[str] = []


class Rclone:
    """``MOUNTPOINT/MyDrive`` is a remote of rclone's."""

    name = "rclone"
    heals = True

    def available(self, host: Host, wanted: Wanted) -> Optional[str]:
        """See `Provider`."""
        if _there(wanted.point):
            return None
        if wanted.source is not None:
            return "--from belongs to the stand-in"
        if not sys.platform.startswith("linux"):
            return "only on Linux so far"
        if program() is None:
            return "rclone is not installed"
        if _REFUSED:
            return _REFUSED[-1]
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            return "this machine has no FUSE"
        if not (shutil.which("fusermount3") or shutil.which("fusermount")):
            return "fuse3 is not installed"
        try:
            _remote(wanted)
        except DriveError as error:
            return error.message.rstrip(".")
        return _taken(wanted.files)

    def state(self, host: Host, wanted: Wanted) -> Optional[State]:
        """See `Provider`; rclone is asked, and the mount itself, which may hang, is not."""
        remote = _there(wanted.point)
        if not remote:
            return _went_down(wanted)
        mount = Mount(wanted.files, remote)
        what = f"{named(remote)} was already at {short(wanted.point)}"
        if wanted.remote and wanted.remote != remote:
            return State(False, f"{named(remote)} is at {short(wanted.point)}")
        if not mount.control.known:
            return State(True, f"{what}, mounted by somebody else: it is not flushed from here")
        waiting = mount.control.waiting()
        if waiting is None:
            return State(False, f"{named(remote)} at {short(wanted.point)} does not answer")
        reason = mount.control.refused(remote)
        if reason:
            return State(False, f"{named(remote)} lets rclone in no more: {reason}")
        more = ", read-only" if read_only(mount.files) else ""
        more += f", {files(waiting)} ({amount(mount.size())}) to send" if waiting else ""
        if mount.aside:
            more += f"; a crash cut off {files(len(mount.aside))}: {short(mount.folder / ASIDE)}"
        return State(True, f"{what}{more}")

    def mount(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """See `Provider`; one that died is left, made again, and gone back into."""
        mount = Mount(wanted.files, _there(wanted.point) or _remote(wanted))
        if _there(wanted.point) and wanted.remote not in ("", mount.remote):
            raise DriveError(f"{mount.remote} is mounted there.", "First: %drive unmount")

        def waits(seconds: float) -> None:
            progress(f"waiting for another kernel that mounts {mount.remote}")

        _writable(mount.lock.parent)
        with alone(mount.lock, waits):
            there = self.state(host, wanted) if mount.listed else None
            if there is not None and there.healthy:  # it has, meanwhile
                return ""
            if mount.listed and mount.control.waiting() is not None:
                _let_in(mount, progress)  # before a mount that still runs is given up
            return self._made(host, wanted, mount, progress)

    def _made(self, host: Host, wanted: Wanted, mount: Mount, progress: Progress) -> str:
        """Mount; the mount point is as before where that fails."""
        back = leave(host, wanted.point)
        if mount.listed:
            mount.drop()
        try:
            mount.files.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DriveError(
                f"{short(mount.files)} cannot be made: {error.strerror}.",
                "Name another MOUNTPOINT.",
            ) from None
        reason = _taken(mount.files)
        if reason:
            raise DriveError(f"{short(mount.files)}: {reason}.", "Name another MOUNTPOINT.")
        old, size = len(mount.unsent()), amount(mount.size())
        progress(
            f"mounting {mount.remote}" + (f" and sending {files(old)} ({size})" if old else "")
        )
        try:
            mount.start()
        except BaseException as error:
            if isinstance(error, Refused):
                _REFUSED.append(error.message.rstrip("."))
            _clear(mount.files)
            raise
        if back is not None and back.is_dir():
            os.chdir(back)
        return _taken_up(old, size, len(mount.unsent()))

    def flush(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """See `Provider`: wait until all that is written is on the remote."""
        mount = self._ours(wanted)
        flush(mount, progress)
        return f"all is sent to {named(mount.remote)}"

    def unmount(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """See `Provider`: flushed first; it stays where something is not sent."""
        mount = self._ours(wanted)
        leave(host, wanted.point)
        flush(mount, progress)
        mount.detach()
        unsent = mount.unsent()
        if unsent:
            raise DriveError(
                f"{files(len(unsent))} written meanwhile are not sent.", "Send them: %drive mount"
            )
        _clear(mount.files)
        return f"all is sent to {named(mount.remote)}, which is no longer at {short(wanted.point)}"

    def _ours(self, wanted: Wanted) -> Mount:
        remote = _there(wanted.point)
        mount = Mount(wanted.files, remote)
        if not remote or not mount.control.known:
            raise DriveError(
                f"What is at {short(wanted.point)} was mounted by somebody else.",
                "Only they can flush it.",
            )
        return mount


def _there(point: Path) -> str:
    """The remote that is mounted at a mount point, dead or alive; empty where none is."""
    found = mounted(point / "MyDrive")
    return found.device if found is not None and found.kind == KIND else ""


def _remote(wanted: Wanted) -> str:
    """The remote to mount: as asked for; else the one that has not sent all; else the only one."""
    before = None if wanted.remote else left(wanted.files)
    return chosen(before.remote if before is not None and _configured(before) else wanted.remote)


def _configured(mount: Mount) -> bool:
    return mount.remote.partition(":")[0] in remotes()


def _went_down(wanted: Wanted) -> Optional[State]:
    """What was left by a mount that went down with the machine; None where nothing was."""
    mount = left(wanted.files)
    if mount is None or wanted.remote not in ("", mount.remote) or not _configured(mount):
        return None
    what = f"{files(len(mount.unsent()))} ({amount(mount.size())})"
    return State(False, f"{named(mount.remote)} went down with {what} not sent")


def _taken_up(before: int, size: str, now: int) -> str:
    """What became of the files that the mount before had not sent."""
    if not before:
        return ""
    if now:
        return f"{files(min(now, before))} of {before} ({size}) left from before still to send"
    return f"{files(before)} ({size}) left from before: sent now"


def _let_in(mount: Mount, progress: Progress) -> None:
    """See that the remote lets a new rclone in, where it has shut out the one that mounts it."""
    progress(f"asking {mount.remote}")
    command = [program() or "rclone", "lsf", mount.remote, "--max-depth", "1"]
    try:
        done = run([*command, "--retries", "1", "--ask-password=false"], timeout=_LOOK)
    except (OSError, TimeoutError):
        return
    reason = refusal("\n".join(done.lines))
    if done.status and reason:
        raise shut_out(mount.remote, reason)


def _writable(folder: Path) -> None:
    """What is not sent yet needs a place on this machine."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DriveError(
            f"{short(folder)} cannot be made: {error.strerror}.", "Set XDG_CACHE_HOME to a folder."
        ) from None


def _taken(place: Path) -> Optional[str]:
    """Why a folder cannot be mounted upon; None where it can, or is not there yet."""
    if place.is_symlink():
        return "a link stands there"
    if place.exists() and not place.is_dir():
        return "a file stands there"
    if place.is_dir() and any(place.iterdir()):
        return "files are there, which the drive would hide"
    return None


def _clear(place: Path) -> None:
    """Take away the folders that were made to mount upon, where they are empty."""
    for folder in (place, place.parent):
        try:
            folder.rmdir()
        except OSError:
            return
