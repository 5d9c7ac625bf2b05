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
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, TypeVar, cast

from .activity import Idle
from .errors import NotStarted
from .redact import redact

T = TypeVar("T")
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
        raise _not_started(command[0], error) from None


def _not_started(program: str, error: Exception) -> NotStarted:
    """Why not, and what can be done about it."""
    name, why = Path(program).name, getattr(error, "strerror", None)
    if getattr(error, "errno", None) != errno.E2BIG:
        what = f"{name} cannot be started: {why or 'its arguments or variables are no text'}."
        return NotStarted(what, "Check that it is installed and may be run.", error=error)
    longest = max(os.environ, key=lambda key: len(os.environ[key]), default="")
    return NotStarted(
        f"{name} cannot be started: there is too much in the environment, or on the line.",
        f"Take a long variable out, such as {longest}: del os.environ[{longest!r}]",
        error=error,
    )


def run(
    command: Sequence[str],
    environment: Optional[Mapping[str, str]] = None,
    on_line: Callable[[str], None] = lambda line: None,
    holds: Callable[[Sequence[str]], bool] = lambda lines: False,
    timeout: float = 3600.0,
    keeps: Sequence[int] = (),
    silence: Optional[float] = None,
) -> Finished:
    """Run a program to its end with no input, in a session of its own.

    On Ctrl-C it is ended at once and ``KeyboardInterrupt`` raised, except while ``holds(lines)``
    says that it must not be cut (an installer putting files in place): then it may finish first.
    ``keeps`` are open files that it inherits, and with them their locks. Raises `TimeoutError`
    after ``timeout`` seconds, and `NotStarted` where there is no such program.

    With ``silence`` seconds it is ended, and `SilenceError` raised, when for so long it has neither
    printed a line nor done anything else: no byte has come from where it waits for one. This does
    not count while it must not be cut, nor while it has a Python at work, which builds a package
    and may be silent for an hour; nor where the system does not say what a program does.
    """
    process = start(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environment) if environment is not None else None,
        start_new_session=True,
        pass_fds=keeps if os.name == "posix" else (),
    )
    lines: List[str] = []
    heard: queue.Queue[Optional[str]] = queue.Queue()
    try:
        # A thread reads: the program is never blocked by a full pipe, whatever happens here.
        reader = threading.Thread(target=_read, args=(process, lines, heard), daemon=True)
        reader.start()
        idle = Idle(process.pid, lambda: holds(lines)) if silence else None
        _listen(heard, on_line, time.monotonic() + timeout, idle, silence or 0)
        status = process.wait()
    except KeyboardInterrupt:
        _stop(process, lines, holds)
        with suppress(queue.Empty):  # it may have said more while it was held
            _listen(heard, on_line, time.monotonic())
        raise
    except queue.Empty:
        _finish(process)
        raise TimeoutError(f"{command[0]} did not end in {timeout:.0f} s") from None
    except BaseException:
        _finish(process)
        raise
    return Finished(status, tuple(lines))


def within(seconds: float, call: Callable[[], T]) -> T:
    """What a call gives that may hang, made in a thread; `TimeoutError` where it has not ended."""
    done: queue.Queue[Tuple[bool, Any]] = queue.Queue()

    def work() -> None:
        try:
            done.put((True, call()))
        except BaseException as error:
            done.put((False, error))

    threading.Thread(target=work, daemon=True).start()
    until = time.monotonic() + seconds
    while True:
        try:  # in short waits, which Ctrl-C ends on every system
            fine, result = done.get(timeout=0.2)
        except queue.Empty:
            if time.monotonic() > until:
                raise TimeoutError(f"no answer in {seconds:.0f} s") from None
            continue
        if fine:
            return cast("T", result)
        raise result


def _read(
    process: subprocess.Popen[bytes], lines: List[str], heard: queue.Queue[Optional[str]]
) -> None:
    """Take in what a program prints, until it has ended."""
    assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
    # Progress is often written over and over on one line, by carriage returns: each is a line here.
    with io.TextIOWrapper(process.stdout, encoding="utf-8", errors="replace") as stream:
        for text in stream:
            line = redact(text.rstrip())
            if line:
                lines.append(line)
                heard.put(line)
    heard.put(None)


def _listen(
    heard: queue.Queue[Optional[str]],
    on_line: Callable[[str], None],
    until: float,
    idle: Optional[Idle] = None,
    silence: float = 0,
) -> None:
    """Pass the lines on; ``queue.Empty`` where the program has not ended by then."""
    while True:
        try:  # in short waits, which Ctrl-C ends on every system
            line = heard.get(timeout=0.5)
        except queue.Empty:
            if time.monotonic() > until:
                raise
            if idle is not None and idle.seconds() > silence:
                raise SilenceError(f"nothing was done for {silence:.0f} s") from None
            continue
        if line is None:
            return
        if idle is not None:
            idle.restart()
        on_line(line)


def _stop(
    process: subprocess.Popen[bytes],
    lines: List[str],
    holds: Callable[[Sequence[str]], bool],
) -> None:
    """End the program; one that is putting files in place gets the time to finish.

    It is paused while its lines are judged: what it has printed is read to the last line, and it
    cannot begin with what must not be cut between the question and the signal.
    """
    until = time.monotonic() + HOLD
    while process.poll() is None:
        try:
            _signal(process, "SIGSTOP")
            time.sleep(0.05)  # for the pause to reach its threads, and its lines to reach ours
            held = holds(lines) and time.monotonic() < until
            if not held:
                _finish(process)
                return
            _signal(process, "SIGCONT")
            process.wait(1.0)
        except subprocess.TimeoutExpired:
            continue
        except KeyboardInterrupt:  # pressed again; it is raised in the end anyway
            _signal(process, "SIGCONT")


def _finish(process: subprocess.Popen[bytes]) -> None:
    """End a program and those that it has started."""
    try:
        _signal(process, "SIGTERM")
        _signal(process, "SIGCONT")
        process.wait(GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        _signal(process, "SIGKILL")
        process.wait()


def _signal(process: subprocess.Popen[bytes], name: str) -> None:
    """Send a signal to a program and those that it has started, where there are such signals."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, getattr(signal, name))
        elif name in {"SIGTERM", "SIGKILL"}:
            process.terminate()
    except (ProcessLookupError, PermissionError):
        pass
