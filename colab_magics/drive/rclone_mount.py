"""One mount by rclone: its process, what it has not sent yet, and its end.

What is written goes to a cache first, whose metadata names what is not on the remote yet; it does
so while rclone runs and after it was killed, and the next mount with this cache sends it (seen
with 1.60 and 1.75). The process is asked over its remote control on loopback, with a password
that stands in a file of this user alone and in no argument.
"""

import base64
import hashlib
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Dict, List, Optional

from ..errors import DriveError, scrub
from .base import Refused
from .mounts import fusermount, mounted
from .rclone_cache import ASIDE, mend, restore, unsent
from .remotes import program

__all__ = ["KIND", "Mount"]

#: The kind of file system that rclone mounts.
KIND = "fuse.rclone"
#: Seconds for rclone to be there, to answer a question, and to end.
START, ANSWER, END = 30.0, 2.0, 10.0
#: Seconds that a mount waits for what was left by the one before; the rest goes on by itself.
SEND = 20.0


class Mount:
    """The mount of a remote on a folder. Nothing is started by making one."""

    def __init__(self, files: Path, remote: str) -> None:
        self.files, self.remote = files, remote
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        name = hashlib.sha256(f"{remote}\n{files}".encode()).hexdigest()[:16]
        self.folder = base / "colab-magics" / "drive" / name
        self._cache = self.folder / "cache"

    # ------------------------------------------------------------------ asking
    @property
    def listed(self) -> bool:
        """Whether the system says that it is mounted, alive or not."""
        found = mounted(self.files)
        return found is not None and found.kind == KIND

    @property
    def known(self) -> bool:
        """Whether it was mounted by us, so that it can be asked."""
        return self._record.is_file()

    def ask(self, question: str) -> Optional[Dict[str, Any]]:
        """What rclone answers; None where it does not, dead or stuck."""
        record = self._read()
        token = base64.b64encode(f"drive:{record.get('password', '')}".encode()).decode()
        link = http.client.HTTPConnection("127.0.0.1", record.get("port", 0), timeout=ANSWER)
        try:
            link.request("POST", f"/{question}", headers={"Authorization": f"Basic {token}"})
            found: Dict[str, Any] = json.loads(link.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            link.close()
        return None if "error" in found else found

    def waiting(self) -> Optional[int]:
        """How many files are being sent or wait for it; None where rclone does not answer."""
        stats = self.ask("vfs/stats")
        if stats is None:
            return None
        cache = stats.get("diskCache", {})
        return int(cache.get("uploadsInProgress", 0)) + int(cache.get("uploadsQueued", 0))

    @property
    def aside(self) -> List[str]:
        """Files that a kill has cut off and that were not put over what is there now."""
        return sorted(str(path) for path in (self.folder / ASIDE).rglob("*") if path.is_file())

    def unsent(self) -> List[str]:
        """The files that are written, in part or whole, and not on the remote."""
        return sorted(unsent(self._cache))

    # ------------------------------------------------------------------ starting and ending
    def start(self) -> None:
        """Mount, with what was not sent before; `DriveError` where it cannot be, nothing left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        mend(self._cache)
        left = bool(self.unsent()) or bool(self.aside)
        port, password = _port(), secrets.token_urlsafe(16)
        log = self.folder / "log"
        log.write_bytes(b"")
        process = subprocess.Popen(
            [
                *(program() or "rclone", "mount", self.remote, str(self.files)),
                *("--cache-dir", str(self._cache), "--vfs-cache-mode", "full"),
                *("--vfs-write-back", "1s", "--devname", self.remote, "--log-file", str(log)),
                *("--rc", "--rc-addr", f"127.0.0.1:{port}", "--contimeout", "15s"),
                "--ask-password=false",
            ],
            env={**os.environ, "RCLONE_RC_USER": "drive", "RCLONE_RC_PASS": password},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # it outlives the kernel, and goes on sending
        )
        self._write({"pid": process.pid, "port": port, "password": password})
        until = time.monotonic() + START
        try:
            while not (self.listed and self.ask("rc/noop") is not None):
                if process.poll() is not None or time.monotonic() > until:
                    raise _failure(self.said(), self.remote)
                time.sleep(0.02)
            self._prove(until)
            if left:
                self._take_up()
        except BaseException:
            process.kill()
            process.wait()
            self.drop()
            raise

    def _prove(self, until: float) -> None:
        """List it: rclone mounts also what it may not read. A thread, since that may hang."""
        errors: SimpleQueue[Optional[OSError]] = SimpleQueue()

        def look() -> None:
            try:
                next(self.files.iterdir(), None)
                errors.put(None)
            except OSError as error:
                errors.put(error)

        Thread(target=look, daemon=True).start()
        try:
            error = errors.get(timeout=max(1.0, until - time.monotonic()))
        except Empty:
            raise DriveError(f"{self.remote} does not answer.", "Look at the network.") from None
        if error is not None:
            raise DriveError(
                f"{self.remote} cannot be read: {self.said() or error.strerror}.",
                f"Log in again: rclone config reconnect {self.remote.partition(':')[0]}:",
            )

    def _take_up(self) -> None:
        """Send what was not sent before, and have it listed: rclone does not see by itself that
        it is there, and a directory that is entered before is another one after that.
        """
        stats = self.ask("vfs/stats") or {}
        root = stats.get("diskCache", {}).get("path")
        if root:
            restore(self._cache, Path(root), self.files)
        until = time.monotonic() + SEND
        while (self.waiting() or self.unsent()) and time.monotonic() < until:
            time.sleep(0.05)
        self.ask("vfs/forget")

    def drop(self) -> None:
        """Take away a mount that is dead, stuck or not wanted; what it has not sent is kept."""
        pid = self._read().get("pid")
        if pid and self._is_rclone(pid):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if self.listed:
            fusermount("-uz", self.files)
        with suppress(FileNotFoundError):
            self._record.unlink()

    def detach(self) -> None:
        """End a mount that has sent all; `DriveError` where a program is using it."""
        pid = self._read().get("pid")
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
        with suppress(FileNotFoundError):
            self._record.unlink()

    def said(self) -> str:
        """The last thing that rclone complained of."""
        with suppress(OSError):
            lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
            bad = [line for line in lines if re.search("ERROR|CRITICAL|Fatal|Failed", line)]
            return scrub((bad or lines or [""])[-1].partition(": ")[2])[:200]
        return ""

    # ------------------------------------------------------------------ the record
    @property
    def _record(self) -> Path:
        return self.folder / "mount.json"

    def _read(self) -> Dict[str, Any]:
        try:
            found = json.loads(self._record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, record: Dict[str, Any]) -> None:
        handle = os.open(self._record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(record, file)

    def _is_rclone(self, pid: int) -> bool:
        """Whether a process still is the one that mounted this; numbers are given again."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self.files) in words


def _port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _failure(said: str, remote: str) -> DriveError:
    """Why rclone did not mount, in words that help."""
    low = said.lower()
    if "operation not permitted" in low or "permission denied" in low or "/dev/fuse" in low:
        return Refused("This machine does not let rclone mount.", "Ask for FUSE, or go without.")
    if "section" in low or "not found in config" in low:
        return DriveError(f"rclone knows no remote {remote}", "See: rclone listremotes")
    return DriveError(f"rclone did not mount {remote} {said}".rstrip() + ".", "See: rclone config")
