"""One mount by rclone: its process, what it has not sent yet, and its end.

What is written goes to a cache first, whose metadata names what is not on the remote yet; it does
so while rclone runs and after it was killed, and the next mount with this cache sends it (seen
with 1.60 and 1.75). `Mount.flush` waits until all is on the remote.
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
from typing import List, Optional

from ...core.display import files
from ...core.errors import DriveError
from ...core.process import run, start, within
from ...core.steps import Progress
from ...core.transfer import Transfer
from ..providers import Refused, read_mounts
from .cache import ASIDE, repair, restore, unsent
from .config import label, program, remotes
from .control import Control, classify

#: The kind of file system that rclone mounts.
KIND = "fuse.rclone"
#: In the folder of a mount: its remote and where it is mounted.
_ABOUT = "of.json"

#: Seconds for rclone to be there, and to end.
START, END = 30.0, 10.0
#: Seconds that a mount waits for what the one before has not sent; the rest is sent afterwards.
SEND = 20.0
#: Seconds without any byte sent after which a flush gives up; nothing is lost by that.
STALLED = 60.0
#: Seconds after which a file that is not being sent counts as open.
_OPEN = 3.0
#: Seconds between two messages of a flush.
_INTERVAL = 0.2


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
        """Whether the system lists it as mounted now, alive or dead."""
        mounted = read_mounts().get(str(self.files))
        return mounted is not None and mounted.kind == KIND

    @property
    def aside(self) -> List[str]:
        """Files that a kill has cut off and that were not written over what is there now."""
        return sorted(str(path) for path in (self.folder / ASIDE).rglob("*") if path.is_file())

    def unsent(self) -> List[str]:
        """Return the files that are written, in part or completely, and not on the remote."""
        return sorted(unsent(self._cache))

    def size(self) -> int:
        """Return how many bytes those files have."""
        return sum(unsent(self._cache).values())

    def start(self) -> None:
        """Mount, with what was not sent before; `DriveError` where that cannot be."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        repair(self._cache)
        has_old = bool(self.unsent() or self.aside)
        about = {"remote": self.remote, "files": str(self.files)}
        (self.folder / _ABOUT).write_text(json.dumps(about))
        process = self._start_rclone()
        until = time.monotonic() + START
        try:
            while not (self.listed and self.control.ask("rc/noop") is not None):
                if process.poll() is not None or time.monotonic() > until:
                    raise self._failure(self.control.last_error())
                time.sleep(0.02)
            self._list(until)
            if has_old:
                self._send_old()
        except BaseException:
            process.kill()
            process.wait()
            self.drop()
            raise

    def _start_rclone(self) -> subprocess.Popen[bytes]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        password = secrets.token_urlsafe(16)
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

    def _list(self, until: float) -> None:
        """List the drive, which may hang: rclone also mounts what it cannot read."""
        seconds = max(1.0, until - time.monotonic())
        try:
            within(seconds, lambda: next(self.files.iterdir(), None))
        except TimeoutError:
            raise DriveError(f"{self.remote} does not answer.", "Check the network.") from None
        except OSError as error:
            text = self.control.last_error() or error.strerror or ""
            if classify(text) == "login":
                raise self.login_error(text) from None
            raise DriveError(
                f"{self.remote} cannot be read: {text}.", "Check it: rclone config"
            ) from None

    def _send_old(self) -> None:
        """Send what was not sent before, and have it listed.

        rclone does not see by itself that it is there; a directory that is entered before is
        another one after that.
        """
        root = (self.control.ask("vfs/stats") or {}).get("diskCache", {}).get("path")
        if root:
            restore(self._cache, Path(root), self.files)
        until = time.monotonic() + SEND
        while (self.control.waiting() or self.unsent()) and time.monotonic() < until:
            time.sleep(0.05)
        self.control.ask("vfs/forget")

    def _failure(self, text: str) -> DriveError:
        """Return the error for what rclone has logged when it did not mount."""
        code = classify(text)
        if code == "not-allowed":
            return Refused("This machine does not let rclone mount.", "Allow FUSE, or do without.")
        if code == "login":
            return self.login_error(text)
        message = f"rclone did not mount {self.remote} {text}".rstrip() + "."
        if code == "no-remote":
            message = f"rclone has no remote {self.remote}"
        return DriveError(message, "Check it: rclone config", code=code or "not-mounted")

    def login_error(self, text: str) -> DriveError:
        """Return the error of a token that has expired, or a key that is no longer accepted."""
        name = self.remote.partition(":")[0]
        return DriveError(
            f"{label(self.remote)} does not accept rclone's login: {text}.",
            f"Log in again (rclone config reconnect {name}: or rclone config), then: %drive mount",
            code="login",
        )

    def flush(self, progress: Progress) -> None:
        """Wait until all is sent; `DriveError` where something will not be, which stays here."""
        last, changed = None, time.monotonic()
        idle: Optional[float] = None
        transfer, total, reported = Transfer(), 0, 0.0
        while True:
            waiting = self.control.waiting()
            if waiting is None:
                raise DriveError(f"{self.remote} does not answer.", "Mount it again: %drive mount")
            unsent = [] if waiting else self.unsent()
            if not waiting and not unsent:
                return
            now = time.monotonic()
            idle = None if waiting else idle or now
            if idle and now - idle > _OPEN:
                raise self._open_error(unsent)
            refusal = self.control.refusal(self.remote)
            if refusal:
                raise self.login_error(refusal)
            sent = (waiting, self.control.sent())
            last, changed = (last, changed) if sent == last else (sent, now)
            if now - changed > STALLED:
                raise self._stalled_error(waiting)
            if now - reported >= _INTERVAL:
                rest = max(0, self.size() - sent[1])
                total, reported = max(total, rest), now
                text = transfer.describe(total - rest, total, now)
                progress(f"{files(waiting or len(unsent))} to send: {text}")
            time.sleep(0.05)

    def _open_error(self, unsent: List[str]) -> DriveError:
        names = ", ".join(Path(name).name for name in unsent[:3])
        return DriveError(
            f"{files(len(unsent))} of {self.remote} still open, and not sent: {names}.",
            "Close them, and run this again.",
            code="open-files",
        )

    def _stalled_error(self, waiting: int) -> DriveError:
        return DriveError(
            f"Nothing is sent to {self.remote} any more; {files(waiting)} wait.",
            "They are kept here. Check the network, then: %drive flush",
            self.control.last_error(),
            code="stalled",
        )

    def drop(self) -> None:
        """End a mount that is dead or stuck; what it has not sent stays in the cache."""
        pid = self.control.pid
        if pid and self._is_rclone(pid):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if self.listed:
            self._fusermount("-uz")
        self.control.forget()

    def detach(self) -> None:
        """End a mount that has sent all; `DriveError` where a program is using it."""
        pid = self.control.pid
        problem = self._fusermount("-u")
        if self.listed:
            raise DriveError(
                f"The drive is in use by a program: {problem or 'busy'}.",
                "Close its files and shells there, and run this again.",
                code="in-use",
            )
        until = time.monotonic() + END
        while pid and self._is_rclone(pid) and time.monotonic() < until:
            time.sleep(0.02)
        if self.unsent():
            return
        shutil.rmtree(self._cache if self.aside else self.folder, ignore_errors=True)
        self.control.forget()

    def _fusermount(self, option: str) -> str:
        """Unmount; return what the program printed where it did not."""
        name = shutil.which("fusermount3") or "fusermount"
        done = run([name, option, str(self.files)], timeout=30)
        return done.lines[-1] if done.status and done.lines else ""

    def _is_rclone(self, pid: int) -> bool:
        """Tell whether a process is the rclone of this mount: process ids are used again."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self.files) in words


def find_unsent(files: Path) -> Optional[Mount]:
    """Return a mount on a folder that ended, as with the machine, before all was sent."""
    for path in sorted(_base().glob(f"*/{_ABOUT}")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            about = json.loads(path.read_text(encoding="utf-8"))
            mount = Mount(Path(about["files"]), about["remote"])
            is_configured = mount.remote.partition(":")[0] in remotes()
            if mount.files == files and is_configured and not mount.listed and mount.unsent():
                return mount
    return None


def _base() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "colab-magics" / "drive"
