"""Two folders that are kept in step: a sync whenever one of them has changed.

The local side is listed every few seconds, and a sync waits until it is the same twice: what is
still being written is not sent. The remote side is asked less often, by a sync, which costs little
where nothing has changed.
"""

from __future__ import annotations

import atexit
import threading
import time
from contextlib import suppress
from typing import Any, Callable, FrozenSet, List, Optional, Set, Tuple

from ....core.errors import ColabMagicsError, DriveError
from ....core.meter import Meter
from ..copy import FATAL
from ..store import Store
from .plan import Limits
from .run import Ends, Sync, SyncResult, explain

#: Seconds between two listings of the local side, and between two questions to the remote one.
PACE, REMOTE_PACE = 2.0, 15.0
#: Seconds after which a folder that never rests is synced all the same; and after an error.
PATIENCE, PAUSE = 30.0, 30.0
#: How many times longer than the work itself the pauses are at least.
_EASE = 20
#: Codes of errors after which it ends, and of those that have passed by the next listing.
ENDING = (FATAL | {"root-gone", "not-a-folder"}) - {"no-answer", "no-space"}
_PASSING = {"busy", "changed"}
#: What identifies the state of a folder: path, size and time of each file.
Signature = FrozenSet[Tuple[str, int, int]]


class Watch:
    """Keeps two folders in step until ``meter.stop`` is set.

    ``on_result`` gets the result of each sync that has done something, ``on_error`` an error, once
    while it lasts. Both are called in the thread that `run` runs in.
    """

    def __init__(
        self,
        ends: Ends,
        limits: Limits,
        meter: Meter,
        jobs: int,
        on_result: Callable[[SyncResult], None],
        on_error: Callable[[ColabMagicsError], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self.ends, self._limits, self._jobs, self._meter = ends, limits, jobs, meter
        self._on_result, self._on_error = on_result, on_error
        self._synced: Optional[Signature] = None
        self._last: Optional[Signature] = None
        self._changed_at = self._asks_at = 0.0
        self._error = ""
        #: What has ended it.
        self.error: Optional[DriveError] = None

    def run(self) -> None:
        """Keep them in step; return when it was stopped, or cannot go on."""
        pause = 0.0
        while not self._meter.stop.wait(pause):
            begun = self._clock()
            try:
                self.step()
                pause = max(PACE, (self._clock() - begun) * _EASE)
            except (DriveError, OSError) as failure:
                error = explain(failure) if isinstance(failure, OSError) else failure
                self._report(error)
                if error.code in ENDING:
                    self.error = error
                    return
                pause = PACE if error.code in _PASSING else PAUSE
            except KeyboardInterrupt:
                if threading.current_thread() is threading.main_thread():
                    raise

    def step(self) -> None:
        """Sync if the local side has changed and rests, or the remote one is to be asked."""
        now = self._clock()
        signature = _sign(self.ends.local.store, self.ends.local.path)
        rests = signature == self._last
        self._last = signature
        if signature == self._synced:
            self._changed_at = now
            if now < self._asks_at:
                return
        elif self._synced is not None and not rests and now - self._changed_at < PATIENCE:
            return
        meter = Meter()
        meter.stop, meter.wakers = self._meter.stop, self._meter.wakers
        sync = Sync(
            self.ends, self._limits, meter, lambda line: None, self._jobs, makes_roots=False
        )
        try:
            sync.run()
        finally:
            if sync.result.did_something:
                self._on_result(sync.result)
        self._synced, self._error = signature, ""
        done = self._clock()
        self._changed_at = done
        self._asks_at = done + max(REMOTE_PACE, (done - now) * _EASE)

    def _report(self, error: DriveError) -> None:
        if error.message != self._error and error.code != "busy":
            self._error = error.message
            if error.code in ENDING - {"root-gone"}:  # which says so itself
                hint = f"{error.hint} It is not kept in step any more: then type the line again."
                error = DriveError(error.message, hint, code=error.code)
            self._on_error(error)


class WatchThread:
    """A watch in a thread of its own, which ends with the program."""

    def __init__(self, watch: Watch, meter: Meter) -> None:
        self.watch, self._meter = watch, meter
        self._thread = threading.Thread(target=watch.run, name="drive sync", daemon=True)
        if not _RUNNING:
            _register_at_exit(_end_all)
        _RUNNING.append(self)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it still keeps them in step."""
        return self._thread.is_alive()

    def end(self, seconds: float = 5.0) -> None:
        """End it; what is half sent is gone on with by the next sync."""
        self._meter.stop.set()
        for wake in self._meter.wakers:
            wake()
        self._thread.join(seconds)
        if not self.running and self in _RUNNING:
            _RUNNING.remove(self)


#: The threads of this process.
_RUNNING: List[WatchThread] = []
#: The end of a program waits for the threads of a transfer before it calls what ``atexit`` has.
_register_at_exit: Callable[[Callable[[], None]], Any] = getattr(
    threading, "_register_atexit", atexit.register
)


def _end_all() -> None:
    for thread in list(_RUNNING):
        thread.end(1.0)


def _sign(store: Store, path: str) -> Signature:
    """Return what identifies the state of a folder; what cannot be read is left out."""
    root = store.stat(path)
    folders = [root] if root is not None else []
    state: Set[Tuple[str, int, int]] = set()
    while folders:
        with suppress(OSError):
            for entry in store.list(folders.pop()):
                if entry.kind == "folder":
                    folders.append(entry)
                    state.add((entry.id, -1, 0))
                else:
                    state.add((entry.id, entry.size, entry.mtime_ns))
    return frozenset(state)
