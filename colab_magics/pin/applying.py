"""What a ``%pin`` does on this machine: whether it holds, what would be done, doing it."""

from dataclasses import replace
from typing import TYPE_CHECKING, Optional, Tuple

from ..core.display import Report
from ..core.errors import ColabMagicsError, InstallFailed
from ..core.host import Host
from ..core.steps import Outcome, Progress, Verdict
from .environments.interpreters import platform, runs
from .journal import disturbs
from .loaded import mark, owned, restart, stale
from .requirements import key, requirement

if TYPE_CHECKING:
    from .lock.model import Lock
    from .step import PinStep, Wanted
    from .transaction import Done


def check(step: "PinStep", host: Host) -> Verdict:
    """Whether it holds; asked in-process, no program is started."""
    if not runs(step.python):
        return Verdict("differs", f"it asks for Python {step.python}; this is {platform()}")
    wanted = step.wanted(host)
    if disturbs(map(_name, wanted.texts)):
        return Verdict("differs", "an earlier install was cut off, or is still going on")
    if step.renews:
        return Verdict("differs", "the newest version that fits is asked for")
    reason = _reason(wanted) or _unlocked(host.lock(step))
    if reason:
        return Verdict("differs", reason)
    if stale(map(_name, wanted.texts)):
        return Verdict("differs", "installed, but an older version is loaded: restart")
    count = len(wanted.texts) + len(wanted.folders)
    many = f"{count} pins already hold" if count != 1 else "1 pin already holds"
    return Verdict("ok", f"{many}, nothing to do")


def apply(step: "PinStep", host: Host, progress: Progress) -> Outcome:
    """Install what differs; what is loaded in an older version asks for a restart."""
    if not runs(step.python):
        from .environments.switch import switch

        elsewhere = switch(step, host, progress)
        return Outcome("applied", "", step.recorded(host), "", elsewhere)
    from .broken import broken

    wanted = _sound(step, host)
    before, unmet = owned(), broken()
    done, message = _brought(step, wanted, host, progress)
    names = [_name(text) for text in wanted.texts]
    mark(done.changes, names, before)
    behind = stale(names)
    new = sorted(broken() - unmet) if done.changes or done.repaired else []
    breaks = (f"This breaks: {text}" for text in new)
    hint = ". ".join(filter(None, [done.mended, *done.notes, *breaks]))
    error = restart(behind) if behind else None
    return Outcome("applied", message, step.recorded(host), hint, error)


def _brought(
    step: "PinStep", wanted: "Wanted", host: Host, progress: Progress
) -> Tuple["Done", str]:
    """Have it installed unless it holds; what that changed, and what to say of it."""
    from .install import install, summary
    from .transaction import Done

    lock = host.lock(step)
    held = not _reason(wanted)
    changes = _unlocked(lock) or disturbs(map(_name, wanted.texts)) or step.renews
    if held and not changes:
        return Done({}), "installed already"
    progress("installing " + ", ".join([*map(_name, wanted.texts), *step.folders][:5]))
    done = install(wanted, step.place(host), step.how, progress, lock)
    reason = _reason(wanted)
    if reason:
        raise InstallFailed(
            f"Installed, and still: {reason}.", "Another copy on sys.path hides it."
        )
    if done.changes:
        return done, summary(done.changes, wanted.texts)
    return done, "installed already" if held else "installed from the place asked for"


def foreseen(step: "PinStep", verdict: Report, host: Host, progress: Progress) -> Report:
    """The plan below what differs; where there can be none, why not."""
    from .install import rehearse

    wanted = _sound(step, host)
    if runs(step.python) and not (_reason(wanted) or _unlocked(host.lock(step)) or step.renews):
        return verdict
    progress(verdict)
    try:
        if runs(step.python):
            plan = rehearse(wanted, step.place(host), step.how, progress, host.lock(step))
        else:
            plan = _elsewhere(step, wanted, host)
    except InstallFailed as error:
        lines = "\n".join(filter(None, (error.what, error.todo, error.details))).splitlines()
        return replace(verdict, lines=(*verdict.lines, *lines))
    return replace(plan, lines=(*verdict.lines, *plan.lines))


def _elsewhere(step: "PinStep", wanted: "Wanted", host: Host) -> Report:
    from .environments import make

    notebook = host.notebook() or host.start / "notebook"
    return make.foreseen(notebook, step.python, wanted.texts, step.place(host))


def _sound(step: "PinStep", host: Host) -> "Wanted":
    """What is wanted; `ColabMagicsError` where a file is missing or it cannot be recorded."""
    for option, place in step.options.pairs:
        if (option, "://" in place) == ("--constraint", False) and not host.resolve(
            place
        ).is_file():
            raise ColabMagicsError(f"There is no constraints file {place}.", "Check the path.")
    step.recorded(host)  # what cannot be recorded is refused before anything is installed
    return step.wanted(host)


def _reason(wanted: "Wanted") -> str:
    """Why something that is wanted does not hold; empty where all of it does."""
    from .environment import is_editable, why_not

    reasons = [why_not(requirement(text)) for text in wanted.texts]
    reasons += [
        None if is_editable(folder) else f"{folder.name} is not installed editable"
        for folder in wanted.folders
    ]
    return next(filter(None, reasons), "")


def _unlocked(lock: Optional["Lock"]) -> str:
    """What is installed otherwise than the lock says; empty where there is none."""
    from .environment import versions

    return lock.differs(versions()) if lock is not None else ""


def _name(text: str) -> str:
    return key(text).split(";")[0]
