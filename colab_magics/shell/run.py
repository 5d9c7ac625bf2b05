"""A command in a fresh shell: started, listened to, timed, interrupted."""

import os
import selectors
import signal
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Callable, List, Mapping, Optional, Tuple, Type

from .processes import MARK, Family
from .terminals import end_seen, pipe, terminal

__all__ = ["Ended", "Listener", "run"]

#: Seconds between two looks at what is to be shown; and what a program gets to end by itself.
TICK, GRACE = 0.1, 2.0
#: Seconds in which nothing more must come of a command that has ended, for all to be heard.
QUIET = 0.05
_CHUNK = 1 << 16


class Listener:
    """What hears a command: a subclass does something with it."""

    def heard(self, name: str, data: bytes) -> None:
        """Bytes of ``stdout`` or ``stderr``."""

    def tick(self) -> None:
        """Some time has passed."""

    def late(self, data: bytes) -> None:
        """Bytes of a program that goes on after its command; called in another thread."""


@dataclass(frozen=True)
class Ended:
    """How a command ended; ``left``: a program that it has started goes on in the background."""

    status: int
    seconds: float
    interrupted: bool = False
    timed_out: bool = False
    left: bool = False


def run(
    command: List[str],
    environment: Mapping[str, str],
    listener: Listener,
    watch: Callable[[Optional[int]], object],
    timeout: Optional[float] = None,
    tty: bool = True,
    merged: bool = False,
) -> Ended:
    """Run a program to its end, in a session of its own and with nothing to read.

    Ctrl-C goes to all processes of that session, and is an answer here, not an exception: pressed
    again, it is meant more seriously, and for those too that have left it and carry the mark of
    the environment (see `processes`). ``watch`` is told the process group, and None when it has
    ended. ``tty``: each stream is a terminal of its own, else a pipe. ``merged``: both are one.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        presses = stack.enter_context(_Presses())
        (out, out_there), (err, err_there) = _streams(terminal if tty else pipe, merged)
        try:
            process = subprocess.Popen(
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
        family = Family(process.pid, environment.get(MARK, ""))
        running = _Running(process, family, listener, {err: "stderr", out: "stdout"})
        try:
            watch(process.pid)
            running.listen(presses, started + timeout if timeout else None)
        except BaseException:  # the listener has failed: nobody would hear the rest
            family.send(signal.SIGKILL)
            raise
        left = running.finish()
        watch(None)
        seconds = time.monotonic() - started
        interrupted = presses.count > 0 and not running.timed_out
        return Ended(process.returncode, seconds, interrupted, running.timed_out, left)


class _Running:
    """One program while it runs."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
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
        self.timed_out = False

    def listen(self, presses: "_Presses", until: Optional[float]) -> None:
        """Hear it until it ends."""
        ended, tell = os.pipe()
        waiting = threading.Thread(target=_wait, args=(self._process, tell), daemon=True)
        waiting.start()
        for special in (ended, presses.heard):
            self._open.register(special, selectors.EVENT_READ)
        going = True
        while going:
            for key, _ in self._open.select(TICK):
                if key.fd == ended:
                    going = False
                elif key.fd == presses.heard:
                    self._interrupt(presses.take())
                else:
                    self._hear(key.fd)
            self._listener.tick()
            if until is not None and time.monotonic() > until:
                until = self._time_out()
        waiting.join()
        for special in (ended, presses.heard):
            self._open.unregister(special)
        os.close(ended)

    def finish(self) -> bool:
        """Hear what is still under way; whether another program of it goes on."""
        if self.timed_out:
            self._end_all()
        lives = self._family.lives()
        for key in self._open.get_map().values():
            end_seen(key.fd)
        latest = time.monotonic() + 1.0
        until = time.monotonic() + (QUIET if lives else 4 * QUIET)
        while self._open.get_map() and time.monotonic() < min(until, latest):
            for key, _ in self._open.select(QUIET):
                if self._hear(key.fd):
                    until = max(until, time.monotonic() + QUIET)
        left = lives or bool(self._open.get_map())
        if left:  # a program whose terminal nobody reads would stop
            threading.Thread(target=self._drain, daemon=True).start()
        else:
            self._open.close()
        return left

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


class _Presses:
    """Ctrl-C as something to read, so that it cuts nothing of ours in the middle."""

    def __enter__(self) -> "_Presses":
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
        _close(self.heard, self._say)

    def _press(self, number: int, frame: object) -> None:
        self.count += 1
        with suppress(BlockingIOError):
            os.write(self._say, b"!")

    def take(self) -> int:
        """How often it was pressed since the last time."""
        return len(os.read(self.heard, 100))


def _streams(make: Callable[[], Tuple[int, int]], merged: bool) -> List[Tuple[int, int]]:
    """Two channels, which may be the same one, or none."""
    first = make()
    try:
        return [first, first if merged else make()]
    except BaseException:
        _close(*first)
        raise


def _close(*ends: int) -> None:
    for end in {*ends}:
        os.close(end)


def _wait(process: "subprocess.Popen[bytes]", tell: int) -> None:
    process.wait()
    os.close(tell)


def _read(stream: int) -> Optional[bytes]:
    """What a stream has to say: nothing at its end, None where it is silent for now."""
    try:
        return os.read(stream, _CHUNK)
    except BlockingIOError:
        return None
    except OSError:  # Linux says so of a terminal that nobody has open any more
        return b""
