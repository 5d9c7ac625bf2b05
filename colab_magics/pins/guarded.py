"""Changing the environment so that it is never left broken.

What is to be done is on disk before it begins (`journal`); afterwards each changed distribution
is looked at file by file (`whole`). A failure is rolled back. What was cut by a kill is repaired
by the next change, before anything else.
"""

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import AbstractSet, Callable, Dict, List, Optional, Sequence, Tuple

from ..errors import ColabMagicsError, InstallFailed
from . import journal, whole
from .job import Job
from .journal import History, Journal
from .requirements import carries_secret

__all__ = ["Changes", "Done", "Work", "carry_out", "put_back", "text_of", "verify"]

#: Canonical name → (version before or "", version now or "").
Changes = Dict[str, Tuple[str, str]]


@dataclass(frozen=True)
class Done:
    """What an installation changed, and which distributions it found damaged and repaired."""

    changes: Changes
    repaired: Tuple[str, ...] = ()
    #: An earlier installation had been cut off after it changed something.
    resumed: bool = False
    #: What was said of the plan before it was carried out.
    notes: Tuple[str, ...] = ()

    @property
    def mended(self) -> str:
        """What is to be said of an earlier installation that was cut off; empty: none was."""
        if not self.resumed:
            return ""
        if not self.repaired:
            return "An earlier install was cut off; nothing was damaged."
        named = ", ".join(self.repaired[:5]) + (", ..." if len(self.repaired) > 5 else "")
        many = f"{len(self.repaired)} packages were" if len(self.repaired) > 1 else "1 package was"
        return f"An earlier install was cut off; {many} damaged and repaired: {named}"


@dataclass(frozen=True)
class Work:
    """What is to be done: requirements with their option lines, and how to bring them about."""

    asked: Tuple[str, ...]
    options: Tuple[str, ...]
    do: Callable[[], None]

    def begun(self, old: Optional[Journal], line: Dict[str, str]) -> Journal:
        """The journal of this work; one that takes over from a cut one keeps its beginning."""
        asked = tuple(text for text in self.asked if not carries_secret(text))
        options = tuple(line for line in self.options if not carries_secret(line))
        line = {name: value for name, value in line.items() if not carries_secret(value)}
        if old is None:
            return Journal(asked, options, whole.present(), whole.sources(), journal.clock(), line)
        # With this process's number; should this be cut too, each place may be the one to ask.
        both = tuple(dict.fromkeys((*asked, *old.asked)))
        fresh = Journal(both, (*options, *old.options), old.before, old.origins, old.since)
        return replace(fresh, line={**old.line, **line})


def carry_out(job: Job, work: Work) -> Done:
    """Do the work: afterwards all is whole, or as it was, or a journal says what to repair."""
    old = _unfinished()
    damaged = whole.cut(old.since, old.before) if old else {}
    now = work.begun(old, job.line)
    journal.write(now)
    whole.hide(damaged)
    try:
        if old is not None and not set(old.asked) <= set(work.asked):
            with suppress(ColabMagicsError):  # `put_back` does what it can
                job.of(old.line).install([*old.options, *old.asked])
        work.do()
        if old is not None:
            put_back(job, now.options, _texts(now, now.before.keys() - whole.present().keys()))
    except BaseException as error:
        _after_failure(job, now, error, resumed=old is not None)
        raise
    if old is not None:
        whole.discard(now.since)
    changes = _changes(now.before)
    if changes:
        sources = {name: url for name, url in now.origins.items() if name in changes}
        journal.keep_last(History(changes, sources))
    journal.drop()
    names = tuple(sorted(name for name in damaged if not name.startswith("~")))
    return Done(changes, names, old is not None)


def _unfinished() -> Optional[Journal]:
    """The journal of an installation that was cut off after it changed something."""
    if not journal.pending():
        return None
    old = journal.read()
    if old is None or _as_it_was(old):
        journal.drop()
        return None
    return old


def _as_it_was(now: Journal, trusting: bool = False) -> bool:
    return whole.present() == now.before and not whole.cut(now.since, now.before, trusting)


def _changes(before: Dict[str, str]) -> Changes:
    after = whole.present()
    return {
        name: (before.get(name, ""), after.get(name, ""))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }


# ---------------------------------------------------------------------- when it goes wrong
def _after_failure(job: Job, now: Journal, error: BaseException, resumed: bool) -> None:
    """See that all is as it was; else the journal stays, and says what to repair."""
    if _as_it_was(now, trusting=not resumed):
        journal.drop()
    elif resumed:
        whole.restore()
    elif isinstance(error, Exception):
        try:
            _roll_back(job, now)
        except InstallFailed:
            raise InstallFailed(
                f"{error.args[0].splitlines()[0] if error.args else error} This was in the midst "
                "of the installation, and what was there before could not be put back.",
                "Free disk space or check the network, then run it again: that repairs it.",
            ) from error
    elif not (
        whole.cut(now.since, now.before, trusting=True)
        or now.before.keys() - whole.present().keys()
    ):
        journal.keep_last(History(_changes(now.before), now.origins))  # it was held to its end
        journal.drop()


def _roll_back(job: Job, now: Journal) -> None:
    """Put everything back that an installer changed before it failed."""
    whole.hide(whole.cut(now.since, now.before, trusting=True))
    whole.orphans(now.since)
    new = sorted(whole.present().keys() - now.before.keys())
    if new:
        job.uninstall(new)
    here = whole.present()
    lost = {name for name, old in now.before.items() if here.get(name) != old}
    put_back(job, now.options, _texts(now, lost))
    whole.orphans(now.since)
    whole.discard(now.since)
    if not _as_it_was(replace(now, since=time.time() + 60)):
        raise InstallFailed("What was there before could not be put back.")
    journal.drop()


def _texts(now: Journal, names: AbstractSet[str]) -> List[str]:
    return [text_of(name, now.before[name], now.origins) for name in sorted(names)]


def put_back(job: Job, options: Sequence[str], texts: Sequence[str]) -> None:
    """Install versions from before, and nothing with them; `InstallFailed` if one is lost."""
    if not texts:
        return
    status, said = job.install([*options, *texts], more=["--no-deps"])
    if status:
        from .explain import explain

        raise explain(texts, job.settings, said)


def text_of(name: str, version: str, origins: Dict[str, str]) -> str:
    """The requirement that brings a version back."""
    return f"{name} @ {origins[name]}" if origins.get(name) else f"{name}=={version}"


def verify(again: Callable[[], int], names: Sequence[str]) -> None:
    """See that these distributions are whole, else have them installed ``again``, once.

    `InstallFailed` where files are missing after that. Sizes that are wrong in the same way both
    times are the package's own mistake.
    """
    first = whole.faults(names)
    if not first:
        return
    whole.hide(whole.infos(first))
    status = again()
    second = whole.faults(names)
    bad = [
        name for name, found in second.items() if None in found.values() or found != first.get(name)
    ]
    if status or bad:
        lost: List[str] = bad or sorted(first)
        raise InstallFailed(
            f"{', '.join(lost)} not installed whole: files are missing, also on a second try.",
            "Check the disk, and what else changes this environment; then run it again.",
        )
    whole.discard(time.time() + 60)
