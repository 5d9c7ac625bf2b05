"""The cells that have run in one go, such as by Run All, up to the running one."""

from __future__ import annotations

import time
from typing import Any, List

#: Seconds without a cell after which something new begins: a server sends the next one sooner.
PAUSE = 0.5


class Batch:
    """Counts from the last time that the kernel was idle for a while.

    What ran before the extension was loaded is left out: nothing says when it did.
    """

    def __init__(self, shell: Any) -> None:
        self._shell, self._ended = shell, float("inf")
        self._first = max(1, len(self._inputs) - 1)  # the running cell, which loads the extension

    def cell_begins(self) -> None:
        """Begin a new batch, where the kernel was idle."""
        if time.monotonic() - self._ended > PAUSE:
            self._first = len(self._inputs)  # where the cell will be: versions differ in the count

    def cell_ends(self) -> None:
        """Note the time."""
        self._ended = time.monotonic()

    @property
    def sources(self) -> List[str]:
        """The texts of its cells, in the order in which they have run."""
        return self._inputs[self._first :]

    @property
    def _inputs(self) -> List[str]:
        manager = getattr(self._shell, "history_manager", None)
        return list(manager.input_hist_raw) if manager is not None else []
