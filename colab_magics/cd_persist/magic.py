"""``%cd_persist``."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, List, Optional, Sequence

from ..core.arguments import Parser, complete_folder
from ..core.errors import usage_error
from ..core.steps import Step, parse
from ..drive.magic import heal
from ..drive.step import current
from ..extension.magic import Call, Magic
from ..extension.output import say
from .step import DirectoryStep, parser


class DirectoryMagic(Magic):
    """Change the working directory, and remember it in the notebook's setup cell.

    A relative path counts from the current directory, and is recorded so that it means the same
    on every run: below the one in which the kernel started, below home or the drive. Nothing is
    created without ``--make``, which is recorded too. Run again, the same line stays where it is.

    Examples
    --------
    ::

        %cd_persist                   # where we are
        %cd_persist data
        %cd_persist ~/project
        %cd_persist drive:project     # under the drive, wherever it is mounted
        %cd_persist results --make    # made where it is missing
        %cd_persist -                 # back to where we were
    """

    name = "cd_persist"

    @classmethod
    def parser(cls) -> Parser:
        """Return the arguments that the step is read from."""
        return parser()

    def run(self, call: Call) -> Any:
        """Change the directory, and add it to IPython's own history of directories."""
        self.refuse_body(call)
        step = self._previous() if call.words == ("-",) else self.parse(call.words)
        if not isinstance(step, DirectoryStep):
            return self.bare(call)
        if step.path.startswith("drive:"):
            message = heal(self.host, current(self.host))
            if message and "quiet" not in call.flags:
                say(message)
        before = self.host.cwd
        outcome = self.apply_step(step, call)
        if "dry_run" not in call.flags and not self.session.is_setup_running:
            self.session.restored = None
        if before is not None and before != self.host.cwd:
            self.host.shell.user_ns.setdefault("_dh", [before]).append(Path.cwd())
        return outcome

    def parse(self, words: Sequence[str]) -> Optional[Step]:
        """See `Magic`; a line that is run again leads where it led before.

        What begins with a dot counts from the current directory alone. Other lines count from where
        the kernel started if that is the current directory, or, without ``--make``, if the one here
        is missing and the kernel was there before, or is where the setup cell has led it.
        """
        step, typed = super().parse(words), parse(self.name, words)
        if not isinstance(step, DirectoryStep) or not isinstance(typed, DirectoryStep):
            return step
        if step == typed or typed.path.startswith("."):
            return step
        before = self.host.resolve(typed.path)  # as seen from where the kernel started
        with suppress(OSError):
            if before.samefile(Path.cwd()) or (not step.make and self._leads_back(before, step)):
                return replace(step, path=self.host.spell(before))
        return step

    def _leads_back(self, before: Path, step: DirectoryStep) -> bool:
        """Tell whether a line that is run again led to a folder, and there is none here."""
        visited = map(Path, self.host.shell.user_ns.get("_dh", ()))
        is_restored = self.session.restored is not None and self.session.restored == self.host.cwd
        is_known = is_restored or before in visited
        return is_known and before.is_dir() and not self.host.resolve(step.path).is_dir()

    def bare(self, call: Call) -> Any:
        """Show the directory."""
        cwd = self.host.cwd
        if cwd is None:
            say("The directory of the kernel was deleted. Go to another one: %cd_persist PATH")
        else:
            say(f"in {self.host.spell_typed('.')}")
        return cwd

    def _previous(self) -> DirectoryStep:
        """Return the directory before this one, from IPython's history."""
        cwd = self.host.cwd
        for entry in reversed(self.host.shell.user_ns.get("_dh", [])):
            if Path(entry) != cwd and Path(entry).is_dir():
                return DirectoryStep(self.host.spell(Path(entry)))
        raise usage_error(
            "%cd_persist -: there is no directory to go back to.", "Name one.", code="no-previous"
        )

    def complete(self, line: str, symbol: str) -> List[str]:
        """Return folders below the current directory, home or the drive, and where to begin."""
        starts = [start for start in ("drive:", "~/", "-") if start.startswith(symbol)]
        return complete_folder(symbol, self.host) + starts
