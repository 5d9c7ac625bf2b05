"""Installing what differs into the kernel's own interpreter, or leaving all as it was."""

import importlib
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Dict, List, Optional, Protocol, Sequence, Tuple

from ..errors import InstallFailed
from ..files import private_folder
from ..process import run
from ..registry import choose
from ..steps import Progress
from .installed import find, versions, why_not
from .requirements import key, requirement
from .settings import PipSettings, read_settings

__all__ = ["INSTALLERS", "KERNEL", "Changes", "Installer", "install", "summary"]

#: In the order to try: adding one is one file and one line here.
INSTALLERS = ("colab_magics.pins.uv:Uv", "colab_magics.pins.pip:Pip")

#: What runs the kernel itself: changing it breaks the session (colabtools #2837, #673).
KERNEL = (
    "ipython",
    "ipykernel",
    "jupyter-client",
    "prompt-toolkit",
    "pyzmq",
    "tornado",
    "traitlets",
)

#: Canonical name → (version before or "", version now or "").
Changes = Dict[str, Tuple[str, str]]


class Installer(Protocol):
    """A program that installs requirements into the interpreter of this kernel."""

    name: str

    def available(self, settings: PipSettings) -> Optional[str]:
        """None, or why it cannot be used here."""

    def command(self, requirements: Path, constraints: Path, again: Sequence[str]) -> List[str]:
        """The command that installs what the two files say, and ``again`` even if it is there."""

    def environment(self, settings: PipSettings) -> Dict[str, str]:
        """The variables that it runs with; secrets travel here, not in arguments."""

    def options(self, settings: PipSettings) -> List[str]:
        """Option lines for the head of the requirements file."""

    def in_place(self, lines: Sequence[str]) -> bool:
        """Whether files are being put in place, so that it must not be cut."""


def install(requirements: Sequence[str], options: Sequence[str], progress: Progress) -> Changes:
    """Install what does not hold, and say what changed; `InstallFailed` leaves all as it was.

    ``options`` are option lines of requirements files. The kernel's own machinery is held at the
    versions that run now.
    """
    _guard(requirements)
    settings = read_settings()
    installer, reasons = choose(INSTALLERS, lambda part: part.available(settings))
    if installer is None:
        because = "; ".join(f"{name}: {reason}" for name, reason in reasons)
        raise InstallFailed(f"No installer can be used here ({because}).", "Install pip.")
    before = versions()
    lines = [*installer.options(settings), *options, *requirements]
    again = [text for text in requirements if requirement(text).url and why_not(requirement(text))]
    named = [requirement(text).name for text in again]
    status, said = _run(installer, settings, lines, _constraints(before), named, progress)
    importlib.invalidate_caches()
    if status:
        from .index import explain

        raise explain([r for r in requirements if why_not(requirement(r))], settings, said)
    after = versions()
    names = sorted(before.keys() | after.keys())
    return {
        name: (before.get(name, ""), after.get(name, ""))
        for name in names
        if before.get(name) != after.get(name)
    }


def _guard(requirements: Sequence[str]) -> None:
    """Refuse what would break the kernel or a Python that the system manages."""
    for text in requirements:
        if key(text).split(";")[0] in KERNEL and why_not(requirement(text)):
            raise InstallFailed(
                f"{requirement(text).name} runs this kernel; another version would break it.",
                "Take it off the line; to change it, install it in a shell and restart.",
            )
    marker = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    allowed = read_settings().on("break-system-packages")
    if marker.exists() and sys.prefix == sys.base_prefix and not allowed:
        raise InstallFailed(
            "This Python belongs to the operating system (PEP 668); nothing was installed.",
            "Use a kernel in an environment of its own: python3 -m venv NAME.",
        )


def _constraints(before: Dict[str, str]) -> List[str]:
    return [f"{name}=={before[name]}" for name in KERNEL if name in before]


def _run(
    installer: Installer,
    settings: PipSettings,
    lines: Sequence[str],
    constraints: Sequence[str],
    again: Sequence[str],
    progress: Progress,
) -> Tuple[int, Tuple[str, ...]]:
    """Run the installer on files that only this user can read, and take them away again."""
    folder = private_folder("colab-magics-pin-")
    try:
        wanted, held = folder / "requirements.txt", folder / "constraints.txt"
        wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
        held.write_text("\n".join(constraints) + "\n", encoding="utf-8")
        done = run(
            installer.command(wanted, held, again),
            installer.environment(settings),
            on_line=progress,
            holds=installer.in_place,
        )
        said = tuple(line.replace(str(wanted), "the line") for line in done.lines)
        return done.status, said
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
