"""One installer at work on this environment: the runs of one installation, alike in all."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import signal
from pathlib import Path
from typing import (
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    TypeVar,
)

from ..core.controls import has_controls
from ..core.errors import InstallFailed, NotStarted
from ..core.folders import scratch_folder
from ..core.process import SilenceError, run
from ..core.registry import choose
from ..core.steps import Progress
from .cuda import advice
from .environment import Installed
from .git_login import Logins, git_environment, without_logins
from .index import asked
from .journal import note
from .options import authenticated
from .pip_config import PipSettings, read_settings
from .plan import Plan, Watch

#: In the order to try: adding one is one file and one line here.
INSTALLERS = ("colab_magics.pin.uv:Uv", "colab_magics.pin.pip:Pip")

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

#: Variables that name indexes to uv, and win over what pip has.
_OF_UV = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
#: Signals by which a person, or the system, ends a program that works.
_ENDED = (signal.SIGINT, signal.SIGTERM)

T = TypeVar("T")
#: The exit status of an installer, and what it printed.
Said = Tuple[int, Tuple[str, ...]]
#: Told each line that an installer prints, and whether it is for no person.
Hears = Callable[[str, bool], None]


class Installer(Protocol):
    """A program that installs requirements into the interpreter of this kernel."""

    name: str

    def available(self, settings: PipSettings) -> Optional[str]:
        """None, or why it cannot be used here."""

    def trial(self) -> List[str]:
        """A command that each one that works does at once, and changes nothing."""

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


class _Broken(Exception):
    """An installer that does not work on this machine; the reason is its argument."""


class Job:
    """Runs the first installer that can be used; `InstallFailed` where there is none.

    One that turns out not to work gives way to the next. The kernel's own machinery is held at the
    versions that run now, unless ``hold`` is false.
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
        #: Why those that do not work here do not, by name.
        self._broken: Dict[str, str] = {}
        self._fixed = installer is not None
        self._installer: Installer = installer or _installer(self.settings, self._broken)
        self._logins: Logins = {}
        self._here: Optional[Installed] = None
        here = self.here.versions() if hold else {}
        #: What was said of the plan, for whoever looks only at the end.
        self.notes: Tuple[str, ...] = ()
        #: The lines of the constraints file, and those that only some installers take.
        self.held = [f"{name}=={here[name]}" for name in KERNEL if name in here]
        self.locked: List[str] = []
        self._lines: Sequence[str] = ()

    @property
    def here(self) -> Installed:
        """What is installed now, as far as only this job changes it: read again when it has."""
        if self._here is None:
            self._here = Installed()
        return self._here

    def of(self, line: Dict[str, str]) -> Job:
        """The same with the settings of another line."""
        return self if line == self.line else Job(self._progress, self._keeps, line, self._hold)

    def install(
        self,
        lines: Sequence[str],
        again: Sequence[str] = (),
        more: Sequence[str] = (),
        fresh: bool = False,
        shown: Optional[Sequence[str]] = None,
        newest: Optional[Sequence[str]] = None,
    ) -> Said:
        """Install what the lines of a requirements file say; ``fresh``: by nothing cached.

        The plan is shown where ``shown`` has the names that come first in it. The names of
        ``newest`` are taken in their newest version, of an empty one all.
        """

        def attempt(folder: Path) -> Said:
            here = {} if shown is None else self.here.versions()
            reads, advises = self._installer.planned, self.advise
            watch = Watch(shown or (), reads, advises, self._progress, here)
            hears = _deaf if shown is None else watch.hear
            command = self._words(folder, lines, again, [*more, *self._upgrade(newest)])
            self._here = None
            status, said = self._run(command, fresh, hears)
            self.notes = (*self.notes, *watch.notes)
            return status, _unplaced(said, folder)

        return self._with_any(attempt)

    def rehearse(
        self,
        lines: Sequence[str],
        again: Sequence[str] = (),
        newest: Optional[Sequence[str]] = None,
    ) -> Tuple[Said, Optional[Plan]]:
        """Have it say what `install` would do, changing nothing; None where it cannot."""

        def attempt(folder: Path) -> Tuple[Said, Optional[Plan]]:
            report = folder / "report.json"
            dry = self._installer.rehearsal(report)
            if dry is None:
                return (0, ()), None
            heard: List[str] = []
            command = self._words(folder, lines, again, [*self._upgrade(newest), *dry])
            status, said = self._run(command, hears=lambda line, aside: heard.append(line))
            text = report.read_text(encoding="utf-8") if report.exists() else ""
            plan = {} if status else self._installer.planned(heard, text)
            return (status, _unplaced(said, folder)), plan

        return self._with_any(attempt)

    def look_up(self, lines: Sequence[str]) -> Tuple[Said, str]:
        """Where just these are, and their hashes: a ``pylock.toml``; changes nothing."""

        def attempt(folder: Path) -> Tuple[Said, str]:
            wanted, found = folder / "requirements.txt", folder / "pylock.toml"
            command = self._installer.look_up(wanted, found)
            if command is None:
                why = "".join(f"; {name} does not work: {x}" for name, x in self._broken.items())
                raise InstallFailed(f"{self._installer.name} makes no locks{why}.", "Install uv.")
            self._lines = lines
            self._write_lines(wanted, lines)
            status, said = self._run(command, made=found)
            text = "" if status else found.read_text(encoding="utf-8")
            return (status, _unplaced(said, folder)), text

        return self._with_any(attempt)

    def advise(self, plan: Plan) -> List[str]:
        """What to say of a plan before it is carried out."""
        return advice(plan, self._installer.name)

    def uninstall(self, names: Sequence[str]) -> Said:
        """Uninstall distributions."""
        self._note(names)
        self._here = None
        return self._with_any(lambda folder: self._run(self._installer.removal(names)))

    def _upgrade(self, names: Optional[Sequence[str]]) -> List[str]:
        return [] if names is None else self._installer.upgrade(names)

    def _words(
        self, folder: Path, lines: Sequence[str], again: Sequence[str], more: Sequence[str]
    ) -> List[str]:
        """The command; its files lie where only this user can read them."""
        self._lines = lines
        wanted, held = folder / "requirements.txt", folder / "constraints.txt"
        self._write_lines(wanted, lines)
        _write(held, [*self.held, *([] if self._broken else self.locked)])
        alone = ["--no-deps"] if self.settings.on("no-deps") else []
        command = self._installer.command(wanted, held, again)
        return [*command, *dict.fromkeys([*alone, *more])]

    # ------------------------------------------------------------------ one run, or the next one
    def _with_any(self, attempt: Callable[[Path], T]) -> T:
        """What an attempt gives; by the next installer where one turns out not to work."""
        while True:
            folder = scratch_folder("colab-magics-pin-")
            try:
                return attempt(folder)
            except _Broken as error:
                self._give_way(str(error))
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _give_way(self, why: str) -> None:
        """Take the next installer, and say so; `InstallFailed` where there is none."""
        name = self._installer.name
        self._broken[name] = why
        if self._fixed:
            raise InstallFailed(f"{name} does not work here: {why}.", f"Install {name} again.")
        self._installer = _installer(self.settings, self._broken)
        without = ", and the lock is not used" if self.locked else ""
        note = f"{name} does not work here ({why}): {self._installer.name} installs{without}"
        self.notes = (*self.notes, note)
        self._progress(note)

    def _write_lines(self, wanted: Path, lines: Sequence[str]) -> None:
        """Write the requirements file; logins of git's go through the environment."""
        lines, self._logins = without_logins([*self._installer.options(self.settings), *lines])
        _write(wanted, lines)

    def records(self, names: Iterable[str]) -> List[Path]:
        """See `Installer`."""
        return self._installer.records(names)

    def _note(self, names: Iterable[str]) -> None:
        """Where a journal is kept, these names are in it before they change."""
        if self._keeps:
            note(names)

    def _run(
        self,
        command: Sequence[str],
        fresh: bool = False,
        hears: Hears = _deaf,
        made: Optional[Path] = None,
    ) -> Said:
        """Run the installer; ``made`` is a file that it makes, saying nothing.

        `_Broken` where it does not work and has changed nothing, `InstallFailed` where it hangs.
        """
        uncached = {"UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1"} if fresh else {}
        aside, environment = self._installer.aside, self._installer.environment(self.settings)
        last = ""

        def hear(line: str) -> None:
            nonlocal last
            self._note(self._installer.touches(line, last))  # first of all: it goes on meanwhile
            hears(line, aside(line))
            if not aside(line):
                last = line
                self._progress(line)

        seconds = self.settings.patience(os.environ)
        try:
            done = run(
                command,
                {**environment, **git_environment(self._logins), **uncached},
                on_line=hear,
                holds=self._installer.in_place,
                keeps=self._keeps,
                silence=seconds,
            )
        except SilenceError:
            raise self._silent(seconds) from None
        except TimeoutError as error:
            raise InstallFailed(f"{self._installer.name} was ended: {error}.") from None
        except NotStarted as error:  # not there, not executable, or made for another machine
            raise _Broken(error.strerror or type(error).__name__) from None
        finally:
            importlib.invalidate_caches()
        said = tuple(line for line in done.lines if not aside(line))
        why = "" if self._installer.in_place(done.lines) else self._fault(done.status, said, made)
        if why:
            raise _Broken(why)
        return done.status, said

    def _fault(self, status: int, said: Sequence[str], made: Optional[Path]) -> str:
        """Why an installer that has ended so does not work; empty where it has answered."""
        if status < 0:
            return "" if -status in _ENDED else f"it was ended by signal {-status}"
        if status and not said:
            return f"it ended with {status}, without a word"
        if made is not None and not status:
            return "" if made.exists() else "it made no file"
        return "" if (said and not status) or self._works() else "it cannot say its version"

    def _works(self) -> bool:
        """Whether the installer does what each one does that works."""
        try:
            done = run(
                self._installer.trial(), self._installer.environment(self.settings), timeout=30
            )
        except OSError:  # it cannot be started, or does not end
            return False
        return done.status == 0 and bool(done.lines)

    def _silent(self, seconds: float) -> InstallFailed:
        """The error for an installer that has waited in vain."""
        places = [os.environ[name] for name in _OF_UV if name in os.environ]
        places = [*(places or asked(self.settings)), *self._lines]
        hosts = re.findall(r"https?://(?:[^/@\s]*@)?([\w.-]+|\[[\da-fA-F:]+\])", " ".join(places))
        who = ", ".join(dict.fromkeys(hosts)) or self._installer.name
        error = InstallFailed(
            f"{who} has not answered for {seconds:.0f} s; nothing was installed.",
            "Check the network, the proxy, and index-url in pip.conf. For an index that is slow, "
            "set UV_HTTP_TIMEOUT to more seconds.",
        )
        error.code = "timeout"
        return error


def _write(path: Path, lines: Sequence[str]) -> None:
    """Write the lines of a file for an installer; `InstallFailed` where one would be several."""
    if any(has_controls(line.replace("\t", " ")) for line in lines):
        raise InstallFailed(
            "A requirement or an option holds a character that is none of a line.",
            "Write it again, in one line.",
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _installer(settings: PipSettings, broken: Mapping[str, str]) -> Installer:
    """The first one that can be used, of those that are not known to be broken."""
    found, reasons = choose(
        INSTALLERS, lambda part: broken.get(part.name) or part.available(settings)
    )
    if found is None:
        because = "; ".join(f"{name}: {reason}" for name, reason in reasons)
        raise InstallFailed(f"No installer can be used here ({because}).", "Install pip.")
    installer: Installer = found
    return installer


def _unplaced(said: Sequence[str], folder: Path) -> Tuple[str, ...]:
    """What was said, with the name of a file that nobody knows made one for people."""
    wanted = str(folder / "requirements.txt")
    return tuple(line.replace(wanted, "the line") for line in said)
