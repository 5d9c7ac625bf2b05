"""One installer at work on this environment: the runs of one installation, alike in all."""

import importlib
import shutil
from pathlib import Path
from typing import Dict, List, Optional, Protocol, Sequence, Tuple

from ..errors import InstallFailed
from ..files import private_folder
from ..process import run
from ..registry import choose
from ..steps import Progress
from .installed import versions
from .options import authenticated
from .settings import PipSettings, read_settings

__all__ = ["INSTALLERS", "KERNEL", "Installer", "Job", "Said"]

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

#: The exit status of an installer, and what it printed.
Said = Tuple[int, Tuple[str, ...]]


class Installer(Protocol):
    """A program that installs requirements into the interpreter of this kernel."""

    name: str

    def available(self, settings: PipSettings) -> Optional[str]:
        """None, or why it cannot be used here."""

    def command(self, requirements: Path, constraints: Path, again: Sequence[str]) -> List[str]:
        """The command that installs what the two files say, and ``again`` even if it is there.

        ``--no-deps`` may be put after it.
        """

    def upgrade(self, names: Sequence[str]) -> List[str]:
        """The words that have these, and only these, taken in their newest version."""

    def removal(self, names: Sequence[str]) -> List[str]:
        """The command that uninstalls distributions."""

    def environment(self, settings: PipSettings) -> Dict[str, str]:
        """The variables that it runs with; secrets travel here, not in arguments."""

    def options(self, settings: PipSettings) -> List[str]:
        """Option lines for the head of the requirements file."""

    def in_place(self, lines: Sequence[str]) -> bool:
        """Whether files are being put in place, so that it must not be cut."""

    def aside(self, line: str) -> bool:
        """Whether a line is for `in_place` alone, and for no person."""


class Job:
    """Runs the first installer that can be used; `InstallFailed` where there is none.

    The kernel's own machinery is held at the versions that run now, unless ``hold`` is false.
    ``keeps`` are open files that the installer inherits, ``line`` the settings of a ``%pin``.
    """

    def __init__(
        self,
        progress: Progress,
        keeps: Sequence[int],
        line: Optional[Dict[str, str]] = None,
        hold: bool = True,
    ) -> None:
        self.line = dict(line or {})
        self.settings = read_settings().with_line(authenticated(self.line))
        self._progress, self._keeps, self._hold = progress, keeps, hold
        found, reasons = choose(INSTALLERS, lambda part: part.available(self.settings))
        if found is None:
            because = "; ".join(f"{name}: {reason}" for name, reason in reasons)
            raise InstallFailed(f"No installer can be used here ({because}).", "Install pip.")
        self._installer: Installer = found
        here = versions()
        self._held = [f"{name}=={here[name]}" for name in KERNEL if hold and name in here]

    def of(self, line: Dict[str, str]) -> "Job":
        """The same with the settings of another line."""
        return self if line == self.line else Job(self._progress, self._keeps, line, self._hold)

    def install(
        self,
        lines: Sequence[str],
        again: Sequence[str] = (),
        more: Sequence[str] = (),
        fresh: bool = False,
    ) -> Said:
        """Install what the lines of a requirements file say; ``fresh``: by nothing cached.

        The files are such that only this user can read them, and are taken away again.
        """
        folder = private_folder("colab-magics-pin-")
        try:
            wanted, held = folder / "requirements.txt", folder / "constraints.txt"
            lines = [*self._installer.options(self.settings), *lines]
            wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
            held.write_text("\n".join(self._held) + "\n", encoding="utf-8")
            alone = ["--no-deps"] if self.settings.on("no-deps") else []
            words = [*self._installer.command(wanted, held, again), *dict.fromkeys([*alone, *more])]
            status, said = self._run(words, fresh)
            return status, tuple(line.replace(str(wanted), "the line") for line in said)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def upgrade(self, names: Sequence[str]) -> List[str]:
        """More words for `install`: see `Installer`."""
        return self._installer.upgrade(names)

    def uninstall(self, names: Sequence[str]) -> Said:
        """Uninstall distributions."""
        return self._run(self._installer.removal(names))

    def _run(self, command: Sequence[str], fresh: bool = False) -> Said:
        uncached = {"UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1"} if fresh else {}
        try:
            done = run(
                command,
                {**self._installer.environment(self.settings), **uncached},
                on_line=lambda line: None if self._installer.aside(line) else self._progress(line),
                holds=self._installer.in_place,
                keeps=self._keeps,
            )
        finally:
            importlib.invalidate_caches()
        return done.status, tuple(line for line in done.lines if not self._installer.aside(line))
