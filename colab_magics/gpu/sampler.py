"""The kernel's half of the sampler: a process that is started once and measures on command.

Beginning waits for nothing, neither for the process nor for the driver; ending reads one line.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Optional, Tuple

from ..core.process import start
from .sampler_process import Tally

#: Seconds that the answer may take: at first the process, and a driver that sleeps, have to start.
PATIENCE = 5.0

#: Without start-up hooks (-S), and the kernel's folders behind Python's own.
_CODE = (
    "import sys; sys.path += sys.argv[2:]; "
    "from colab_magics.gpu.sampler_process import main; main(int(sys.argv[1]))"
)
#: The folder of the package, which an editable install may not have on the path.
_ROOT = str(Path(__file__).parents[2])


@dataclass(frozen=True)
class Samples:
    """The number of samples, the longest time without one (seconds), each GPU, and why others
    are missing.
    """

    count: int
    gap: float
    gpus: Tuple[Tally, ...]
    reasons: Tuple[str, ...] = ()


class Sampler:
    """A process that samples the GPUs ten times a second between `begin` and `end`."""

    def __init__(self) -> None:
        self._process: Optional[subprocess.Popen[str]] = None
        self._answers: SimpleQueue[str] = SimpleQueue()
        self._number = 0
        self._has_answered = False

    def begin(self) -> None:
        """Measure from now on; a process that is still starting does so once it runs."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._start()
        self._number += 1
        self._send("+")

    def end(self) -> Optional[Samples]:
        """End the measurement and return it; None where the process ended or does not answer."""
        return self._request("-")

    def peek(self) -> Optional[Samples]:
        """Return the measurement so far, see `end`; it goes on."""
        return self._request("?")

    @property
    def starting(self) -> bool:
        """Whether the process runs and has not answered yet: a driver may be slow to wake."""
        return self._process is not None and not self._has_answered

    @property
    def pid(self) -> Optional[int]:
        """The number of the process; None where there is none."""
        return self._process.pid if self._process else None

    def close(self) -> None:
        """End the process; `begin` starts another one."""
        process, self._process = self._process, None
        if process is None:
            return
        atexit.unregister(self.close)
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # one that hangs in the driver ends later
            process.wait(timeout=1)
        if process.stdin is not None:
            with suppress(OSError, ValueError):
                process.stdin.close()

    def _start(self) -> None:
        self._process = start(
            [sys.executable, "-I", "-S", "-c", _CODE, str(os.getpid()), _ROOT, *map(str, sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            universal_newlines=True,
            cwd=os.sep,  # its working directory could not be unmounted
            start_new_session=True,  # an interrupt is meant for the kernel alone
        )
        self._answers, self._has_answered = SimpleQueue(), False
        thread = Thread(target=_read, args=(self._process.stdout, self._answers), daemon=True)
        thread.start()
        atexit.register(self.close)

    def _send(self, sign: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):  # it has ended, which `_request` finds out
                self._process.stdin.write(f"{sign} {self._number} {time.monotonic()}\n")
                self._process.stdin.flush()

    def _request(self, sign: str) -> Optional[Samples]:
        if self._process is None:
            return None
        self._send(sign)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                line = self._answers.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                if self._has_answered:  # it is stuck; a process that is still starting stays
                    self.close()
                return None
            if not line:
                self.close()
                return None
            self._has_answered = True
            answer = json.loads(line)
            if answer["number"] == self._number:  # else of a cell that was interrupted in `end`
                gpus = tuple(Tally(**gpu) for gpu in answer["gpus"])
                return Samples(answer["count"], answer["gap"], gpus, tuple(answer["reasons"]))


def _read(stream: Any, answers: SimpleQueue[str]) -> None:
    with stream:
        for line in stream:
            answers.put(line)
    answers.put("")
