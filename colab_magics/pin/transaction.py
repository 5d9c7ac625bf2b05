"""Changing the environment so that it is never left broken.

What is to be done is on disk before it begins, and what the installer is about to change before
it does so (`journal`); afterwards each changed distribution is checked file by file (`integrity`).
A failure is rolled back. What was cut by a kill is repaired by the next change. Both touch only
what that installer was about to change: what anybody else did meanwhile is theirs.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import AbstractSet, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ..core.errors import ColabMagicsError, InstallFailed
from ..core.steps import Progress
from . import integrity, journal
from .environment import broken
from .installer import Job
from .journal import History, Journal
from .loaded import Owned
from .requirements import carries_secret, key

#: Canonical name → (version before or "", version now or "").
Changes = Dict[str, Tuple[str, str]]


@dataclass(frozen=True)
class Done:
    """What an installation changed, and which distributions it found damaged and repaired."""

    changes: Changes
    repaired: Tuple[str, ...] = ()
    #: What was said of the plan before it was carried out.
    notes: Tuple[str, ...] = ()
    #: What each distribution owned of the loaded modules before.
    loaded: Mapping[str, Owned] = field(default_factory=dict)
    #: Needs that were met before, and are not now.
    breaks: Tuple[str, ...] = ()

    @property
    def mended(self) -> str:
        """What is to be said of an earlier installation that was cut off; empty: nothing."""
        if not self.repaired:
            return ""
        named = ", ".join(self.repaired[:5]) + (", ..." if len(self.repaired) > 5 else "")
        many = f"{len(self.repaired)} packages were" if len(self.repaired) > 1 else "1 package was"
        return f"An earlier install was cut off; {many} damaged and repaired: {named}"


@dataclass(frozen=True)
class Work:
    """What is to be done: requirements with their option lines, and how to bring them about."""

    asked: Tuple[str, ...]
    options: Tuple[str, ...]
    do: Callable[[], None]

    def begun(
        self, line: Dict[str, str], old: Optional[Journal], lost: AbstractSet[str]
    ) -> Journal:
        """The journal of this work; what an earlier one has ``lost`` still counts as there."""
        asked = tuple(text for text in self.asked if not carries_secret(text))
        options = tuple(line for line in self.options if not carries_secret(line))
        line = {name: value for name, value in line.items() if not carries_secret(value)}
        before, origins = integrity.present(), integrity.sources()
        if old is not None:
            before.update((name, old.before[name]) for name in lost)
            origins = {**old.origins, **origins}
        return Journal(asked, options, before, origins, journal.clock(), line)


def carry_out(job: Job, work: Work) -> Done:
    """Do the work: afterwards all is whole, or as it was, or a journal says what to repair."""
    old = journal.read() if journal.pending() else None
    damaged = _take_away(old) if old else set()
    if old is None or not (damaged or broken(journal.planned())):
        journal.drop()
    elif not set(old.asked) <= set(work.asked):
        _finish(job, old, damaged - _names(work.asked))
    lost = _gone(damaged & old.before.keys()) if old else set()
    now = work.begun(job.line, old, lost)
    journal.write(now)
    try:
        work.do()
    except BaseException as error:
        _after_failure(job, now, error)
        raise
    put_back(job, now.options, _texts(now, _gone(lost)))
    changes = _changes(now)  # while the journal is there, which says what was to be changed
    _keep_last(now, changes)
    integrity.discard(journal.planned())
    journal.drop()
    return Done(changes, tuple(sorted(damaged - _gone(damaged))))


def _gone(names: AbstractSet[str]) -> Set[str]:
    """Those of these distributions that are not there any more."""
    return names - integrity.present().keys() if names else set()


def _names(texts: Sequence[str]) -> Set[str]:
    return {key(text).split(";")[0] for text in texts}


# ---------------------------------------------------------------------- what was cut
def _take_away(old: Journal) -> Set[str]:
    """Uninstall what an installation that was cut off has left in pieces; name that, and the lost.

    Those are of what it was about to change. Where that is not known it had hardly begun: then
    what was there before may be in pieces, but what is gone was uninstalled by somebody.
    """
    planned = journal.planned()
    names = planned or {*old.before, *_names(old.asked)}
    torn = integrity.torn(names, old.since, known=bool(planned))
    journal.note(torn)  # from here on they are lost, should this be cut too
    integrity.remove(torn)
    return {*torn, *_gone(planned & old.before.keys())}


def _finish(job: Job, old: Journal, lost: AbstractSet[str]) -> None:
    """Install what a cut line asked for; then what is lost still, as it was before.

    What is there in another version by now stays as it is.
    """
    here = integrity.present()
    new = {name: f"{name}=={here[name]}" for name in here if here[name] != old.before.get(name)}
    texts = [new.get(name, text) for text in old.asked for name in _names([text])]
    stays = [new[name] for name in sorted(new.keys() & journal.planned())]
    with suppress(ColabMagicsError):  # where it fails, what was there before will do
        job.of(old.line).install(list(dict.fromkeys([*old.options, *texts, *stays])))
    put_back(job, old.options, _texts(old, _gone(lost & old.before.keys())))


# ---------------------------------------------------------------------- what an installer did
def _ours(now: Journal) -> Set[str]:
    """What the installer was asked for, and what it was about to change."""
    return journal.planned() | _names(now.asked)


def _changes(now: Journal) -> Changes:
    before, after = now.before, integrity.present()
    return {
        name: (before.get(name, ""), after.get(name, ""))
        for name in sorted(_ours(now))
        if before.get(name) != after.get(name)
    }


def _keep_last(now: Journal, changes: Changes) -> None:
    if changes:
        sources = {name: url for name, url in now.origins.items() if name in changes}
        journal.keep_last(History(changes, sources))


def _after_failure(job: Job, now: Journal, error: BaseException) -> None:
    """See that all is as it was; else the journal stays, and says what to repair."""
    torn, changes = integrity.torn(_ours(now), now.since), _changes(now)
    if not torn and not changes:
        journal.drop()
    elif isinstance(error, Exception):
        try:
            _roll_back(job, now, torn)
        except InstallFailed:
            raise InstallFailed(
                f"{error.args[0].splitlines()[0] if error.args else error} This was in the midst "
                "of the installation, and what was there before could not be put back.",
                "Free disk space or check the network, then run it again: that repairs it.",
            ) from error
    elif not torn and all(new for _, new in changes.values()):  # it was held to its end
        _keep_last(now, changes)
        journal.drop()


def _roll_back(job: Job, now: Journal, torn: integrity.Places) -> None:
    """Put everything back that an installer changed before it failed."""
    integrity.remove(torn)
    integrity.sweep(job.records(_ours(now)), now.since)
    changes = _changes(now)
    new = [name for name, (old, _) in changes.items() if not old]
    if new:
        job.uninstall(new)
    put_back(job, now.options, _texts(now, {name for name, (old, _) in changes.items() if old}))
    integrity.discard(journal.planned())
    if integrity.torn(_ours(now), now.since) or _changes(now):
        raise InstallFailed("What was there before could not be put back.")
    journal.drop()


def _texts(now: Journal, names: AbstractSet[str]) -> List[str]:
    return [text_of(name, now.before[name], now.origins) for name in sorted(names)]


def put_back(job: Job, options: Sequence[str], texts: Sequence[str]) -> None:
    """Install versions from before, and nothing with them; `InstallFailed` if one is lost."""
    if not texts:
        return
    status, said = job.install([*options, *texts], more=_ALONE)
    if status:
        from .failure import explain

        raise explain(texts, job.settings, said)


#: Words for either installer: just these, whatever is there.
_ALONE = ("--no-deps", "--force-reinstall")


def text_of(name: str, version: str, origins: Dict[str, str]) -> str:
    """The requirement that brings a version back."""
    return f"{name} @ {origins[name]}" if origins.get(name) else f"{name}=={version}"


def verify(job: Job, options: Sequence[str]) -> None:
    """See that all that was to be changed is whole; else have it installed once more.

    `InstallFailed` where files are missing after that. Sizes that are wrong in the same way both
    times are the package's own mistake.
    """
    names = journal.planned()
    first = integrity.faults(names)
    if not first:
        return
    here, origins = integrity.present(), integrity.sources()
    texts = [text_of(name, here[name], origins) for name in sorted(first)]
    status, _ = job.install([*options, *texts], more=_ALONE, fresh=True)
    second = integrity.faults(names)
    bad = [
        name for name, found in second.items() if None in found.values() or found != first.get(name)
    ]
    if status or bad:
        lost: List[str] = bad or sorted(first)
        raise InstallFailed(
            f"{', '.join(lost)} not installed whole: files are missing, also on a second try.",
            "Check the disk, and what else changes this environment; then run it again.",
        )


# ---------------------------------------------------------------------- undo
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
