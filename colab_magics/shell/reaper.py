"""Nothing outlives the kernel: a small process beside it ends what it leaves, even if killed."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Iterable, List, Optional, Tuple

from ..core.process import start
from .processes import MARK, Family, Process, read_process, unmarked_environment

_SCRIPT = Path(__file__).with_name("reaper.sh")


class Reaper:
    """The process that waits for the kernel's end; ``folder`` is deleted then.

    Programs whose mark begins with ``mark`` are ended.
    """

    def __init__(self, folder: Path, mark: str) -> None:
        self._folder, self._mark = folder, f"{MARK}={mark}"
        #: Processes that outlived their commands, by number and start.
        self._background: List[Tuple[int, str]] = []
        self._process: Optional[subprocess.Popen[bytes]] = None

    def add(self, family: Family) -> None:
        """Register a command that begins."""
        self._register([*self._background, (family.session, family.start)])

    def end_command(self, remains: Iterable[Process] = ()) -> None:
        """Register that the command has ended, and which of its processes still run."""
        running = [process for process in self._background if _runs(*process)]
        self._background = [*running, *((process.pid, process.start) for process in remains)]
        self._register(self._background)

    def _register(self, processes: Iterable[Tuple[int, str]]) -> None:
        line = " ".join(f"{pid}:{start}" for pid, start in processes).encode() + b"\n"
        try:
            self._write(line)
        except OSError:  # somebody has ended it
            self._process = None
            with suppress(OSError):
                self._write(line)

    def _write(self, line: bytes) -> None:
        if self._process is None:
            self._process = start(
                ["/bin/sh", "-c", _SCRIPT.read_text("ascii"), str(self._folder), self._mark],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
                env=unmarked_environment(),
            )
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(line)
        self._process.stdin.flush()


def _runs(pid: int, start: str) -> bool:
    """Return whether a process runs; without a start, whether its group has members."""
    process = read_process(pid)
    return process is not None and process.start == start if start else bool(Family(pid).members())
