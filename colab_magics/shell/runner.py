"""A command in a fresh shell: started, listened to, timed, interrupted.

It writes to a terminal that nobody can type into, or to a pipe. Ctrl-C and its end are waited for
as something to read, beside what it writes.
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
from types import TracebackType
from typing import AbstractSet, Any, Callable, Dict, List, Mapping, Optional, Tuple, Type

from ..core.process import start
from .processes import MARK, Family, Process, began, numbers, scan

#: Seconds between two looks at what is to be shown; and what a program gets to end by itself.
TICK, GRACE = 0.1, 2.0
#: A command that took less seconds has no process with the number of one that was there before.
BRIEF = 1.0
#: Seconds in which nothing more must come of a command that has ended, for all to be heard.
QUIET = 0.05

#: How large a program takes the terminal for; wider bars would be broken in a narrow window.
COLUMNS, ROWS = 80, 40
_CHUNK = 1 << 16
#: Linux: nobody else can open the terminal by its name.
_LOCK = 0x40045431
#: Linux: open the end that is written to, from ours.
_PEER = 0x5441


class Listener:
    """What hears a command: a subclass does something with it."""

    def heard(self, name: str, data: bytes) -> None:
        """Bytes of ``stdout`` or ``stderr``."""

    def tick(self) -> None:
        """Some time has passed."""

    def late(self, data: bytes) -> None:
        """Bytes of a program that goes on after its command; called in another thread."""

    def leaves(self, family: Family) -> None:
        """The command has ended, others of it go on; its number stays its own until this ends."""


@dataclass(frozen=True)
class Ended:
    """How a command ended; ``left``: a program that it has started goes on in the background.

    ``remains`` are those of its processes that are known to go on.
    ``reaped``: something else in this process has asked for its status before us; it reads 0 then.
    """

    status: int
    seconds: float
    interrupted: bool = False
    timed_out: bool = False
    left: bool = False
    reaped: bool = False
    remains: Tuple[Process, ...] = ()


def run(
    command: List[str],
    environment: Mapping[str, str],
    listener: Listener,
    watch: Callable[[Family], object],
    timeout: Optional[float] = None,
    tty: bool = True,
    merged: bool = False,
) -> Ended:
    """Run a program to its end, in a session of its own and with nothing to read.

    Ctrl-C goes to all processes of that session, and is an answer here, not an exception: pressed
    again, it is meant more seriously, and for those too that have left it and carry the mark of
    the environment (see `processes`). ``watch`` is told of its processes as soon as there are any.
    ``tty``: each stream is a terminal of its own, else a pipe. ``merged``: both are one.
    """
    started, others = time.monotonic(), numbers()
    with Presses() as presses:
        process, names = _start(command, environment, tty, merged)
        family = Family(process.pid, environment.get(MARK, ""), began(process.pid))
        running = _Running(process, family, listener, names)
        try:
            watch(family)
            running.listen(presses, started + timeout if timeout else None)
        except BaseException:  # the listener has failed: nobody would hear the rest
            family.send(signal.SIGKILL)
            raise
        brief = time.monotonic() - started < BRIEF
        remains = running.finish(others if brief else frozenset())
        return running.ended(time.monotonic() - started, presses, remains)


def _start(
    command: List[str], environment: Mapping[str, str], tty: bool, merged: bool
) -> Tuple[subprocess.Popen[bytes], Dict[int, str]]:
    """Start a program; gives what its streams are heard from, too."""
    (out, out_there), (err, err_there) = _channels(tty, merged)
    try:
        process = start(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out_there,
            stderr=err_there,
            env=dict(environment),
            start_new_session=True,
        )
    except BaseException:
        _close(out, err)
        raise
    finally:
        _close(out_there, err_there)
    return process, {err: "stderr", out: "stdout"}


class _Running:
    """One program while it runs."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        family: Family,
        listener: Listener,
        names: Mapping[int, str],
    ) -> None:
        self._process, self._family = process, family
        self._listener, self._names = listener, names
        self._open = selectors.DefaultSelector()
        for stream in names:
            os.set_blocking(stream, False)
            self._open.register(stream, selectors.EVENT_READ)
        self._signals = 0
        self.timed_out = self.reaped = self.left = False

    def listen(self, presses: Presses, until: Optional[float]) -> None:
        """Hear it until it ends."""
        ended = _end_of(self._process)
        for special in (ended, presses.reads):
            self._open.register(special, selectors.EVENT_READ)
        going = True
        while going:
            for key, _ in self._open.select(TICK):
                if key.fd == ended:
                    going = False
                elif key.fd == presses.reads:
                    self._interrupt(presses.take())
                else:
                    self._hear(key.fd)
            self._listener.tick()
            if until is not None and time.monotonic() > until:
                until = self._time_out()
        self.reaped = _is_reaped(self._process)
        for special in (ended, presses.reads):
            self._open.unregister(special)
        os.close(ended)

    def finish(self, others: AbstractSet[int]) -> Tuple[Process, ...]:
        """Hear what is still under way; gives those of its processes that go on.

        ``others``: the numbers of processes that are known to be none of it. ``left`` is true then
        where any goes on, also one that can be told only by what it holds open.
        """
        if self.timed_out:
            self._end_all()
        remains = self._family.members(lambda: scan(others))
        for key in self._open.get_map().values():
            _show_end(key.fd)
        latest = time.monotonic() + 1.0
        until = time.monotonic() + (QUIET if remains else 4 * QUIET)
        while self._open.get_map() and time.monotonic() < min(until, latest):
            for key, _ in self._open.select(QUIET):
                if self._hear(key.fd):
                    until = max(until, time.monotonic() + QUIET)
        self.left = bool(remains or self._open.get_map())
        if self.left:  # a program whose terminal nobody reads would stop
            threading.Thread(target=self._drain, daemon=True).start()
        else:
            self._open.close()
        return tuple(remains)

    def ended(self, seconds: float, presses: Presses, remains: Tuple[Process, ...]) -> Ended:
        """Return how it ended; its number may be another one's afterwards."""
        if self.left:
            self._listener.leaves(self._family)
        return Ended(
            self._process.wait(),
            seconds,
            presses.count > 0 and not self.timed_out,
            self.timed_out,
            self.left,
            self.reaped,
            remains,
        )

    def _hear(self, stream: int) -> bool:
        """Pass on what a stream has to say; false at its end."""
        data = _read(stream)
        if data:
            self._listener.heard(self._names[stream], data)
        elif data is not None:
            self._open.unregister(stream)
            os.close(stream)
        return bool(data)

    def _drain(self) -> None:
        while self._open.get_map():
            for key, _ in self._open.select():
                data = _read(key.fd)
                if data:
                    self._listener.late(data)
                elif data is not None:
                    self._open.unregister(key.fd)
                    os.close(key.fd)
        self._open.close()

    def _interrupt(self, presses: int) -> None:
        """Interrupt it; the second time end it, the third time by force."""
        for _ in range(presses):
            number = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[min(self._signals, 2)]
            self._signals += 1
            self._family.send(number, everywhere=number != signal.SIGINT)

    def _time_out(self) -> float:
        """End it; where that does not help, by force. Gives when to look again."""
        self._family.send(signal.SIGKILL if self.timed_out else signal.SIGTERM)
        self.timed_out = True
        return time.monotonic() + GRACE

    def _end_all(self) -> None:
        """Its shell has ended in time, and another program of it may not."""
        until = time.monotonic() + GRACE
        while self._family.members():
            if time.monotonic() > until:
                self._family.send(signal.SIGKILL)
            time.sleep(0.02)


class Presses:
    """Ctrl-C as something to read, so that it cuts nothing of ours in the middle."""

    def __enter__(self) -> Presses:
        self.reads, self._writes = os.pipe()
        os.set_blocking(self._writes, False)
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
        _close(self.reads, self._writes)

    def _press(self, number: int, frame: object) -> None:
        self.count += 1
        with suppress(BlockingIOError):
            os.write(self._writes, b"!")

    def take(self) -> int:
        """How often it was pressed since the last time."""
        return len(os.read(self.reads, 100))


def _end_of(process: subprocess.Popen[bytes]) -> int:
    """A descriptor that can be read once the process has ended; whoever asked for it closes it."""
    with suppress(AttributeError, OSError):  # Python 3.8, another system than Linux, an old one
        return os.pidfd_open(process.pid)
    ended, tell = os.pipe()
    threading.Thread(target=_wait, args=(process, tell), daemon=True).start()
    return ended


def _is_reaped(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether something else has asked for the status of a program of ours that has ended."""
    return process.returncode is None and not _waited(process)


def _wait(process: subprocess.Popen[bytes], tell: int) -> None:
    _waited(process)
    os.close(tell)


def _waited(process: subprocess.Popen[bytes]) -> bool:
    """Wait for its end, and leave its status to be asked for; whether that can still be."""
    try:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        return False
    except AttributeError:  # macOS, up to Python 3.12
        process.wait()
    return True


def _channels(tty: bool, merged: bool) -> List[Tuple[int, int]]:
    """Two terminals, or pipes: of each our end, and the one that is written to.

    ``merged``: both are the same. Raises OSError, and leaves none then.
    """
    make = _terminal if tty else os.pipe
    first = make()
    try:
        return [first, first if merged else make()]
    except BaseException:
        _close(*first)
        raise


def _terminal() -> Tuple[int, int]:
    """A terminal: our end, and the one that is written to.

    Bytes come as they are written. It is open for writing alone: pagers and editors that find no
    keyboard at standard input look for one at their outputs, and would wait there for ever.
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
            fcntl.ioctl(ours, _LOCK, struct.pack("i", 1))
    return ours, write_only


def _show_end(ours: int) -> None:
    """Have the end of a terminal that nobody has open any more be read as such.

    Linux forgets it where a program, such as ``less``, was refused to open the terminal by name.
    """
    if sys.platform != "linux":
        return
    import fcntl

    with suppress(OSError):  # it is a pipe, or closed
        fcntl.ioctl(ours, _LOCK, struct.pack("i", 0))
        os.close(fcntl.ioctl(ours, _PEER, os.O_RDONLY | os.O_NOCTTY))
        fcntl.ioctl(ours, _LOCK, struct.pack("i", 1))


def _read(ours: int) -> Optional[bytes]:
    """What our end, which does not block, has to say: nothing at its end, None while silent."""
    try:
        return os.read(ours, _CHUNK)
    except BlockingIOError:
        return None
    except OSError:  # Linux says so of a terminal that nobody has open any more
        return b""


def _close(*ends: int) -> None:
    """Close each end once."""
    for end in {*ends}:
        os.close(end)
