"""``%cd_persist`` as a step: the directory that the notebook works in."""

from __future__ import annotations

import os
import re
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
    """The directory as it is recorded: see `Host.resolve` for what the spellings mean."""

    path: str

    word: ClassVar[str] = "cd_persist"
    rank: ClassVar[int] = 80

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        return (self.path,)

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`: a notebook works in one directory."""
        return frozenset({"directory"})

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        target, cwd = host.resolve(self.path), host.cwd
        if host.shell is None:  # asked from a shell: there is no kernel to be in it
            there = target.is_dir()
            return Verdict(
                "ok" if there else "differs", f"{_why(target)}" if not there else "there"
            )
        if cwd is not None and _same(cwd, target):
            return Verdict("ok", f"already in {self.path}")
        return Verdict("differs", f"in {host.spell(cwd)}" if cwd else "the directory has vanished")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Change the kernel's directory; nothing is created."""
        target = host.resolve(self.path)
        if not target.is_dir():
            raise usage_error(f"{self.path}: {_why(target)}.", self._hint(host))
        try:
            os.chdir(target)
        except OSError as error:
            raise usage_error(f"{self.path}: {error.strerror}.", "Choose another.") from None
        return Outcome("applied", f"in {self.path}", self.recorded(host))

    def recorded(self, host: Host) -> Optional[Step]:
        """Relative as typed; an absolute path under the drive as ``drive:``."""
        if not Path(self.path).is_absolute():
            return self
        spelled = host.spell(host.resolve(self.path))
        return DirectoryStep(spelled if ":" in spelled else self.path)

    def _hint(self, host: Host) -> str:
        cwd = host.cwd
        if cwd is not None and not Path(self.path).is_absolute() and (cwd / self.path).is_dir():
            there = host.spell(Path(os.path.normpath(cwd / self.path)))
            return f"Paths count from where the kernel started. Here: %cd_persist {there}"
        return "Make it first, or check the spelling: nothing is created."


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _why(target: Path) -> str:
    if target.exists():
        return "not a folder"
    return "no such folder"


def parse(words: List[str]) -> Optional[DirectoryStep]:
    """The directory that a line asks for; None for a bare line and for ``-``."""
    parser = Parser("%cd_persist", usage="%cd_persist PATH | -")
    parser.add_argument("path", nargs="?")
    path = parser.parse_args(words).path
    if not path or path == "-":
        return None
    found = _ON_COLAB.fullmatch(path)
    return DirectoryStep(f"drive:{found.group(1) or ''}" if found else path)
