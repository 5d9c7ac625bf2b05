"""Any remote that rclone knows, mounted by FUSE: Google Drive, S3, WebDAV and the rest.

An unmount by itself loses what was written in the last seconds (rclone's write-back; seen with
every version), so that it is always flushed first. A mount that died is made again with the same
cache, and sends what it had not sent.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import List, Optional

from ...core.display import amount, files
from ...core.errors import DriveError
from ...core.file_lock import alone
from ...core.host import Host
from ...core.process import run
from ...core.steps import Progress
from ..providers import Refused, Request, State, leave, make_folder, short
from .cache import ASIDE
from .config import choose_remote, label, program
from .control import find_refusal
from .mount import KIND, Mount, find_unsent

#: Seconds for a remote to say whether it accepts rclone's login.
_LOGIN = 20.0
#: Why this machine allows no mount, once it was tried: another kernel may try again.
_REFUSED: List[str] = []


class Rclone:
    """``MOUNTPOINT/MyDrive`` is a remote of rclone."""

    name = "rclone"
    heals = True
    option = "--remote"
    by_name = False

    def available(self, host: Host, request: Request) -> Optional[str]:
        """Return None where a remote is mounted, or can be."""
        if _mounted_remote(request):
            return None
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
            _remote(request)
        except DriveError as error:
            return error.message.rstrip(".")
        return _obstacle(request.files)

    def state(self, host: Host, request: Request) -> Optional[State]:
        """Return how the mount is; rclone is asked, not the mount itself, which may hang."""
        remote, point = _mounted_remote(request), short(request.point)
        if not remote:
            return _ended_state(request)
        mount, name = Mount(request.files, remote), label(remote)
        if request.remote and request.remote != remote:
            return State(False, f"{name} is mounted at {point}")
        if not mount.control.known:
            return State(True, name, f"{point}, by another program: it is not flushed from here")
        waiting = mount.control.waiting()
        if waiting is None:
            return State(False, f"{name} at {point} does not answer")
        refusal = mount.control.refusal(remote)
        if refusal:
            return State(False, f"{name} does not accept rclone's login: {refusal}")
        notes = request.mounted.note if request.mounted else ""
        notes += f", {files(waiting)} ({amount(mount.size())}) to send" if waiting else ""
        if mount.aside:
            notes += f"; a crash cut off {files(len(mount.aside))}: {short(mount.folder / ASIDE)}"
        return State(True, name, f"{point}{notes}")

    def mount(self, host: Host, request: Request, progress: Progress) -> str:
        """Mount, one kernel at a time; a mount that died is replaced, and its directory entered."""
        mounted = _mounted_remote(request)
        mount = Mount(request.files, mounted or _remote(request))
        if mounted and request.remote not in ("", mounted):
            raise DriveError(f"{mounted} is mounted there.", "First: %drive unmount")

        def waits(seconds: float) -> None:
            progress(f"waiting for another kernel that mounts {mount.remote}")

        # What is not sent yet needs a place on this machine.
        make_folder(mount.lock.parent, "Set XDG_CACHE_HOME to a folder.")
        with alone(mount.lock, waits):
            if mount.listed:
                state = self.state(host, replace(request))
                if state is not None and state.healthy:  # another kernel has mounted it
                    return ""
                if mount.control.waiting() is not None:
                    _check_login(mount, progress)  # before a mount that still runs is ended
            return _mount(host, request.point, mount, progress)

    def flush(self, host: Host, request: Request, progress: Progress) -> str:
        """Wait until all that is written is on the remote."""
        mount = _own_mount(request)
        mount.flush(progress)
        return f"everything is sent to {label(mount.remote)}"

    def unmount(self, host: Host, request: Request, progress: Progress) -> str:
        """Flush and unmount; it stays mounted where something is not sent."""
        mount, point = _own_mount(request), request.point
        leave(host, point)
        mount.flush(progress)
        mount.detach()
        unsent = mount.unsent()
        if unsent:
            raise DriveError(
                f"{files(len(unsent))} written meanwhile are not sent.", "Send them: %drive mount"
            )
        _remove_empty(mount.files)
        name = label(mount.remote)
        return f"everything is sent to {name}, which is no longer mounted at {short(point)}"


def _mounted_remote(request: Request) -> str:
    """Return the remote that is mounted at a mount point, dead or alive; empty for none."""
    mounted = request.mounted
    return mounted.device if mounted is not None and mounted.kind == KIND else ""


def _remote(request: Request) -> str:
    """Return the remote to mount: as named, else that of files not sent, else the only one."""
    old = None if request.remote else find_unsent(request.files)
    return choose_remote(old.remote if old else request.remote)


def _ended_state(request: Request) -> Optional[State]:
    """Return the state of a mount that ended with the machine; None where all was sent."""
    mount = find_unsent(request.files)
    if mount is None or request.remote not in ("", mount.remote):
        return None
    unsent = f"{files(len(mount.unsent()))} ({amount(mount.size())})"
    return State(False, f"{label(mount.remote)} went down with {unsent} not sent")


def _own_mount(request: Request) -> Mount:
    """Return the mount of ours at a mount point; `DriveError` for one of another program."""
    remote = _mounted_remote(request)
    mount = Mount(request.files, remote)
    if remote and mount.control.known:
        return mount
    raise DriveError(
        f"Another program has mounted what is at {short(request.point)}.",
        "Flush and unmount it there.",
        code="not-ours",
    )


def _mount(host: Host, point: Path, mount: Mount, progress: Progress) -> str:
    """Mount, and go back into the directory; the mount point is as before where that fails."""
    cwd = leave(host, point)
    if mount.listed:
        mount.drop()
    make_folder(mount.files)
    reason = _obstacle(mount.files)
    if reason:
        raise DriveError(f"{short(mount.files)}: {reason}.", "Name another MOUNTPOINT.")
    count, size = len(mount.unsent()), amount(mount.size())
    sending = f" and sending {files(count)} ({size})" if count else ""
    progress(f"mounting {mount.remote}{sending}")
    try:
        mount.start()
    except BaseException as error:
        if isinstance(error, Refused):
            _REFUSED.append(error.message.rstrip("."))
        _remove_empty(mount.files)
        raise
    if cwd is not None and cwd.is_dir():
        os.chdir(cwd)
    rest = min(len(mount.unsent()), count)
    if rest:
        return f"{files(rest)} of {count} ({size}) from before still to send"
    return f"{files(count)} ({size}) from before sent" if count else ""


def _check_login(mount: Mount, progress: Progress) -> None:
    """Raise `DriveError` where the remote does not accept the login of a new rclone either."""
    progress(f"asking {mount.remote}")
    command = [program() or "rclone", "lsf", mount.remote, "--max-depth", "1"]
    try:
        done = run([*command, "--retries", "1", "--ask-password=false"], timeout=_LOGIN)
    except (OSError, TimeoutError):
        return
    refusal = find_refusal("\n".join(done.lines))
    if done.status and refusal:
        raise mount.login_error(refusal)


def _obstacle(folder: Path) -> Optional[str]:
    """Return why a folder cannot be mounted upon; None where it can, or is not there yet."""
    if folder.is_symlink():
        return "a link is there"
    if folder.exists() and not folder.is_dir():
        return "a file is there"
    if folder.is_dir() and any(folder.iterdir()):
        return "files are there, which the drive would hide"
    return None


def _remove_empty(folder: Path) -> None:
    """Remove a folder to mount upon and the one above it, where they are empty."""
    for path in (folder, folder.parent):
        try:
            path.rmdir()
        except OSError:
            return
