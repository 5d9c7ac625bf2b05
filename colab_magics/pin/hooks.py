"""What ``%pin`` does around cells: the notebook's lock, the history for undo, what has drifted."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from ..core.errors import input_errors
from ..core.steps import Outcome, Step, parts_of
from ..extension.output import say
from ..extension.session import Hook, Session
from ..notebook.reading import notebook_file
from ..record.cell import is_setup, parse, render_step

if TYPE_CHECKING:
    from .drift import Snapshot
    from .lock import Lock


class LockKeeper(Hook):
    """Hold the lines of the setup cell to the notebook's lock, and renew it when pins change.

    A line is held if the lock was made for just that line, this Python and this platform. Else it
    is installed as it reads, and a message says so.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.cell_begins("")

    def cell_begins(self, source: str) -> None:
        """Reset what is known of the lock."""
        #: The notebook's lock, and why it cannot be used here; read once in a cell.
        self._lock: Optional[Tuple[Optional[Lock], str]] = None
        #: Why a line of this cell was not held to it.
        self._reason = ""
        self._changed = self._off = False

    def lock_for(self, step: Any) -> Optional[Lock]:
        """Return the lock that holds this line of the running setup cell, or None."""
        if step.word != "pin" or not self.session.is_setup_running or step.renews:
            return None
        if self._lock is None:
            from .lock import read_lock

            lock = read_lock(self.session.host, self.session.site)
            self._lock = lock, _why_unusable(lock) if lock is not None else ""
        lock, reason = self._lock
        if lock is None:
            return None
        from .lock_maker import line_of

        lines = {line_of(line, self.session.host) for line in step.lines or (step,)}
        if not reason and not lines <= {*lock.lines}:
            reason = "a line or a file was changed since it was made"
        self._reason = reason or self._reason
        return None if reason else lock

    def step_ended(self, step: Step, outcome: Outcome, flags: Tuple[str, ...]) -> None:
        """Note that pins may have changed, and whether the lock is not wanted."""
        if step.word == "pin":
            applied = outcome.status == "applied"
            self._changed = self._changed or applied or not self.session.is_setup_running
            self._off = self._off or "no_lock" in flags

    def setup_edited(self) -> None:
        """Note that pins may have changed."""
        self._changed = True

    def cell_recorded(self, result: Any) -> None:
        """Renew the lock if pins may have changed."""
        if self._changed:
            from .magic_lock import renew

            renew(self.session, self._off, self._reason)


def _why_unusable(lock: Lock) -> str:
    """Return why a lock cannot be used here; empty if it can."""
    from .pip_config import read_settings
    from .uv import Uv

    reason = Uv().available(read_settings())
    return f"that takes uv, and {reason}" if reason else lock.mismatch()


class UndoHistory(Hook):
    """Save the lines of the setup cell from before an installation, for ``%pin undo``."""

    def step_ended(self, step: Step, outcome: Outcome, flags: Tuple[str, ...]) -> None:
        """Save them beside what was installed."""
        if step.word != "pin" or "no_record" in flags:
            return
        from .step import PinOutcome

        if isinstance(outcome, PinOutcome) and outcome.changes:
            from .magic_undo import save_lines

            with suppress(*input_errors()):  # it is installed; recording reports its own errors
                save_lines(self.session, outcome)


class OtherNotebooks(Hook):
    """Name the notebooks of this environment whose pins no longer hold after this cell's."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.cell_begins("")

    def cell_begins(self, source: str) -> None:
        """Forget what the last cell has changed."""
        #: The packages that the cell has changed; where there is none, no notebook is asked for.
        self._changed: FrozenSet[str] = frozenset()

    def step_ended(self, step: Step, outcome: Outcome, flags: Tuple[str, ...]) -> None:
        """Note what a line has changed."""
        if step.word == "pin":
            self._changed |= frozenset(getattr(outcome, "changes", ()))

    def cell_recorded(self, result: Any) -> None:
        """Save this notebook's lines, and show those of others that differ now."""
        if self._changed:
            with suppress(*input_errors()):  # of a notebook that cannot be read now
                self._compare()

    def _compare(self) -> None:
        session = self.session
        path = notebook_file(session.host, session.site)
        if path is None:
            return
        from .journal import load_notebooks, save_notebook

        if is_setup(session.source):
            parts = parts_of("pin", [line.step for line in parse(session.source)])
        else:
            parts = session.recorded_parts("pin")
        save_notebook(str(path), [render_step(part) for part in parts])
        others = {Path(other): lines for other, lines in load_notebooks().items()}
        differing = {
            other: pins
            for other, lines in others.items()
            if other != path and other.exists()
            for pins in [self._find_differing(lines)]
            if pins
        }
        if differing:
            say(_describe_others(differing))

    def _find_differing(self, lines: Sequence[str]) -> List[str]:
        """Return the pins among lines that this cell's have changed, and that differ now."""
        from ..setup.magic_status import judge

        host, pins = self.session.host, [line.step for text in lines for line in parse(text)]
        return [
            render_step(pin)
            for pin in parts_of("pin", pins)
            if {*getattr(pin, "names", ())} & self._changed and judge(pin, host).state == "differs"
        ]


def _describe_others(differing: Mapping[Path, Sequence[str]]) -> str:
    """Return which notebooks have pins that differ now, and what to do."""
    (first, pins), *more = differing.items()
    if more:
        return (
            f"{first.name} and {len(more)} more use this environment too, and have other pins: "
            "run their setup cells when you go on there."
        )
    return (
        f"{first.name} uses this environment too, and has {', '.join(pins[:3])}: "
        "run its setup cell when you go on there."
    )


class InstalledPast(Hook):
    """Report packages that a cell installed other than by ``%pin``."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._before: Optional[Snapshot] = None

    def cell_begins(self, source: str) -> None:
        """Take a snapshot of what is installed, if this cell may change it."""
        self._before = None
        if "install" in source:  # most cells install nothing, and this imports what pins need
            from .drift import installs, snapshot

            self._before = snapshot() if installs(source) else None

    def cell_recorded(self, result: Any) -> None:
        """Report what has changed, each change once."""
        if self._before is not None:
            from .drift import report_changes

            report_changes(self.session, self._before)
