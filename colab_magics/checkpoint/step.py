"""``%checkpoint`` as a step: files and variables that are kept, and are back after a wipe."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, replace
from typing import Callable, ClassVar, FrozenSet, List, Optional, Tuple

from ..core.arguments import Parser, parse_duration
from ..core.display import duration
from ..core.effects import Effects, clean_text, join, write
from ..core.errors import ColabMagicsError, usage_error
from ..core.host import Host
from ..core.steps import Outcome, Progress, Step, Verdict
from ..notebook.locate import locate
from ..notebook.reading import name_in_colab, notebook_file
from ..notebook.servers import notebook_name
from .restore import Settings, restore_newest
from .snapshot import Keeper, keeper_of
from .store import Store

#: Where checkpoints are unless ``--to`` says it: a folder for each notebook, by its name.
DEFAULT_PLACE = "drive:colab_magics"
_EVERY, _KEEP = "15m", 5
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]b)")
_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


@dataclass(frozen=True)
class CheckpointStep(Step):
    """What is kept, where, and how often; the texts of ``every`` and ``limit`` as typed."""

    paths: Tuple[str, ...] = ()
    to: str = ""
    every: str = _EVERY
    keep: int = _KEEP
    variables: bool = False
    only: Tuple[str, ...] = ()
    exclude: Tuple[str, ...] = ()
    limit: str = ""
    trust: bool = False

    word: ClassVar[str] = "checkpoint"
    rank: ClassVar[int] = 75

    @property
    def has_variables(self) -> bool:
        """Whether variables are kept: where the line says so, or names nothing else."""
        return bool(self.variables or self.only or self.exclude or not self.paths)

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`: what is not as it is by default."""
        words: List[str] = [*self.paths]
        words += ["--to", self.to] if self.to else []
        words += ["--every", self.every] if self.every != _EVERY else []
        words += ["--keep", str(self.keep)] if self.keep != _KEEP else []
        words += ["--variables"] if self.variables else []
        words += ["--only", ",".join(self.only)] if self.only else []
        words += ["--except", ",".join(self.exclude)] if self.exclude else []
        words += ["--max", self.limit] if self.limit else []
        return (*words, *(["--trust"] if self.trust else []))

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`: a notebook has its checkpoints in one place."""
        return frozenset({"checkpoint"})

    def spelled(self, spell: Callable[[str], str]) -> CheckpointStep:
        """See `Step`."""
        paths = tuple(dict.fromkeys(_distinct(spell(path)) for path in self.paths))
        return replace(self, paths=paths, to=spell(self.to) if self.to else "")

    def place(self, host: Host) -> str:
        """Return the folder of the checkpoints as it is recorded."""
        return self.to or f"{DEFAULT_PLACE}/{find_name(host)}"

    def settings(self, host: Host) -> Settings:
        """Return what the line means on this machine."""
        place = self.place(host)
        return Settings(
            place=place,
            folder=host.resolve(place),
            notebook=find_name(host, required=not self.to),
            every=parse_duration(self.every),
            keep=self.keep,
            limit=parse_size(self.limit) if self.limit else None,
            roots=tuple((path, host.resolve(path)) for path in self.paths),
            has_variables=self.has_variables,
            only=self.only,
            exclude=self.exclude,
            trust=self.trust,
            is_by_name=not self.to,
        )

    def check(self, host: Host) -> Verdict:
        """See `Step`: whether this kernel keeps them already."""
        if host.shell is None:
            return Verdict("ok", "kept while the notebook runs")
        keeper = keeper_of(host)
        if keeper.settings != self.settings(host):
            return Verdict("differs", "nothing is kept in this kernel yet")
        parts = ["variables are as the kernel has them"] * self.has_variables
        return Verdict("ok", "; ".join([*parts, f"{self._in_words()} already"]))

    def effects(self, host: Host) -> Effects:
        """See `Step`: what is restored is written, and variables run what is in them."""
        label = self.to or DEFAULT_PLACE
        kept = write(host, lambda: host.resolve(self.place(host)), label, tree=True)
        back = [write(host, lambda x=x: host.resolve(x), x, tree=True) for x in self.paths]  # type: ignore[misc]
        runs = f"code in the variables of {clean_text(label)}" if self.has_variables else ""
        return join([kept, *back, Effects(unknown=tuple(filter(None, [runs])))])

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Restore what the kernel lacks, unless it has kept some already; then keep."""
        settings, keeper = self.settings(host), keeper_of(host)
        text, hint, error = "", "", None
        if keeper.settings is None:
            text, hint, error = _restore(host, keeper, settings, progress)
        if error is None:  # else what is there would be pushed out by what lacks it
            Store(settings.folder).create()
            keeper.begin(settings)
            text = "; ".join(filter(None, [text, self._in_words()]))
        return Outcome("applied", text, self, hint, error)

    def _in_words(self) -> str:
        return f"checkpoints every {duration(parse_duration(self.every))}"


def _restore(
    host: Host, keeper: Keeper, settings: Settings, progress: Progress
) -> Tuple[str, str, Optional[Exception]]:
    """Restore the newest checkpoint; return a message, a hint, and why it is not all of it."""
    restored = restore_newest(host, settings, progress)
    if restored is None:
        return "nothing to restore yet", "", None
    keeper.restored = restored
    return restored.message, restored.hint, restored.error


def find_name(host: Host, required: bool = True) -> str:
    """Return the notebook's name without its suffix; empty, or an error, where it is not known."""
    site = locate(host)
    file = notebook_file(host, site)
    name = notebook_name(file.name) if file is not None else name_in_colab(host, site)
    if not name and required:
        raise ColabMagicsError(
            "%checkpoint: the name of this notebook is not known here.",
            f"Name a folder for it: %checkpoint --to {DEFAULT_PLACE}/NAME",
            code="unknown-notebook",
        )
    return name[: -len(".ipynb")]


# ---------------------------------------------------------------------- reading a line
def parser() -> Parser:
    """Return the arguments of ``%checkpoint``."""
    tree = Parser("%checkpoint", usage="%%checkpoint [PATH...] [options]")
    add = tree.add_argument
    add("paths", nargs="*", metavar="PATH", help="files and folders; without any: the variables")
    add("--to", default="", metavar="DIR", help=f"the folder; else {DEFAULT_PLACE}/NOTEBOOK")
    add("--every", default=_EVERY, metavar="TIME", help="at the end of a cell, if so long ago: 15m")
    add("--keep", type=int, default=_KEEP, metavar="N", help="so many of the newest; else 5")
    add("--variables", action="store_true", help="the variables too, where paths are named")
    add("--only", type=read_names, default=(), metavar="NAMES", help="these variables: x,y")
    add("--except", type=read_names, default=(), dest="exclude", metavar="NAMES", help="all others")
    add("--max", default="", dest="limit", metavar="SIZE", help="take no more space than that: 2GB")
    add("--trust", action="store_true", help="restore from a folder that others may write")
    tree.add_command("now", "Make one, and wait until it is written.")
    listing = tree.add_command("list", "List those of this notebook; nothing of them is run.")
    restoring = tree.add_command("restore", "Bring back what the kernel and the folders lack.")
    _add_which(restoring)
    restoring.add_argument(
        "--only", type=read_names, default=(), metavar="NAMES", help="these, though they are there"
    )
    restoring.add_argument(
        "--overwrite", action="store_true", help="variables and files that are there as well"
    )
    restoring.add_argument("--trust", action="store_true", help="though others may write it")
    tree.add_command("resume", "Then Run All: what was done is shown, and the rest runs.")
    verifying = tree.add_command("verify", "Read all of it, and compare the hashes.")
    _add_which(verifying)
    forgetting = tree.add_command("forget", "Delete one, or all of this notebook.")
    _add_which(forgetting)
    forgetting.add_argument("--yes", action="store_true", help="do not ask")
    for command in (listing, restoring, verifying, forgetting):
        command.add_argument("--to", default="", metavar="DIR", help="those of another folder")
    return tree


def _add_which(command: Parser) -> None:
    command.add_argument("which", nargs="?", default="", help="its number in the list, from 1")


def parse(words: List[str]) -> Optional[CheckpointStep]:
    """Return what a line keeps, all defaults for a bare one; None for commands."""
    tree = parser()
    command, arguments = tree.parse_words(words)
    if command:
        return None
    slip = next((word for word in arguments.paths if _distinct(word) != word), "")
    if slip:
        raise tree.unknown_command(slip, f"; a folder of that name: ./{slip}")
    if sum(map(bool, (arguments.variables, arguments.only, arguments.exclude))) > 1:
        raise _refuse("--variables, --only and --except exclude each other", "Write one of them.")
    if parse_duration(arguments.every) < 1:
        raise _refuse("less than a second is too often", "Write --every 15m.")
    if arguments.keep < 1:
        raise _refuse("at least one checkpoint is kept", "Write --keep 5.")
    if arguments.limit:
        parse_size(arguments.limit)
    return CheckpointStep(**{**vars(arguments), "paths": tuple(arguments.paths)})


def _distinct(path: str) -> str:
    """Return a path as no command is written, nor what may be meant for one."""
    tree = parser()
    slip = tree.find_command(path)
    return f"./{path}" if path in tree.commands or (slip and slip[1]) else path


def _refuse(message: str, hint: str) -> Exception:
    return usage_error(f"%checkpoint: {message}.", hint)


def read_names(text: str) -> Tuple[str, ...]:
    """Return the variables of ``x,y``, for ``type=`` of an argument."""
    names = tuple(dict.fromkeys(filter(None, (name.strip() for name in text.split(",")))))
    if not names or not all(name.isidentifier() for name in names):
        raise argparse.ArgumentTypeError(f"{text} is no list of variables; write x,y")
    return names


def parse_size(text: str) -> int:
    """Return the bytes of ``500MB`` or ``2GB``; else raise a ``UsageError``."""
    match = _SIZE.fullmatch(text.strip().lower())
    if match is None or not float(match[1]):
        message = f"%checkpoint: {text} is no size."
        raise usage_error(message, "Write it like 500MB or 2GB.", code="no-size")
    return int(float(match[1]) * _UNITS[match[2]])
