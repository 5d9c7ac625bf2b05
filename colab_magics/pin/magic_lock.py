"""``%pin lock``: make the notebook's lock, compare this machine with it, or renew it."""

from __future__ import annotations

from argparse import Namespace
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, List, Optional, Sequence

from ..core.errors import ColabMagicsError, LockDiffers, NotebookError, input_errors, usage_error
from ..core.redact import holds_secret
from ..extension.magic import Call
from ..extension.output import Status, say
from ..notebook.reading import read_stored
from ..notebook.writers.base import Writer
from .environment import versions
from .environments.interpreters import runs
from .lock import OFF, Lock, read_lock
from .lock_maker import line_of, make
from .step import PinStep

if TYPE_CHECKING:
    from ..extension.session import Session


def lock(magic: Any, call: Call, arguments: Namespace) -> Optional[Lock]:
    """Lock what is installed; ``--check`` compares, ``--upgrade`` first installs newer versions."""
    session: Session = magic.session
    if arguments.check:
        return _check(session)
    pins = recorded_pins(session)
    if not pins:
        raise usage_error(
            "%pin lock: this notebook pins nothing yet.",
            "For instance: %pin numpy==2.1.3",
            code="no-pins",
        )
    if not all(runs(step.python) for step in pins):
        raise usage_error(
            "%pin lock: a line wants another Python.",
            "Run the setup cell first.",
            code="other-python",
        )
    writer = session.writer()
    if writer is None or not writer.can_set_metadata:
        raise NotebookError(
            "The lock cannot be saved from here: it is kept in the notebook's metadata.",
            "Open it in JupyterLab or Notebook 7, or: colab-magics run NOTEBOOK",
            code="no-metadata",
        )
    for step in pins if arguments.upgrade else ():
        magic.apply_step(replace(step, modes=frozenset({"upgrade_all"})), call)
    old = None
    with suppress(ColabMagicsError):  # an unreadable one is replaced
        old = read_lock(session.host, session.site)
    made = _make(session, pins, writer, old)
    if made is old:
        say("The lock is up to date")
    return made


def recorded_pins(session: Session) -> List[PinStep]:
    """Return the ``%pin`` lines of the setup cell."""
    steps = [line.step for line in session.lines()[0] or ()]
    return [step for step in steps if isinstance(step, PinStep)]


def _check(session: Session) -> Lock:
    """Return the lock; `LockDiffers` if something is not as it says."""
    lock = read_lock(session.host, session.site)
    if lock is None:
        raise LockDiffers("This notebook has no lock.", "Make one: %pin lock", code="no-lock")
    lines = {line_of(step, session.host) for step in recorded_pins(session)} ^ {*lock.lines}
    installed = versions()
    reasons = [
        *filter(None, [lock.mismatch()]),
        *(f"the line {line} was added or removed since" for line in sorted(lines)),
        *(
            f"{name} {installed.get(name, 'is missing')}, locked {version}"
            for name, version in lock.versions.items()
            if installed.get(name) != version
        ),
    ]
    if reasons:
        more = f" and {len(reasons) - 3} more" if reasons[3:] else ""
        raise LockDiffers(
            f"This machine differs from the lock: {'; '.join(reasons[:3])}{more}.",
            "Run the setup cell; or make the lock of what is here: %pin lock",
            "\n".join(reasons[3:]),
        )
    count = len(lock.packages)
    packages = f"{count} packages" if count != 1 else "1 package"
    say(f"This machine is as the lock says ({packages}, made {lock.about['made']})")
    return lock


# ---------------------------------------------------------------------- after a cell
def renew(session: Session, off: bool, unused: str) -> None:
    """Make the lock again if the pins in the notebook changed; ``off`` gives it up.

    ``unused`` is why lines of the cell were not held to it. Errors become messages: what the cell
    installed is installed.
    """
    if unused:
        say(
            f"Lock not used: {unused}.",
            "The lines were installed as written, and what they need in any version that fits.",
        )
    writer = session.writer()
    if writer is None or not writer.can_set_metadata:
        return
    try:
        _renew(session, writer, off)
    except KeyboardInterrupt:
        say("Lock not updated: interrupted.", _LATER)
    except input_errors() as error:
        say("Lock not updated.", str(error).split("\n")[0], _LATER)


_LATER = "Update it later: %pin lock"


def _renew(session: Session, writer: Writer, off: bool) -> None:
    text = read_stored(session.host, session.site, "lock")
    if off and text != OFF:
        writer.set_metadata("lock", OFF)
        say("This notebook keeps no lock from now on. To keep one again: %pin lock")
    if off or text == OFF:
        return
    pins = recorded_pins(session)
    old = None
    with suppress(ColabMagicsError):  # an unreadable one is replaced
        old = Lock.decode(text) if text else None
    lines = sorted(line_of(step, session.host) for step in pins)
    if old is not None and lines == sorted(old.lines):
        return
    if not pins and text:
        writer.set_metadata("lock", None)
    elif pins and all(runs(step.python) for step in pins):
        _make(session, pins, writer, old)


def _make(
    session: Session, pins: Sequence[PinStep], writer: Writer, old: Optional[Lock]
) -> Optional[Lock]:
    """Make a lock and save it in the notebook; return the old one if that says the same."""
    with Status(session.host, quiet=False) as status:
        status("looking up what to lock")
        lock, missing = make(pins, session.host, status)
        status.done(None)
    if old is not None and old.same(lock):
        return old
    if holds_secret(lock.text()):  # an index can put into a version what it was sent
        say("Lock not updated: what the index answered contains a secret")
        return old
    names = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if missing[4:] else "")
    if lock.packages:
        count = len(lock.packages)
        packages = f"{count} packages" if count != 1 else "1 package"
        unsaved = (
            ", not saved yet" if writer.set_metadata("lock", lock.encode()) == "written" else ""
        )
        left_out = f". Not in it, as no index has it: {names}" if names else ""
        say(f"Lock updated ({packages}){unsaved}{left_out}")
        return lock
    if old is not None:
        writer.set_metadata("lock", None)
    if missing:
        say(f"No lock: no index has {names}")
    return lock
