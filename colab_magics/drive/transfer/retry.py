"""Failures that pass: when to try again, and how long to wait before.

Source: developers.google.com/drive, "Resolve errors" and "Usage limits": truncated exponential
backoff with jitter, and some three files a second that can be made for long.
"""

from __future__ import annotations

import random
import threading
import time
from typing import Callable, Iterator, Optional, TypeVar

from ...core.display import duration
from ...core.errors import DriveError

T = TypeVar("T")
#: Failures in a row before it gives up: some ten minutes. Fewer where nothing has answered yet.
TRIES, FIRST_TRIES = 14, 4
#: Seconds after the first failure, which then double, and the longest pause.
PAUSE, LONGEST = 1.0, 64.0
#: Seconds that a server may ask for; it is told to the person where it is more.
PATIENCE = 600.0
#: Files a second that Drive lets be made for long, once it has refused more.
RATE = 3.0


class Passing(Exception):
    """A failure that may pass; ``after``: seconds that the server asks for."""

    def __init__(self, message: str, after: float = 0.0, limited: bool = False) -> None:
        super().__init__(message)
        self.message, self.after, self.limited = message, after, limited


class Backoff:
    """The pauses of one request, or of one transfer, which are short again after `reset`."""

    def __init__(
        self, stop: threading.Event, say: Callable[[str], None], tries: int = TRIES
    ) -> None:
        self._stop, self._say, self._tries = stop, say, tries
        self._failures = 0

    def reset(self) -> None:
        """Note that something was gained."""
        self._failures = 0

    def pause(self, failure: Passing) -> None:
        """Wait before the next try; `DriveError` if it is not worth it, Ctrl-C ends it at once."""
        self._failures += 1
        if self._failures >= self._tries or failure.after > PATIENCE:
            wait = f" It asks to wait {duration(failure.after)}." if failure.after else ""
            raise DriveError(
                f"{failure.message}, again and again.",
                f"Check the network, then run the same line: it goes on from here.{wait}",
                code="no-answer",
            )
        longest = min(PAUSE * 2 ** (self._failures - 1), LONGEST)
        seconds = failure.after or random.uniform(longest / 2, longest)  # noqa: S311 - no secret
        self._say(f"{failure.message}: trying again")
        self._stop.wait(seconds)
        if self._stop.is_set():
            raise KeyboardInterrupt

    def run(self, attempt: Callable[[], T]) -> T:
        """Return the result of an attempt, which is repeated after `Passing`."""
        while True:
            try:
                return attempt()
            except Passing as failure:
                self.pause(failure)


def read_on(
    read: Callable[[int, int], Iterator[bytes]], start: int, end: int, backoff: Backoff
) -> Iterator[bytes]:
    """Yield the bytes of a range, and go on where a read was cut off."""
    while start < end:
        try:
            for block in read(start, end):
                start += len(block)
                backoff.reset()
                yield block
            if start < end:
                raise Passing("The file ended too soon")
        except Passing as failure:
            backoff.pause(failure)


class Bucket:
    """Tokens for what is made: as many as are wanted, until the server refuses; then a few.

    Where it does not refuse any more, the rate grows again.
    """

    def __init__(self, stop: threading.Event, clock: Callable[[], float] = time.monotonic) -> None:
        self._stop, self._clock, self._lock = stop, clock, threading.Lock()
        self._rate: Optional[float] = None
        self._next = 0.0

    def take(self) -> None:
        """Wait for a token."""
        with self._lock:
            if self._rate is None:
                return
            now = self._clock()
            at = max(self._next, now)
            self._next = at + 1 / self._rate
        self._stop.wait(at - now)
        if self._stop.is_set():
            raise KeyboardInterrupt

    def refused(self) -> None:
        """Note that there were too many."""
        with self._lock:
            self._rate = RATE if self._rate is None else max(self._rate / 2, 0.5)

    def accepted(self) -> None:
        """Note that there were not."""
        with self._lock:
            if self._rate is not None:
                self._rate += 0.1
