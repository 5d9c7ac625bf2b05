"""Installing what differs into the kernel's own interpreter, or leaving all as it was."""

from __future__ import annotations

import re
import sys
import sysconfig
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Dict, FrozenSet, List, Optional, Sequence, Set

from ..core.display import Report
from ..core.errors import InstallFailed
from ..core.steps import Progress
from .environment import canonical_name, find, why_not
from .installer import KERNEL, Job
from .journal import locked
from .loaded import owned
from .pip_config import read_settings
from .requirements import key, requirement, split_extras, written
from .shipped_origins import origin_files, remove_shipped
from .transaction import Changes, Done, Work, carry_out, verify

if TYPE_CHECKING:
    from .lock import Lock
    from .step import Wanted


def install(
    wanted: Wanted,
    line: Dict[str, str],
    how: FrozenSet[str],
    progress: Progress,
    lock: Optional[Lock] = None,
) -> Done:
    """Install what does not hold, and say what changed; `InstallFailed` leaves all as it was.

    ``line`` are the settings that the line itself makes, ``how`` see `PinStep`, ``lock`` what
    fixes the rest. What an earlier installation that was cut off has damaged is repaired. One at
    a time: another is waited for.
    """
    changes_kernel = "allow_kernel_changes" in how
    _guard(wanted.texts, changes_kernel)
    with locked(progress) as keeps:
        job = _job(wanted, lock, Job(progress, keeps, line, hold=not changes_kernel))
        loaded, unmet = owned(job.here), job.here.broken()  # while the old RECORDs are there
        do = partial(_install, job, wanted, _newest(wanted, how), lock)
        done = carry_out(job, Work(tuple(wanted.texts), tuple(wanted.lines), do))
        new = job.here.broken() - unmet if done.changes or done.repaired else ()
        return replace(done, notes=job.notes, loaded=loaded, breaks=tuple(sorted(new)))


def rehearse(
    wanted: Wanted,
    line: Dict[str, str],
    how: FrozenSet[str],
    progress: Progress,
    lock: Optional[Lock] = None,
) -> Report:
    """What `install` would do, changing nothing; `InstallFailed` where it would fail."""
    from .index import with_sizes
    from .plan import table

    changes_kernel = "allow_kernel_changes" in how
    _guard(wanted.texts, changes_kernel)
    job = _job(wanted, lock, Job(progress, (), line, hold=not changes_kernel))
    (status, said), plan = job.rehearse(_lines(wanted), _again(wanted), _newest(wanted, how))
    if status:
        raise _failure(job, wanted, said, lock)
    if plan is None:
        return Report(("The pip that is here cannot say what it would do: that takes 22.2.",))
    plan = with_sizes(plan, job.settings, wanted.names)
    notes = [*job.notes, *job.advise(plan)]
    return table(plan, wanted.names, job.here.versions(), notes)


def _job(wanted: Wanted, lock: Optional[Lock], job: Job) -> Job:
    """The job with what the lock holds it to."""
    if lock is not None:
        named = [requirement(text) for text in wanted.texts]
        urls = {canonical_name(one.name): one.url for one in named if one.url}
        job.locked += lock.constraints(urls)
    return job


def _newest(wanted: Wanted, how: FrozenSet[str]) -> Optional[List[str]]:
    """The names that are to be taken in newer versions, as ``how`` says; an empty list: all."""
    if "upgrade_all" in how:
        return []
    return wanted.names if "upgrade" in how else None


def _install(job: Job, wanted: Wanted, newest: Optional[List[str]], lock: Optional[Lock]) -> None:
    """Have the installer do it, and look at what it has done."""
    origins = origin_files()
    status, said = job.install(_lines(wanted), _again(wanted), shown=wanted.names, newest=newest)
    if status:
        raise _failure(job, wanted, said, lock)
    by_url = [asked.name for asked in map(requirement, wanted.texts) if asked.url]
    remove_shipped(origins, by_url, _editable(wanted))
    verify(job, wanted.lines)


def _lines(wanted: Wanted) -> List[str]:
    """All that is wanted, as the lines of a requirements file."""
    folders = [f"-e {written(str(folder))}" for folder in wanted.folders]
    return [*wanted.lines, *folders, *wanted.texts]


def _editable(wanted: Wanted) -> Set[Path]:
    """The folders that are to be installed so that edits take effect."""
    lines = [
        line.split(None, 1)[1] for line in wanted.lines if re.match(r"-e\s|--editable\s", line)
    ]
    return {Path(split_extras(str(folder))[0]).resolve() for folder in (*wanted.folders, *lines)}


def _again(wanted: Wanted) -> List[str]:
    """The names of what is to come from a URL, and is here from elsewhere."""
    asked = map(requirement, wanted.texts)
    return [one.name for one in asked if one.url and why_not(one)]


def _failure(job: Job, wanted: Wanted, said: Sequence[str], lock: Optional[Lock]) -> InstallFailed:
    """Why the installer could not do it."""
    from .failure import explain

    other = re.search(r"[Hh]ash mismatch for `?([\w.-]+)", " ".join(said))
    if lock is not None and other:
        return InstallFailed(
            f"{other.group(1)} is not the file that the lock names: its hash differs; "
            "nothing was installed.",
            "Ask who made the notebook; or lock what the index has now: %pin lock --upgrade",
        )
    missing = [text for text in wanted.texts if why_not(requirement(text))]
    error = _against_the_kernel(said) or explain(missing, job.settings, said)
    if lock is None:
        return error
    hint = f"{error.hint} Or renew the lock: %pin lock --upgrade"  # it may hold what is gone
    return InstallFailed(error.message, hint.strip(), error.details)


def _guard(requirements: Sequence[str], changes_kernel: bool) -> None:
    """Refuse what would break the kernel or a Python that the system manages."""
    for text in () if changes_kernel else requirements:
        if key(text).split(";")[0] in KERNEL and why_not(requirement(text)):
            raise InstallFailed(
                f"{requirement(text).name} runs this kernel; another version would break it.",
                "Take it off the line; or install it with --allow-kernel-changes, and restart.",
            )
    marker = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    allowed = read_settings().on("break-system-packages")
    if marker.exists() and sys.prefix == sys.base_prefix and not allowed:
        raise InstallFailed(
            "This Python belongs to the operating system (PEP 668); nothing was installed.",
            "Use a kernel in an environment of its own: python3 -m venv NAME.",
        )


def _against_the_kernel(said: Sequence[str]) -> Optional[InstallFailed]:
    """The error where an installer says that something needs another version of the machinery."""
    for who, need in _NEEDS.findall(" ".join(" ".join(said).split())):
        asked = requirement(need)
        if canonical_name(asked.name) in KERNEL and why_not(asked):
            return InstallFailed(
                f"{who} needs {need}, and {asked.name} runs this kernel; nothing was installed.",
                "Pin another version; or install it with --allow-kernel-changes, and restart.",
            )
    return None


#: As uv and pip say what pulls at what: ``a==1.0 depends on b>=2``, ``a 1.0 depends on b>=2``.
_NEEDS = re.compile(
    r"([A-Za-z][\w.-]*)(?:[<>=!~ ]+\d[\w.+]*)? depends? on "
    r"([A-Za-z][\w.-]*\w(?:[<>=!~,]+\d[\w.*+]*)*)"
)


def summary(changes: Changes, asked: Sequence[str]) -> str:
    """What changed in one line: what was asked for, and a count of what came with it."""
    named = [name for name in (key(text).split(";")[0] for text in asked) if name in changes]
    shown = [_arrow(name, *changes[name]) for name in (named or list(changes))[:5]]
    more = len(changes) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "") + " installed"


def _arrow(name: str, old: str, new: str) -> str:
    found = find(name)
    spelled = (found.metadata["Name"] if found else None) or name
    return f"{spelled} {old} -> {new}" if old else f"{spelled} {new}"
