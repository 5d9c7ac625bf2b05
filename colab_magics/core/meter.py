"""Several transfers at once, watched from the thread that people can interrupt."""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Callable, List, Optional, Sequence, TypeVar

from .display import files
from .steps import Progress
from .transfer import Transfer

T = TypeVar("T")
#: Files at once: more of them do not get faster, and servers dislike it.
AT_ONCE = 4
#: Seconds between two messages, and how long interrupted transfers get to close their files.
_INTERVAL, _GRACE = 0.2, 30.0


class Track:
    """How far one file is; a ``total`` of 0 is not known, ``message`` says what else goes on."""

    def __init__(self, label: str, stop: Optional[threading.Event] = None) -> None:
        self.label, self.done, self.total, self.ended, self.message = label, 0, 0, False, ""
        #: Set when all has to end.
        self.stop = stop or threading.Event()

    def check(self) -> None:
        """Raise if all has to end."""
        if self.stop.is_set():
            raise KeyboardInterrupt

    def advance(self, done: int, total: int) -> None:
        """Note how many bytes are done."""
        self.done, self.total, self.message = done, total, ""

    def say(self, message: str) -> None:
        """Note what else goes on."""
        self.message = message


class Meter:
    """The transfers of one line. ``stop`` is set, and ``wakers`` are called, to end all of them."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.wakers: List[Callable[[], None]] = []
        self._transfer = Transfer()
        self._tracks: List[Track] = []

    def track(self, label: str) -> Track:
        """Add a file."""
        track = Track(label, self.stop)
        self._tracks.append(track)
        return track

    def run_all(
        self, jobs: Sequence[Callable[[], T]], progress: Progress, at_once: int = AT_ONCE
    ) -> List[Future[T]]:
        """Run jobs, some at once; on Ctrl-C they end, and put away what they began."""
        pool = ThreadPoolExecutor(at_once)
        futures: List[Future[T]] = []
        last = ""
        try:  # Ctrl-C may come as soon as the first job runs
            futures.extend(pool.submit(job) for job in jobs)
            running = set(futures)
            while running:
                # Not at each that completes: of thousands, that would take seconds.
                running = wait(running, _INTERVAL, FIRST_EXCEPTION).not_done
                line = self._line() if running and self._tracks else last
                if line != last:
                    progress(line)
                    last = line
        except BaseException:
            self.stop.set()
            for future in futures:
                future.cancel()
            for wake in self.wakers:
                wake()
            wait(futures, _GRACE)
            raise
        finally:
            pool.shutdown(wait=False)
        return futures

    def _line(self) -> str:
        tracks = list(self._tracks)
        active = [track for track in tracks if not track.ended]
        if len(active) == 1 and active[0].message:
            return f"{active[0].label}: {active[0].message}"
        done = sum(track.done for track in tracks)
        known = all(track.total or track.ended for track in tracks)
        total = sum(track.total or track.done for track in tracks) if known else 0
        text = self._transfer.describe(done, total, time.monotonic())
        if len(tracks) == 1:
            return f"{tracks[0].label}: {text}"
        if active and all(track.message for track in active):
            text = active[0].message
        return f"{files(len(tracks))}, {len(tracks) - len(active)} done: {text}"
