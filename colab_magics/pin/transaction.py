"""Changing the environment so that it is never left broken.

What is to be done is on disk before it begins, and what the installer is about to change before
it does so (`journal`); afterwards each changed distribution is checked file by file (`integrity`).
A failure is rolled back. What was cut by a kill is repaired by the next change. Both touch only
what that installer was about to change: what anybody else did meanwhile is theirs.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import AbstractSet, Callable, Dict, List, Mapping, Sequence, Set, Tuple

from ..core.errors import ColabMagicsError, InstallFailed
from ..core.steps import Progress
from . import integrity, journal
from .environment import Installed
from .job import Job
from .journal import History, Journal
from .requirements import carries_secret, project_name

#: Canonical name → (version before or "", version now or "").
Changes = Dict[str, Tuple[str, str]]
#: Words for either installer: just these, whatever is there.
_ALONE = ("--no-deps", "--force-reinstall")


@dataclass(frozen=True)
class Done:
    """What an installation changed, and which distributions it found damaged and repaired."""

    changes: Changes
    repaired: Tuple[str, ...] = ()
    #: What was said of the plan before it was carried out.
    notes: Tuple[str, ...] = ()
    #: The version of each distribution that owned a loaded module before.
    loaded: Mapping[str, str] = field(default_factory=dict)
    #: Needs that were met before, and are not now.
    breaks: Tuple[str, ...] = ()

    @property
    def repair(self) -> str:
        """What is to be said of an earlier installation that was cut off; empty: nothing."""
        if not self.repaired:
            return ""
        named = ", ".join(self.repaired[:5]) + (", ..." if len(self.repaired) > 5 else "")
        many = f"{len(self.repaired)} packages were" if len(self.repaired) > 1 else "1 package was"
        return f"An earlier install was cut off; {many} damaged and repaired: {named}"


@dataclass(frozen=True)
class Work:
    """Requirements with their option lines, and the call that installs them."""

    requirements: Tuple[str, ...]
    options: Tuple[str, ...]
    do: Callable[[], None]


def carry_out(job: Job, work: Work) -> Done:
    """Do the work: afterwards all is complete, or as it was, or a journal says what to repair."""
    before = integrity.present()
    damaged: Set[str] = set()
    old = journal.read() if journal.pending() else None
    if old is not None:
        damaged = _repair(job, old)
        before = {name: version for name, version in before.items() if name not in damaged}
        before.update({name: old.before[name] for name in damaged & old.before.keys()})
    if not damaged:
        journal.drop()
    now = begin(job.line, work, integrity.present() if damaged else before)
    journal.write(now)
    try:
        work.do()
    except BaseException as error:
        _after_failure(job, now, error)
        raise
    changes = _changes(before, now)  # while the journal is there, which says what was to change
    _save_history(now, changes)
    integrity.discard(journal.planned())
    journal.drop()
    repaired = damaged & integrity.present().keys() if damaged else ()
    return Done(changes, tuple(sorted(repaired)))


def begin(line: Mapping[str, str], work: Work, before: Dict[str, str]) -> Journal:
    """Return the journal of this work, without what carries a secret."""
    return Journal(
        tuple(text for text in work.requirements if not carries_secret(text)),
        tuple(text for text in work.options if not carries_secret(text)),
        before,
        integrity.sources(),
        journal.clock(),
        {name: value for name, value in line.items() if not carries_secret(value)},
    )


# ---------------------------------------------------------------------- what was cut
def _repair(job: Job, old: Journal) -> Set[str]:
    """Finish an installation that was cut off; return what it has left in pieces, or lost.

    Those are of what it was about to change. Where that is not known it had hardly begun: then
    what was there before may be in pieces, but what is gone was uninstalled by somebody.
    """
    planned = journal.planned()
    names = planned or {*old.before, *map(project_name, old.requirements)}
    torn = integrity.torn(names, old.since, known=bool(planned))
    journal.note(torn)  # from here on they are lost, should this be cut too
    integrity.remove(torn)
    here = integrity.present()
    lost = planned & old.before.keys() - here.keys()
    if not torn and not lost and not Installed().broken(planned):
        integrity.discard(planned)
        return set()
    # What is there in another version by now stays as it is.
    new = {name: f"{name}=={here[name]}" for name in here if here[name] != old.before.get(name)}
    texts = [new.get(project_name(text), text) for text in old.requirements]
    texts += [new[name] for name in sorted(new.keys() & planned)]
    with suppress(ColabMagicsError):  # where it fails, what was there before will do
        job.with_line(old.line).install(list(dict.fromkeys([*old.options, *texts])))
    gone = {*torn, *lost} & old.before.keys() - integrity.present().keys()
    _put_back(job, old.options, _texts(old, gone))
    integrity.discard(planned)
    return {*torn, *lost}


# ---------------------------------------------------------------------- what an installer did
def _names(now: Journal) -> Set[str]:
    """Return what the installer was asked for, and what it was about to change."""
    return {*journal.planned(), *map(project_name, now.requirements)}


def _changes(before: Mapping[str, str], now: Journal) -> Changes:
    after = integrity.present()
    return {
        name: (before.get(name, ""), after.get(name, ""))
        for name in sorted(_names(now))
        if before.get(name) != after.get(name)
    }


def _save_history(now: Journal, changes: Changes) -> None:
    if changes:
        sources = {name: url for name, url in now.origins.items() if name in changes}
        journal.save_history(History(changes, sources))


def _after_failure(job: Job, now: Journal, error: BaseException) -> None:
    """Put all back as it was; else the journal stays, and says what to repair."""
    torn, changes = integrity.torn(_names(now), now.since), _changes(now.before, now)
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
                code="not-rolled-back",
            ) from error
    elif not torn and all(new for _, new in changes.values()):  # interrupted, it ran to its end
        _save_history(now, changes)
        journal.drop()


def _roll_back(job: Job, now: Journal, torn: integrity.Places) -> None:
    """Put everything back that an installer changed before it failed."""
    integrity.remove(torn)
    integrity.sweep(job.cached_records(_names(now)), now.since)
    changes = _changes(now.before, now)
    new = [name for name, (old, _) in changes.items() if not old]
    if new:
        job.uninstall(new)
    _put_back(job, now.options, _texts(now, {name for name, (old, _) in changes.items() if old}))
    integrity.discard(journal.planned())
    if integrity.torn(_names(now), now.since) or _changes(now.before, now):
        raise InstallFailed("What was there before could not be put back.")
    journal.drop()


def _texts(now: Journal, names: AbstractSet[str]) -> List[str]:
    return [_text(name, now.before[name], now.origins) for name in sorted(names)]


def _text(name: str, version: str, origins: Mapping[str, str]) -> str:
    """Return the requirement that brings a version back."""
    return f"{name} @ {origins[name]}" if origins.get(name) else f"{name}=={version}"


def _put_back(job: Job, options: Sequence[str], texts: Sequence[str]) -> None:
    """Install versions from before, and nothing with them; `InstallFailed` if one is lost."""
    if texts:
        job.without_day().install([*options, *texts], options=_ALONE)


def verify(job: Job, options: Sequence[str]) -> None:
    """Check that all that was to be changed is complete; else have it installed once more.

    `InstallFailed` where files are missing after that. Sizes that are wrong in the same way both
    times are the package's own mistake.
    """
    names = journal.planned()
    first = integrity.faults(names)
    if not first:
        return
    here, origins = integrity.present(), integrity.sources()
    texts = [_text(name, here[name], origins) for name in sorted(first)]
    bad = sorted(first)
    with suppress(InstallFailed):
        job.install([*options, *texts], options=_ALONE, fresh=True)
        faults = integrity.faults(names).items()
        bad = [name for name, lacks in faults if None in lacks.values() or lacks != first.get(name)]
    if bad:
        raise InstallFailed(
            f"{', '.join(bad)}: files are missing after the installation, also on a second try.",
            "Check the disk, and what else changes this environment; then run it again.",
            code="incomplete",
        )


# ---------------------------------------------------------------------- undo
def undo(last: History, progress: Progress) -> Changes:
    """Put the environment back to before the last installation, and return what that changed.

    What was changed again since then is left as it is now. `InstallFailed`, and nothing is
    changed, where a version from before can be had from nowhere.
    """
    with journal.locked(progress) as inherited:
        job = Job(progress, inherited)
        if journal.pending():
            carry_out(job, Work((), (), lambda: None))
        here = integrity.present()
        now = {name: v for name, v in last.changes.items() if here.get(name, "") == v[1]}
        lost = [name for name, (old, _) in now.items() if "+" in old and not _is_known(name, last)]
        if lost:  # no index is known that has what came with the machine
            named = ", ".join(f"{name} {now[name][0]}" for name in lost)
            raise InstallFailed(
                f"{named} cannot be put back; nothing was changed.",
                "It came with this machine, from an index that is not known: start a fresh one.",
                code="no-origin",
            )
        back = {name: _text(name, old, last.origins) for name, (old, _) in now.items() if old}
        new = [name for name, (old, _) in now.items() if not old]
        work = Work(tuple(back.values()), (), lambda: _undo(job, last, back, new))
        done = carry_out(job, work)
    journal.forget_last()
    return done.changes


def _is_known(name: str, last: History) -> bool:
    return bool(last.origins.get(name) or last.places.get(name))


def _undo(job: Job, last: History, back: Mapping[str, str], new: Sequence[str]) -> None:
    """Install first: what cannot be had is known before anything is removed."""
    places = {tuple(sorted(last.places.get(name, {}).items())) for name in back}
    for place in sorted(places):  # as the line from before said it
        line = dict(place)
        texts = [text for name, text in back.items() if last.places.get(name, {}) == line]
        _put_back(job.with_line(line), (), texts)
    if new:
        job.uninstall(new)
