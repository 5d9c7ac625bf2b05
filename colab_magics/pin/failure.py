"""Why an installation failed, in the words of somebody who has looked at the package index."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, List, Optional, Sequence, Set, Tuple

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


#: What installers say of the machine itself, what is wrong, and what to do.
_MACHINE = (
    (
        r"no space left|disk quota|os error 28\b",
        "The disk is full; nothing was installed.",
        "Free some space, and run it again.",
    ),
    (
        r"read-only file ?system|permission denied|os error (13|30)\b",
        "The environment may not be written; nothing was installed.",
        "Use a kernel in an environment of your own: python3 -m venv NAME.",
    ),
    (
        r"hash mismatch|do not match the hashes",
        "What the index has is not what was asked for: a hash differs; nothing was installed.",
        "Compare the hash with the one that its makers publish.",
    ),
)


#: Of the requirements that could not be installed, as many are looked up on the indexes, and for as
#: many seconds in all: to say which versions there are, where an installer says only that there is
#: none. Where it names some, the others are not asked for.
_LOOKED_UP = 3
PATIENCE = 6.0


def explain(texts: Sequence[str], settings: PipSettings, said: Sequence[str]) -> InstallFailed:
    """The error for requirements that could not be installed: never raised here, only made."""
    for pattern, what, todo in _MACHINE:
        if any(re.search(pattern, line, flags=re.I) for line in said):
            return InstallFailed(what, todo)
    found = None
    with suppress(TimeoutError):
        found = within(PATIENCE, partial(_look_up, _suspects(texts, said), settings))
    if found is not None:
        return found
    fetched = [re.search(r"[Ff]ailed to fetch.*?://(?:[^/@\s]*@)?([^/:\s]+)", one) for one in said]
    hosts = sorted({found.group(1) for found in fetched if found})
    if hosts:
        return InstallFailed(
            f"{', '.join(hosts)} cannot be reached; nothing was installed.",
            "Check the network, and the addresses in pip.conf and PIP_* variables.",
        )
    what, details = reason_of(said)
    todo = "Loosen one of the versions, and run it again."
    return InstallFailed(f"Not installed: {what}", todo, details)


def reason_of(said: Sequence[str]) -> Tuple[str, str]:
    """What an installer gives as its reason: its first line, and the lines that come after it."""
    starts = (
        [at for at, line in enumerate(said) if "ecause " in line or "is caused by:" in line]
        or [at for at, line in enumerate(said) if line.lower().startswith("error")]
        or [len(said) - 1]
    )
    block = [_shortened(line) for line in said[starts[0] :][:9]] if said else []
    return (block[0], "\n".join(block[1:])) if block else ("the installer gave no reason", "")


def _suspects(texts: Sequence[str], said: Sequence[str]) -> List[Requirement]:
    """The requirements to look up: what has a URL of its own is on no index."""
    words = {canonical_name(word) for word in re.findall(r"[A-Za-z0-9][\w.-]*", " ".join(said))}
    wanted = [one for one in map(requirement, texts) if not one.url]
    named = [one for one in wanted if canonical_name(one.name) in words]
    return (named or wanted)[:_LOOKED_UP]


def _look_up(suspects: Sequence[Requirement], settings: PipSettings) -> Optional[InstallFailed]:
    """What is wrong with the first of them that could not be had by itself."""
    for wanted in suspects:
        try:
            files = files_of(wanted.name, settings)
        except Unreachable as error:
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
        found = _judge(wanted, files, settings)
        if found is not None:
            return found
    return None


def _judge(
    wanted: Requirement, files: List[File], settings: PipSettings
) -> Optional[InstallFailed]:
    """What is wrong with one requirement, or None where it could be had by itself."""
    name = wanted.name
    if not (files or asked(settings)) and any(
        place.startswith("http") for place in settings.places
    ):
        return None  # pages of links, which only the installer has read
    if not files:
        where = ", ".join(map(host_of, asked(settings))) or "the folders given"
        return InstallFailed(f"There is no package {name} on {where}.", "Check the spelling.")
    here = sorted({file.version for file in files if file.fits})
    chosen = set(wanted.specifier.filter({file.version for file in files}))
    if chosen & set(here):
        return None
    final = [version for version in here if not version.is_prerelease] or here
    python = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    near = next((one for one in final if chosen and one > max(chosen)), max(final, default=None))
    todo = (
        f"For {python} there is: {_some(final)}. For instance: %pin {name}=={near}"
        if here
        else f"No version of {name} has a build for {python} on this machine."
    )
    if not chosen:
        return InstallFailed(f"{name} has no version {wanted.specifier}.", todo)
    version = max(chosen)
    minors: Set[int] = set()
    for file in files:
        minors |= file.minors if file.version == version else frozenset()
    if sys.version_info[1] in minors:
        return InstallFailed(f"{name} {version} has no build for this machine.", todo)
    only = f" (only {_ranges(minors)})" if minors else ""
    return InstallFailed(
        f"{name} {version} has no build for {python}{only}.", todo, elsewhere(str(wanted), minors)
    )


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


def _shortened(line: str) -> str:
    line = re.sub(r"^(error:|cause:|×|╰─▶|\s)+", "", line.strip(), flags=re.I)
    line = re.sub(r" in \d+(\.\d+)?m?s\b", "", line)  # the error is to be the same each time
    return line.replace(", we can conclude that your requirements are unsatisfiable", "")
