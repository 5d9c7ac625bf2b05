"""Taking the last installation back: the versions from before return, what was new goes."""

from typing import Dict, List

from ..core.errors import InstallFailed
from ..core.steps import Progress
from . import integrity, journal
from .installer import Job
from .journal import History
from .transaction import Changes, Work, carry_out, put_back, text_of


def undo(last: History, progress: Progress) -> Changes:
    """Put the environment back to before the last installation, and say what that changed.

    What was changed again since then is left as it is now. `InstallFailed`, and nothing is
    changed, where a version from before can be had from nowhere.
    """
    with journal.locked(progress) as keeps:
        job = Job(progress, keeps)
        if journal.pending():
            carry_out(job, Work((), (), lambda: None))
        here = integrity.present()
        now = {name: v for name, v in last.changes.items() if here.get(name, "") == v[1]}
        _refuse([f"{name} {old}" for name, (old, _) in now.items() if _lost(name, old, last)])
        back = {name: text_of(name, old, last.origins) for name, (old, _) in now.items() if old}
        new = [name for name, (old, _) in now.items() if not old]
        work = Work(tuple(back.values()), (), lambda: _do(job, last, back, new))
        done = carry_out(job, work)
    journal.forget_last()
    return done.changes


def _lost(name: str, old: str, last: History) -> bool:
    """Whether a version came with the machine: no index is known that has it."""
    return "+" in old and not last.origins.get(name) and not last.places.get(name)


def _refuse(lost: List[str]) -> None:
    if lost:
        raise InstallFailed(
            f"{', '.join(lost)} cannot be put back; nothing was changed.",
            "It came with this machine, from an index that is not known: start a fresh machine.",
        )


def _do(job: Job, last: History, back: Dict[str, str], new: List[str]) -> None:
    """Install first: what cannot be had is known before anything is removed."""
    left = dict(back)
    while left:
        place = last.places.get(next(iter(left)), {})  # as the line from before said it
        names = [name for name in left if last.places.get(name, {}) == place]
        put_back(job.of(place), (), [left.pop(name) for name in names])
    if new:
        status, said = job.uninstall(new)
        if status:
            raise InstallFailed(f"{', '.join(new)} could not be removed.", "", "\n".join(said))
