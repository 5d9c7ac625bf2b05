"""Signals that end a command: Ctrl-C, a polite ``kill``, a terminal that is closed.

One that is ignored where the command starts (``nohup``) stays ignored.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Callable, Dict, Iterator, NoReturn, Optional

#: The status of a command that a signal has ended.
INTERRUPTED = 130
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_NUMBERS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]

Handler = Callable[[int, Optional[FrameType]], None]


class SignalCounter:
    """How often a signal has come. It interrupts nothing but `interruptible`."""

    def __init__(self) -> None:
        self.count = 0
        self._raising = False

    def __call__(self, number: int, frame: Optional[FrameType]) -> None:
        """Handle a signal."""
        self.count += 1
        if self._raising:
            raise KeyboardInterrupt

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Raise ``KeyboardInterrupt`` in here when a signal comes, or has come."""
        self._raising = True
        try:
            if self.count:
                raise KeyboardInterrupt
            yield
        finally:
            self._raising = False


@contextmanager
def count_signals() -> Iterator[SignalCounter]:
    """Count signals in here, in place of what they do outside."""
    counter = SignalCounter()
    before = _install(counter)
    try:
        yield counter
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_at_once(line: bytes = b"interrupted\n") -> None:
    """Have signals end this process with a line: nothing is begun yet, or all is done.

    An exception in the middle of an import may be lost, or printed as ignored.
    """

    def handler(number: int, frame: Optional[FrameType]) -> NoReturn:
        with suppress(OSError):
            os.write(2, line)
        os._exit(INTERRUPTED)

    _install(handler)


def _install(handler: Handler) -> Dict[int, Any]:
    """Set a handler, if this thread may; return those it replaces."""
    before: Dict[int, Any] = {}
    with suppress(ValueError):  # only the main thread may
        for number in _NUMBERS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handler)
    return before
