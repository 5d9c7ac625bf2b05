"""One installer at work on this environment: the runs of one installation, alike in all."""

from __future__ import annotations

import importlib
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..core.controls import has_controls
from ..core.errors import InstallFailed
from ..core.folders import scratch_folder
from ..core.process import Finished, SilenceError, run
from ..core.registry import choose
from ..core.steps import Progress
from .cuda import advice
from .day import without_day
from .downloads import Downloads
from .environment import Installed
from .environments.interpreters import platform
from .failure import explain, hosts_of, python_hint
from .git_login import Logins, git_environment, without_logins
from .installer import INSTALLERS, KERNEL, Installer, find_fault
from .journal import note
from .loaded import foretell, loaded_versions
from .options import authenticated
from .pip_config import read_settings
from .plan import Item, Plan, PlanWatch, add_sizes, parse_toml, table
from .wheels import nearest

#: Variables that name indexes to uv, and win over what pip has.
_OF_UV = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")

#: The file with what a line needs.
_RESOLVED = "resolved.txt"

#: Is passed each line that an installer prints, and whether it is for no person.
OnLine = Callable[[str, bool], None]


def _ignore(line: str, is_debug: bool) -> None:
    """Do nothing."""


class _BuildBegins(Exception):
    """What was to be installed from wheels alone has none."""


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
        self._only = installer
        self._installer: Installer = installer or self._choose()
        self._installed: Optional[Installed] = None
        self._loaded: Optional[Dict[str, str]] = None
        #: The releases that were built from source.
        self._built: List[Item] = []
        self._advice: List[str] = []
        versions = self.installed.versions() if hold else {}
        self._held = {name: versions[name] for name in KERNEL if name in versions}
        #: The lines of the constraints file that only some installers take.
        self.locked: List[str] = []
        #: What the line is held to by its day, as ``name==version``.
        self.dated: List[str] = []

    def _choose(self) -> Installer:
        """Return the first installer that suits the settings and works."""

        def reason_against(part: Installer) -> Optional[str]:
            reason = part.available(self.settings)
            fault = "" if reason else find_fault(part, self.settings)
            self._faults.update({part.name: fault} if fault else {})
            return reason or fault or None

        installer: Optional[Installer]
        installer, reasons = choose(INSTALLERS, reason_against)
        if installer is None:
            because = "; ".join(f"{name}: {reason}" for name, reason in reasons)
            raise InstallFailed(
                f"No installer can be used here ({because}).",
                "For --as-of install uv, or a newer pip." if self.day else "Install pip.",
                code="no-installer",
            )
        return installer

    @property
    def day(self) -> str:
        """The day of the line's ``--as-of``; empty without it."""
        return self.settings.day

    @property
    def installed(self) -> Installed:
        """What is installed now, as far as only this job changes it: read again when it has."""
        if self._installed is None:
            self._installed = Installed()
        return self._installed

    @property
    def loaded(self) -> Dict[str, str]:
        """The `loaded_versions`; to be read before a change."""
        if self._loaded is None:
            self._loaded = loaded_versions(self.installed)
        return self._loaded

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
        return Job(self._progress, self._inherited, line, self._hold, self._only)

    def without_day(self) -> Job:
        """Return the same for versions of any day."""
        return self.with_line(without_day(self.line))

    def advise(self, plan: Plan) -> List[str]:
        """Return what to say of a plan before it is carried out."""
        return advice(plan, self._installer.name)

    def warn(self, plan: Plan, installed: Mapping[str, str], offer: bool = False) -> List[str]:
        """Return what to say of a plan for this kernel, where these versions are installed.

        ``offer``: also which versions have a wheel, which takes a moment.
        """
        planned = {item.name: item.version for item in plan.values()}
        lines = [foretell(planned, installed, self.loaded)]
        for item in filter(lambda item: item.built, plan.values()):
            other = self._nearest(item) if offer else ""
            text = f"{item.name} {item.version} builds from source, which may take minutes"
            text += f"; {other} has a wheel" if other else ""
            lines.append(f"{text}. {python_hint(self.day)}".rstrip(" ") if self.day else text)
        return [*filter(None, lines), *self.advise(plan)]

    # ------------------------------------------------------------------ what it does
    def install(
        self,
        lines: Sequence[str],
        reinstall: Sequence[str] = (),
        newest: Optional[Sequence[str]] = None,
        first: Optional[Sequence[str]] = None,
        options: Sequence[str] = (),
        fresh: bool = False,
        wheels_only: bool = False,
    ) -> None:
        """Install what the lines of a requirements file say; ``fresh``: from no cache.

        The plan is shown where ``first`` has the names that come first in it. The names of
        ``newest`` are taken in their newest version, of an empty one all. ``wheels_only``:
        `InstallFailed` (``no-wheel``) as soon as a release would be built.
        """
        versions = self.installed.versions() if first is not None else {}

        def show(plan: Plan) -> None:
            self._advice = self.advise(plan)
            self._progress(table(plan, first or (), versions, self.warn(plan, versions)))

        watch = PlanWatch(lambda printed: self._installer.read_plan(printed), show)
        self._installed = None
        self._run(
            lines,
            lambda folder: self._words(folder, reinstall, newest, options),
            _ignore if first is None else self._on_line(watch, wheels_only),
            fresh=fresh,
        )

    def rehearse(
        self,
        lines: Sequence[str],
        reinstall: Sequence[str] = (),
        newest: Optional[Sequence[str]] = None,
        wheels_only: bool = False,
    ) -> Optional[Plan]:
        """Return the plan of `install`, changing nothing; None where the installer has none."""
        watch = PlanWatch(self._installer.read_plan, lambda plan: None)

        def command(folder: Path) -> Optional[List[str]]:
            options = self._installer.dry_run_options(folder / "report.json")
            return None if options is None else self._words(folder, reinstall, newest, options)

        report = self._run(lines, command, self._on_line(watch, wheels_only))
        if report is None:
            return None
        plan = self._installer.read_plan(watch.lines, report)
        fetched = [f"{i.name}=={i.version}" for i in plan.values() if i.is_on_index]
        with suppress(InstallFailed):  # a plan without sizes will do
            plan = add_sizes(plan, self.make_pylock(fetched, suggest=False)) if fetched else plan
        return plan

    def resolve(self, lines: Sequence[str], wheels_only: bool = False) -> List[str]:
        """Return all that the lines need as ``name==version``, whatever is installed here."""
        watch = PlanWatch(self._installer.read_plan, lambda plan: None)

        def command(folder: Path) -> List[str]:
            files = folder / "requirements.txt", folder / _RESOLVED
            alone = ["--no-deps"] if self.settings.on("no-deps") else []
            return [*self._installer.resolve_command(*files), *alone]

        text = self._run(lines, command, self._on_line(watch, wheels_only))
        return self._installer.read_resolved(text or "")

    def make_pylock(
        self, lines: Sequence[str], suggest: bool = True, words: Sequence[str] = ()
    ) -> str:
        """Return where these exact requirements are, as a ``pylock.toml``; changes nothing."""

        def command(folder: Path) -> Optional[List[str]]:
            files = folder / "requirements.txt", folder / "pylock.toml"
            return self._installer.pylock_command(*files, words)

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

    # ------------------------------------------------------------------ builds
    def _on_line(self, watch: PlanWatch, wheels_only: bool) -> OnLine:
        """Return what takes in the lines of an installer, and ends it where it may not build."""

        def on_line(line: str, is_debug: bool) -> None:
            watch.add(line, is_debug)
            self._built = [item for item in watch.plan.values() if item.built]
            if wheels_only and self._built:
                raise _BuildBegins

        return on_line

    def describe_builds(self) -> List[str]:
        """Return what was built, and which version would have had a wheel."""
        here = self.installed.versions() if self._built else {}
        built = [item for item in self._built if here.get(item.name) == item.version]
        texts = (_lacks_wheel(item, self._nearest(item)) for item in built)
        return [f"{text}: it was built from source" for text in texts]

    def _refuse_build(self, item: Item) -> InstallFailed:
        other = self._nearest(item)
        hint = f"Try: %pin {item.name}=={other}. " if other else ""
        error = InstallFailed(
            f"{_lacks_wheel(item, other)}: it builds from source, which may take minutes. "
            "Nothing was installed.",
            f"{hint}{python_hint(self.day)}To build it, add --build to the line.",
            code="no-wheel",
        )
        error.package = item.name
        return error

    def _nearest(self, item: Item) -> str:
        """Return the next version with a wheel for here, else the last before; empty: unknown."""
        name, version, only = item.name, item.version, ["--only-binary", item.name]
        lowest = [*only, "--resolution", "lowest-direct"]
        for text, words in ((f"{name}>{version}", lowest), (f"{name}<{version}", only)):
            with suppress(InstallFailed):
                pylock = self.make_pylock([text], suggest=False, words=words)
                return str(parse_toml(pylock)["packages"][0]["version"])

        def command(folder: Path) -> Optional[List[str]]:
            options = self._installer.dry_run_options(folder / "report.json")
            words = self._words(folder, (), None, ["--no-deps", "--force-reinstall", *only])
            return None if options is None else [*words, *options]

        try:  # pip makes no pylock, but names the versions that there are
            self._run([f"{name}=={version}"], command, suggest=False)
        except InstallFailed as error:
            return nearest(error.versions, version)
        return ""

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
                raise explain(printed, self.settings.indexes, self._held, newest, self.day)
            files = (folder / "report.json", folder / "pylock.toml", folder / _RESOLVED)
            return "".join(file.read_text(encoding="utf-8") for file in files if file.exists())
        except _BuildBegins:
            raise self._refuse_build(self._built[0]) from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _write_files(self, folder: Path, lines: Sequence[str]) -> Logins:
        """Write the files that commands name; return the logins of git's, which go elsewhere."""
        options = self._installer.option_lines(self.settings)
        lines, logins = without_logins([*options, *lines])
        held = [f"{name}=={version}" for name, version in self._held.items()]
        locked = [] if self._faults else self.locked
        constraints = [*held, *locked, *self.dated]
        for name, text in (("requirements", lines), ("constraints", constraints)):
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
        downloads = Downloads(installer, self._progress)

        def pass_on(line: str) -> None:
            nonlocal previous
            self._note(installer.changed_names(line, previous))  # first: it goes on meanwhile
            on_line(line, installer.is_debug(line))
            downloads.on_line(line)
            previous = previous if installer.is_debug(line) else line

        seconds = self.settings.patience(os.environ)
        try:
            done = run(
                command,
                {**installer.environment(self.settings), **variables},
                on_line=pass_on,
                holds=installer.is_writing,
                keeps=self._inherited,
                silence=seconds,
                on_wait=downloads.on_wait,
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


def _lacks_wheel(item: Item, other: str) -> str:
    """Return that a release has no wheel here, and that another version has one, if it does."""
    text = f"{item.name} {item.version} has no wheel for Python {platform()} on this machine"
    return f"{text} ({other} has one)" if other else text
