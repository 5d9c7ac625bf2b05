"""Downloads that begin before their line, while an earlier line of the cell works.

Nothing is made where a file will be, since an earlier line may clone or mount there: what arrives
lies in the user's cache, and the line takes it over. Where that is not to be had, or failed, the
line does all of it itself, and says what there is to say.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Callable, Dict, Iterable, Optional, Tuple

from ..core.errors import ColabMagicsError
from ..core.folders import cache_folder, hash_path
from ..core.host import Host
from .cache import Entry, keep, only, part_of, recall
from .download import Download, Got
from .http import Web
from .progress import AT_ONCE, Track
from .step import FetchStep
from .target import look
from .urls import Request, source

#: Seconds after which what a kill has left in the cache is given up.
_OLD = 86400.0

#: What is on its way in this process, by the place that it is for.
_BEGUN: Dict[Path, _Begun] = {}


class Ahead:
    """The files of some lines, on their way until they are taken or this is closed."""

    def __init__(self, steps: Iterable[FetchStep], host: Host) -> None:
        _clean()
        turns = threading.Semaphore(AT_ONCE)
        self._begun = [_Begun(step, host, turns) for step in steps if _may(step, host)]
        for one in self._begun:
            _BEGUN[one.place] = one
            one.start()

    def close(self) -> None:
        """End those that no line has taken; nothing of them stays."""
        for one in self._begun:
            if _BEGUN.get(one.place) is one:
                del _BEGUN[one.place]
                one.end()
                one.drop()


def take(
    step: FetchStep, host: Host, part: Path, track: Track, check: Callable[[], None]
) -> Optional[Got]:
    """What was begun of a file, waited for and moved to ``part``; None where it is not whole.

    What has arrived of one that failed half way is moved too: it is gone on with. ``check`` is
    called while it waits, and may raise.
    """
    begun = _BEGUN.pop(step.place(host), None)
    if begun is None:
        return None
    got, same = None, begun.step.url == step.url and not step.update
    try:
        while same and begun.is_alive():
            begun.join(0.1)
            track.of(begun.track.total)
            track.at(begun.track.done)
            check()
    finally:
        begun.end()
        got = begun.moved(part) if same else None
        begun.drop()
    return got


class _Begun(threading.Thread):
    """One file. A thread that is not waited for when the kernel ends."""

    def __init__(self, step: FetchStep, host: Host, turns: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self.step, self.place, self.track = step, step.place(host), Track("")
        self._host, self._turns = host, turns
        self._stop_it = threading.Event()
        self._web = Web(self._stop_it)
        self._part = _folder() / hash_path(self.place)
        self._got: Optional[Got] = None

    def run(self) -> None:
        """Bring it; a failure is nothing here, since the line will meet it too."""
        with self._turns, suppress(KeyboardInterrupt, ColabMagicsError, OSError):
            self._web.check()
            with only(self._part, self._elsewhere):
                request = source(self.step.url).request
                known = recall(self._part).part
                self._got = self._download(request, known).run(self._web, self._host)

    def _download(self, request: Request, known: Tuple[str, ...]) -> Download:
        def begun(part: Tuple[str, ...]) -> None:
            keep(self._part, Entry(part=part))

        name, packed = self.place.name, self.step.unpack
        return Download(request, self._part, name, self.track, known, begun, packed)

    def _elsewhere(self, seconds: float) -> None:
        """Another kernel is at it."""
        raise KeyboardInterrupt

    def end(self) -> None:
        """Have it end soon, and wait for that."""
        self._stop_it.set()
        self._web.cut()
        self.join(10)

    def moved(self, part: Path) -> Optional[Got]:
        """Move what has arrived to where the line has its own."""
        known = recall(self._part).part
        try:
            self._part.replace(part)
        except OSError:  # nothing has arrived, or that is another disk
            return None
        keep(part, Entry(part=known))
        return self._got

    def drop(self) -> None:
        """Delete what has arrived."""
        with suppress(OSError):
            self._part.unlink()
        keep(self._part, Entry())


def _may(step: FetchStep, host: Host) -> bool:
    """Whether it can begin now: it needs no secret and no drive, and is not there in part."""
    request = source(step.url).request
    plain = request.url == step.url and request.page is None and request.opened is None
    on_drive = any(step.dest.startswith(f"{name}:") for name in host.places)
    if not plain or on_drive or step.token or step.update:
        return False
    place = step.place(host)
    try:
        if part_of(place).exists() or look(step, host).state != "absent":
            return False
        there = next(one for one in place.parents if one.exists())
        return there.stat().st_dev == _folder().stat().st_dev
    except OSError:
        return False


def _folder() -> Path:
    return cache_folder("ahead")


def _clean() -> None:
    """Delete what kernels that were killed have left, where no run has gone on with it."""
    with suppress(OSError):
        for path in _folder().iterdir():
            if path.stat().st_mtime < time.time() - _OLD:
                path.unlink()
