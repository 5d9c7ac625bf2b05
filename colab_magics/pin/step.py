"""``%pin`` as a step: requirements that hold, are installed, and are recorded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from os.path import normpath
from typing import (
    TYPE_CHECKING,
    Any,
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
from ..core.display import Report
from ..core.errors import ColabMagicsError, InstallFailed, OtherPython, usage_error
from ..core.host import Host
from ..core.steps import Outcome, Progress, Step, Verdict
from .environment import Needs
from .environments.interpreters import on_colab, platform, runs, version_of
from .installer import KERNEL
from .journal import disturbs
from .loaded import mark, restart, stale
from .options import NONE, Options, add_options
from .recorded import expanded, is_bare, pinned, spelled, survives, update_version
from .requirements import (
    carries_secret,
    key,
    normal,
    project_name,
    read_file,
    requirement,
    split_extras,
)

if TYPE_CHECKING:
    from argparse import Namespace

    from .lock import Lock
    from .transaction import Done

#: What is in the place of an operator where a space was typed before it.
_OPERATORS = {"==", "=", ">=", "<=", "~=", "!=", "<", ">", "@"}
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
    needs), ``allow_kernel_changes``, ``no_record`` (it need not come back). ``bare`` are the keys
    of names that were typed without a version: of their lines only the version changes.
    """

    items: Tuple[str, ...] = ()
    options: Options = NONE
    modes: FrozenSet[str] = frozenset()
    bare: FrozenSet[str] = field(default=frozenset(), compare=False)
    python: str = ""

    word: ClassVar[str] = "pin"
    rank: ClassVar[int] = 50

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        words = (w for x in self.items for w in (x.split(" ", 1) if x.startswith("-") else (x,)))
        python = ("--python", self.python) if self.python else ()
        return (*words, *self.options.words, *python)

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
    def renews(self) -> bool:
        """Whether newer versions are requested, of the requirements or of what they need."""
        return bool(self.modes & {"upgrade", "upgrade_all"})

    def parts(self) -> Sequence[PinStep]:
        """See `Step`."""
        empty = PinStep(options=self.options, python=self.python)
        return tuple(
            replace(empty, items=(item,), bare=self.bare & {_key(item)}) for item in self.items
        )

    def after(self, old: Step) -> Step:
        """See `Step`."""
        if not self.bare or self.options.pairs or not isinstance(old, PinStep):
            return self
        if self.python not in ("", old.python):
            return self
        items = (update_version(*old.requirements, *self.requirements),)
        return replace(self, items=items, options=old.options, python=old.python)

    def joined(self, other: Step) -> Optional[Step]:
        """See `Step`: None if the options differ, since these lines are resolved apart.

        Hashes need a line of their own: pip requires them of all on a line, or of none.
        """
        if not isinstance(other, PinStep):
            return None
        if (other.options, other.python) != (self.options, self.python):
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
            return Verdict("differs", f"it asks for Python {self.python}; this is {platform()}")
        needs = self.needs(host)
        if disturbs(needs.names):
            return Verdict("differs", "an earlier install was interrupted, or is still running")
        reason = self._difference(needs, host.context.lock_for(self))
        if reason:
            return Verdict("differs", reason)
        if stale(needs.names):
            return Verdict("differs", "installed, but an older version is loaded: restart")
        count = len(needs.texts) + len(needs.folders)
        pins = f"{count} pins already hold" if count != 1 else "1 pin already holds"
        return Verdict("ok", f"{pins}, nothing to do")

    def _difference(self, needs: Needs, lock: Optional[Lock]) -> str:
        """Return why something has to be installed; empty if nothing has."""
        from .environment import versions

        if self.renews:
            return "the newest version that fits is requested"
        return needs.unmet() or (lock.differs(versions()) if lock is not None else "")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Install what differs; an older version that is loaded requires a restart."""
        if not runs(self.python):
            other = self._make_environment(host, progress)
            return Outcome("applied", "", self.recorded(host), "", other)
        needs = self._recordable(host)
        done, message = self._install(needs, host, progress)
        reason = needs.unmet()
        if reason:
            error = InstallFailed(
                f"Installed, but it does not hold: {reason}.",
                "Another copy on sys.path hides it.",
                code="hidden",
            )
            return PinOutcome("applied", message, None, "", error, done.changes)
        mark(done.changes, needs.names, done.loaded)
        behind = stale(needs.names)
        breaks = (f"This breaks: {text}" for text in done.breaks)
        hint = ". ".join(filter(None, [done.repair, *done.notes, *breaks]))
        outdated = restart(behind) if behind else None
        return PinOutcome("applied", message, self.recorded(host), hint, outdated, done.changes)

    def _make_environment(self, host: Host, progress: Progress) -> OtherPython:
        """Make the environment that the line needs, and return the error that asks to switch to it.

        Where no front end could switch, none is made. `InstallFailed` on Colab, which has no other
        kernels, or if it cannot be made.
        """
        from .environments.make import ensure, notebook_of

        version = self.python
        message = f"This notebook asks for Python {version}; this kernel is Python {platform()}."
        if host.colab:
            raise InstallFailed(message, on_colab(version))
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
        from .install import install, summary
        from .transaction import Done

        lock = host.context.lock_for(self)
        holds = not needs.unmet()
        if not (self._difference(needs, lock) or disturbs(needs.names)):
            return Done({}), "installed already"
        progress("installing " + ", ".join([*needs.names, *self.folders][:5]))
        done = install(needs, self.place(host), self.modes, progress, lock)
        if done.changes:
            return done, summary(done.changes, needs.texts)
        return done, "installed already" if holds else "installed from the requested source"

    def preview(self, host: Host, progress: Progress) -> Report:
        """See `Step`: the plan, or why there is none, below what differs."""
        verdict = super().preview(host, progress)
        needs, lock = self._recordable(host), host.context.lock_for(self)
        if runs(self.python) and not self._difference(needs, lock):
            return verdict
        progress(verdict)
        try:
            plan = self._plan(needs, lock, host, progress)
        except InstallFailed as error:
            lines = "\n".join(filter(None, (error.message, error.hint, error.details))).splitlines()
            return replace(verdict, lines=(*verdict.lines, *lines))
        return replace(plan, lines=(*verdict.lines, *plan.lines))

    def _plan(self, needs: Needs, lock: Optional[Lock], host: Host, progress: Progress) -> Report:
        if runs(self.python):
            from .install import rehearse

            return rehearse(needs, self.place(host), self.modes, progress, lock)
        from .environments.make import notebook_of, preview

        return preview(notebook_of(host), self.python, needs.texts, self.place(host))

    def _recordable(self, host: Host) -> Needs:
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
                *(f"-r {spelled(file, host)}" for file in files),
                *(f"-e {spelled(folder, host)}" for folder in self.folders),
            ),
            self.options.spelled(lambda path: spelled(path, host)),
            bare=frozenset(key(text) for text in self.requirements if is_bare(text)),
            python=self.python,
        )
        secret = self.options.secret or any(map(carries_secret, texts))
        return step if step.keys and not secret else None

    def _refuse_temporary(self, host: Host) -> None:
        """Raise `ColabMagicsError` if a folder of the line goes with this machine."""
        folders = (split_extras(folder)[0] for folder in self.folders)
        for place in (*folders, *self.options.paths):
            if not survives(host.resolve(place), host):
                raise ColabMagicsError(
                    f"{place} goes with this machine, so that no line could restore it.",
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
    )


#: Code of a slip → what is wrong, and what to do.
_SLIPS = {
    "space": ("%pin: a space before {}.", "Write numpy==2.1.3 without spaces."),
    "secret-typed": (
        "%pin: --index-auth takes the name of an environment variable, not the secret.",
        "Remove the secret from this cell, and clear the history (%history -g).",
    ),
    "not-a-folder": ("%pin -e takes a folder.", "For a repository: %pin 'NAME @ git+https://...'"),
    "no-index": (
        "%pin: --index-auth, but no index to log in to.",
        "Add --index-url or --extra-index-url.",
    ),
}


def _check(arguments: Namespace) -> None:
    """Refuse what can only be a slip."""
    login, slip = arguments.index_auth, ""
    texts = arguments.requirements
    operator = next((x for x in texts if x in _OPERATORS or x[:1] in {*"=<>~!"}), "")
    if operator:
        slip = "space"
    elif login and not re.fullmatch(r"[A-Za-z_]\w*", login):
        slip = "secret-typed"
    elif any("://" in folder for folder in arguments.folders):
        slip = "not-a-folder"
    elif login and not (arguments.index_url or arguments.extra_index_url):
        slip = "no-index"
    if slip:
        message, hint = _SLIPS[slip]
        raise usage_error(message.format(operator), hint, code=slip)
