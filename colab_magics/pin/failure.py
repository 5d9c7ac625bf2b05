"""Why an installation failed: the installer's own sentence, or what the package index has instead.

An index is asked only what installers do not say: which versions of a package there are, and for
which Pythons. What the machine refused is told by its error number (errno), which both uv and pip
print.
"""

from __future__ import annotations

import errno
import re
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Collection, List, Optional, Sequence, Set, Tuple

from ..core.errors import InstallFailed
from ..core.process import within
from .environment import canonical_name
from .environments.interpreters import elsewhere
from .index import File, Unreachable, asked, files_of, host_of
from .pip_config import PipSettings
from .requirements import requirement

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.version import Version


_FULL = "The disk is full; nothing was installed.", "Free some space, and run it again."
_READ_ONLY = (
    "The environment may not be written; nothing was installed.",
    "Use a kernel in an environment of your own: python3 -m venv NAME.",
)
#: Error number of the system → what is wrong with the machine, and what to do.
_MACHINE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _READ_ONLY,
    errno.EROFS: _READ_ONLY,
}
#: As uv prints such a number, and as pip does.
_NUMBER = re.compile(r"(?:\(os error |\[Errno )(\d+)[)\]]")

#: What an error of uv is caused by, below the line that says what failed.
_CAUSE = re.compile(r"\s*([├╰]─▶|caused by:|cause:)", re.I)

#: So many of the requirements that could not be installed are looked up on the indexes, and for so
#: many seconds in all.
_LOOKED_UP = 3
PATIENCE = 6.0


def explain(texts: Sequence[str], settings: PipSettings, lines: Sequence[str]) -> InstallFailed:
    """Make the error for requirements that an installer refused, printing these lines."""
    error = _machine_error(lines)
    if error is None:
        with suppress(TimeoutError):
            error = within(PATIENCE, partial(_look_up, _suspects(texts, lines), settings))
    if error is not None:
        return error
    reason, details = reason_of(lines)
    hint = "Loosen one of the versions, or check the network; then run it again."
    return InstallFailed(f"Not installed: {reason}", hint, details)


def reason_of(lines: Sequence[str]) -> Tuple[str, str]:
    """Return the sentence in which an installer gives its reason, and the lines that follow it."""
    starts = (
        [at for at, line in enumerate(lines) if "ecause " in line or "is caused by:" in line]
        or [at for at, line in enumerate(lines) if line.lower().startswith("error")]
        or [len(lines) - 1]
    )
    block = list(lines[starts[0] :][:9]) if lines else []
    if not block:
        return "the installer gave no reason", ""
    causes = 1 if block[1:] and _CAUSE.match(block[1]) else 0  # uv has the next one on a line below
    sentence = ": ".join(map(_shortened, block[: 1 + causes]))
    return sentence, "\n".join(map(_shortened, block[1 + causes :]))


def _machine_error(lines: Sequence[str]) -> Optional[InstallFailed]:
    """Return the error for a machine that refused to be written."""
    for number in _NUMBER.findall("\n".join(lines)):
        if int(number) in _MACHINE:
            return InstallFailed(*_MACHINE[int(number)])
    return None


def _shortened(line: str) -> str:
    """Return a line without its marks, and without what differs each time."""
    line = re.sub(r"^(error:|cause:|caused by:|×|[├╰]─▶|\s)+", "", line.strip(), flags=re.I)
    line = re.sub(r" in \d+(\.\d+)?m?s\b", "", line)
    return line.replace(", we can conclude that your requirements are unsatisfiable", "")


# ---------------------------------------------------------------------- what an index has
def _suspects(texts: Sequence[str], lines: Sequence[str]) -> List[Requirement]:
    """Choose the requirements to look up: those that the installer names, else the first ones.

    What has a URL of its own is on no index.
    """
    words = {canonical_name(word) for word in re.findall(r"[A-Za-z0-9][\w.-]*", " ".join(lines))}
    wanted = [each for each in map(requirement, texts) if not each.url]
    named = [each for each in wanted if canonical_name(each.name) in words]
    return (named or wanted)[:_LOOKED_UP]


def _look_up(suspects: Sequence[Requirement], settings: PipSettings) -> Optional[InstallFailed]:
    """Return the error for the first requirement that cannot be had by itself, if one cannot."""
    for wanted in suspects:
        try:
            files = files_of(wanted.name, settings)
        except Unreachable as error:
            return _unreachable(error)
        failed = _judge(wanted, files) if files else _no_package(wanted.name, settings)
        if failed is not None:
            return failed
    return None


def _unreachable(error: Unreachable) -> InstallFailed:
    if error.refused:
        return InstallFailed(
            f"The package index {error} cannot be reached without a password, "
            "or not with this one; nothing was installed.",
            "Look at the variable that --index-auth names, or at index-url in pip.conf.",
        )
    return InstallFailed(
        f"The package index {error} cannot be reached; nothing was installed.",
        "Check the network; for a mirror, set index-url in pip.conf or PIP_INDEX_URL.",
    )


def _no_package(name: str, settings: PipSettings) -> Optional[InstallFailed]:
    """Return the error for a name that is nowhere; None where only the installer has looked."""
    indexes = asked(settings)
    if not indexes and any(place.startswith("http") for place in settings.places):
        return None  # pages of links
    where = ", ".join(map(host_of, indexes)) or "the folders given"
    return InstallFailed(f"There is no package {name} on {where}.", "Check the spelling.")


def _judge(wanted: Requirement, files: Sequence[File]) -> Optional[InstallFailed]:
    """Return the error for a requirement that no file for this Python meets."""
    usable = {file.version for file in files if file.fits}
    matching = set(wanted.specifier.filter({file.version for file in files}))
    if matching & usable:
        return None
    hint = _alternative(wanted.name, usable, max(matching, default=None))
    if not matching:
        return InstallFailed(f"{wanted.name} has no version {wanted.specifier}.", hint)
    version = max(matching)
    minors = {minor for file in files if file.version == version for minor in file.minors}
    if sys.version_info[1] in minors:
        return InstallFailed(f"{wanted.name} {version} has no build for this machine.", hint)
    only = f" (only {_ranges(minors)})" if minors else ""
    return InstallFailed(
        f"{wanted.name} {version} has no build for {_python()}{only}.",
        hint,
        elsewhere(str(wanted), minors),
    )


def _alternative(name: str, usable: Collection[Version], wanted: Optional[Version]) -> str:
    """Name the versions that can be had here, and the one that is next to the wanted one."""
    versions = sorted(usable)
    if not versions:
        return f"No version of {name} has a build for {_python()} on this machine."
    final = [version for version in versions if not version.is_prerelease] or versions
    later = [version for version in final if wanted is not None and version > wanted]
    near = (later or final[-1:])[0]
    return f"For {_python()} there is: {_some(final)}. For instance: %pin {name}=={near}"


def _python() -> str:
    return "Python {}.{}".format(*sys.version_info[:2])


def _ranges(minors: Set[int]) -> str:
    """``3.5-3.8, 3.10`` for {5, 6, 7, 8, 10}; an open end is ``3.8+``."""
    parts: List[str] = []
    left = sorted(minors)
    while left:
        last = left[0]
        while last + 1 in minors:
            last += 1
        first = f"3.{left[0]}"
        parts.append(
            f"{first}+" if last >= 29 else first if last == left[0] else f"{first}-3.{last}"
        )
        left = [minor for minor in left if minor > last]
    return ", ".join(parts)


def _some(versions: Sequence[Version]) -> str:
    """All of a few versions, else the first two and the last four."""
    texts = [str(v) for v in versions]
    return ", ".join(texts if len(texts) <= 8 else [*texts[:2], "...", *texts[-4:]])
