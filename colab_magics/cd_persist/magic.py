"""``%cd_persist``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

from ..core.arguments import Parser, complete_folder
from ..core.errors import usage_error
from ..core.steps import parse
from ..drive.magic import heal
from ..drive.step import current
from ..extension.magic import Call, Magic
from ..extension.output import say
from .step import DirectoryStep, parser


class DirectoryMagic(Magic):
    """Change the working directory, and remember it in the notebook's setup cell.

    A relative path counts from the directory in which the kernel started, so that it
    means the same on every run. Nothing is created.

    Examples
    --------
    ::

        %cd_persist                   # where we are
        %cd_persist data
        %cd_persist ~/project
        %cd_persist drive:project     # under the drive, wherever it is mounted
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
        step = self._previous() if call.words == ("-",) else parse(self.name, call.words)
        if not isinstance(step, DirectoryStep):
            return self.bare(call)
        if step.path.startswith("drive:"):
            message = heal(self.host, current(self.host))
            if message and "quiet" not in call.flags:
                say(message)
        before = self.host.cwd
        outcome = self.apply_step(step, call)
        if before is not None and before != self.host.cwd:
            self.host.shell.user_ns.setdefault("_dh", [before]).append(Path.cwd())
        return outcome

    def bare(self, call: Call) -> Any:
        """Show the directory."""
        cwd = self.host.cwd
        if cwd is None:
            say("The directory of the kernel was deleted. Go to another one: %cd_persist PATH")
        else:
            say(f"in {self.host.spell(cwd)}")
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
        """Return folders below the start directory, home or the drive, and where to begin."""
        starts = [start for start in ("drive:", "~/", "-") if start.startswith(symbol)]
        return complete_folder(symbol, self.host) + starts
