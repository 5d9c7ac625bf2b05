"""Explain why ``apt-get`` failed, from what it printed in the C locale."""

from __future__ import annotations

import os
import re
from typing import List, Sequence

from ..core.arguments import find_meant
from ..core.errors import SourceError
from ..core.process import run

_DISK_FULL = re.compile(r"No space left on device|You don't have enough free space")
_BUSY = re.compile(r"Unable to acquire the dpkg|Could not get lock|held by process")
_OFFLINE = re.compile(
    r"(Temporary failure|Could not) resolv|Could not connect|Unable to connect|"
    r"Connection (timed out|failed|refused)|Network is unreachable"
)
#: Code, pattern, message and hint. These explain other failures: offline, a name may be missing
#: only because the lists are old.
_CAUSES = (
    ("disk-full", _DISK_FULL, "The disk is full.", "Free some space"),
    ("busy", _BUSY, "Another apt is running on this machine.", "Wait until it has ended"),
    ("offline", _OFFLINE, "The archive of packages cannot be reached.", "Check the network"),
)
_NO_NAME = re.compile(r"E: Unable to locate package (\S+)")
_NO_VERSION = re.compile(r"E: Version '(.+?)' for '(\S+?)' was not found")
_IMPORTANT = re.compile(r"E: |Err:|dpkg: error|Package \S+ is (not available|a virtual)| \S+ : ")


def explain_failure(packages: Sequence[str], lines: Sequence[str]) -> SourceError:
    """Return the error for a failed installation, and what to do."""
    text, names, details = "\n".join(lines), " ".join(packages), _select(lines)
    for code, pattern, message, hint in _CAUSES:
        if pattern.search(text):
            return SourceError(message, f"{hint}, then run it again.", details, code=code)
    match = _NO_NAME.search(text)
    if match:
        name = match[1].partition(":")[0]
        near = find_meant(name, _query("pkgnames", name[:1]), 0.75)
        message, hint = f"There is no package {match[1]} here.", "Search: !apt-cache search WORD"
        return SourceError(message, hint, code="no-package", slip=near)
    match = _NO_VERSION.search(text)
    if match:
        message = f"{match[2]} has no version {match[1]} here."
        return SourceError(message, _list_versions(match[2]), code="no-version")
    return SourceError(
        f"apt-get could not install {names}.",
        f"Its reason is below. To answer its questions: sudo apt-get install {names}",
        details,
        code="apt-failed",
    )


def _select(lines: Sequence[str]) -> str:
    """Return the first complaint and what follows, with what a package's script printed before."""
    last = max(len(lines) - 4, 0)
    first = next((at for at, line in enumerate(lines) if _IMPORTANT.match(line)), last)
    before = 3 if lines[first:] and lines[first].startswith("dpkg: ") else 0
    return "\n".join(lines[max(first - before, 0) : first + 6])


def _list_versions(name: str) -> str:
    """List the versions that there are: madison prints ``name | version | archive``."""
    rows = [line.split("|") for line in _query("madison", name)]
    versions = list(dict.fromkeys(row[1].strip() for row in rows if len(row) > 1))[:5]
    if not versions:
        return "Leave the version out to get the one that there is."
    return f"There is: {', '.join(versions)}. For instance: %apt {name}={versions[0]}"


def _query(*words: str) -> List[str]:
    done = run(["apt-cache", *words], {**os.environ, "LC_ALL": "C"}, timeout=60.0)
    return [] if done.status else list(done.lines)
