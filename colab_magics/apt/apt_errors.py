"""What ``apt-get`` means when it fails, as one line that says what to do."""

import difflib
import re
from typing import Callable, List, NamedTuple, Pattern, Sequence

from ..core.errors import SourceError


#: Runs a program that only looks, and gives its lines.
Ask = Callable[..., List[str]]


class _Cause(NamedTuple):
    """How apt says it, and how a person reads it; ``{0}`` is what the first group found."""

    said: Pattern[str]
    what: str
    todo: str


#: In the order to look for them: what explains the rest comes first.
_CAUSES = (
    _Cause(
        re.compile(r"No space left on device|You don't have enough free space"),
        "The disk is full.",
        "Make room, then run it again.",
    ),
    _Cause(
        re.compile(r"Unable to acquire the dpkg|Could not get lock|held by process"),
        "Another apt is at work on this machine.",
        "Run it again when that has ended.",
    ),
    _Cause(
        re.compile(
            r"(?:Temporary failure|Could not) resolv|Could not connect|Unable to connect|"
            r"Connection (?:timed out|failed|refused)|Network is unreachable"
        ),
        "The archive of the packages cannot be reached.",
        "Check the network, then run it again.",
    ),
    _Cause(
        re.compile(r"E: Package '(\S+?)' has no installation candidate"),
        "{0} is in no archive that is set up here.",
        "Another package may have taken its place: see below.",
    ),
    _Cause(
        re.compile(r"E: Held packages were changed"),
        "{packages} cannot be installed: a package that would change is held back.",
        "See which: !apt-mark showhold, then in a terminal: sudo apt-mark unhold NAME",
    ),
    _Cause(
        re.compile(r"E: Packages need to be removed"),
        "{packages} cannot be installed beside what is there: others would be removed.",
        "Decide in a terminal: sudo apt-get install {packages}",
    ),
    _Cause(
        re.compile(r"unmet dependencies|held broken"),
        "{packages} cannot be installed: what it needs does not fit together.",
        "See below which packages are in the way.",
    ),
    _Cause(
        re.compile(r"dpkg: error processing (?:package|archive) (\S+)"),
        "{0} could not be set up: its own installation failed.",
        "See below what it says; when that is put right, run it again.",
    ),
)
_OFFLINE = _CAUSES[2].said


def explained(packages: Sequence[str], lines: Sequence[str], ask: Ask) -> SourceError:
    """The error that the lines of a failed run amount to."""
    said = "\n".join(lines)
    if not _OFFLINE.search(said):  # else the lists do not know what there is
        no_name = re.search(r"E: Unable to locate package (\S+)", said)
        if no_name:
            return SourceError(f"There is no package {no_name[1]} here.", _near(no_name[1], ask))
        no_version = re.search(r"E: Version '(.+?)' for '(\S+?)' was not found", said)
        if no_version:
            version, name = no_version.groups()
            return SourceError(f"{name} has no version {version} here.", _versions(name, ask))
    words = {"packages": " ".join(packages)}
    for cause in _CAUSES:
        found = cause.said.search(said)
        if found:
            what, todo = (text.format(*found.groups(), **words) for text in cause[1:])
            return SourceError(what, todo, _details(lines))
    return SourceError(
        "apt-get could not install {packages}.".format(**words),
        "See what it says in a terminal: sudo apt-get install {packages}".format(**words),
        _details(lines),
    )


def _details(lines: Sequence[str]) -> str:
    """The lines to look at: from the first complaint on, with what a package's script said."""
    telling = re.compile(r"E: |Err:|dpkg: error|Package \S+ is (not available|a virtual)| \S+ : ")
    first = next(
        (at for at, line in enumerate(lines) if telling.match(line)), max(len(lines) - 4, 0)
    )
    before = 3 if first < len(lines) and lines[first].startswith("dpkg: ") else 0
    return "\n".join(lines[max(first - before, 0) : max(first, 0) + 6])


def _near(name: str, ask: Ask) -> str:
    """The names that are spelled alike."""
    plain = name.partition(":")[0]
    names = ask("apt-cache", "pkgnames", plain[:1])
    close = difflib.get_close_matches(plain, names, 3, 0.75)
    return f"Perhaps: {', '.join(close)}" if close else "Check its name: !apt-cache search WORD"


def _versions(name: str, ask: Ask) -> str:
    """The versions that there are: ``name | version | archive`` on each line."""
    rows = [line.split("|") for line in ask("apt-cache", "madison", name)]
    found = list(dict.fromkeys(row[1].strip() for row in rows if len(row) > 1))[:5]
    if not found:
        return "Leave the version away, to have the one that there is."
    return f"There is: {', '.join(found)}. For instance: %apt {name}={found[0]}"
