"""``%cd_persist`` as a step: the directory that the notebook works in."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, FrozenSet, List, Optional, Tuple

from ..core.arguments import Parser
from ..core.errors import usage_error
from ..core.host import Host
from ..core.steps import Outcome, Progress, Step, Verdict

#: A path on the drive as notebooks of Colab spell it; it means the same wherever the drive is.
_ON_COLAB = re.compile(r"/content/g?drive/My ?Drive(?:/(.*))?")


@dataclass(frozen=True)
class DirectoryStep(Step):
    """The directory as it is recorded; `Host.resolve` reads its spelling."""

    path: str

    word: ClassVar[str] = "cd_persist"
    rank: ClassVar[int] = 80

    def arguments(self) -> Tuple[str, ...]:
        """Return the path."""
        return (self.path,)

    @property
    def keys(self) -> FrozenSet[str]:
        """One key: a notebook works in one directory."""
        return frozenset({"directory"})

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
                return Verdict("ok", f"already in {self.path}")
        return Verdict("differs", f"in {host.spell(cwd)}")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Change the kernel's directory; nothing is created."""
        try:
            os.chdir(host.resolve(self.path))
        except OSError as error:
            raise usage_error(
                f"{self.path}: {error.strerror}.", self._hint(host), code="no-folder"
            ) from None
        return Outcome("applied", f"in {self.path}", self.recorded(host))

    def recorded(self, host: Host) -> Optional[Step]:
        """Return it as typed; an absolute path under the drive as ``drive:``."""
        if not Path(self.path).is_absolute():
            return self
        spelled = host.spell(host.resolve(self.path))
        return DirectoryStep(spelled if ":" in spelled else self.path)

    def _hint(self, host: Host) -> str:
        cwd = host.cwd
        if cwd is not None and not Path(self.path).is_absolute() and (cwd / self.path).is_dir():
            path = host.spell(Path(os.path.normpath(cwd / self.path)))
            return f"Paths count from where the kernel started. Type: %cd_persist {path}"
        return "Check the spelling, or make the folder first: mkdir."


def parser() -> Parser:
    """Return the arguments of ``%cd_persist``."""
    tree = Parser("%cd_persist")
    tree.add_argument(
        "path",
        nargs="?",
        default="",
        help="a folder: PATH, ~/PATH or drive:PATH; - is the one before",
    )
    return tree


def parse(words: List[str]) -> Optional[DirectoryStep]:
    """Return the directory of a line; None for a bare line and for ``-``."""
    path = parser().parse_words(words)[1].path
    if path in ("", "-"):
        return None
    on_colab = _ON_COLAB.fullmatch(path)
    return DirectoryStep(f"drive:{on_colab.group(1) or ''}" if on_colab else path)
