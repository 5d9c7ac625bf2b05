"""A command in a fresh process: started, listened to, timed, interrupted.

It writes to a terminal that nobody can type into, or to a pipe. Ctrl-C and the end of the process
are read from pipes, like its output.
"""

from __future__ import annotations

import os
import selectors
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Callable, FrozenSet, List, Mapping, Optional, Tuple

from ..core.process import start
from .processes import MARK, Family, Process, list_pids, scan, start_time

#: Seconds between two ticks; that a program gets to end by itself.
TICK, GRACE = 0.1, 2.0
#: Seconds in which no number of a process is used again.
BRIEF = 1.0
#: Seconds of silence after which the output of a command that has ended is complete.
QUIET = 0.05

#: The size of the terminal; wider bars would be broken in a narrow window.
COLUMNS, ROWS = 80, 40
_CHUNK = 1 << 16
#: Linux: lock a terminal, so that nobody can open it by its name; open its other end.
_TIOCSPTLCK, _TIOCGPTPEER = 0x40045431, 0x5441


class Listener:
    """What is called while a command runs; a subclass overrides what it needs."""

    def on_output(self, name: str, data: bytes) -> None:
        """Handle bytes of ``stdout`` or ``stderr``."""

    def on_tick(self) -> None:
        """Handle that some time has passed."""

    def on_late_output(self, data: bytes) -> None:
        """Handle bytes of a program that outlives its command, in another thread."""

    def on_background(self, family: Family) -> None:
        """Handle that the command has ended and others of it run; its number is not free yet."""


@dataclass(frozen=True)
class Exit:
    """How a command ended.

    ``background``: a program that it has started still runs; ``remains`` are those that are known.
    ``status`` is 0 if something else in this process has waited for the command first.
    """

    status: int
    seconds: float
    interrupted: bool = False
    timed_out: bool = False
    background: bool = False
    remains: Tuple[Process, ...] = ()


def run(
    command: List[str],
    environment: Mapping[str, str],
    listener: Listener,
    on_start: Callable[[Family], object],
    timeout: Optional[float] = None,
    tty: bool = True,
    merged: bool = False,
) -> Exit:
    """Run a program to its end, in a session of its own and with nothing to read.

    Ctrl-C goes to all processes of that session, and is no exception here: pressed again, it ends
    them, those too that have left the session and carry the mark (see `processes`). ``tty``: each
    stream is a terminal of its own, else a pipe. ``merged``: both are the same one, named
    ``stdout``, which alone keeps the order in which a program writes to them: the system keeps none
    between two. How a program buffers depends on ``tty`` alone, so that it stays as it was.
    """
    started, others = time.monotonic(), list_pids()
    with _Interrupts() as interrupts:
        running = _Running(command, environment, listener, tty, merged)
        try:
            on_start(running.family)
            running.listen(interrupts, started + timeout if timeout else None)
        except BaseException:  # nobody would read the rest
            running.family.send(signal.SIGKILL)
            raise
        brief = time.monotonic() - started < BRIEF
        remains = running.finish(others if brief else frozenset())
        return Exit(
            running.process.wait(),
            time.monotonic() - started,
            interrupts.count > 0 and not running.timed_out,
            running.timed_out,
            running.background,
            tuple(remains),
        )


class _Running:
    """One program while it runs."""

    def __init__(
        self,
        command: List[str],
        environment: Mapping[str, str],
        listener: Listener,
        tty: bool,
        merged: bool,
    ) -> None:
        self._listener, self._signals = listener, 0
        self.timed_out = self.background = False
        make = _open_terminal if tty else os.pipe
        out, out_write = make()
        err, err_write = out, out_write
        try:
            if not merged:
                err, err_write = make()
            self.process = start(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out_write,
                stderr=err_write,
                env=dict(environment),
                start_new_session=True,
            )
        except BaseException:
            _close(out, err)
            raise
        finally:
            _close(out_write, err_write)
        pid = self.process.pid
        self.family = Family(pid, environment.get(MARK, ""), start_time(pid))
        self._names = {err: "stderr", out: "stdout"}
        self._selector = selectors.DefaultSelector()
        for stream in self._names:
            os.set_blocking(stream, False)
            self._selector.register(stream, selectors.EVENT_READ)

    def listen(self, interrupts: _Interrupts, deadline: Optional[float]) -> None:
        """Read its output until it ends."""
        ended = _open_end(self.process)
        for special in (ended, interrupts.pipe):
            self._selector.register(special, selectors.EVENT_READ)
        running = True
        while running:
            for key, _ in self._selector.select(TICK):
                if key.fd == ended:
                    running = False
                elif key.fd == interrupts.pipe:
                    self._interrupt(len(os.read(interrupts.pipe, 100)))
                else:
                    self._read(key.fd)
            self._listener.on_tick()
            if deadline is not None and time.monotonic() > deadline:
                self.family.send(signal.SIGKILL if self.timed_out else signal.SIGTERM)
                self.timed_out = True
                deadline = time.monotonic() + GRACE
        for special in (ended, interrupts.pipe):
            self._selector.unregister(special)
        os.close(ended)

    def finish(self, others: FrozenSet[int]) -> List[Process]:
        """Read the rest; return its processes that still run, none of which is in ``others``.

        ``background`` is true then where any runs, also one that is known only by what it holds
        open.
        """
        if self.timed_out:
            self._end_all()
        remains = self.family.members(lambda: scan(others))
        streams = self._selector.get_map()
        for key in streams.values():
            _reveal_end(key.fd)
        latest = time.monotonic() + 1.0
        until = time.monotonic() + (QUIET if remains else 4 * QUIET)
        while streams and time.monotonic() < min(until, latest):
            for key, _ in self._selector.select(QUIET):
                if self._read(key.fd):
                    until = max(until, time.monotonic() + QUIET)
        self.background = bool(remains or streams)
        if self.background:  # a program whose terminal nobody reads would stop
            threading.Thread(target=self._drain, daemon=True).start()
            self._listener.on_background(self.family)
        else:
            self._selector.close()
        return remains

    def _read(self, stream: int, late: bool = False) -> bool:
        """Pass on the output of a stream; return whether there was any."""
        try:
            data = os.read(stream, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # so Linux tells the end of a terminal
            data = b""
        if not data:
            self._selector.unregister(stream)
            os.close(stream)
        elif late:
            self._listener.on_late_output(data)
        else:
            self._listener.on_output(self._names[stream], data)
        return bool(data)

    def _drain(self) -> None:
        while self._selector.get_map():
            for key, _ in self._selector.select():
                self._read(key.fd, late=True)
        self._selector.close()

    def _interrupt(self, presses: int) -> None:
        """Interrupt it; the second time end it, the third time by force."""
        for _ in range(presses):
            number = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[min(self._signals, 2)]
            self._signals += 1
            self.family.send(number, everywhere=number != signal.SIGINT)

    def _end_all(self) -> None:
        """End what outlives the process itself after a timeout."""
        until = time.monotonic() + GRACE
        while self.family.members():
            if time.monotonic() > until:
                self.family.send(signal.SIGKILL)
            time.sleep(0.02)


class _Interrupts:
    """Ctrl-C as a byte in a pipe, so that it cuts nothing of ours in the middle."""

    def __enter__(self) -> _Interrupts:
        self.pipe, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self.count = 0
        self._handler: Any = None
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *error: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        _close(self.pipe, self._write)

    def _press(self, number: int, frame: object) -> None:
        self.count += 1
        with suppress(BlockingIOError):
            os.write(self._write, b"!")


def _open_end(process: subprocess.Popen[bytes]) -> int:
    """Return a descriptor that can be read once the process has ended."""
    with suppress(AttributeError, OSError):  # Python 3.8, another system than Linux, an old one
        return os.pidfd_open(process.pid)
    ended, write = os.pipe()

    def wait() -> None:
        try:  # its number stays its own until we ask for its status
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:  # something else has
            pass
        except AttributeError:  # macOS, up to Python 3.12
            process.wait()
        os.close(write)

    threading.Thread(target=wait, daemon=True).start()
    return ended


def _open_terminal() -> Tuple[int, int]:
    """Return both ends of a terminal: the one to read, and the one that a program writes to.

    Bytes come as they are written. The program's end is open for writing alone: pagers and editors
    that find no keyboard at standard input look for one at their outputs, and would wait for ever.
    """
    import fcntl
    import termios

    ours, theirs = os.openpty()
    try:
        mode = termios.tcgetattr(theirs)
        mode[1] &= ~termios.OPOST
        mode[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, mode)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        write_only = os.open(os.ttyname(theirs), os.O_WRONLY | os.O_NOCTTY)
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    if sys.platform == "linux":
        with suppress(OSError):
            fcntl.ioctl(ours, _TIOCSPTLCK, struct.pack("i", 1))
    return ours, write_only


def _reveal_end(ours: int) -> None:
    """Let the end of a terminal that nobody has open any more be read.

    Linux forgets it where a program, such as ``less``, was refused to open the terminal by name.
    """
    if sys.platform != "linux":
        return
    import fcntl

    with suppress(OSError):  # it is a pipe, or closed
        fcntl.ioctl(ours, _TIOCSPTLCK, struct.pack("i", 0))
        os.close(fcntl.ioctl(ours, _TIOCGPTPEER, os.O_RDONLY | os.O_NOCTTY))
        fcntl.ioctl(ours, _TIOCSPTLCK, struct.pack("i", 1))


def _close(*ends: int) -> None:
    for end in {*ends}:
        os.close(end)
