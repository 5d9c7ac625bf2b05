"""``%pin`` as a step: requirements that hold, are installed, and are recorded."""

from dataclasses import dataclass, field, replace
from os.path import normpath
from pathlib import Path
from typing import (
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
from ..core.errors import ColabMagicsError
from ..core.host import Host
from ..core.steps import Outcome, Progress, Step, Verdict
from .environments.interpreters import runs
from .installer import KERNEL
from .options import NONE, Options
from .recorded import expanded, is_bare, pinned, spelled, survives, taken_over
from .requirements import carries_secret, key, read_file, split_extras


class Wanted(NamedTuple):
    """Everything that a step asks for: requirements, folders, and option lines of files."""

    texts: List[str]
    folders: List[Path]
    lines: List[str]


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

    def parts(self) -> Sequence["PinStep"]:
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
        from .applying import check

        return check(self, host)

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Install what differs; what is loaded in an older version asks for a restart."""
        from .applying import apply

        return apply(self, host, progress)

    def foreseen(self, host: Host, progress: Progress) -> Report:
        """The plan below what differs; where there can be none, why not."""
        from .applying import foreseen

        return foreseen(self, super().foreseen(host, progress), host, progress)

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
