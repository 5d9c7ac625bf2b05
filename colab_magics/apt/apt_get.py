"""``apt-get`` at work: who may run it, when its lists are renewed, and what dpkg left half-done."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import time
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional, Pattern, Sequence

from ..core.errors import SourceError
from ..core.process import Finished, run
from ..core.steps import Progress
from .dpkg import half_unpacked

#: Where apt keeps what the archives have; tests set it to a place of their own.
LISTS = Path("/var/lib/apt/lists")
#: Seconds after which the lists are renewed before anything is installed by them.
_OLD = 24 * 3600.0

#: Who else installs such packages, and how.
_WAYS = {
    **dict.fromkeys(("conda", "mamba", "micromamba"), "install -y -c conda-forge"),
    "brew": "install",
}

_VARIABLES = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l", "LC_ALL": "C"}
#: What is there stays: a removal is for a person to agree to.
_FLAGS = ("-y", "-q", "--no-remove")
_SETTINGS = (
    *("-o", "Dpkg::Options::=--force-confold"),
    *("-o", "Dpkg::Use-Pty=0"),
    *("-o", "APT::Cmd::Pattern-Only=1"),  # a name is a name, never an expression
)
#: From the first of these on, dpkg is putting files in place.
_IN_PLACE = re.compile(
    r"Selecting previously|\(Reading database|Preparing to|Unpacking|Setting up|Processing"
)
_STALE = re.compile(
    r"E: (Unable to locate package|Version .* was not found|.*no installation)|404 "
)
_CUT_OFF = "dpkg was interrupted"


def install(packages: Sequence[str], progress: Progress, wait: int = 0) -> None:
    """Install packages, or raise `SourceError` with what is to be done.

    ``wait``: for how many seconds, where another apt is at work.
    """
    try:
        _install(packages, _Apt(_leave(packages), progress, wait))
    except TimeoutError as error:
        raise SourceError(
            f"{error}.", f"Try it in a terminal: sudo apt-get install {' '.join(packages)}"
        ) from None


def _install(packages: Sequence[str], apt: _Apt) -> None:
    """As often as there is something to put right that is known."""
    if _stale():
        apt.update()
    done = apt.install(packages)
    if done.status and _CUT_OFF in _said(done):
        apt.repair()
        done = apt.install(packages)
    if done.status and _STALE.search(_said(done)) and not apt.updated:
        apt.update()
        done = apt.install(packages)
    if done.status:
        raise explained(packages, [*apt.trouble, *done.lines], apt.ask)


class _Apt:
    """The programs, run with the rights that ``prefix`` gives."""

    def __init__(self, prefix: Sequence[str], progress: Progress, wait: int) -> None:
        self._prefix, self._progress = list(prefix), progress
        self._settings = (*_SETTINGS, "-o", f"DPkg::Lock::Timeout={wait}")
        #: Whether the lists are those of now, and what renewing them had to complain of.
        self.updated = False
        self.trouble: List[str] = []
        self._last = ""

    def update(self) -> None:
        """Renew the lists; one archive that is down is no reason to stop before the others."""
        self._progress("asking the archives what they have")
        done = self._run(["apt-get", "update", "-q", *self._settings])
        self.updated = True
        self.trouble = [line for line in done.lines if re.match(r"[EW]: |Err:", line)]

    def install(self, packages: Sequence[str]) -> Finished:
        """Install them; once dpkg is putting files in place, Ctrl-C lets it finish."""
        flags = ["--allow-downgrades"] if any("=" in text for text in packages) else []
        # apt takes these for installed, and succeeds without them.
        again = half_unpacked()
        flags += ["--reinstall"] if again else []
        names = {re.split("[:=]", text)[0] for text in packages}
        wanted = [*packages, *(text for text in again if text.split(":")[0] not in names)]
        command = ["apt-get", "install", *_FLAGS, *self._settings, *flags, "--", *wanted]
        return self._run(command, lambda lines: any(map(_IN_PLACE.match, lines)))

    def repair(self) -> None:
        """Have dpkg finish what it was killed at."""
        self._progress("dpkg was cut off before: finishing that first")
        done = self._run(["dpkg", "--configure", "-a", "--force-confold"], lambda lines: True)
        if done.status:
            raise SourceError(
                "dpkg was cut off before, and cannot finish that now.",
                "See what it says in a terminal: sudo dpkg --configure -a",
                "\n".join(done.lines[-5:]),
            )

    def ask(self, *command: str) -> List[str]:
        """What a program that only looks has to say; nothing where it fails."""
        done = run(command, {**os.environ, **_VARIABLES}, timeout=60.0)
        return [] if done.status else list(done.lines)

    def _run(
        self,
        command: Sequence[str],
        holds: Callable[[Sequence[str]], bool] = lambda lines: False,
    ) -> Finished:
        """With sudo the variables travel in the command, since it drops those of its caller."""
        given = [f"{name}={value}" for name, value in _VARIABLES.items()]
        words = [*self._prefix, "env", *given, *command] if self._prefix else command

        def hear(line: str) -> None:
            told = _told(line)
            if told and told != self._last:
                self._progress(told)
                self._last = told

        return run(words, {**os.environ, **_VARIABLES}, on_line=hear, holds=holds)


def _leave(packages: Sequence[str]) -> List[str]:
    """What to put before the command so that it may install; `SourceError` where nothing helps."""
    if shutil.which("apt-get") is None:
        raise SourceError("There is no apt on this machine.", _elsewhere(packages))
    if getattr(os, "geteuid", lambda: 0)() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is not None and run([sudo, "-n", "true"], timeout=60.0).status == 0:
        return [sudo, "-n"]
    raise SourceError(
        "Packages of the system need root, and sudo asks for a password here or is missing.",
        f"In a terminal: sudo apt-get install {' '.join(packages)}",
    )


def _elsewhere(packages: Sequence[str]) -> str:
    """What to type where there is another program that installs such packages."""
    plain = " ".join(re.split("[:=]", text)[0] for text in packages)
    for name, way in _WAYS.items():
        if shutil.which(name):
            return f"Perhaps, under this name or a similar one: !{name} {way} {plain}"
    return f"Install it by this system's own means: {plain}"


def _stale() -> bool:
    """Whether the lists are missing, or older than a day.

    Lists carry the archive's own time; that of their folder is when they were put there.
    """
    try:
        if not any("_" in entry.name for entry in LISTS.iterdir()):
            return True
        times = [place.stat().st_mtime for place in (LISTS, LISTS / "partial") if place.is_dir()]
        return time.time() - max(times) > _OLD
    except OSError:
        return True


def _told(line: str) -> Optional[str]:
    """What a person is told while it goes on."""
    if line.startswith("Waiting for cache lock"):
        return "another apt is at work: waiting for it"
    found = re.match(r"(Unpacking|Setting up) (\S+)", line)
    if found:
        return f"{found.group(1).lower()} {found.group(2)}"
    return "fetching packages" if line.startswith("Get:") else None


def _said(done: Finished) -> str:
    return "\n".join(done.lines)


# ---------------------------------------------------------------------- errors
# What ``apt-get`` means when it fails, as one line that says what to do.

#: Runs a program that only looks, and gives its lines.
Ask = Callable[..., List[str]]


class _Cause(NamedTuple):
    """How apt says it, and how a person reads it; ``{0}`` is what the first group found."""

    said: Pattern[str]
    what: str
    hint: str


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
            what, hint = (text.format(*found.groups(), **words) for text in cause[1:])
            return SourceError(what, hint, _details(lines))
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
