"""``%gpu watch``: one display that follows the GPUs until it is stopped, or the kernel ends.

The sampler's own process gathers the history; a thread shows it, so that while a call holds
Python the display stands still and then has all that happened meanwhile.
"""

from threading import Event, Thread
from typing import Any, Optional

from ..display import Report
from ..gpu.devices import advice, describe, find
from ..gpu.measured import Cost
from ..gpu.sampler import Sampler
from ..host import Host
from ._base import show

__all__ = ["PERIOD", "Watching"]

#: Seconds between two updates of the display.
PERIOD = 1.0


class Watching:
    """The one watch of a kernel; starting it again moves it below the cell that says so."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._sampler = Sampler()
        self._stop = Event()
        self._thread: Optional[Thread] = None

    def start(self) -> None:
        """Show the GPUs now, and follow them where the display can be updated."""
        self.close()
        found = find()
        if not found.gpus:
            show(Report((f"No GPU assigned. {advice(self._host, found)}",)))
            return
        if not self._host.live:
            show(Report((*describe(found.gpus), "Not followed: nobody looks at this output")))
            return
        self._sampler.begin()
        self._stop = Event()
        handle = show(self._report("stop: %gpu watch stop"), live=True)
        self._thread = Thread(target=self._follow, args=(handle, self._stop), daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether a display is being followed."""
        return self._thread is not None and self._thread.is_alive()

    def end(self, result: Any, depth: int) -> None:
        """A cell has ended, which is all the same to it."""

    def close(self) -> None:
        """Follow no more; the display stays as it is."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout=2 * PERIOD)
        self._sampler.close()

    def _follow(self, handle: Any, stop: Event) -> None:
        while not stop.wait(PERIOD):
            handle.update(self._report("stop: %gpu watch stop"))
        handle.update(self._report("stopped"))

    def _report(self, last: str) -> Report:
        samples = self._sampler.look()
        return Cost.of((*describe(find().gpus), last), samples.gpus if samples else ())
