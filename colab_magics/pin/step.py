"""``%pin`` as a step: requirements that hold, are installed, and are recorded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from os.path import normpath
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ClassVar,
    Dict,
    FrozenSet,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
)

from ..core.arguments import Parser
from ..core.day import day_of
from ..core.display import Report
from ..core.effects import Effects
from ..core.errors import ColabMagicsError, InstallFailed, OtherPython, usage_error
from ..core.host import Host
from ..core.steps import Outcome, Progress, Step, Verdict
from .environment import Needs
from .environments.interpreters import on_colab, platform, runs, version_of
from .installer import KERNEL
from .journal import disturbs
from .loaded import mark, restart, stale
from .options import NONE, Options, add_options
from .recorded import expanded, is_bare, pinned, survives, update_version
from .requirements import (
    carries_secret,
    key,
    normal,
    project_name,
    read_file,
    requirement,
    split_extras,
)
from .slips import find_slip

if TYPE_CHECKING:
    from argparse import Namespace

    from .lock import Lock
    from .transaction import Done

#: Options that say how to install this time, and are not recorded.
_MODES = ("upgrade", "allow_kernel_changes")


@dataclass(frozen=True)
class PinOutcome(Outcome):
    """The outcome of an installation; ``changes`` is name → version before and after (or "")."""

    changes: Mapping[str, Tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class PinStep(Step):
    """What a line pins: ``items`` are requirements as written, ``-r FILE`` and ``-e FOLDER``.

    ``modes`` apply this time and are not recorded: ``upgrade``, ``upgrade_all`` (also what it
    needs), ``allow_kernel_changes``, ``no_record`` (it need not come back), ``wheels_only`` (what
    would be built is refused). ``build``: what has no wheel is built, and nobody is asked. ``bare``
    are the keys of names that were typed without a version: of their lines only the version
    changes. ``lines`` are those of the setup cell that this stands for, where it does.
    """

    items: Tuple[str, ...] = ()
    options: Options = NONE
    modes: FrozenSet[str] = frozenset()
    bare: FrozenSet[str] = field(default=frozenset(), compare=False)
    python: str = ""
    build: bool = False
    lines: Tuple[PinStep, ...] = field(default=(), compare=False)

    word: ClassVar[str] = "pin"
    rank: ClassVar[int] = 50

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        words = (w for x in self.items for w in (x.split(" ", 1) if x.startswith("-") else (x,)))
        python = ("--python", self.python) if self.python else ()
        plain = ["--"] if {*self.items[:1]} & {*parser().commands} else []  # a package of that name
        return (*plain, *words, *self.options.words, *(["--build"] if self.build else []), *python)

    @property
    def requirements(self) -> Tuple[str, ...]:
        """The requirements among its items."""
        return tuple(item for item in self.items if not item.startswith("-"))

    @property
    def files(self) -> Tuple[str, ...]:
        """The requirements files among its items."""
        return tuple(item[3:] for item in self.items if item.startswith("-r "))

    @property
    def folders(self) -> Tuple[str, ...]:
        """The editable folders among its items."""
        return tuple(item[3:] for item in self.items if item.startswith("-e "))

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`."""
        return frozenset(map(_key, self.items))

    @property
    def names(self) -> Tuple[str, ...]:
        """The canonical names of the requirements on the line."""
        return tuple(map(project_name, self.requirements))

    @property
    def plain_names(self) -> Tuple[str, ...]:
        """The canonical names of those that come from an index."""
        return tuple(project_name(x) for x in self.requirements if not requirement(x).url)

    @property
    def renews(self) -> bool:
        """Whether newer versions are requested, of the requirements or of what they need."""
        return bool(self.modes & {"upgrade", "upgrade_all"})

    def spelled(self, spell: Callable[[str], str]) -> PinStep:
        """See `Step`."""

        def spell_item(item: str) -> str:
            if not item.startswith("-"):
                return item
            path = split_extras(item[3:])[0] if item.startswith("-e") else item[3:]
            return f"{item[:3]}{spell(path)}{item[3 + len(path) :]}"

        items = {_key(item): item for item in map(spell_item, self.items)}
        return replace(self, items=tuple(items.values()), options=self.options.spelled(spell))

    def parts(self) -> Sequence[PinStep]:
        """See `Step`."""
        empty = PinStep(options=self.options, python=self.python, build=self.build)
        return tuple(
            replace(empty, items=(item,), bare=self.bare & {_key(item)}) for item in self.items
        )

    def replacing(self, old: Step) -> Step:
        """See `Step`."""
        if not self.bare or self.options.pairs or not isinstance(old, PinStep):
            return self
        if self.python not in ("", old.python):
            return self
        items = (update_version(*old.requirements, *self.requirements),)
        build = self.build or old.build
        # Another version need not have been there on the day of the line.
        options = old.options if items == old.items else old.options.without_day()
        return replace(self, items=items, options=options, python=old.python, build=build)

    def merged_with(self, other: Step) -> Optional[Step]:
        """See `Step`: None if the options differ, since these lines are resolved apart.

        Hashes need a line of their own: pip requires them of all on a line, or of none.
        """
        if not isinstance(other, PinStep):
            return None
        if (other.options, other.python, other.build) != (self.options, self.python, self.build):
            return None
        if _hashed(self.items) != _hashed(other.items):
            return None
        items = {_key(item): item for item in self.items}
        for item in other.items:
            # A bare name removes no version; a path has the first spelling.
            if _key(item) not in items or not (item.startswith("-") or is_bare(item)):
                items[_key(item)] = item
        bare = (self.bare - other.keys) | other.bare
        return replace(self, items=tuple(sorted(items.values(), key=_order)), bare=bare)

    def without(self, keys: FrozenSet[str]) -> Optional[Step]:
        """See `Step`; a name with a marker is another key."""
        items = tuple(item for item in self.items if _key(item) not in keys)
        return replace(self, items=items) if items else None

    # ------------------------------------------------------------------ on this machine
    def check(self, host: Host) -> Verdict:
        """See `Step`; no program is started."""
        if not runs(self.python):
            return Verdict("differs", f"Python {self.python} wanted; this is {platform()}")
        needs = self.needs(host)
        if disturbs(needs.names):
            return Verdict("differs", "an earlier install was interrupted, or is still running")
        reason = self._difference(needs, host.context.lock_for(self))
        if reason:
            return Verdict("differs", reason)
        if stale(needs.names):
            return Verdict("differs", "installed, but an older version is loaded: restart")
        return Verdict("ok", needs.describe())

    def _difference(self, needs: Needs, lock: Optional[Lock]) -> str:
        """Return why something has to be installed; empty if nothing has."""
        from .as_of import find_open
        from .environment import versions

        if self.renews:
            return "the newest version is wanted"
        reason = needs.unmet()
        if reason or lock is not None:  # which wins over the day
            return reason or (lock.differs(versions()) if lock is not None else "")
        name = find_open(needs.texts, self.options) if self.options.day else ""
        return f"{name} is wanted as of {self.options.day}" if name else ""

    def effects(self, host: Host) -> Effects:
        """See `Step`."""
        from .effects import PinLine, describe_effects

        parts = (self.requirements, self.files, self.folders, self.options, self.python)
        return describe_effects(PinLine(*parts), host)

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Install what differs; an older version that is loaded requires a restart."""
        if not runs(self.python):
            other = self._make_environment(host, progress)
            return Outcome("applied", "", self.recorded(host), "", other)
        needs = self.check_places(host)
        done, message = self._install(needs, host, progress)
        reason = needs.unmet()
        if reason:
            error = InstallFailed(
                f"Installed, but not in effect: {reason}.",
                "Another copy comes before it on sys.path.",
                code="hidden",
            )
            return PinOutcome("applied", message, None, "", error, done.changes)
        if self.options.day:
            from .as_of import note_versions

            note_versions(needs.texts, self.options)
        mark(done.changes, needs.names, done.loaded)
        behind = stale(needs.names)
        breaks = (f"This breaks: {text}" for text in done.breaks)
        hint = ". ".join(filter(None, [done.repair, *done.notes, *breaks]))
        outdated = restart(behind) if behind else None
        return PinOutcome("applied", message, self.recorded(host), hint, outdated, done.changes)

    def _make_environment(self, host: Host, progress: Progress) -> OtherPython:
        """Make the environment that the line needs, and return the error that asks to switch to it.

        Where no front end could switch, none is made. `InstallFailed` on Colab's page, which has no
        other kernels, or if it cannot be made.
        """
        from .environments.make import ensure, notebook_of

        version = self.python
        message = f"This notebook asks for Python {version}; this kernel is Python {platform()}."
        if host.colab and host.live:
            raise InstallFailed(message, on_colab(host, version))
        error = OtherPython(message, f"Run it by: colab-magics run NOTEBOOK --python {version}")
        error.python, error.packages, error.reason = version, self.names, f"Python {version}"
        if host.live:
            texts = self.needs(host).texts
            made = ensure(notebook_of(host), version, progress, texts, self.place(host))
            error.kernel = made.name
            error.hint = f"Choose the kernel {made.title}, then run the setup cell."
        return error

    def _install(self, needs: Needs, host: Host, progress: Progress) -> Tuple[Done, str]:
        """Install what does not hold; return what that changed, and a message."""
        from .as_of import with_others
        from .install import install, summary
        from .transaction import Done

        lock = host.context.lock_for(self)
        holds = not needs.unmet()
        if not (self._difference(needs, lock) or disturbs(needs.names)):
            return Done({}), needs.describe()
        needs = with_others(needs, self.options, host)
        progress("installing " + ", ".join([*needs.names, *self.folders][:5]))
        done = install(needs, self.place(host), self._modes, progress, lock)
        if done.changes:
            return done, summary(done.changes, needs.texts)
        return done, needs.describe() if holds else "installed from the requested source"

    def preview(self, host: Host, progress: Progress) -> Report:
        """See `Step`: the plan, or what differs and why there is no plan."""
        verdict = super().preview(host, progress)
        needs, lock = self.check_places(host), host.context.lock_for(self)
        if runs(self.python) and not self._difference(needs, lock):
            return verdict
        progress(verdict.lines[0])
        try:
            return self._plan(needs, lock, host, progress)
        except InstallFailed as error:
            lines = "\n".join(filter(None, (error.message, error.hint, error.details))).splitlines()
            return replace(verdict, lines=(*verdict.lines, *lines))

    def _plan(self, needs: Needs, lock: Optional[Lock], host: Host, progress: Progress) -> Report:
        if runs(self.python):
            from .as_of import with_others
            from .install import rehearse

            needs = with_others(needs, self.options, host)
            return rehearse(needs, self.place(host), self._modes, progress, lock)
        from .environments.make import notebook_of, preview

        return preview(notebook_of(host), self.python, needs.texts, self.place(host))

    @property
    def _modes(self) -> FrozenSet[str]:
        return self.modes | ({"build"} if self.build else set())

    def check_places(self, host: Host) -> Needs:
        """Return what is required; `ColabMagicsError` if a file is missing or no line can say it.

        This is refused before anything is installed.
        """
        for option, place in self.options.pairs:
            local = option == "--constraint" and "://" not in place
            if local and not host.resolve(place).is_file():
                raise ColabMagicsError(f"There is no constraints file {place}.", "Check the path.")
        self.recorded(host)
        return self.needs(host)

    def recorded(self, host: Host) -> Optional[Step]:
        """Return the step to record: bare names get the installed version.

        Of files that a wipe removes, the contents are recorded; such folders are refused.
        """
        if "no_record" in self.modes:
            return None
        self._refuse_temporary(host)
        texts = list(self.requirements)
        if runs(self.python):
            texts = [pinned(text, "upgrade" in self.modes) for text in texts]
        files = [file for file in self.files if survives(host.resolve(file), host)]
        for file in self.files:
            texts += map(pinned, expanded(file, host)) if file not in files else ()
        # Another machine's kernel has its own versions, which no line may change.
        texts = [text for text in texts if project_name(text) not in KERNEL]
        step = PinStep(
            (
                *texts,
                *(f"-r {file}" for file in files),
                *(f"-e {folder}" for folder in self.folders),
            ),
            self.options,
            bare=frozenset(key(text) for text in self.requirements if is_bare(text)),
            python=self.python,
            build=self.build,
        )
        secret = self.options.secret or any(map(carries_secret, texts))
        return step if step.keys and not secret else None

    def _refuse_temporary(self, host: Host) -> None:
        """Raise `ColabMagicsError` if a folder of the line goes with this machine."""
        folders = (split_extras(folder)[0] for folder in self.folders)
        for place in (*folders, *self.options.paths):
            if not survives(host.resolve(place), host):
                raise ColabMagicsError(
                    f"{place} is lost with this machine, and no line could bring it back.",
                    "Keep it on the drive, or beside the notebook.",
                    code="temporary-place",
                )

    def place(self, host: Host) -> Dict[str, str]:
        """Return where its packages come from: pip's settings, as the options set them."""
        return self.options.settings(lambda path: str(host.resolve(path)))

    def needs(self, host: Host) -> Needs:
        """Return every requirement, those of files too, and the option lines of the files."""
        texts, lines = list(self.requirements), []
        for file in self.files:
            inner, options = read_file(host.resolve(file))
            texts += inner
            lines += options
        return Needs(texts, [host.resolve(folder) for folder in self.folders], lines)


def _key(item: str) -> str:
    return f"{item[:3]}{normpath(item[3:])}" if item.startswith("-") else key(item)


def _order(item: str) -> int:
    """Order requirements before files before folders."""
    return ("-r ", "-e ").index(item[:3]) + 1 if item.startswith("-") else 0


def _hashed(texts: Sequence[str]) -> bool:
    return any(" --hash" in text for text in texts)


# ---------------------------------------------------------------------- its line
@lru_cache(1)
def parser() -> Parser:
    """Return the arguments of ``%pin``."""
    tree = Parser("%pin", usage="%(prog)s REQUIREMENT... [-r FILE] [-e FOLDER] [options]")
    often: Dict[str, Any] = {"action": "append", "default": []}
    flag: Dict[str, Any] = {"action": "store_true"}
    add = tree.add_argument
    add("requirements", nargs="*", metavar="REQUIREMENT", help="numpy==2.1.3")
    add("-r", "--requirement", dest="files", metavar="FILE", help="requirements in a file", **often)
    add("-e", "--editable", dest="folders", metavar="FOLDER", help="a project to edit", **often)
    add("-U", "--upgrade", help="the newest version that fits; it is recorded", **flag)
    add("--allow-kernel-changes", help="also what runs this kernel", **flag)
    add("--build", help="build what has no wheel, without a question", **flag)
    add("--python", default="", metavar="VERSION", help="switch the notebook to this Python")
    add_options(tree)
    freeze = tree.add_command("freeze", "Pin what this kernel has imported, at its versions.")
    freeze.add_argument("--all", help="all that is installed", **flag)
    tree.add_command("undo", "Undo the last installation, here and in the setup cell.")
    environments = tree.add_command("environments", "List the environments of other Pythons.")
    environments.add_command("remove", "Delete an environment.").add_argument("name")
    lock = tree.add_command("lock", "Lock the versions and hashes of what is installed.")
    mode = lock.add_mutually_exclusive_group()
    mode.add_argument("--check", help="only compare this machine with the lock", **flag)
    mode.add_argument("-U", "--upgrade", help="first install the newest that the pins need", **flag)
    return tree


def parse(words: List[str]) -> Optional[PinStep]:
    """Return the pins of a line; None for its commands, and for a line without words."""
    command, arguments = parser().parse_words(words)
    if command or not words:
        return None
    if words[:1] != ["--"]:  # behind which each word is a package
        _read_as_pip(arguments)
    _check(arguments)
    texts = list(map(normal, arguments.requirements))
    for text in texts:
        requirement(text)  # which refuses what is none, such as "-e x" in quotes
    items = [
        *texts,
        *(f"-r {file}" for file in arguments.files),
        *(f"-e {folder}" for folder in arguments.folders),
    ]
    if not items:
        raise usage_error(
            "%pin: options, but no package.", "Name a package too.", code="no-package"
        )
    return PinStep(
        tuple({_key(item): item for item in items}.values()),
        Options.of(arguments),
        frozenset(mode for mode in _MODES if getattr(arguments, mode)),
        python=version_of(arguments.python) if arguments.python else "",
        build=arguments.build,
    )


#: Code of a slip → what is wrong, and what to do.
_SLIPS = {
    "secret-typed": (
        "%pin: --index-auth takes the name of an environment variable, not the secret.",
        "Remove the secret from this cell, and clear the history (%history -g).",
    ),
    "not-a-folder": ("%pin -e takes a folder.", "For a repository: %pin 'NAME @ git+https://...'"),
    "no-days": (
        "%pin --as-of: the files of --find-links have no dates.",
        "Take the packages from an index, without --find-links.",
    ),
    "no-index": (
        "%pin: --index-auth, but no index to log in to.",
        "Add --index-url or --extra-index-url.",
    ),
}


#: Commands of pip → what to type here for a package.
_OF_PIP = {
    **dict.fromkeys(("upgrade", "update"), "Type: %pin --upgrade {0}"),
    **dict.fromkeys(
        ("uninstall", "remove"),
        "Out of the setup cell: %setup forget {0}. Off this machine: %pip uninstall {0}",
    ),
}


def _read_as_pip(arguments: Namespace) -> None:
    """Drop the word that one types behind pip; refuse the commands of pip that are none here."""
    first, *names = arguments.requirements or [""]
    if first == "install":
        arguments.requirements = names
    if first in _OF_PIP and names:
        hint = _OF_PIP[first].format(" ".join(names))
        raise usage_error(f"%pin has no command {first}.", hint, code="unknown-command")


def _check(arguments: Namespace) -> None:
    """Refuse what can only be a slip."""
    typed = find_slip(arguments.requirements)
    if typed is not None:
        raise usage_error(
            f"%pin: {typed[0]} is not a requirement.",
            "Write it without spaces: numpy==2.1.3",
            code="not-a-requirement",
            slip=typed if typed[1] else None,
        )
    if arguments.as_of:
        day_of(arguments.as_of)
    login, slip = arguments.index_auth, ""
    if login and not re.fullmatch(r"[A-Za-z_]\w*", login):
        slip = "secret-typed"
    elif any("://" in folder for folder in arguments.folders):
        slip = "not-a-folder"
    elif arguments.as_of and arguments.find_links:
        slip = "no-days"
    elif login and not (arguments.index_url or arguments.extra_index_url):
        slip = "no-index"
    if slip:
        raise usage_error(*_SLIPS[slip], code=slip)
