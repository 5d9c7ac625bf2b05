"""Installing what differs into the kernel's own interpreter, or leaving all as it was."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Dict, FrozenSet, List, Optional, Sequence, Set, Tuple

from ..core.display import Report
from ..core.errors import InstallFailed
from ..core.steps import Progress
from .as_of import hold_to_day
from .day import without_day
from .environment import Needs, canonical_name, find, why_not
from .installer import KERNEL
from .integrity import origin_files
from .job import Job
from .journal import locked
from .plan import table
from .requirements import project_name, requirement, split_extras, written
from .shipped_origins import remove_shipped
from .transaction import Changes, Done, Work, carry_out, verify

if TYPE_CHECKING:
    from .lock import Lock

#: Variables that have uv build what has a wheel too.
_SOURCES = {"UV_NO_BINARY", "UV_NO_BINARY_PACKAGE"}


def install(
    needs: Needs,
    line: Dict[str, str],
    options: FrozenSet[str],
    progress: Progress,
    lock: Optional[Lock] = None,
) -> Done:
    """Install what does not hold, and return what changed; `InstallFailed` leaves all as it was.

    ``line`` are the settings that the line itself makes, ``options`` see `PinStep`, ``lock`` what
    fixes the rest. What an earlier installation that was cut off has damaged is repaired. One at
    a time: another is waited for.
    """
    with locked(progress) as inherited:
        job = _job(needs, line, options, progress, lock, inherited)
        options = _with_sources(options, job, needs)
        only = "wheels_only" in options and "build" not in options
        hold_to_day(job, needs, _arguments(needs, options)[0], only)
        # While the old RECORDs are there.
        loaded, unmet = job.loaded, job.installed.broken()
        work = Work(
            tuple(needs.texts),
            tuple(needs.lines),
            lambda: _install(job, needs, options, lock),
        )
        done = carry_out(job, work)
        new = job.installed.broken() - unmet if done.changes or done.repaired else ()
        notes = (*job.notes, *(job.describe_builds() if "build" not in options else ()))
        return replace(done, notes=notes, loaded=loaded, breaks=tuple(sorted(new)))


def rehearse(
    needs: Needs,
    line: Dict[str, str],
    options: FrozenSet[str],
    progress: Progress,
    lock: Optional[Lock] = None,
) -> Report:
    """Return what `install` would do, changing nothing; `InstallFailed` where it would fail."""
    job = _job(needs, line, options, progress, lock)
    options = _with_sources(options, job, needs)
    hold_to_day(job, needs, _arguments(needs, options)[0], "build" not in options)
    try:
        plan = job.rehearse(*_arguments(needs, options), wheels_only="build" not in options)
    except InstallFailed as error:
        raise _with_lock(error, lock) from None
    if plan is None:
        return Report(("Nothing was changed. To show a plan, pip has to be 22.2 or later.",))
    installed = job.installed.versions()
    warnings = job.warn(plan, installed, offer="build" not in options)
    verb = "Nothing was changed. Would install"
    return table(plan, needs.names, installed, [*job.notes, *warnings], verb)


def _job(
    needs: Needs,
    line: Dict[str, str],
    options: FrozenSet[str],
    progress: Progress,
    lock: Optional[Lock],
    inherited: Sequence[int] = (),
) -> Job:
    """Return the job, with what the lock holds it to, unless it would break the kernel."""
    hold = "allow_kernel_changes" not in options
    _guard(needs.texts if hold else ())
    job = Job(progress, inherited, line if lock is None else without_day(line), hold)
    if lock is not None:
        urls = {canonical_name(need.name): need.url for need in map(requirement, needs.texts)}
        job.locked += lock.constraints({name: url for name, url in urls.items() if url})
    return job


def _with_sources(options: FrozenSet[str], job: Job, needs: Needs) -> FrozenSet[str]:
    """Add ``build`` where the user's own settings ask for sources."""
    settings = [*job.settings.words("no-binary"), *os.environ.keys() & _SOURCES]
    wanted = settings or any("--no-binary" in line for line in needs.lines)
    return options | {"build"} if wanted else options


def _install(job: Job, needs: Needs, options: FrozenSet[str], lock: Optional[Lock]) -> None:
    """Have the installer do it, and check what it has done."""
    origins = origin_files()
    try:
        only = "wheels_only" in options and "build" not in options
        job.install(*_arguments(needs, options), first=needs.names, wheels_only=only)
    except InstallFailed as error:
        raise _with_lock(error, lock) from None
    by_url = [need.name for need in map(requirement, needs.texts) if need.url]
    remove_shipped(origins, by_url, _editable_folders(needs))
    verify(job, needs.lines)


def _arguments(
    needs: Needs, options: FrozenSet[str]
) -> Tuple[List[str], List[str], Optional[List[str]]]:
    """Return the lines of a requirements file, what comes from another place, what is renewed."""
    folders = [f"-e {written(str(folder))}" for folder in needs.folders]
    required = map(requirement, needs.texts)
    reinstall = [need.name for need in required if need.url and why_not(need)]
    newest = needs.names if "upgrade" in options else None
    if "upgrade_all" in options:
        newest = []
    return [*needs.lines, *folders, *needs.texts], reinstall, newest


def _editable_folders(needs: Needs) -> Set[Path]:
    matches = (re.match(r"(?:-e|--editable)\s+(.+)", line) for line in needs.lines)
    folders = [*map(str, needs.folders), *(match[1] for match in matches if match)]
    return {Path(split_extras(folder)[0]).resolve() for folder in folders}


def _with_lock(error: InstallFailed, lock: Optional[Lock]) -> InstallFailed:
    """Return the error with what a person can do about the lock, if there is one."""
    if lock is None:
        return error
    hint = f"{error.hint} Or renew the lock: %pin lock --upgrade"  # it may hold what is gone
    message = error.message
    if error.code == "hash-mismatch" and error.package:
        message = f"The hash of {error.package} is not the one in the lock; nothing was installed."
        hint = "Ask who made the notebook; or lock what the index has now: %pin lock --upgrade"
    return InstallFailed(message, hint.strip(), error.details, code=error.code)


def _guard(requirements: Sequence[str]) -> None:
    """Refuse what would break the kernel."""
    for text in requirements:
        if project_name(text) in KERNEL and why_not(requirement(text)):
            raise InstallFailed(
                f"{requirement(text).name} runs this kernel; another version would break it.",
                "Take it off the line; or install it with --allow-kernel-changes, and restart.",
                code="kernel-held",
            )


def summary(changes: Changes, requirements: Sequence[str]) -> str:
    """Return what changed in one line: what the line names, and a count of what came with it."""
    named = [name for name in map(project_name, requirements) if name in changes]
    shown = [(_spell(name, changes[name][1]), changes[name][0]) for name in named or changes][:5]
    if len(changes) == 1:
        ((text, old),) = shown
        return f"{text} installed" + (f" (was {old})" if old else "")
    texts = [f"{text} (was {old})" if old else text for text, old in shown]
    more = len(changes) - len(shown)
    return ", ".join(texts) + (f" and {more} more" if more else "") + " installed"


def _spell(name: str, version: str) -> str:
    distribution = find(name)
    return f"{(distribution.metadata['Name'] if distribution else None) or name} {version}"
