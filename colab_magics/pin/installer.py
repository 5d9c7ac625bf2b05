"""One installer at work on this environment: the runs of one installation, alike in all."""

from __future__ import annotations

import importlib
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Protocol, Sequence, Tuple

from ..core.controls import has_controls
from ..core.errors import InstallFailed, NotStarted
from ..core.folders import scratch_folder
from ..core.process import Finished, SilenceError, run
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
        return []

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
        return None

    def is_debug(self, line: str) -> bool:
        """Return whether a line is for `is_writing` and `read_plan` alone, and for no person."""
        return False

    def changed_names(self, line: str, previous: str) -> List[str]:
        """Return the names in a line that says what is about to be changed here.

        ``previous`` is the last line before it that was for people.
        """

    def cached_records(self, names: Iterable[str]) -> List[Path]:
        """Return the ``RECORD`` of each wheel that it may have been putting in place of these.

        None, where it takes back itself what fails.
        """
        return []


#: Is passed each line that an installer prints, and whether it is for no person.
OnLine = Callable[[str, bool], None]


def _ignore(line: str, is_debug: bool) -> None:
    """Do nothing."""


class Job:
    """Runs the first installer that can be used; `InstallFailed` where there is none, or it fails.

    The kernel's own machinery is held at the versions that run now, unless ``hold`` is false.
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
        self._faults: Dict[str, str] = {}
        self._installer: Installer = installer or self._choose()
        self._installed: Optional[Installed] = None
        self._advice: List[str] = []
        versions = self.installed.versions() if hold else {}
        self._held = {name: versions[name] for name in KERNEL if name in versions}
        #: The lines of the constraints file that only some installers take.
        self.locked: List[str] = []

    def _choose(self) -> Installer:
        """Return the first installer that suits the settings and works."""

        def reason_against(part: Installer) -> Optional[str]:
            reason = part.available(self.settings)
            fault = "" if reason else _fault(part, self.settings)
            self._faults.update({part.name: fault} if fault else {})
            return reason or fault or None

        installer: Optional[Installer]
        installer, reasons = choose(INSTALLERS, reason_against)
        if installer is None:
            because = "; ".join(f"{name}: {reason}" for name, reason in reasons)
            raise InstallFailed(
                f"No installer can be used here ({because}).", "Install pip.", code="no-installer"
            )
        return installer

    @property
    def installed(self) -> Installed:
        """What is installed now, as far as only this job changes it: read again when it has."""
        if self._installed is None:
            self._installed = Installed()
        return self._installed

    @property
    def notes(self) -> Tuple[str, ...]:
        """What there is to say of the installers and the plan, once it is done."""
        without = ", and the lock is not used" if self.locked else ""
        notes = [
            f"{name} does not work here ({fault}): {self._installer.name} installs{without}"
            for name, fault in self._faults.items()
        ]
        return (*notes, *self._advice)

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
            watch.add if first is not None else _ignore,
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
            raise InstallFailed(
                "; ".join([f"{self._installer.name} makes no locks", *self.notes]) + ".",
                "Install uv.",
                code="no-installer",
            )
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

    # ------------------------------------------------------------------ one run
    def _run(
        self,
        lines: Sequence[str],
        command: Callable[[Path], Optional[Sequence[str]]],
        on_line: OnLine = _ignore,
        fresh: bool = False,
        suggest: bool = True,
    ) -> Optional[str]:
        """Run what ``command`` makes for the folder of its files; None where it makes nothing.

        The result is the text of the other file that it has written there, if any. ``suggest``:
        an error may name another version.
        """
        folder = scratch_folder("colab-magics-pin-")  # only this user can read it
        try:
            logins = self._write_files(folder, lines)
            words = command(folder)
            if words is None:
                return None
            uncached = {"UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1"} if fresh else {}
            done = self._start(words, {**git_environment(logins), **uncached}, lines, on_line)
            if done.status:
                file = str(folder / "requirements.txt")
                printed = [line.replace(file, "the line") for line in done.lines]
                printed = printed or [f"error: {self._installer.name} ended with {done.status}"]
                newest = self._newest if suggest else None
                raise explain(printed, self.settings.indexes, self._held, newest)
            files = (folder / "report.json", folder / "pylock.toml")
            return "".join(file.read_text(encoding="utf-8") for file in files if file.exists())
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _write_files(self, folder: Path, lines: Sequence[str]) -> Logins:
        """Write the files that commands name; return the logins of git's, which go elsewhere."""
        options = self._installer.option_lines(self.settings)
        lines, logins = without_logins([*options, *lines])
        held = [f"{name}=={version}" for name, version in self._held.items()]
        locked = [] if self._faults else self.locked
        for name, text in (("requirements", lines), ("constraints", [*held, *locked])):
            if any(has_controls(line.replace("\t", " ")) for line in text):
                raise InstallFailed(
                    "A requirement or an option contains a control character or a line break.",
                    "Write it again, in one line.",
                )
            (folder / f"{name}.txt").write_text("\n".join(text) + "\n", encoding="utf-8")
        return logins

    def _start(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        lines: Sequence[str],
        on_line: OnLine,
    ) -> Finished:
        """Run the installer, and leave its debug lines out; `InstallFailed` where it hangs."""
        installer, previous = self._installer, ""

        def pass_on(line: str) -> None:
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
                {**installer.environment(self.settings), **variables},
                on_line=pass_on,
                holds=installer.is_writing,
                keeps=self._inherited,
                silence=seconds,
            )
        except SilenceError:
            raise self._silent(seconds, lines) from None
        except TimeoutError as error:
            raise InstallFailed(f"{installer.name} was ended: {error}.", code="timeout") from None
        finally:
            importlib.invalidate_caches()
        return Finished(done.status, tuple(x for x in done.lines if not installer.is_debug(x)))

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


def _fault(installer: Installer, settings: PipSettings) -> str:
    """Return why an installer does not work on this machine; empty where it says its version."""
    command, environment = installer.version_command(), installer.environment(settings)
    try:
        done = run(command, environment, silence=settings.patience(os.environ))
    except SilenceError:  # what it waits for is told when it is to install
        return ""
    except NotStarted as error:  # not there, not executable, or made for another machine
        return error.strerror or type(error).__name__
    if done.status < 0:
        return f"it was ended by signal {-done.status}"
    if not done.lines:
        return f"it ended with {done.status}, without a word"
    return f"it ended with {done.status}" if done.status else ""
