"""One mount by rclone: its process, what it has not sent yet, and its end.

What is written goes to a cache first, whose metadata names what is not on the remote yet; it does
so while rclone runs and after it was killed, and the next mount with this cache sends it (seen
with 1.60 and 1.75). `flush` waits until all is on the remote.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Iterator, List, Optional

from ...core.display import amount, files
from ...core.errors import DriveError
from ...core.process import start, within
from ...core.steps import Progress
from ..providers import Refused, fusermount, mounted
from .cache import ASIDE, mend, restore, unsent
from .config import named, program
from .control import Control, refusal

#: The kind of file system that rclone mounts.
KIND = "fuse.rclone"
#: In a mount's folder: of which remote on which folder it is.
_OF = "of.json"

#: Seconds for rclone to be there, and to end.
START, END = 30.0, 10.0
#: Seconds that a mount waits for what was left by the one before; the rest goes on by itself.
SEND = 20.0
#: Seconds without any byte sent after which a flush gives up; nothing is lost by that.
STALLED = 60.0
#: Seconds after which a file that is not sent is taken for one that is still open.
_OPEN = 3.0


class Mount:
    """The mount of a remote on a folder. Nothing is started by making one."""

    def __init__(self, files: Path, remote: str) -> None:
        self.files, self.remote = files, remote
        name = hashlib.sha256(f"{remote}\n{files}".encode()).hexdigest()[:16]
        self.folder = _base() / name
        self.lock = _base() / f"{name}.lock"
        self.control = Control(self.folder)
        self._cache = self.folder / "cache"

    @property
    def listed(self) -> bool:
        """Whether the system says that it is mounted, alive or not."""
        found = mounted(self.files)
        return found is not None and found.kind == KIND

    @property
    def aside(self) -> List[str]:
        """Files that a kill has cut off and that were not put over what is there now."""
        return sorted(str(path) for path in (self.folder / ASIDE).rglob("*") if path.is_file())

    def unsent(self) -> List[str]:
        """The files that are written, in part or whole, and not on the remote."""
        return sorted(unsent(self._cache))

    def size(self) -> int:
        """How many bytes those files have."""
        return sum(unsent(self._cache).values())

    # ------------------------------------------------------------------ starting and ending
    def start(self) -> None:
        """Mount, with what was not sent before; `DriveError` where it cannot be, nothing left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        mend(self._cache)
        taken_up = bool(self.unsent()) or bool(self.aside)
        (self.folder / _OF).write_text(
            json.dumps({"remote": self.remote, "files": str(self.files)})
        )
        process = self._started()
        until = time.monotonic() + START
        try:
            while not (self.listed and self.control.ask("rc/noop") is not None):
                if process.poll() is not None or time.monotonic() > until:
                    raise _failure(self.control.said(), self.remote)
                time.sleep(0.02)
            self._prove(until)
            if taken_up:
                self._take_up()
        except BaseException:
            process.kill()
            process.wait()
            self.drop()
            raise

    def _started(self) -> subprocess.Popen[bytes]:
        port, password = _port(), secrets.token_urlsafe(16)
        self.control.log.write_bytes(b"")
        process: subprocess.Popen[bytes] = start(
            [
                *(program() or "rclone", "mount", self.remote, str(self.files)),
                *("--cache-dir", str(self._cache), "--vfs-cache-mode", "full"),
                *("--vfs-write-back", "1s", "--devname", self.remote),
                *("--log-file", str(self.control.log), "--contimeout", "15s"),
                *("--rc", "--rc-addr", f"127.0.0.1:{port}", "--ask-password=false"),
            ],
            env={**os.environ, "RCLONE_RC_USER": "drive", "RCLONE_RC_PASS": password},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # it outlives the kernel, and goes on sending
        )
        self.control.write(process.pid, port, password)
        return process

    def _prove(self, until: float) -> None:
        """List it, which may hang: rclone mounts also what it may not read."""
        try:
            within(max(1.0, until - time.monotonic()), lambda: next(self.files.iterdir(), None))
        except TimeoutError:
            raise DriveError(f"{self.remote} does not answer.", "Look at the network.") from None
        except OSError as error:
            said = self.control.said() or error.strerror or ""
            if refusal(said):
                raise shut_out(self.remote, said) from None
            raise DriveError(
                f"{self.remote} cannot be read: {said}.", "Look at it: rclone config"
            ) from None

    def _take_up(self) -> None:
        """Send what was not sent before, and have it listed: rclone does not see by itself that
        it is there, and a directory that is entered before is another one after that.
        """
        stats = self.control.ask("vfs/stats") or {}
        root = stats.get("diskCache", {}).get("path")
        if root:
            restore(self._cache, Path(root), self.files)
        until = time.monotonic() + SEND
        while (self.control.waiting() or self.unsent()) and time.monotonic() < until:
            time.sleep(0.05)
        self.control.ask("vfs/forget")

    def drop(self) -> None:
        """Take away a mount that is dead, stuck or not wanted; what it has not sent is kept."""
        pid = self.control.pid
        if pid and self._is_rclone(pid):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if self.listed:
            fusermount("-uz", self.files)
        self.control.forget()

    def detach(self) -> None:
        """End a mount that has sent all; `DriveError` where a program is using it."""
        pid = self.control.pid
        said = fusermount("-u", self.files)
        if self.listed:
            raise DriveError(
                f"The drive is in use by a program: {said or 'busy'}.",
                "Close its files and shells there, and run this again.",
            )
        until = time.monotonic() + END
        while pid and self._is_rclone(pid) and time.monotonic() < until:
            time.sleep(0.02)
        if self.unsent():
            return
        shutil.rmtree(self._cache if self.aside else self.folder, ignore_errors=True)
        self.control.forget()

    def _is_rclone(self, pid: int) -> bool:
        """Whether a process still is the one that mounted this; numbers are given again."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self.files) in words


def left(files: Path) -> Optional[Mount]:
    """What was mounted on a folder and went down, with the machine perhaps, with files not sent."""
    for mount in _all():
        if mount.files == files and not mount.listed and mount.unsent():
            return mount
    return None


def flush(mount: Mount, progress: Progress) -> None:
    """Wait; `DriveError` where something is not sent and will not be, which is kept here."""
    seen, moved = None, time.monotonic()
    idle: Optional[float] = None
    while True:
        waiting = mount.control.waiting()
        if waiting is None:
            raise DriveError(f"{mount.remote} does not answer.", "Bring it back: %drive mount")
        unsent = [] if waiting else mount.unsent()
        if not waiting and not unsent:
            return
        now = time.monotonic()
        idle = None if waiting else idle or now
        if idle and now - idle > _OPEN:
            raise _still_open(mount.remote, unsent)
        reason = mount.control.refused(mount.remote)
        if reason:
            raise shut_out(mount.remote, reason)
        sent = (waiting, mount.control.sent())
        seen, moved = (seen, moved) if sent == seen else (sent, now)
        if now - moved > STALLED:
            raise DriveError(
                f"Nothing is sent to {mount.remote} any more; {files(waiting)} wait.",
                "They are kept here. Look at the network, then: %drive flush",
                mount.control.said(),
            )
        rest = amount(max(0, mount.size() - sent[1]))
        progress(f"{files(waiting or len(unsent))} ({rest}) to send")
        time.sleep(0.05)


def _still_open(remote: str, unsent: List[str]) -> DriveError:
    names = ", ".join(Path(name).name for name in unsent[:3])
    return DriveError(
        f"{files(len(unsent))} of {remote} still open, and not sent: {names}.",
        "Close them, and run this again.",
    )


def shut_out(remote: str, said: str) -> DriveError:
    """A token that has expired, or a key that is no longer taken."""
    name = remote.partition(":")[0]
    return DriveError(
        f"{named(remote)} lets rclone in no more: {said}.",
        f"Log in again (rclone config reconnect {name}: or rclone config), then: %drive mount",
    )


def _failure(said: str, remote: str) -> DriveError:
    """Why rclone did not mount, in words that help."""
    low = said.lower()
    if "operation not permitted" in low or "permission denied" in low or "/dev/fuse" in low:
        return Refused("This machine does not let rclone mount.", "Ask for FUSE, or go without.")
    if "section" in low or "not found in config" in low:
        return DriveError(f"rclone knows no remote {remote}", "See: rclone listremotes")
    if refusal(said):
        return shut_out(remote, said)
    return DriveError(f"rclone did not mount {remote} {said}".rstrip() + ".", "See: rclone config")


def _all() -> Iterator[Mount]:
    for place in sorted(_base().glob(f"*/{_OF}")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            of = json.loads(place.read_text(encoding="utf-8"))
            yield Mount(Path(of["files"]), of["remote"])


def _base() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "colab-magics" / "drive"


def _port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
