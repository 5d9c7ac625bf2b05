"""The process beside a job: it starts it, writes its log, and says in the end what became of it.

Started by `launch` with a clean interpreter, and told the rest by its standard input: a command and
its secrets are nothing for the list of processes. Its parent ends at once, so that it is nobody's
child, in a session of its own: neither Ctrl-C nor the end of the kernel reaches it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Dict, Optional

from ..core.redact import Redactor, register_secret
from ..shell.processes import Family
from ..shell.runner import Ended, Listener, run
from .job import BEAT
from .log import Copy, Written
from .store import END, FACTS, LOG, SEEN, boot, hold, host, put, reserve, since

#: Seconds between two looks at whether what a command has left behind still runs.
LOOK = 0.5


class Keeper(Listener):
    """Hears one job and writes it down."""

    def __init__(self, told: Dict[str, Any]) -> None:
        for secret in told["secrets"]:
            register_secret(secret)
        self._told, self._folder = told, hold(Path(told["folder"]))
        self._veil, self._writing = Redactor(), Lock()
        self._log = Written(Path(LOG), self._folder)
        self._copy: Optional[Copy] = None
        self._seen, self._said = 0.0, ""

    def run(self) -> None:
        """Start the job, and stay until the last of its processes has ended."""
        told = self._told
        # What is written from here on has to have room, whatever the job does to the disk.
        said = (told["shown"], told["copy"], host())
        reserve(self._folder, FACTS, len(json.dumps(said)))
        for name in (SEEN, END):
            reserve(self._folder, name)
        if told["copy"]:
            what = f"{told['name']}: {told['shown']}, on {host()}, {_now()}"
            self._copy = Copy(Path(told["copy"]), self._log, what)
            self._copy.start()
        ended = run(
            told["words"],
            told["environment"],
            self,
            self.started,
            timeout=told["timeout"],
            tty=told["tty"],
            merged=True,
        )
        self._write(b"", last=True)
        self._end(ended)

    def leaves(self, family: Family) -> None:
        """See `Listener`: stay while any of it goes on."""
        while family.members():
            time.sleep(LOOK)
            self.tick()

    def started(self, family: Family) -> None:
        """Write down who it is, and have the kernel go on.

        `OSError` where that waits no more, and knows of no job: then there is to be none.
        """
        self._see()
        facts = {
            "command": self._told["shown"],
            "started": time.time(),
            "session": family.session,
            "mark": family.mark,
            "start": family.start or since(family.session),
            "keeper": os.getpid(),
            "keeper_start": since(os.getpid()),
            "boot": boot(),
            "host": host(),
            "copy": self._told["copy"],
        }
        put(self._folder, FACTS, facts)
        os.chdir("/")  # a drive is to be unmounted all the same
        try:
            answer("started")
        except OSError:
            os.unlink(FACTS, dir_fd=self._folder)
            raise

    def heard(self, name: str, data: bytes) -> None:
        """See `Listener`."""
        self._write(data)

    def late(self, data: bytes) -> None:
        """See `Listener`."""
        self._write(data)

    def _write(self, data: bytes, last: bool = False) -> None:
        with self._writing:
            self._log.write(self._veil(data, last))

    def tick(self) -> None:
        """See `Listener`: say now and then that it lives, and at once what is new."""
        if time.monotonic() - self._seen > BEAT or self._trouble != self._said:
            self._see()

    def _see(self, copied: bool = False) -> None:
        self._seen, self._said = time.monotonic(), self._trouble
        with suppress(OSError):  # the disk is full, or the job was removed
            put(self._folder, SEEN, {"trouble": self._said, "copied": copied})
            reserve(self._folder, SEEN)

    @property
    def _trouble(self) -> str:
        said = [self._log.trouble, self._copy.trouble if self._copy is not None else ""]
        return ". ".join(filter(None, said))

    def _end(self, ended: Ended) -> None:
        """Say how it ended; the number of a signal that has ended its shell is told apart."""
        number = max(0, -ended.status)
        self._see()
        end = {
            "status": None if number else ended.status,
            "signal": number,
            "timed_out": ended.timed_out,
            "ended": time.time(),
        }
        put(self._folder, END, end)
        if self._copy is not None:  # last, since a drive may not answer
            how = f"signal {number}" if number else f"status {ended.status}"
            self._copy.end(f"ended with {how}, {_now()}")
            self._see(copied=True)


def answer(said: str) -> None:
    """Say this to the kernel that waits for it, once; nothing after it is heard by anybody.

    `OSError` where it waits no more.
    """
    os.write(1, said.encode("utf-8", "replace"))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def main() -> None:
    """Keep the job that standard input tells of."""
    told = json.loads(sys.stdin.buffer.read())
    if os.fork():
        os._exit(0)
    keeper = Keeper(told)
    # Handled and not ignored, since the job would inherit that; what is sent to all is for it.
    signal.signal(signal.SIGHUP, lambda number, frame: None)
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        keeper.run()
    except BaseException as error:
        with suppress(OSError):
            answer(_said(error))
        raise


def _said(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    return f"{type(error).__name__}: {error}"


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
