"""Several downloads at once, watched from the thread that people can interrupt."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Callable, List, Sequence, TypeVar

from ..core.display import amount, files
from ..core.steps import Progress

T = TypeVar("T")
#: Files at once: more of them do not get faster, and servers dislike it.
AT_ONCE = 4
#: Seconds between two messages, and how long interrupted downloads get to close their files.
_INTERVAL, _GRACE = 0.2, 30.0


class Track:
    """How far one file is; a ``total`` of 0 is not known, ``message`` says what else goes on."""

    def __init__(self, label: str) -> None:
        self.label, self.done, self.total, self.ended, self.message = label, 0, 0, False, ""

    def advance(self, done: int, total: int) -> None:
        """Note how many bytes have arrived."""
        self.done, self.total, self.message = done, total, ""

    def say(self, message: str) -> None:
        """Note what else goes on."""
        self.message = message


class Meter:
    """The downloads of one line. ``stop`` is set, and ``wakers`` are called, to end all of them."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.wakers: List[Callable[[], None]] = []
        self._tracks: List[Track] = []

    def track(self, label: str) -> Track:
        """Add a file."""
        track = Track(label)
        self._tracks.append(track)
        return track

    def run_all(self, jobs: Sequence[Callable[[], T]], progress: Progress) -> List[Future[T]]:
        """Run jobs, some at once; on Ctrl-C they end, and put away what they began."""
        pool = ThreadPoolExecutor(AT_ONCE)
        futures = [pool.submit(job) for job in jobs]
        running, last = set(futures), ""
        try:
            while running:
                running = wait(running, _INTERVAL, FIRST_COMPLETED).not_done
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
        done, total = sum(track.done for track in tracks), sum(track.total for track in tracks)
        size = f"{amount(done)} of {amount(total)}" if total >= done > 0 else amount(done)
        if len(tracks) == 1:
            return f"{tracks[0].label}: {size}"
        return f"{files(len(tracks))}: {size}, {len(tracks) - len(active)} done"
