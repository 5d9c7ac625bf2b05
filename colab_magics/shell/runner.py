"""A command in a fresh shell: started, listened to, timed, interrupted."""

import os
import selectors
import signal
import subprocess
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import AbstractSet, Callable, Dict, List, Mapping, Optional, Tuple

from ..core.process import start
from .events import Presses, end_of, taken
from .processes import MARK, Family, Process, began, numbers, scan
from .terminals import channels, close, end_seen, read


#: Seconds between two looks at what is to be shown; and what a program gets to end by itself.
TICK, GRACE = 0.1, 2.0
#: A command that took less seconds has no process with the number of one that was there before.
BRIEF = 1.0
#: Seconds in which nothing more must come of a command that has ended, for all to be heard.
QUIET = 0.05


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
    ``taken``: something else in this process has asked for its status before us; it reads 0 then.
    """

    status: int
    seconds: float
    interrupted: bool = False
    timed_out: bool = False
    left: bool = False
    taken: bool = False
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
    with ExitStack() as stack:
        presses = stack.enter_context(Presses())
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
        seconds = time.monotonic() - started
        if running.left:
            listener.leaves(family)
        status, timed_out = process.wait(), running.timed_out  # its number is given back here
        interrupted = presses.count > 0 and not timed_out
        return Ended(status, seconds, interrupted, timed_out, running.left, running.taken, remains)


def _start(
    command: List[str], environment: Mapping[str, str], tty: bool, merged: bool
) -> Tuple["subprocess.Popen[bytes]", Dict[int, str]]:
    """Start a program; gives what its streams are heard from, too."""
    (out, out_there), (err, err_there) = channels(tty, merged)
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
        close(out, err)
        raise
    finally:
        close(out_there, err_there)
    return process, {err: "stderr", out: "stdout"}


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
        self.timed_out = self.taken = self.left = False

    def listen(self, presses: Presses, until: Optional[float]) -> None:
        """Hear it until it ends."""
        ended = end_of(self._process)
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
        self.taken = taken(self._process)
        for special in (ended, presses.heard):
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
            end_seen(key.fd)
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

    def _hear(self, stream: int) -> bool:
        """Pass on what a stream has to say; false at its end."""
        data = read(stream)
        if data:
            self._listener.heard(self._names[stream], data)
        elif data is not None:
            self._open.unregister(stream)
            os.close(stream)
        return bool(data)

    def _drain(self) -> None:
        while self._open.get_map():
            for key, _ in self._open.select():
                data = read(key.fd)
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
