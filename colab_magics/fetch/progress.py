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
#: Seconds between two looks, and how long those that are interrupted get to put away their things.
_LOOK, _GRACE = 0.2, 30.0


class Track:
    """How far one file is."""

    def __init__(self, label: str) -> None:
        self.label, self.done, self.total, self.ended = label, 0, 0, False
        self.said = ""

    def of(self, total: int) -> None:
        """How much it is in all; 0: not known."""
        self.total, self.said = total, ""

    def at(self, done: int) -> None:
        """How much has arrived."""
        self.done, self.said = done, ""

    def say(self, text: str) -> None:
        """What else is going on."""
        self.said = text


class Meter:
    """All of them; ``stop`` is set where they are to end."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.tracks: List[Track] = []
        #: What wakes those that wait for a server.
        self.cuts: List[Callable[[], None]] = []

    def track(self, label: str) -> Track:
        """One more file."""
        made = Track(label)
        self.tracks.append(made)
        return made

    def line(self) -> str:
        """How it stands, in a line."""
        going = [one for one in list(self.tracks) if not one.ended]
        if len(going) == 1 and going[0].said:
            return f"{going[0].label}: {going[0].said}"
        if len(self.tracks) == 1:
            return f"{self.tracks[0].label}: {_of(self.tracks)}"
        ended = len(self.tracks) - len(going)
        return f"{files(len(self.tracks))}: {_of(self.tracks)}, {ended} done"


def at_once(jobs: Sequence[Callable[[], T]], meter: Meter, progress: Progress) -> List[Future[T]]:
    """Have all jobs done, some at once; on Ctrl-C they end, and what they began is put away."""
    pool = ThreadPoolExecutor(AT_ONCE)
    futures = [pool.submit(job) for job in jobs]
    said = ""
    try:
        left = set(futures)
        while left:
            left = wait(left, _LOOK, FIRST_COMPLETED).not_done
            line = meter.line() if left and meter.tracks else said
            if line != said:
                progress(line)
                said = line
    except BaseException:
        meter.stop.set()
        for future in futures:
            future.cancel()
        for cut in meter.cuts:
            cut()
        wait(futures, _GRACE)
        raise
    finally:
        pool.shutdown(wait=False)
    return futures


def _of(tracks: Sequence[Track]) -> str:
    done, total = sum(one.done for one in tracks), sum(one.total for one in tracks)
    return f"{amount(done)} of {amount(total)}" if total >= done > 0 else amount(done)
