"""The process beside a job: it starts the job, writes its log, and records how it ended.

`launch` starts it with a clean interpreter, and sends the task by standard input: a command and its
secrets are nothing for the list of processes. Its parent ends at once, so that it is nobody's
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
from ..shell.runner import Exit, Listener, run
from . import store
from .job import BEAT
from .log import LogCopy, RotatingLog
from .store import END, FACTS, LOG, SEEN

#: Seconds between two checks whether what a command has left behind still runs.
STEP = 0.5


class Supervisor(Listener):
    """Runs one job and writes its files."""

    def __init__(self, task: Dict[str, Any]) -> None:
        for secret in task["secrets"]:
            register_secret(secret)
        self._task, self._folder = task, store.open_folder(Path(task["folder"]))
        self._redactor, self._lock = Redactor(), Lock()
        self._log = RotatingLog(Path(LOG), self._folder)
        self._copy: Optional[LogCopy] = None
        self._reported_at, self._reported = 0.0, ""

    def run(self) -> None:
        """Run the job until the last of its processes has ended."""
        task = self._task
        # What is written from here on has to have room, whatever the job does to the disk.
        texts = json.dumps((task["shown"], task["copy"], store.host_name()))
        for name, more in ((FACTS, len(texts)), (END, 0)):
            store.reserve(self._folder, name, more)
        self._report()
        if task["copy"]:
            title = f"{task['name']}: {task['shown']}, on {store.host_name()}, {_now()}"
            self._copy = LogCopy(Path(task["copy"]), self._log, title)
            self._copy.start()
        ended = run(
            task["words"],
            task["environment"],
            self,
            self.record_start,
            task["timeout"],
            task["tty"],
            merged=True,
        )
        self._write(b"", last=True)
        self._record_end(ended)

    def record_start(self, family: Family) -> None:
        """Write what runs, and let the kernel go on.

        Raise `OSError` where that waits no more, and knows of no job: then there is to be none.
        """
        facts = {
            "command": self._task["shown"],
            "started": time.time(),
            "session": family.session,
            "mark": family.mark,
            "start": family.start or store.process_start(family.session),
            "supervisor": os.getpid(),
            "supervisor_start": store.process_start(os.getpid()),
            "boot": store.boot_id(),
            "host": store.host_name(),
            "copy": self._task["copy"],
        }
        store.write_record(self._folder, FACTS, facts)
        os.chdir("/")  # so that a drive can be unmounted
        try:
            send_answer("started")
        except OSError:
            os.unlink(FACTS, dir_fd=self._folder)
            raise

    def on_output(self, name: str, data: bytes) -> None:
        """See `Listener`."""
        self._write(data)

    def on_late_output(self, data: bytes) -> None:
        """See `Listener`."""
        self._write(data)

    def on_tick(self) -> None:
        """See `Listener`: report now and then, and at once what is new."""
        if time.monotonic() - self._reported_at > BEAT or self._trouble != self._reported:
            self._report()

    def on_background(self, family: Family) -> None:
        """See `Listener`: stay while any of it runs."""
        while family.members():
            time.sleep(STEP)
            self.on_tick()

    def _write(self, data: bytes, last: bool = False) -> None:
        with self._lock:
            self._log.write(self._redactor(data, last))

    def _report(self, copied: bool = False) -> None:
        self._reported_at, self._reported = time.monotonic(), self._trouble
        with suppress(OSError):  # the disk is full, or the job was removed
            store.rewrite_record(self._folder, SEEN, {"trouble": self._reported, "copied": copied})

    @property
    def _trouble(self) -> str:
        troubles = [self._log.trouble, self._copy.trouble if self._copy is not None else ""]
        return ". ".join(filter(None, troubles))

    def _record_end(self, ended: Exit) -> None:
        """Write how it ended; a signal that has ended its shell is a field of its own."""
        status, number = (ended.status, 0) if ended.status >= 0 else (None, -ended.status)
        self._report()
        end = {"status": status, "signal": number, "timed_out": ended.timed_out}
        store.write_record(self._folder, END, {**end, "ended": time.time()})
        if self._copy is not None:  # last, since a drive may not answer
            result = f"signal {number}" if number else f"status {status}"
            self._copy.end(f"ended with {result}, {_now()}")
            self._report(copied=True)


def send_answer(text: str) -> None:
    """Send the one answer that the kernel waits for; raise `OSError` if it waits no more."""
    os.write(1, text.encode("utf-8", "replace"))
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)


def main() -> None:
    """Run the job whose task is sent by standard input."""
    task = json.loads(sys.stdin.buffer.read())
    if os.fork():
        os._exit(0)
    supervisor = Supervisor(task)
    # Handled and not ignored, since the job would inherit that; what is sent to all is for it.
    signal.signal(signal.SIGHUP, lambda number, frame: None)
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        supervisor.run()
    except BaseException as error:
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, OSError) and error.strerror:
            text = error.strerror + (f": {error.filename}" if error.filename else "")
        with suppress(OSError):
            send_answer(text)
        raise


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
