"""One installer at work on this environment: the runs of one installation, alike in all."""

import importlib
import shutil
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Optional, Protocol, Sequence, Tuple

from ..errors import InstallFailed
from ..files import private_folder
from ..process import run
from ..registry import choose
from ..steps import Progress
from .cuda import advice
from .installed import versions
from .journal import note
from .options import authenticated
from .plan import Plan, Watch
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
#: Told each line that an installer prints, and whether it is for no person.
Hears = Callable[[str, bool], None]


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
        """The words that have these, and only these, taken in their newest version; none: all."""

    def removal(self, names: Sequence[str]) -> List[str]:
        """The command that uninstalls distributions."""

    def environment(self, settings: PipSettings) -> Dict[str, str]:
        """The variables that it runs with; secrets travel here, not in arguments."""

    def options(self, settings: PipSettings) -> List[str]:
        """Option lines for the head of the requirements file."""

    def in_place(self, lines: Sequence[str]) -> bool:
        """Whether files are being put in place, so that it must not be cut."""

    def rehearsal(self, report: Path) -> Optional[List[str]]:
        """The words that have it only say what it would do, there or aloud; None: it cannot."""

    def planned(self, lines: Sequence[str], report: str = "") -> Plan:
        """The plan in what it has printed and reported so far."""

    def look_up(self, requirements: Path, to: Path) -> Optional[List[str]]:
        """The command that writes where these exact requirements are, and their hashes, as a
        ``pylock.toml`` (PEP 751); None: it cannot, and takes no hashes from constraints.
        """

    def aside(self, line: str) -> bool:
        """Whether a line is for `in_place` and `planned` alone, and for no person."""

    def touches(self, line: str, after: str) -> List[str]:
        """The names in a line that says what is about to be changed here.

        ``after`` is the last line before it that was for people.
        """

    def records(self, names: Iterable[str]) -> List[Path]:
        """The ``RECORD`` of each wheel that it may have been putting in place of these names."""


def _deaf(line: str, aside: bool) -> None:
    """Hear nothing."""


class Job:
    """Runs the first installer that can be used; `InstallFailed` where there is none.

    The kernel's own machinery is held at the versions that run now, unless ``hold`` is false.
    ``keeps`` are open files that the installer inherits, ``line`` the settings of a ``%pin``;
    ``installer`` is one to use without looking for any.
    """

    def __init__(
        self,
        progress: Progress,
        keeps: Sequence[int],
        line: Optional[Dict[str, str]] = None,
        hold: bool = True,
        installer: Optional[Installer] = None,
    ) -> None:
        self.line = dict(line or {})
        self.settings = read_settings().with_line(authenticated(self.line))
        self._progress, self._keeps, self._hold = progress, keeps, hold
        self._installer: Installer = installer or _installer(self.settings)
        here = versions()
        #: What was said of the plan, for whoever looks only at the end.
        self.notes: Tuple[str, ...] = ()
        #: The lines of the constraints file.
        self.held = [f"{name}=={here[name]}" for name in KERNEL if hold and name in here]

    def of(self, line: Dict[str, str]) -> "Job":
        """The same with the settings of another line."""
        return self if line == self.line else Job(self._progress, self._keeps, line, self._hold)

    def install(
        self,
        lines: Sequence[str],
        again: Sequence[str] = (),
        more: Sequence[str] = (),
        fresh: bool = False,
        shown: Optional[Sequence[str]] = None,
    ) -> Said:
        """Install what the lines of a requirements file say; ``fresh``: by nothing cached.

        The plan is shown where ``shown`` has the names that come first in it.
        """
        folder = private_folder("colab-magics-pin-")
        watch = Watch(shown or (), self._installer.planned, self.advise, self._progress)
        hears = _deaf if shown is None else watch.hear
        try:
            said = self._run(self._words(folder, lines, again, more), fresh, hears)
            self.notes = (*self.notes, *watch.notes)
            return _unplaced(said, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def rehearse(
        self, lines: Sequence[str], again: Sequence[str] = (), more: Sequence[str] = ()
    ) -> Tuple[Said, Optional[Plan]]:
        """Have it say what `install` would do, changing nothing; None where it cannot."""
        folder = private_folder("colab-magics-pin-")
        report = folder / "report.json"
        try:
            dry = self._installer.rehearsal(report)
            if dry is None:
                return (0, ()), None
            heard: List[str] = []
            words = self._words(folder, lines, again, [*more, *dry])
            said = self._run(words, hears=lambda line, aside: heard.append(line))
            text = report.read_text(encoding="utf-8") if report.exists() else ""
            plan = {} if said[0] else self._installer.planned(heard, text)
            return _unplaced(said, folder), plan
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def look_up(self, lines: Sequence[str]) -> Tuple[Said, str]:
        """Where just these are, and their hashes: a ``pylock.toml``; changes nothing."""
        folder = private_folder("colab-magics-pin-")
        wanted, found = folder / "requirements.txt", folder / "pylock.toml"
        try:
            command = self._installer.look_up(wanted, found)
            if command is None:
                raise InstallFailed(f"{self._installer.name} makes no locks.", "Install uv.")
            lines = [*self._installer.options(self.settings), *lines]
            wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
            said = self._run(command)
            text = "" if said[0] else found.read_text(encoding="utf-8")
            return _unplaced(said, folder), text
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def advise(self, plan: Plan) -> List[str]:
        """What to say of a plan before it is carried out."""
        return advice(plan, self._installer.name)

    def _words(
        self, folder: Path, lines: Sequence[str], again: Sequence[str], more: Sequence[str]
    ) -> List[str]:
        """The command; its files lie where only this user can read them."""
        wanted, held = folder / "requirements.txt", folder / "constraints.txt"
        lines = [*self._installer.options(self.settings), *lines]
        wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
        held.write_text("\n".join(self.held) + "\n", encoding="utf-8")
        alone = ["--no-deps"] if self.settings.on("no-deps") else []
        command = self._installer.command(wanted, held, again)
        return [*command, *dict.fromkeys([*alone, *more])]

    def upgrade(self, names: Sequence[str]) -> List[str]:
        """More words for `install`: see `Installer`."""
        return self._installer.upgrade(names)

    def uninstall(self, names: Sequence[str]) -> Said:
        """Uninstall distributions."""
        self._note(names)
        return self._run(self._installer.removal(names))

    def records(self, names: Iterable[str]) -> List[Path]:
        """See `Installer`."""
        return self._installer.records(names)

    def _note(self, names: Iterable[str]) -> None:
        """Where a journal is kept, these names are in it before they change."""
        if self._keeps:
            note(names)

    def _run(self, command: Sequence[str], fresh: bool = False, hears: Hears = _deaf) -> Said:
        uncached = {"UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1"} if fresh else {}
        aside, last = self._installer.aside, ""

        def hear(line: str) -> None:
            nonlocal last
            self._note(self._installer.touches(line, last))  # first of all: it goes on meanwhile
            hears(line, aside(line))
            if not aside(line):
                last = line
                self._progress(line)

        try:
            done = run(
                command,
                {**self._installer.environment(self.settings), **uncached},
                on_line=hear,
                holds=self._installer.in_place,
                keeps=self._keeps,
            )
        finally:
            importlib.invalidate_caches()
        return done.status, tuple(line for line in done.lines if not aside(line))


def _installer(settings: PipSettings) -> Installer:
    """The first one that can be used."""
    found, reasons = choose(INSTALLERS, lambda part: part.available(settings))
    if found is None:
        because = "; ".join(f"{name}: {reason}" for name, reason in reasons)
        raise InstallFailed(f"No installer can be used here ({because}).", "Install pip.")
    installer: Installer = found
    return installer


def _unplaced(said: Said, folder: Path) -> Said:
    """What was said, with the name of a file that nobody knows made one for people."""
    wanted = str(folder / "requirements.txt")
    return said[0], tuple(line.replace(wanted, "the line") for line in said[1])
