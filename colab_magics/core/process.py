"""Running another program: time-boxed, interruptible, and without secrets in what it says."""

from __future__ import annotations

import errno
import io
import os
import queue
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Any,
    BinaryIO,
    Callable,
    Dict,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
)

from .activity import Idle
from .errors import NotStarted
from .redact import redact

T = TypeVar("T")
#: Whether a program that has printed these lines must not be cut now.
Holds = Callable[[Sequence[str]], bool]
#: Seconds that a program gets to end by itself after Ctrl-C.
GRACE = 10.0
#: Seconds that a program which must not be cut may go on after Ctrl-C.
HOLD = 300.0


class Environment(Dict[str, str]):
    """Variables for a program, which a traceback that shows variables (``%xmode``) hides."""

    def __repr__(self) -> str:
        return f"<{len(self)} variables>"


@dataclass(frozen=True)
class Finished:
    """How a program ended, and the lines that it printed on either stream, scrubbed."""

    status: int
    lines: Tuple[str, ...]


class SilenceError(TimeoutError):
    """A program has waited for something that did not come, and was ended."""


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a program as ``subprocess.Popen`` does; `NotStarted` where that cannot be.

    All programs are started here: the error of ``Popen`` itself leads through frames that hold the
    environment, and ``%xmode Verbose`` shows what frames hold.
    """
    try:
        return subprocess.Popen(list(command), **options)
    except (OSError, ValueError) as error:  # ValueError: of a NUL, or of half a surrogate pair
        raise _not_started(Path(command[0]).name, error) from None


def _not_started(name: str, error: Exception) -> NotStarted:
    if getattr(error, "errno", None) == errno.E2BIG:
        longest = max(os.environ, key=lambda key: len(os.environ[key]), default="")
        reason = "there is too much in the environment, or on the line"
        hint = f"Take a long variable out, such as {longest}: del os.environ[{longest!r}]"
    else:
        reason = getattr(error, "strerror", None) or "its arguments or variables are no text"
        hint = "Check that it is installed and may be run."
    return NotStarted(f"{name} cannot be started: {reason}.", hint, error=error)


def run(
    command: Sequence[str],
    environment: Optional[Mapping[str, str]] = None,
    on_line: Callable[[str], None] = lambda line: None,
    holds: Holds = lambda lines: False,
    timeout: float = 3600.0,
    keeps: Sequence[int] = (),
    silence: Optional[float] = None,
    on_wait: Callable[[Mapping[str, int]], None] = lambda received: None,
) -> Finished:
    """Run a program to its end with no input, in a session of its own.

    Ctrl-C ends it at once, except while ``holds(lines)`` says that it must not be cut (an installer
    putting files in place): then it may finish first. ``keeps`` are open files that it inherits,
    and with them their locks. `TimeoutError` after ``timeout`` seconds; `SilenceError` after
    ``silence`` seconds in which it has printed nothing and done nothing (see `Idle`), unless it
    must not be cut; `NotStarted` where there is no such program. With ``silence``, ``on_wait`` gets
    the bytes that each of its connections has received, while it prints nothing.
    """
    output = _Output(on_line, on_wait)
    process = start(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environment) if environment is not None else None,
        start_new_session=True,
        pass_fds=keeps if os.name == "posix" else (),
    )
    try:
        threading.Thread(target=output.read, args=(process.stdout,), daemon=True).start()
        idle = Idle(process.pid, lambda: holds(output.lines)) if silence else None
        output.pass_on(time.monotonic() + timeout, idle, silence or 0)
        return Finished(process.wait(), tuple(output.lines))
    except KeyboardInterrupt:
        _stop(process, output.lines, holds)
        with suppress(queue.Empty):  # it may have printed more while it was held
            output.pass_on(time.monotonic())
        raise
    except queue.Empty:
        _finish(process)
        raise TimeoutError(f"{command[0]} did not end in {timeout:.0f} s") from None
    except BaseException:
        _finish(process)
        raise


class _Output:
    """The lines that a program prints, scrubbed.

    A thread reads them: the program is never blocked by a full pipe, whatever happens elsewhere.
    """

    def __init__(
        self, on_line: Callable[[str], None], on_wait: Callable[[Mapping[str, int]], None]
    ) -> None:
        self.lines: List[str] = []
        self._on_line, self._on_wait = on_line, on_wait
        self._queue: queue.Queue[Optional[str]] = queue.Queue()

    def read(self, pipe: BinaryIO) -> None:
        """Read to the end of the program."""
        # Progress is often written over and over on one line, by carriage returns: each is a line.
        with io.TextIOWrapper(pipe, encoding="utf-8", errors="replace") as stream:
            for text in stream:
                line = redact(text.rstrip())
                if line:
                    self.lines.append(line)
                    self._queue.put(line)
        self._queue.put(None)

    def pass_on(self, until: float, idle: Optional[Idle] = None, silence: float = 0) -> None:
        """Pass the lines on to their end; ``queue.Empty`` where it does not come by then."""
        while True:
            try:  # in short waits, which Ctrl-C ends on every system
                line = self._queue.get(timeout=0.5)
            except queue.Empty:
                if time.monotonic() > until:
                    raise
                if idle is not None:
                    if idle.seconds() > silence:
                        raise SilenceError(f"nothing was done for {silence:.0f} s") from None
                    self._on_wait(idle.received)
                continue
            if line is None:
                return
            if idle is not None:
                idle.restart()
            self._on_line(line)


def within(
    seconds: float,
    call: Callable[[], T],
    on_wait: Callable[[float], None] = lambda seconds: None,
) -> T:
    """Return what a call returns that may hang; `TimeoutError` where it has not ended.

    ``on_wait`` gets the seconds so far, several times each second.
    """
    from concurrent.futures import Future, wait

    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()  # a pool would wait for it at the exit
    begun = time.monotonic()
    while not future.done():
        waited = time.monotonic() - begun
        if waited > seconds:
            raise TimeoutError(f"no answer in {seconds:.0f} s")
        on_wait(waited)
        wait([future], timeout=0.2)  # in short waits, which Ctrl-C ends on every system
    return future.result()


def _stop(process: subprocess.Popen[bytes], lines: List[str], holds: Holds) -> None:
    """End the program; one that is putting files in place gets the time to finish.

    It is paused while its lines are judged: what it has printed is read to the last line, and it
    cannot begin with what must not be cut between the question and the signal.
    """
    until = time.monotonic() + HOLD
    while process.poll() is None:
        try:
            _signal(process, "SIGSTOP")
            time.sleep(0.05)  # for the pause to reach its threads, and its lines to reach ours
            if not holds(lines) or time.monotonic() > until:
                _finish(process)
                return
            _signal(process, "SIGCONT")
            process.wait(1.0)
        except subprocess.TimeoutExpired:
            continue
        except KeyboardInterrupt:  # pressed again; it is raised in the end anyway
            _signal(process, "SIGCONT")


def _finish(process: subprocess.Popen[bytes]) -> None:
    try:
        _signal(process, "SIGTERM")
        _signal(process, "SIGCONT")
        process.wait(GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        _signal(process, "SIGKILL")
        process.wait()


def _signal(process: subprocess.Popen[bytes], name: str) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, getattr(signal, name))
        elif name in {"SIGTERM", "SIGKILL"}:
            process.terminate()
