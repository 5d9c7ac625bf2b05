"""One installer at work on this environment: the runs of one installation, alike in all."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Protocol, Sequence, Tuple

from ..core.controls import has_controls
from ..core.errors import InstallFailed, NotStarted
from ..core.files import scratch_folder
from ..core.process import SilenceError, run
from ..core.registry import choose
from ..core.steps import Progress
from .cuda import advice
from .environment import Installed
from .failure import explain, hosts_of
from .git_login import Logins, git_environment, without_logins
from .journal import note
from .options import authenticated
from .pip_config import PipSettings, read_settings
from .plan import Plan, PlanWatch, add_sizes, table

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


class Installer(Protocol):
    """A program that installs requirements into the interpreter of this kernel."""

    name: str

    def available(self, settings: PipSettings) -> Optional[str]:
        """Return None, or why it cannot be used here."""

    def version_command(self) -> List[str]:
        """Return a command that each one that works does at once, and that changes nothing."""

    def install_command(
        self, requirements: Path, constraints: Path, reinstall: Sequence[str]
    ) -> List[str]:
        """Return the command that installs what the files say; ``--no-deps`` may be put after it.

        The names of ``reinstall`` are installed even where they are there.
        """

    def upgrade_options(self, names: Sequence[str]) -> List[str]:
        """Return the words for the newest version of these, and only these; of none: of all."""

    def uninstall_command(self, names: Sequence[str]) -> List[str]:
        """Return the command that uninstalls distributions."""

    def environment(self, settings: PipSettings) -> Dict[str, str]:
        """Return the variables that it runs with; secrets travel here, not in arguments."""

    def option_lines(self, settings: PipSettings) -> List[str]:
        """Return option lines for the head of the requirements file."""

    def is_writing(self, lines: Sequence[str]) -> bool:
        """Return whether it is putting files in place, so that it must not be cut."""

    def dry_run_options(self, report: Path) -> Optional[List[str]]:
        """Return the words for only printing or reporting the plan; None: it cannot."""

    def read_plan(self, lines: Sequence[str], report: str = "") -> Plan:
        """Return the plan in what it has printed and reported so far."""

    def pylock_command(self, requirements: Path, output: Path) -> Optional[List[str]]:
        """Return the command that writes where these exact requirements are, and their hashes, as a
        ``pylock.toml`` (PEP 751); None: it cannot, and takes no hashes from constraints.
        """

    def is_debug(self, line: str) -> bool:
        """Return whether a line is for `is_writing` and `read_plan` alone, and for no person."""

    def changed_names(self, line: str, previous: str) -> List[str]:
        """Return the names in a line that says what is about to be changed here.

        ``previous`` is the last line before it that was for people.
        """

    def cached_records(self, names: Iterable[str]) -> List[Path]:
        """Return the ``RECORD`` of each wheel that it may have been putting in place of these."""


class _Broken(Exception):
    """An installer that does not work on this machine; the reason is its argument."""


#: Is passed each line that an installer prints, and whether it is for no person.
OnLine = Callable[[str, bool], None]


def _ignore(line: str, is_debug: bool) -> None:
    """Do nothing."""


class Job:
    """Runs the first installer that can be used; `InstallFailed` where there is none, or it fails.

    One that turns out not to work gives way to the next. The kernel's own machinery is held at the
    versions that run now, unless ``hold`` is false.
    ``inherited`` are open files that the installer inherits, ``line`` the settings of a ``%pin``;
    ``installer`` is the only one to use.
    """

    def __init__(
        self,
        progress: Progress,
        inherited: Sequence[int],
        line: Optional[Dict[str, str]] = None,
        hold: bool = True,
        installer: Optional[Installer] = None,
    ) -> None:
        self.line = dict(line or {})
        self.settings = read_settings().with_line(authenticated(self.line))
        self._progress, self._inherited, self._hold = progress, inherited, hold
        #: Why those that do not work here do not, by name.
        self._broken: Dict[str, str] = {}
        self._only = installer is not None
        self._installer: Installer = installer or _choose(self.settings, self._broken)
        self._installed: Optional[Installed] = None
        self._logins: Logins = {}
        self._notes: List[str] = []
        self._advice: List[str] = []
        versions = self.installed.versions() if hold else {}
        self._held = {name: versions[name] for name in KERNEL if name in versions}
        #: The lines of the constraints file that only some installers take.
        self.locked: List[str] = []

    @property
    def installed(self) -> Installed:
        """What is installed now, as far as only this job changes it: read again when it has."""
        if self._installed is None:
            self._installed = Installed()
        return self._installed

    @property
    def notes(self) -> Tuple[str, ...]:
        """What was shown of the installers and the plan, for whoever looks only at the end."""
        return (*self._notes, *self._advice)

    def with_line(self, line: Dict[str, str]) -> Job:
        """Return the same with the settings of another line."""
        if line == self.line:
            return self
        return Job(self._progress, self._inherited, line, self._hold)

    def advise(self, plan: Plan) -> List[str]:
        """Return what to say of a plan before it is carried out."""
        return advice(plan, self._installer.name)

    # ------------------------------------------------------------------ what it does
    def install(
        self,
        lines: Sequence[str],
        reinstall: Sequence[str] = (),
        newest: Optional[Sequence[str]] = None,
        first: Optional[Sequence[str]] = None,
        options: Sequence[str] = (),
        fresh: bool = False,
    ) -> None:
        """Install what the lines of a requirements file say; ``fresh``: from no cache.

        The plan is shown where ``first`` has the names that come first in it. The names of
        ``newest`` are taken in their newest version, of an empty one all.
        """
        versions = self.installed.versions() if first is not None else {}

        def show(plan: Plan) -> None:
            self._advice = self.advise(plan)
            self._progress(table(plan, first or (), versions, self._advice))

        watch = PlanWatch(lambda printed: self._installer.read_plan(printed), show)
        self._installed = None
        self._run(
            lines,
            lambda folder: self._words(folder, reinstall, newest, options),
            watch.hear if first is not None else _ignore,
            fresh=fresh,
        )

    def rehearse(
        self,
        lines: Sequence[str],
        reinstall: Sequence[str] = (),
        newest: Optional[Sequence[str]] = None,
    ) -> Optional[Plan]:
        """Return the plan of `install`, changing nothing; None where the installer has none."""
        printed: List[str] = []

        def command(folder: Path) -> Optional[List[str]]:
            options = self._installer.dry_run_options(folder / "report.json")
            return None if options is None else self._words(folder, reinstall, newest, options)

        report = self._run(lines, command, lambda line, is_debug: printed.append(line))
        if report is None:
            return None
        plan = self._installer.read_plan(printed, report)
        fetched = [f"{i.name}=={i.version}" for i in plan.values() if i.is_on_index]
        with suppress(InstallFailed):  # a plan without sizes will do
            plan = add_sizes(plan, self.make_pylock(fetched, suggest=False)) if fetched else plan
        return plan

    def make_pylock(self, lines: Sequence[str], suggest: bool = True) -> str:
        """Return where these exact requirements are, as a ``pylock.toml``; changes nothing."""

        def command(folder: Path) -> Optional[List[str]]:
            files = folder / "requirements.txt", folder / "pylock.toml"
            return self._installer.pylock_command(*files)

        text = self._run(lines, command, suggest=suggest)
        if text is None:
            reasons = "".join(f"; {name} does not work: {x}" for name, x in self._broken.items())
            raise InstallFailed(f"{self._installer.name} makes no locks{reasons}.", "Install uv.")
        return text

    def uninstall(self, names: Sequence[str]) -> None:
        """Uninstall distributions."""
        self._note(names)
        self._installed = None
        self._run((), lambda folder: self._installer.uninstall_command(names))

    def cached_records(self, names: Iterable[str]) -> List[Path]:
        """Return the ``RECORD`` of each wheel that may have been put in place; see `Installer`."""
        return self._installer.cached_records(names)

    def _words(
        self,
        folder: Path,
        reinstall: Sequence[str],
        newest: Optional[Sequence[str]],
        options: Sequence[str],
    ) -> List[str]:
        requirements, constraints = folder / "requirements.txt", folder / "constraints.txt"
        command = self._installer.install_command(requirements, constraints, reinstall)
        alone = ["--no-deps"] if self.settings.on("no-deps") else []
        upgrade = [] if newest is None else self._installer.upgrade_options(newest)
        return [*command, *dict.fromkeys([*alone, *upgrade, *options])]

    def _note(self, names: Iterable[str]) -> None:
        """Where a journal is kept, these names are in it before they change."""
        if self._inherited:
            note(names)

    # ------------------------------------------------------------------ one run, or the next one
    def _run(
        self,
        lines: Sequence[str],
        command: Callable[[Path], Optional[Sequence[str]]],
        on_line: OnLine = _ignore,
        fresh: bool = False,
        suggest: bool = True,
    ) -> Optional[str]:
        """Run what ``command`` makes for the folder of its files; None where it makes nothing.

        The result is the text of the other file that it has written there, if any. Where an
        installer turns out not to work, the next one runs. ``suggest``: an error may name another
        version.
        """
        while True:
            folder = scratch_folder("colab-magics-pin-")  # only this user can read it
            try:
                self._write_files(folder, lines)
                words = command(folder)
                if words is None:
                    return None
                self._run_once(words, folder, lines, on_line, fresh, suggest)
                return _output_in(folder)
            except _Broken as error:
                self._give_way(str(error))
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _write_files(self, folder: Path, lines: Sequence[str]) -> None:
        """Write the files that commands name; logins of git's go through the environment."""
        options = self._installer.option_lines(self.settings)
        lines, self._logins = without_logins([*options, *lines])
        held = [f"{name}=={version}" for name, version in self._held.items()]
        locked = [] if self._broken else self.locked
        for name, text in (("requirements", lines), ("constraints", [*held, *locked])):
            if any(has_controls(line.replace("\t", " ")) for line in text):
                raise InstallFailed(
                    "A requirement or an option contains a control character or a line break.",
                    "Write it again, in one line.",
                )
            (folder / f"{name}.txt").write_text("\n".join(text) + "\n", encoding="utf-8")

    def _give_way(self, reason: str) -> None:
        """Take the next installer, and say so; `InstallFailed` where there is none."""
        name = self._installer.name
        self._broken[name] = reason
        if self._only:
            raise InstallFailed(f"{name} does not work here: {reason}.", f"Install {name} again.")
        self._installer = _choose(self.settings, self._broken)
        without = ", and the lock is not used" if self.locked else ""
        note = f"{name} does not work here ({reason}): {self._installer.name} installs{without}"
        self._notes.append(note)
        self._progress(note)

    def _run_once(
        self,
        command: Sequence[str],
        folder: Path,
        lines: Sequence[str],
        on_line: OnLine,
        fresh: bool,
        suggest: bool,
    ) -> None:
        """Run the installer; `InstallFailed` where it fails or hangs.

        `_Broken` where it does not work and has changed nothing.
        """
        installer, environment = self._installer, self._installer.environment(self.settings)
        uncached = {"UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1"} if fresh else {}
        previous = ""

        def hear(line: str) -> None:
            nonlocal previous
            self._note(installer.changed_names(line, previous))  # first: it goes on meanwhile
            on_line(line, installer.is_debug(line))
            if not installer.is_debug(line):
                previous = line
                self._progress(line)

        seconds = self.settings.patience(os.environ)
        try:
            done = run(
                command,
                {**environment, **git_environment(self._logins), **uncached},
                on_line=hear,
                holds=installer.is_writing,
                keeps=self._inherited,
                silence=seconds,
            )
        except SilenceError:
            raise self._silent(seconds, lines) from None
        except TimeoutError as error:
            raise InstallFailed(f"{installer.name} was ended: {error}.", code="timeout") from None
        except NotStarted as error:  # not there, not executable, or made for another machine
            raise _Broken(error.strerror or type(error).__name__) from None
        finally:
            importlib.invalidate_caches()
        printed = [line for line in done.lines if not installer.is_debug(line)]
        fault = self._fault(done.status, bool(printed or _output_in(folder)))
        if fault and not installer.is_writing(done.lines):
            raise _Broken(fault)
        if done.status:
            name = str(folder / "requirements.txt")
            printed = [line.replace(name, "the line") for line in printed]
            newest = self._newest if suggest else None
            raise explain(printed, self.settings.indexes, self._held, newest)

    def _fault(self, status: int, answered: bool) -> str:
        """Return why an installer that has ended so does not work; empty where it has answered."""
        if status < 0:
            return "" if -status in _ENDED else f"it was ended by signal {-status}"
        if status and not answered:
            return f"it ended with {status}, without a word"
        fine = answered and not status
        return "" if fine or self._works() else "it cannot say its version"

    def _works(self) -> bool:
        """Return whether the installer does what each one does that works."""
        command, environment = self._installer.version_command(), self._installer.environment
        try:
            done = run(command, environment(self.settings), timeout=30)
        except OSError:  # it cannot be started, or does not end
            return False
        return done.status == 0 and bool(done.lines)

    def _newest(self, package: str) -> str:
        """Return the newest version of a package for this Python; empty where none is known."""
        with suppress(InstallFailed):
            match = re.search(r'(?m)^version = "(.*)"', self.make_pylock([package], suggest=False))
            return match[1] if match else ""
        return ""

    def _silent(self, seconds: float, lines: Sequence[str]) -> InstallFailed:
        """Make the error for an installer that has waited in vain."""
        places = [os.environ[name] for name in _OF_UV if name in os.environ]
        hosts = hosts_of([*(places or self.settings.indexes), *lines]) or self._installer.name
        return InstallFailed(
            f"{hosts} has not answered for {seconds:.0f} s; nothing was installed.",
            "Check the network, the proxy, and index-url in pip.conf. For an index that is slow, "
            "set UV_HTTP_TIMEOUT to more seconds.",
            code="timeout",
        )


def _output_in(folder: Path) -> str:
    files = (folder / "report.json", folder / "pylock.toml")
    return "".join(file.read_text(encoding="utf-8") for file in files if file.exists())


def _choose(settings: PipSettings, broken: Mapping[str, str]) -> Installer:
    """Return the first one that can be used, of those that are not known to be broken."""
    installer: Optional[Installer]
    installer, reasons = choose(
        INSTALLERS, lambda part: broken.get(part.name) or part.available(settings)
    )
    if installer is None:
        because = "; ".join(f"{name}: {reason}" for name, reason in reasons)
        raise InstallFailed(
            f"No installer can be used here ({because}).", "Install pip.", code="no-installer"
        )
    return installer
