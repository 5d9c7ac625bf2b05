"""``%pin`` as a step: requirements that hold, are installed, and are recorded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from os.path import normpath
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    ClassVar,
    Dict,
    FrozenSet,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from ..core.display import Report
from ..core.errors import ColabMagicsError, InstallFailed
from ..core.host import Host
from ..core.steps import Outcome, Progress, Step, Verdict
from .environments.interpreters import platform, runs
from .installer import KERNEL
from .journal import disturbs
from .loaded import mark, restart, stale
from .options import NONE, Options
from .recorded import expanded, is_bare, pinned, spelled, survives, taken_over
from .requirements import carries_secret, key, read_file, requirement, split_extras

if TYPE_CHECKING:
    from .lock.model import Lock
    from .transaction import Done


class Wanted(NamedTuple):
    """Everything that a step asks for: requirements, folders, and option lines of files."""

    texts: List[str]
    folders: List[Path]
    lines: List[str]

    @property
    def names(self) -> List[str]:
        """The canonical names of the requirements."""
        return [_name(text) for text in self.texts]

    def unmet(self) -> str:
        """Why something of it does not hold in this interpreter; empty where all of it does."""
        from .environment import is_editable, why_not

        reasons = (why_not(requirement(text)) for text in self.texts)
        folders = (
            f"{folder.name} is not installed editable"
            for folder in self.folders
            if not is_editable(folder)
        )
        return next(filter(None, chain(reasons, folders)), "")


@dataclass(frozen=True)
class PinStep(Step):
    """Requirements as they were written; files and editable folders by their recorded paths.

    ``how`` says how to install this time (``upgrade``, ``allow_kernel_changes``; ``upgrade_all``:
    also what it needs; ``no_record``: it need not come back), and is not recorded. ``bare`` are
    the keys of names that were typed without anything: of their line only the version is to change.
    """

    requirements: Tuple[str, ...] = ()
    files: Tuple[str, ...] = ()
    folders: Tuple[str, ...] = ()
    options: Options = NONE
    how: FrozenSet[str] = frozenset()
    bare: FrozenSet[str] = field(default=frozenset(), compare=False)
    python: str = ""

    word: ClassVar[str] = "pin"
    rank: ClassVar[int] = 50

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        files = (w for file in self.files for w in ("-r", file))
        folders = (w for folder in self.folders for w in ("-e", folder))
        python = ("--python", self.python) if self.python else ()
        return (*self.requirements, *files, *folders, *self.options.words, *python)

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`."""
        folders = (f"-e {normpath(folder)}" for folder in self.folders)
        files = (f"-r {normpath(file)}" for file in self.files)
        return frozenset([*map(key, self.requirements), *files, *folders])

    @property
    def names(self) -> Tuple[str, ...]:
        """The canonical names of the requirements on the line."""
        return tuple(map(_name, self.requirements))

    @property
    def renews(self) -> bool:
        """Whether it is to be installed in its newest version, or what it needs is."""
        return bool(self.how & {"upgrade", "upgrade_all"})

    def parts(self) -> Sequence[PinStep]:
        """One step for each requirement, each file and each folder."""
        empty = PinStep(options=self.options, python=self.python)
        return (
            *(
                replace(empty, requirements=(text,), bare=self.bare & {key(text)})
                for text in self.requirements
            ),
            *(replace(empty, files=(file,)) for file in self.files),
            *(replace(empty, folders=(folder,)) for folder in self.folders),
        )

    def after(self, old: Step) -> Step:
        """See `Step`."""
        if not self.bare or self.options.pairs or not isinstance(old, PinStep):
            return self
        if self.python not in ("", old.python):
            return self
        texts = (taken_over(*old.requirements, *self.requirements),)
        return replace(self, requirements=texts, options=old.options, python=old.python)

    def joined(self, other: Step) -> Optional[Step]:
        """Requirements of the same key in their places, the others at the end.

        None where the options differ: what agrees is resolved together, the rest apart. Hashes
        stand apart too, since pip wants one of everything on a line where there is any.
        """
        if not isinstance(other, PinStep):
            return None
        if (other.options, other.python) != (self.options, self.python):
            return None
        if _hashed(self.requirements) != _hashed(other.requirements):
            return None
        new = {key(text): text for text in other.requirements}
        # A bare name takes no version back.
        kept = tuple(
            text if later is text or is_bare(later) else later
            for text in self.requirements
            for later in (new.pop(key(text), text),)
        )
        return replace(
            self,
            requirements=(*kept, *new.values()),
            files=_once(*self.files, *other.files),
            folders=_once(*self.folders, *other.folders),
            bare=(self.bare - other.keys) | other.bare,
        )

    def without(self, keys: FrozenSet[str]) -> Optional[Step]:
        """See `Step`; a name with a marker is another key."""
        left = replace(
            self,
            requirements=tuple(text for text in self.requirements if key(text) not in keys),
            files=tuple(file for file in self.files if f"-r {normpath(file)}" not in keys),
            folders=tuple(one for one in self.folders if f"-e {normpath(one)}" not in keys),
        )
        return left if left.keys else None

    # ------------------------------------------------------------------ on this machine
    def check(self, host: Host) -> Verdict:
        """See `Step`; asked in-process, no program is started."""
        if not runs(self.python):
            return Verdict("differs", f"it asks for Python {self.python}; this is {platform()}")
        wanted = self.wanted(host)
        if disturbs(wanted.names):
            return Verdict("differs", "an earlier install was cut off, or is still going on")
        if self.renews:
            return Verdict("differs", "the newest version that fits is asked for")
        reason = wanted.unmet() or _unlocked(host.context.lock_for(self))
        if reason:
            return Verdict("differs", reason)
        if stale(wanted.names):
            return Verdict("differs", "installed, but an older version is loaded: restart")
        count = len(wanted.texts) + len(wanted.folders)
        many = f"{count} pins already hold" if count != 1 else "1 pin already holds"
        return Verdict("ok", f"{many}, nothing to do")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Install what differs; what is loaded in an older version asks for a restart."""
        if not runs(self.python):
            from .environments.switch import switch

            elsewhere = switch(self, host, progress)
            return Outcome("applied", "", self.recorded(host), "", elsewhere)
        wanted = self._recordable(host)
        done, message = self._install(wanted, host, progress)
        mark(done.changes, wanted.names, done.loaded)
        behind = stale(wanted.names)
        breaks = (f"This breaks: {text}" for text in done.breaks)
        hint = ". ".join(filter(None, [done.repair, *done.notes, *breaks]))
        error = restart(behind) if behind else None
        return Outcome("applied", message, self.recorded(host), hint, error)

    def _install(self, wanted: Wanted, host: Host, progress: Progress) -> Tuple[Done, str]:
        """Install what is wanted unless it holds; return what that changed, and a message."""
        from .install import install, summary
        from .transaction import Done

        lock = host.context.lock_for(self)
        held = not wanted.unmet()
        if held and not (_unlocked(lock) or disturbs(wanted.names) or self.renews):
            return Done({}), "installed already"
        progress("installing " + ", ".join([*wanted.names, *self.folders][:5]))
        done = install(wanted, self.place(host), self.how, progress, lock)
        reason = wanted.unmet()
        if reason:
            raise InstallFailed(
                f"Installed, and still: {reason}.", "Another copy on sys.path hides it."
            )
        if done.changes:
            return done, summary(done.changes, wanted.texts)
        return done, "installed already" if held else "installed from the place asked for"

    def foreseen(self, host: Host, progress: Progress) -> Report:
        """The plan below what differs; where there can be none, why not."""
        verdict = super().foreseen(host, progress)
        wanted = self._recordable(host)
        here = runs(self.python)
        if here and not (wanted.unmet() or _unlocked(host.context.lock_for(self)) or self.renews):
            return verdict
        progress(verdict)
        try:
            plan = (self._plan if here else self._plan_elsewhere)(wanted, host, progress)
        except InstallFailed as error:
            lines = "\n".join(filter(None, (error.message, error.hint, error.details))).splitlines()
            return replace(verdict, lines=(*verdict.lines, *lines))
        return replace(plan, lines=(*verdict.lines, *plan.lines))

    def _plan(self, wanted: Wanted, host: Host, progress: Progress) -> Report:
        from .install import rehearse

        return rehearse(wanted, self.place(host), self.how, progress, host.context.lock_for(self))

    def _plan_elsewhere(self, wanted: Wanted, host: Host, progress: Progress) -> Report:
        """The plan for the environment of another Python."""
        from .environments import make

        notebook = host.context.notebook() or host.start / "notebook"
        return make.foreseen(notebook, self.python, wanted.texts, self.place(host))

    def _recordable(self, host: Host) -> Wanted:
        """What is wanted; `ColabMagicsError` where a file is missing or no line could say it.

        That is refused before anything is installed.
        """
        for option, place in self.options.pairs:
            local = option == "--constraint" and "://" not in place
            if local and not host.resolve(place).is_file():
                raise ColabMagicsError(f"There is no constraints file {place}.", "Check the path.")
        self.recorded(host)
        return self.wanted(host)

    def recorded(self, host: Host) -> Optional[Step]:
        """Bare names with the version that is installed; files that a wipe takes, expanded."""
        if "no_record" in self.how:
            return None
        newest, here = "upgrade" in self.how, runs(self.python)
        texts = [pinned(text, newest) if here else text for text in self.requirements]
        bare = frozenset(key(text) for text in self.requirements if is_bare(text))
        files: List[str] = []
        for file in self.files:
            if survives(host.resolve(file), host):
                files.append(spelled(file, host))
            else:
                texts += map(pinned, expanded(file, host))
        folders = (split_extras(folder)[0] for folder in self.folders)
        for place in (*folders, *self.options.paths):
            if not survives(host.resolve(place), host):
                raise ColabMagicsError(
                    f"{place} goes with this machine, so that no line could bring it back.",
                    "Keep it on the drive, or beside the notebook.",
                )
        # Another machine's kernel runs on versions of its own, which nothing may change there.
        texts = [text for text in texts if _name(text) not in KERNEL]
        step = PinStep(
            tuple(texts),
            tuple(files),
            tuple(spelled(folder, host) for folder in self.folders),
            self.options.spelled(lambda path: spelled(path, host)),
            bare=bare,
            python=self.python,
        )
        secret = self.options.secret or any(carries_secret(text) for text in texts)
        return step if step.keys and not secret else None

    def place(self, host: Host) -> Dict[str, str]:
        """Where its packages come from: pip's settings, as the options say them."""
        return self.options.settings(lambda path: str(host.resolve(path)))

    def wanted(self, host: Host) -> Wanted:
        """Every requirement, those of files too, and the option lines of the files."""
        texts, lines = list(self.requirements), []
        for file in self.files:
            inner, options = read_file(host.resolve(file))
            texts += inner
            lines += options
        return Wanted(texts, [host.resolve(folder) for folder in self.folders], lines)


def _name(text: str) -> str:
    return key(text).split(";")[0]


def _hashed(texts: Sequence[str]) -> bool:
    return any(" --hash" in text for text in texts)


def _once(*paths: str) -> Tuple[str, ...]:
    """Each path once, in the spelling that stood there first."""
    found: Dict[str, str] = {}
    for path in paths:
        found.setdefault(normpath(path), path)
    return tuple(found.values())


def _unlocked(lock: Optional[Lock]) -> str:
    """What is installed otherwise than the lock says; empty where there is none."""
    from .environment import versions

    return lock.differs(versions()) if lock is not None else ""
