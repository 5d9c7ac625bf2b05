"""``%cd_persist`` as a step: the directory that the notebook works in."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Callable, ClassVar, FrozenSet, List, Optional, Tuple

from ..core.arguments import Parser, quote
from ..core.effects import Effects, write
from ..core.errors import usage_error
from ..core.host import Host
from ..core.steps import Outcome, Progress, Step, Verdict

#: A path on the drive as notebooks of Colab spell it; it means the same wherever the drive is.
_ON_COLAB = re.compile(r"/content/g?drive/My ?Drive(?:/(.*))?")


@dataclass(frozen=True)
class DirectoryStep(Step):
    """The directory as it is recorded; `Host.resolve` reads its spelling. ``make``: if need be."""

    path: str
    make: bool = False

    word: ClassVar[str] = "cd_persist"
    rank: ClassVar[int] = 80

    def arguments(self) -> Tuple[str, ...]:
        """Return the path and the option."""
        return (self.path, *(["--make"] if self.make else []))

    @property
    def keys(self) -> FrozenSet[str]:
        """One key: a notebook works in one directory."""
        return frozenset({"directory"})

    def spelled(self, spell: Callable[[str], str]) -> DirectoryStep:
        """See `Step`."""
        return replace(self, path=spell(self.path))

    def replacing(self, old: Step) -> Step:
        """See `Step`: the same directory is still made where the line said so."""
        is_same = isinstance(old, DirectoryStep) and old.path == self.path
        return old if is_same and not self.make else self

    def check(self, host: Host) -> Verdict:
        """Tell whether the kernel is in the directory; from a terminal, whether it exists."""
        target, cwd = host.resolve(self.path), host.cwd
        if host.shell is None:
            if target.is_dir():
                return Verdict("ok", "it exists")
            return Verdict("differs", "no such folder")
        if cwd is None:
            return Verdict("differs", "the directory was deleted")
        with suppress(OSError):
            if cwd.samefile(target):
                inner = cwd / self.path
                is_other = inner.is_dir() and not inner.samefile(cwd)
                more = f"; the one in it: %cd_persist ./{self.path}" if is_other else ""
                return Verdict("ok", f"already in {self._in_words()}{more}")
        return Verdict("differs", f"in {host.spell_typed('.')}")

    def effects(self, host: Host) -> Effects:
        """See `Step`."""
        return write(host, lambda: host.resolve(self.path), self.path) if self.make else Effects()

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Change the kernel's directory; nothing is created without ``make``."""
        target = host.resolve(self.path)
        is_new = self.make and not target.is_dir()
        try:
            if is_new:
                target.mkdir(parents=True)
            os.chdir(target)
        except OSError as error:
            hint = "Check the spelling."
            if not self.make and not os.path.lexists(target):
                hint += f" To make it: %cd_persist {quote(host.spell_here(target))} --make"
            raise usage_error(f"{self.path}: {error.strerror}.", hint, code="no-folder") from None
        return Outcome("applied", f"in {self._in_words()}{', created' * is_new}", self)

    def _in_words(self) -> str:
        """Return where it leads; ``drive:`` alone would read like the beginning of a path."""
        return f"{self.path} (its top folder)" if self.path.endswith(":") else self.path


def parser() -> Parser:
    """Return the arguments of ``%cd_persist``."""
    tree = Parser("%cd_persist")
    tree.add_argument(
        "path",
        nargs="?",
        default="",
        help="a folder: PATH, ~/PATH or drive:PATH; - is the one before",
    )
    tree.add_argument("--make", action="store_true", help="make it where it is missing")
    return tree


def parse(words: List[str]) -> Optional[DirectoryStep]:
    """Return the directory of a line; None for a bare line and for ``-``."""
    arguments = parser().parse_words(words)[1]
    path = arguments.path
    if path in ("", "-"):
        return None
    on_colab = _ON_COLAB.fullmatch(path)
    return DirectoryStep(f"drive:{on_colab[1] or ''}" if on_colab else path, arguments.make)
