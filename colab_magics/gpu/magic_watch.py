"""``%gpu watch``: one display that follows the GPUs until it is stopped, or the kernel ends.

The sampler's own process collects the history; a thread shows it, so that while a call holds the
GIL the display stands still and then has all that happened meanwhile.
"""

from __future__ import annotations

import time
from functools import partial
from threading import Event, Thread
from typing import Any, Callable, Optional

from ..core.display import Report
from ..extension.output import say, show
from ..extension.session import Hook, Session
from .devices import advise, take_snapshot
from .format import HEAD, draw_rows
from .measurement import CostReport
from .model import Snapshot
from .sampler import Sampler

#: Seconds between two updates of the display.
PERIOD = 1.0
#: Seconds after which it ends: to a server a kernel that shows something is in use.
LIMIT = 3600.0

_STOP = "stop: %gpu watch stop"
_ENDED = "ended after an hour; again: %gpu watch"


class Watching(Hook):
    """The only watch of a kernel; starting it again moves it below that cell."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._host = session.host
        self._sampler = Sampler()
        self._stop = Event()
        self._thread: Optional[Thread] = None

    def start(self) -> None:
        """Show the GPUs now, and follow them where the display can be updated."""
        self.close()
        snapshot = take_snapshot()
        if not snapshot.gpus:
            say(f"No GPU found. {advise(self._host, snapshot)}")
            return
        if not self._host.live:
            last = "Not followed: this output cannot be updated"
            show(Report((), draw_rows(snapshot.gpus), (last,), HEAD))
            return
        self._sampler.begin()
        self._stop = Event()
        handle = show(self._report(snapshot, _STOP), live=True)
        # The publisher of now: a cell that captures its output has another one meanwhile.
        publish = partial(
            self._host.shell.display_pub.publish,
            transient={"display_id": handle.display_id},
            update=True,
        )
        self._thread = Thread(target=self._follow, args=(publish, self._stop), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following; say so where nothing is followed."""
        if self._thread is None or not self._thread.is_alive():
            say("No GPU is being watched")
        self.close()

    def close(self) -> None:
        """Stop following; the display stays as it is."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout=2 * PERIOD)
        self._sampler.close()

    def _follow(self, publish: Callable[..., Any], stop: Event) -> None:
        until = time.monotonic() + LIMIT
        last = ""
        while not last:
            stopped = stop.wait(PERIOD)
            last = "stopped" if stopped else _ENDED if time.monotonic() > until else ""
            publish(self._report(take_snapshot(), last or _STOP)._repr_mimebundle_(), {})
        self._sampler.close()

    def _report(self, snapshot: Snapshot, last: str) -> Report:
        samples = self._sampler.peek()
        if samples is None and last == _STOP:
            self._sampler.begin()  # its process has ended; the history begins anew
        drawn = samples.gpus if samples else ()
        return CostReport((), draw_rows(snapshot.gpus), (last,), HEAD, drawn)
