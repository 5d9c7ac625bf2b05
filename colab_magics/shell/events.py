"""What a running command is waited for with, as something to read: Ctrl-C, and its end."""

import os
import signal
import subprocess
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Optional, Type

from .terminals import close


class Presses:
    """Ctrl-C as something to read, so that it cuts nothing of ours in the middle."""

    def __enter__(self) -> "Presses":
        self.heard, self._say = os.pipe()
        os.set_blocking(self._say, False)
        self.count = 0
        self._before: Any = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        close(self.heard, self._say)

    def _press(self, number: int, frame: object) -> None:
        self.count += 1
        with suppress(BlockingIOError):
            os.write(self._say, b"!")

    def take(self) -> int:
        """How often it was pressed since the last time."""
        return len(os.read(self.heard, 100))


def end_of(process: "subprocess.Popen[bytes]") -> int:
    """A descriptor that can be read once the process has ended; whoever asked for it closes it."""
    with suppress(AttributeError, OSError):  # Python 3.8, another system than Linux, an old one
        return os.pidfd_open(process.pid)
    ended, tell = os.pipe()
    threading.Thread(target=_wait, args=(process, tell), daemon=True).start()
    return ended


def taken(process: "subprocess.Popen[bytes]") -> bool:
    """Whether something else has asked for the status of a program of ours that has ended."""
    return process.returncode is None and not _waited(process)


def _wait(process: "subprocess.Popen[bytes]", tell: int) -> None:
    _waited(process)
    os.close(tell)


def _waited(process: "subprocess.Popen[bytes]") -> bool:
    """Wait for its end, and leave its status to be asked for; whether that can still be."""
    try:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        return False
    except AttributeError:  # macOS, up to Python 3.12
        process.wait()
    return True
