"""When checkpoints are made: between cells, before the kernel ends, and for a loop."""

from __future__ import annotations

import atexit
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Optional, Tuple

from ..core.steps import Outcome, Step
from ..extension.output import Status, say
from ..extension.session import Hook, Session

if TYPE_CHECKING:
    from .restore import Restored
    from .snapshot import Keeper


class Checkpoints(Hook):
    """The checkpoints of one kernel; nothing is done, or imported, before a line asks for them."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._keeper: Optional[Keeper] = None
        self._pid = os.getpid()

    @property
    def restored(self) -> Optional[Restored]:
        """What was restored into this kernel; None where nothing was."""
        return self._keeper.restored if self._keeper is not None else None

    @property
    def folder(self) -> Optional[Path]:
        """The folder of the checkpoints that are made in this kernel."""
        settings = self._keeper.settings if self._keeper is not None else None
        return settings.folder if settings is not None else None

    @property
    def is_keeping(self) -> bool:
        """Whether checkpoints are made in this kernel."""
        return self._keeper is not None and self._keeper.settings is not None

    def save(self, states: Mapping[str, object]) -> float:
        """Make one within a cell, with states beside the variables; return the seconds it took.

        It is written by another process; none is made, in no time, while that writes the last one.
        """
        return self._keeper.save(states) if self._keeper is not None else 0.0

    def step_ended(self, step: Step, outcome: Outcome, flags: Tuple[str, ...]) -> None:
        """Take the keeper of a line that was applied."""
        if step.word != "checkpoint" or self._keeper is not None:
            return
        from .magic_cells import CellLog
        from .snapshot import keeper_of

        self._keeper = keeper_of(self.session.host)
        self._keeper.cells = self.session.hooks.of(CellLog).snapshot
        atexit.register(self._at_exit)

    def cell_begins(self, source: str) -> None:
        """No cell runs while variables are read: see `Keeper.cell_begins`."""
        if self._keeper is not None and self.session.depth == 1:
            self._keeper.cell_begins()

    def cell_recorded(self, result: Any) -> None:
        """From now on one may be made; what has become of others is shown."""
        if self._keeper is None or self.session.depth > 1:
            return
        self._keeper.cell_ended()
        messages, self._keeper.messages = self._keeper.messages, []
        say(*messages)

    def time_is_short(self) -> None:
        """Make one below this cell."""
        if self._keeper is not None:
            self._keeper.hurry()

    def kernel_ends(self, machine: bool) -> None:
        """Make one; of a machine that is given back, wait until it is written."""
        if self._keeper is None or self._keeper.settings is None:
            return
        with Status(self.session.host, quiet=False) as status:
            if machine:
                self._keeper.save_and_wait(status)
            else:
                self._keeper.save_last()
        status.done(None)

    def close(self) -> None:
        """The extension is unloaded, or loaded again: see `Keeper.pause`."""
        if self._keeper is not None:
            self._keeper.pause()

    def _at_exit(self) -> None:
        """Make one where the kernel ends in order, and a cell has run since the last."""
        with suppress(Exception):  # nobody is there to be told
            is_own = os.getpid() == self._pid  # not that of a copy, made by `os.fork`
            if is_own and self._keeper is not None:
                self._keeper.save_last()
