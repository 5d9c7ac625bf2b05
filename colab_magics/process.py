"""Running another program: time-boxed, interruptible, and without secrets in what it says."""

import os
import signal
import subprocess
import threading
from dataclasses import dataclass
from typing import Callable, List, Mapping, Optional, Sequence, Tuple

from .errors import scrub

__all__ = ["Finished", "run"]

#: Seconds that a program gets to end by itself after Ctrl-C.
GRACE = 10.0


@dataclass(frozen=True)
class Finished:
    """How a program ended, and the lines that it printed on either stream, scrubbed."""

    status: int
    lines: Tuple[str, ...]


def run(
    command: Sequence[str],
    environment: Optional[Mapping[str, str]] = None,
    on_line: Callable[[str], None] = lambda line: None,
    holds: Callable[[Sequence[str]], bool] = lambda lines: False,
    timeout: float = 3600.0,
) -> Finished:
    """Run a program to its end with no input, in a session of its own.

    On Ctrl-C it is ended at once and ``KeyboardInterrupt`` raised, except while ``holds(lines)``
    says that it must not be cut (an installer putting files in place): then it may finish first.
    Raises `TimeoutError` after ``timeout`` seconds, and `FileNotFoundError` where there is no
    such program.
    """
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environment) if environment is not None else None,
        start_new_session=True,
    )
    lines: List[str] = []
    timed_out = threading.Event()

    def expire() -> None:
        timed_out.set()
        _end(process, signal.SIGTERM)

    timer = threading.Timer(timeout, expire)
    timer.daemon = True
    timer.start()
    try:
        _read(process, lines, on_line)
    except KeyboardInterrupt:
        _stop(process, lines, holds)
        raise
    finally:
        timer.cancel()
        if process.stdout:
            process.stdout.close()
    if timed_out.is_set():
        raise TimeoutError(f"{command[0]} did not end in {timeout:.0f} s")
    return Finished(process.wait(), tuple(lines))


def _read(
    process: "subprocess.Popen[bytes]", lines: List[str], on_line: Callable[[str], None]
) -> None:
    assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
    for raw in process.stdout:
        line = scrub(raw.decode("utf-8", "replace").rstrip())
        if line:
            lines.append(line)
            on_line(line)
    process.wait()


def _stop(
    process: "subprocess.Popen[bytes]",
    lines: List[str],
    holds: Callable[[Sequence[str]], bool],
) -> None:
    """End the program; one that is putting files in place gets the time to finish."""
    if not holds(lines):
        _end(process, signal.SIGTERM)
    try:
        process.wait(60.0 if holds(lines) else GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        _end(process, getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()


def _end(process: "subprocess.Popen[bytes]", how: int) -> None:
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, how)
        else:
            process.terminate()
    except ProcessLookupError:
        pass
