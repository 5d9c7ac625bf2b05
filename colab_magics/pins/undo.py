"""Taking the last installation back: the versions from before return, what was new goes."""

from typing import List

from ..errors import InstallFailed
from ..steps import Progress
from . import journal, whole
from .guarded import Changes, Work, carry_out, text_of
from .job import Job
from .journal import History

__all__ = ["undo"]


def undo(last: History, progress: Progress) -> Changes:
    """Put the environment back to before the last installation, and say what that changed.

    What was changed again since then is left as it is now. `InstallFailed`, and nothing is
    changed, where a version from before can be had from nowhere.
    """
    with journal.locked(progress) as keeps:
        job = Job(progress, keeps)
        if journal.pending():
            carry_out(job, Work((), (), lambda: None))
        here = whole.present()
        now = {name: v for name, v in last.changes.items() if here.get(name, "") == v[1]}
        _refuse([f"{name} {old}" for name, (old, _) in now.items() if _lost(name, old, last)])
        back = [text_of(name, old, last.origins) for name, (old, _) in now.items() if old]
        new = [name for name, (old, _) in now.items() if not old]
        done = carry_out(job, Work(tuple(back), (), lambda: _do(job, back, new)))
    journal.forget_last()
    return done.changes


def _lost(name: str, old: str, last: History) -> bool:
    """Whether a version came with the machine: no index is known that has it."""
    return "+" in old and not last.origins.get(name)


def _refuse(lost: List[str]) -> None:
    if lost:
        raise InstallFailed(
            f"{', '.join(lost)} cannot be put back; nothing was changed.",
            "It came with this machine, from an index that is not known: start a fresh machine.",
        )


def _do(job: Job, back: List[str], new: List[str]) -> None:
    """Install first: what cannot be had is known before anything is removed."""
    if back:
        status, said = job.install(back, more=["--no-deps"])
        if status:
            from .index import explain

            raise explain(back, job.settings, said)
    if new:
        status, said = job.uninstall(new)
        if status:
            raise InstallFailed(f"{', '.join(new)} could not be removed.", "", "\n".join(said))
