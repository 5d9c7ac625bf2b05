"""Any remote that rclone knows, mounted by FUSE: Google Drive, S3, WebDAV and the rest.

An unmount by itself loses what was written in the last seconds (rclone's write-back; seen with
every version), so that it is always flushed first. A mount that died is made again with the same
cache, and sends what it had not sent.
"""

import os
import shutil
import sys
import time
from pathlib import Path
from typing import List, Optional

from ..errors import DriveError
from ..host import Host
from ..steps import Progress
from .base import Refused, State, Wanted, leave, short
from .mounts import mounted
from .rclone_cache import ASIDE
from .rclone_mount import KIND, Mount
from .remotes import program, remotes

__all__ = ["STALLED", "Rclone"]

#: Seconds without any byte sent after which a flush gives up; nothing is lost by that.
STALLED = 60.0
#: Seconds after which a file that is not sent is taken for one that is still open.
_OPEN = 3.0
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
            return error.what.rstrip(".")
        return _taken(wanted.point / "MyDrive")

    def state(self, host: Host, wanted: Wanted) -> Optional[State]:
        """See `Provider`; rclone is asked, and the mount itself, which may hang, is not."""
        remote = _there(wanted.point)
        if not remote:
            return None
        mount = Mount(wanted.point / "MyDrive", remote)
        what = f"{_named(remote)} was already at {short(wanted.point)}"
        if wanted.remote and wanted.remote != remote:
            return State(False, f"{_named(remote)} is at {short(wanted.point)}")
        if not mount.known:
            return State(True, f"{what}, mounted by somebody else: it is not flushed from here")
        waiting = mount.waiting()
        if waiting is None:
            return State(False, f"{_named(remote)} at {short(wanted.point)} does not answer")
        more = f", {_files(waiting)} to send" if waiting else ""
        if mount.aside:
            more += f"; a crash cut off {_files(len(mount.aside))}: {short(mount.folder / ASIDE)}"
        return State(True, f"{what}{more}")

    def mount(self, host: Host, wanted: Wanted, progress: Progress) -> None:
        """See `Provider`; one that died is left, made again, and gone back into."""
        files = wanted.point / "MyDrive"
        there = _there(wanted.point)
        if there and wanted.remote not in ("", there):
            raise DriveError(f"{there} is mounted there.", "First: %drive unmount")
        mount = Mount(files, there or _remote(wanted))
        back = leave(host, wanted.point)
        if there:
            mount.drop()
        try:
            files.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DriveError(
                f"{short(files)} cannot be made: {error.strerror}.", "Name another MOUNTPOINT."
            ) from None
        reason = _taken(files)
        if reason:
            raise DriveError(f"{short(files)}: {reason}.", "Name another MOUNTPOINT.")
        progress(f"mounting {mount.remote}")
        try:
            mount.start()
        except BaseException as error:
            if isinstance(error, Refused):
                _REFUSED.append(error.what.rstrip("."))
            _clear(files)
            raise
        if back is not None and back.is_dir():
            os.chdir(back)

    def flush(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """See `Provider`: wait until all that is written is on the remote."""
        mount = self._ours(wanted)
        seen, moved = None, time.monotonic()
        idle: Optional[float] = None
        while True:
            waiting = mount.waiting()
            if waiting is None:
                raise DriveError(f"{mount.remote} does not answer.", "Bring it back: %drive mount")
            unsent = [] if waiting else mount.unsent()
            if not waiting and not unsent:
                return f"all is sent to {_named(mount.remote)}"
            now = time.monotonic()
            idle = None if waiting else idle or now
            if idle and now - idle > _OPEN:
                raise DriveError(
                    f"{_files(len(unsent))} of {mount.remote} still open, and not sent: "
                    f"{', '.join(Path(name).name for name in unsent[:3])}.",
                    "Close them, and run this again.",
                )
            sent = (waiting, (mount.ask("core/stats") or {}).get("bytes"))
            seen, moved = (seen, moved) if sent == seen else (sent, now)
            if now - moved > STALLED:
                raise DriveError(
                    f"Nothing is sent to {mount.remote} any more; {_files(waiting)} wait.",
                    "They are kept here. Look at the network, then: %drive flush",
                    mount.said(),
                )
            progress(f"{_files(waiting or len(unsent))} to send")
            time.sleep(0.05)

    def unmount(self, host: Host, wanted: Wanted, progress: Progress) -> str:
        """See `Provider`: flushed first; it stays where something is not sent."""
        mount = self._ours(wanted)
        leave(host, wanted.point)
        self.flush(host, wanted, progress)
        mount.detach()
        unsent = mount.unsent()
        if unsent:
            raise DriveError(
                f"{_files(len(unsent))} written meanwhile are not sent.", "Send them: %drive mount"
            )
        _clear(mount.files)
        return f"all is sent to {_named(mount.remote)}, which is no longer at {short(wanted.point)}"

    def _ours(self, wanted: Wanted) -> Mount:
        remote = _there(wanted.point)
        mount = Mount(wanted.point / "MyDrive", remote)
        if not remote or not mount.known:
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
    """The remote to mount: the one that is named, the only one, or the only Google Drive."""
    known = remotes()
    if wanted.remote:
        name = wanted.remote.partition(":")[0]
        if name not in known:
            raise DriveError(f"rclone has no remote {name}:.", "See: rclone listremotes")
        return wanted.remote
    drives = [name for name, kind in known.items() if kind == "drive"]
    names = drives if len(drives) == 1 else list(known)
    if not names:
        raise DriveError("no remote of rclone is configured.", "Make one: rclone config")
    if len(names) > 1:
        some = ", ".join(f"{name}:" for name in names[:4])
        raise DriveError(f"rclone has {some}.", "Name one: --remote NAME:")
    return f"{names[0]}:"


def _taken(files: Path) -> Optional[str]:
    """Why a folder cannot be mounted upon; None where it can, or is not there yet."""
    if files.is_symlink():
        return "a link stands there"
    if files.exists() and not files.is_dir():
        return "a file stands there"
    if files.is_dir() and any(files.iterdir()):
        return "files are there, which the drive would hide"
    return None


def _clear(files: Path) -> None:
    """Take away the folders that were made to mount upon, where they are empty."""
    for place in (files, files.parent):
        try:
            place.rmdir()
        except OSError:
            return


def _named(remote: str) -> str:
    kind = remotes().get(remote.partition(":")[0], "")
    return f"Google Drive ({remote})" if kind == "drive" else f"{remote} ({kind or 'rclone'})"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
