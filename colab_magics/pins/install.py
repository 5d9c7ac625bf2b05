"""Installing what differs into the kernel's own interpreter, or leaving all as it was."""

import re
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Dict, FrozenSet, Optional, Sequence

from ..errors import InstallFailed
from ..steps import Progress
from . import whole
from .guarded import Changes, Done, Work, carry_out, verify
from .installed import canonical_name, find, why_not
from .job import KERNEL, Job
from .journal import locked
from .requirements import key, requirement, written
from .settings import read_settings

if TYPE_CHECKING:
    from .step import Wanted

__all__ = ["install", "summary"]


def install(
    wanted: "Wanted", line: Dict[str, str], how: FrozenSet[str], progress: Progress
) -> Done:
    """Install what does not hold, and say what changed; `InstallFailed` leaves all as it was.

    ``line`` are the settings that the line itself makes, ``how`` see `PinStep`. What an earlier
    installation that was cut off has damaged is repaired. One at a time: another is waited for.
    """
    changes_kernel = "allow_kernel_changes" in how
    _guard(wanted.texts, changes_kernel)
    with locked(progress) as keeps:
        job = Job(progress, keeps, line, hold=not changes_kernel)
        names = [key(text).split(";")[0] for text in wanted.texts]
        more = job.upgrade(names) if "upgrade" in how else []
        work = Work(tuple(wanted.texts), tuple(wanted.lines), lambda: _bring(job, wanted, more))
        return carry_out(job, work)


def _bring(job: Job, wanted: "Wanted", more: Sequence[str]) -> None:
    """Have the installer do it, and look at what it has done."""
    folders = [f"-e {written(str(folder))}" for folder in wanted.folders]
    lines = [*wanted.lines, *folders, *wanted.texts]
    asked = [(text, requirement(text)) for text in wanted.texts]
    again = [one.name for _, one in asked if one.url and why_not(one)]
    before = whole.present()
    status, said = job.install(lines, again, more)
    if status:
        from .index import explain

        missing = [text for text, one in asked if why_not(one)]
        raise _against_the_kernel(said) or explain(missing, job.settings, said)
    changed = [name for name, version in whole.present().items() if before.get(name) != version]
    names = [key(text).split(";")[0] for text in wanted.texts]
    verify(lambda: job.install(lines, fresh=True)[0], [*changed, *names])


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
