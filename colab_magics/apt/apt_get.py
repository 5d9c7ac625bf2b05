"""Run ``apt-get`` with root's rights and fresh lists, and let dpkg finish what was interrupted."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import Callable, List, Sequence

from ..core.errors import SourceError
from ..core.process import Finished, run
from ..core.steps import Progress
from .dpkg import find_half_unpacked
from .failure import explain_failure

#: Where apt keeps the lists of the archives; tests set it to a folder of their own.
LISTS = Path("/var/lib/apt/lists")
#: Seconds after which the lists are updated before an installation.
_MAX_AGE = 24 * 3600.0

#: Other programs that install such packages.
_ALTERNATIVES = {
    **dict.fromkeys(("conda", "mamba", "micromamba"), "install -y -c conda-forge"),
    "brew": "install",
}

_VARIABLES = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l", "LC_ALL": "C"}
_SETTINGS = (
    *("-o", "Dpkg::Options::=--force-confold"),
    *("-o", "Dpkg::Use-Pty=0"),
    *("-o", "APT::Cmd::Pattern-Only=1"),  # a name is a name, never an expression
)
#: From the first of these lines on, dpkg is putting files in place.
_UNPACKING = re.compile(
    r"Selecting previously|\(Reading database|Preparing to|Unpacking|Setting up|Processing"
)
_OUTDATED = re.compile(
    r"E: (Unable to locate package|Version .* was not found|.*no installation)|.*404 "
)


def install(packages: Sequence[str], progress: Progress, wait: int = 0) -> None:
    """Install packages, or raise `SourceError` with what to do.

    ``wait`` is how many seconds to wait for another apt.
    """
    try:
        _install(packages, _AptGet(_get_privileges(packages), progress, wait))
    except TimeoutError as error:
        hint = f"Try it in a terminal: sudo apt-get install {' '.join(packages)}"
        raise SourceError(f"{error}.", hint, code="timeout") from None


def _install(packages: Sequence[str], apt: _AptGet) -> None:
    if _are_lists_old():
        apt.update()
    done = apt.install(packages)
    if done.status and any("dpkg was interrupted" in line for line in done.lines):
        apt.repair()
        done = apt.install(packages)
    if done.status and any(map(_OUTDATED.match, done.lines)) and not apt.updated:
        apt.update()
        done = apt.install(packages)
    if done.status:
        raise explain_failure(packages, [*apt.warnings, *done.lines])


class _AptGet:
    """The programs; ``prefix`` is the command that gives them root's rights."""

    def __init__(self, prefix: Sequence[str], progress: Progress, wait: int) -> None:
        self._prefix, self._progress = list(prefix), progress
        self._settings = (*_SETTINGS, "-o", f"DPkg::Lock::Timeout={wait}")
        self._message = ""
        self.updated = False
        #: What updating the lists complained of.
        self.warnings: List[str] = []

    def update(self) -> None:
        """Update the lists; an archive that is down does not stop an installation from others."""
        self._progress("updating the lists of packages")
        done = self._run(["apt-get", "update", "-q", *self._settings])
        self.updated = True
        self.warnings = [line for line in done.lines if re.match(r"[EW]: |Err:", line)]

    def install(self, packages: Sequence[str]) -> Finished:
        """Install packages; once dpkg is putting files in place, Ctrl-C lets it finish."""
        flags = ["--allow-downgrades"] if any("=" in text for text in packages) else []
        # apt takes half-unpacked packages for installed, and succeeds without them.
        broken = find_half_unpacked()
        flags += ["--reinstall"] if broken else []
        names = {re.split("[:=]", text)[0] for text in packages}
        packages = [*packages, *(text for text in broken if text.split(":")[0] not in names)]
        # Nothing is removed: a removal is for a person to agree to.
        command = ["apt-get", "install", "-y", "-q", "--no-remove", *self._settings, *flags]
        return self._run(
            [*command, "--", *packages], lambda lines: any(map(_UNPACKING.match, lines))
        )

    def repair(self) -> None:
        """Let dpkg finish an installation that was killed."""
        self._progress("dpkg was interrupted before: finishing that first")
        done = self._run(["dpkg", "--configure", "-a", "--force-confold"], lambda lines: True)
        if done.status:
            raise SourceError(
                "dpkg was interrupted before, and cannot finish that now.",
                "See what it prints in a terminal: sudo dpkg --configure -a",
                "\n".join(done.lines[-5:]),
                code="dpkg-interrupted",
            )

    def _run(
        self, command: Sequence[str], holds: Callable[[Sequence[str]], bool] = lambda lines: False
    ) -> Finished:
        if self._prefix:  # sudo drops the variables of its caller
            variables = [f"{name}={value}" for name, value in _VARIABLES.items()]
            command = [*self._prefix, "env", *variables, *command]
        return run(command, {**os.environ, **_VARIABLES}, on_line=self._on_line, holds=holds)

    def _on_line(self, line: str) -> None:
        message = _to_progress(line)
        if message and message != self._message:
            self._progress(message)
            self._message = message


def _to_progress(line: str) -> str:
    """Translate a line that apt-get prints into a message; empty where it says nothing of use."""
    if line.startswith("Waiting for cache lock"):
        return "another apt is running: waiting for it"
    match = re.match(r"(Unpacking|Setting up) (\S+)", line)
    if match:
        return f"{match[1].lower()} {match[2]}"
    return "fetching packages" if line.startswith("Get:") else ""


def _get_privileges(packages: Sequence[str]) -> List[str]:
    """Return the command that gives root's rights, empty for root; `SourceError` without any."""
    if shutil.which("apt-get") is None:
        raise SourceError(
            "apt is not on this machine.", _suggest_alternative(packages), code="no-apt"
        )
    if getattr(os, "geteuid", lambda: 0)() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is not None and run([sudo, "-n", "true"], timeout=60.0).status == 0:
        return [sudo, "-n"]
    raise SourceError(
        "System packages need root, and sudo asks for a password here or is missing.",
        f"In a terminal: sudo apt-get install {' '.join(packages)}",
        code="no-root",
    )


def _suggest_alternative(packages: Sequence[str]) -> str:
    names = " ".join(re.split("[:=]", text)[0] for text in packages)
    for program, arguments in _ALTERNATIVES.items():
        if shutil.which(program):
            return f"Try, under this name or a similar one: !{program} {arguments} {names}"
    return f"Install it with this system's own tools: {names}"


def _are_lists_old() -> bool:
    """Tell whether the lists are missing or too old.

    Lists carry the archive's own time; that of their folder is when they were put there.
    """
    try:
        if not any("_" in entry.name for entry in LISTS.iterdir()):
            return True
        folders = (LISTS, LISTS / "partial")
        newest = max(folder.stat().st_mtime for folder in folders if folder.is_dir())
        return time.time() - newest > _MAX_AGE
    except OSError:
        return True
