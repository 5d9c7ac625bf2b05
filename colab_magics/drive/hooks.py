"""Watches of ``%drive sync``, said below a later cell; and the flush before the machine goes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Dict, List

from ..extension.output import Status, say
from ..extension.session import Hook, Session

if TYPE_CHECKING:
    from ..core.errors import ColabMagicsError
    from .transfer.sync.run import Ends, SyncResult
    from .transfer.sync.watch import WatchThread


class Watches(Hook):
    """The watches of this kernel, by the pairs of folders; they end with it."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.running: Dict[str, WatchThread] = {}
        self._lock = threading.Lock()
        self._results: Dict[str, SyncResult] = {}
        self._errors: List[str] = []

    def note(self, ends: Ends, result: SyncResult) -> None:
        """Note what a watch has done; called in its thread."""
        with self._lock:
            before = self._results.get(ends.label)
            self._results[ends.label] = result if before is None else before.plus(result)

    def fail(self, ends: Ends, error: ColabMagicsError) -> None:
        """Note the error of a watch; called in its thread."""
        with self._lock:
            self._errors.append(f"{ends.label}: {error.message} {error.hint}")

    def cell_ends(self, result: Any) -> None:
        """Say it below a cell that no other cell runs."""
        if self.session.depth != 1 or not (self._results or self._errors):
            return
        with self._lock:
            results, errors = self._results, self._errors
            self._results, self._errors = {}, []
        if self.session.host.live:  # executors compare outputs, and it may come below any cell
            lines = [f"{label}: {text}" for label, x in results.items() for text in x.brief()]
            say(*lines, *errors)

    def close(self) -> None:
        """End all watches."""
        for thread in self.running.values():
            thread.end()
        self.running.clear()


class LastFlush(Hook):
    """Sends what was written to the drive, a last checkpoint too, before the machine goes."""

    def kernel_ends(self, machine: bool) -> None:
        """Flush and unmount; `DriveError`, which leaves the machine, where that fails."""
        if not machine:
            return
        from .providers import Request
        from .step import current, find_mounted

        host = self.session.host
        point = current(host)
        mounted = find_mounted(host, point)
        if mounted is None or mounted[0].name == "folder":  # the stand-in goes with the machine
            return
        with Status(host, quiet=False) as status:
            mounted[0].unmount(host, Request(point), status)
        status.done(None)
