"""The lock of the running notebook: used by its setup cell, made again when its pins change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Tuple

from ..core.errors import ColabMagicsError, bad_input
from ..core.redact import holds_secret
from ..core.steps import Step
from ..extension.hooks import Hook
from ..extension.output import Status, say
from ..notebook.reading import read_kept
from ..notebook.writers.base import Writer

if TYPE_CHECKING:
    from ..extension.recorder import Session
    from .drift import Before
    from .lock.make import Made
    from .lock.model import Lock


_UNREAD = object()


class LockKeeper(Hook):
    """What one kernel does about the locks of its notebooks.

    Lines of the setup cell are held to the lock where it is for this Python and platform and was
    made for just that line; else they are installed as they read, and that is said.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._found: Any = _UNREAD
        self._unfit = self._unused = ""
        self._changed = self._off = False

    def cell_begins(self, source: str) -> None:
        """Look at the lock anew."""
        self._found, self._unfit, self._unused = _UNREAD, "", ""
        self._changed = self._off = False

    # ------------------------------------------------------------------ using it
    def lock_for(self, step: Any) -> Optional[Lock]:
        """What holds this line of the running setup cell; None: nothing does."""
        if step.word != "pin" or not self.session.runs_setup or step.renews:
            return None
        lock = self._lock()
        if lock is None:
            return None
        from .lock.make import line_of

        known = line_of(step, self.session.host) in lock.lines
        unused = self._unfit or ("" if known else "a line or a file was changed since it was made")
        self._unused = unused or self._unused
        return None if unused else lock

    def _lock(self) -> Optional[Lock]:
        """The lock of the running notebook, looked at once in each cell."""
        if self._found is _UNREAD:
            self._found = self.read()
            self._unfit = _unfit(self._found) if self._found is not None else ""
        found: Optional[Lock] = self._found
        return found

    def read(self) -> Optional[Lock]:
        """The notebook's lock as it is now; None where there is none, or none is wanted."""
        from .lock.model import OFF, Lock

        text = read_kept(self.session.host, self.session.site, "lock")
        return Lock.decode(text) if text not in (None, OFF) else None

    # ------------------------------------------------------------------ making it
    def pinned(self, done: bool, wanted: bool) -> None:
        """A pin has been ``done`` on this machine, or found to hold; ``wanted``: a lock is."""
        self._changed = self._changed or done or not self.session.runs_setup
        self._off = self._off or not wanted

    def setup_edited(self) -> None:
        """The pins in the notebook may be others now."""
        self._changed = True

    def cell_recorded(self, result: Any) -> None:
        """See that the lock is of the pins that stand in the notebook now."""
        if not self._changed:
            return
        if self._unused:
            say(
                f"Lock: not used: {self._unused}.",
                "The lines were installed as they read; what they need was not held.",
            )
        writer = self.session.writer()
        if writer is None or not writer.can_keep:
            return
        try:
            self._renew(writer)
        except KeyboardInterrupt:
            say("Lock: not made: interrupted. Make it later: %pin lock")
        except bad_input() as error:
            what = str(error).split("\n")[0].replace("; nothing was installed", "")
            say(f"Lock: not made: {what}", "Make it later: %pin lock")

    def _renew(self, writer: Writer) -> None:
        from .lock.make import line_of
        from .lock.model import OFF, Lock

        text = read_kept(self.session.host, self.session.site, "lock")
        if self._off or text == OFF:
            if text != OFF:
                writer.keep("lock", OFF)
                say("Lock: none in this notebook from now on; again: %pin lock")
            return
        pins = self.pins()
        try:
            old = Lock.decode(text) if text else None
        except ColabMagicsError:
            old = None
        lines = sorted(line_of(step, self.session.host) for step in pins)
        if old is not None and lines == sorted(old.lines):
            return
        if pins:
            self.make(pins, writer, old)
        elif text:
            writer.keep("lock", None)

    def pins(self) -> List[Any]:
        """The ``%pin`` lines of the setup cell."""
        steps: Sequence[Optional[Step]] = [x.step for x in self.session.lines()[0] or ()]
        return [step for step in steps if step is not None and step.word == "pin"]

    def make(self, pins: Sequence[Any], writer: Writer, old: Optional[Lock]) -> Optional[Lock]:
        """Make it and keep it in the notebook; None where another Python would have to."""
        from .environments.interpreters import runs
        from .lock.make import make

        if not all(runs(step.python) for step in pins):
            return None
        status = Status(self.session.host, quiet=False)
        status("looking up what to lock")
        try:
            made = make(pins, self.session.host, status)
        except BaseException:
            status.done(None)
            raise
        if old is not None and old.same(made.lock):
            status.done(None)
            return old
        if holds_secret(made.lock.text()):  # an index can put into a version what it was told
            status.done(None)
            say("Lock: none: a secret stands in what the index answers")
            return old
        state = ""
        if made.lock.packages:
            state = writer.keep("lock", made.lock.encode())
        elif old is not None:
            writer.keep("lock", None)
        status.done(None)
        if made.lock.packages or made.left:
            say(_said(made, state))
        return made.lock


class InstalledPast(Hook):
    """Says what a cell has installed past ``%pin``, which the setup cell does not know."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._before: Optional[Before] = None

    def cell_begins(self, source: str) -> None:
        """Look at the environment, if this cell may change it."""
        self._before = None
        if "install" in source:  # most cells install nothing, and this imports what pins need
            from .drift import look_before

            self._before = look_before(source)

    def cell_recorded(self, result: Any) -> None:
        """Say what has changed; each thing once."""
        if self._before is not None:
            from .drift import look_after

            look_after(self.session, self.session.source, self._before)


def _unfit(lock: Lock) -> str:
    """Why a lock is of no use here; empty where it is."""
    import os

    from .pip_config import read_settings
    from .uv import Uv

    without = Uv().available(read_settings(os.environ))
    return f"that takes uv, and {without}" if without else lock.unfit()


def _said(made: Made, state: str) -> str:
    count = len(made.lock.packages)
    kept = f"{count} packages with their hashes" if count != 1 else "1 package with its hash"
    left = f"; left out, in no index: {_some(made.left)}" if made.left else ""
    if not count:
        return f"Lock: none: no index has {_some(made.left)}"
    return f"Lock: {kept}{'' if state != 'written' else ', not saved yet'}{left}"


def _some(names: Tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if names[4:] else "")
