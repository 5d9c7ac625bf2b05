"""``%env_persist``."""

from __future__ import annotations

import os
from typing import Any, List, Sequence

from ..core.arguments import Parser
from ..core.display import Report
from ..core.errors import usage_error
from ..core.steps import parts_of
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from ..record.cell import Line
from ..record.merge import Merged, remove_steps
from ..setup.magic_status import judge
from .step import parser, remove


class EnvironmentMagic(Magic):
    """Set variables of the environment, and remember them in the notebook's setup cell.

    They hold for this kernel and for the programs that it starts. A ``~/`` at the start of a
    value is home, on every machine; a folder that is put into a list is read as by
    ``%cd_persist``. A value that looks like a secret is refused: use ``%secret``.

    Examples
    --------
    ::

        %env_persist OMP_NUM_THREADS=4
        %env_persist HF_HOME=~/models TOKENIZERS_PARALLELISM=false
        %env_persist "GREETING=good morning"
        %env_persist --prepend PATH=~/bin      # also --append; it is there once
        %env_persist --unset OMP_NUM_THREADS   # also from the setup cell
        %env_persist                           # what is recorded, and whether it holds
    """

    name = "env_persist"
    completes = "variable"

    @classmethod
    def parser(cls) -> Parser:
        """Return the arguments that the step is read from."""
        return parser()

    def bare(self, call: Call) -> Any:
        """Show each variable and whether it holds; or remove variables."""
        arguments = parser().parse_words(call.words)[1]
        if arguments.mode == "unset":
            return self._unset(arguments.variables, call)
        parts = self.session.recorded_parts(self.name)
        if not parts:
            say("This notebook sets no variables yet. For example: %env_persist NAME=VALUE")
            return parts
        verdicts = [(part, judge(part, self.host)) for part in parts]
        show(
            Report(
                rows=tuple(
                    (v.mark, " ".join(part.arguments()), "" if v.state == "ok" else v.message)
                    for part, v in verdicts
                ),
                head=("state", "variable", "why"),
            )
        )
        return parts

    def _unset(self, names: List[str], call: Call) -> List[str]:
        """Remove variables from the environment and from what is recorded."""
        if not names or any("=" in name for name in names):
            raise usage_error(
                "%env_persist --unset takes names.", "For example: --unset NAME", code="no-name"
            )
        if "dry_run" in call.flags:
            say(f"Nothing was changed. Would remove {', '.join(names)}")
            return names
        recorded = self.session.recorded_parts(self.name)
        removed = [
            name
            for name in names
            if remove(self.host, name, [step for step in recorded if _sets(step, name)])
        ]
        forgotten: List[str] = []
        if "no_record" not in call.flags:
            forgotten = self.session.edit(lambda lines: _without(lines, names))
        recorded = self.session.recorded_parts(self.name)
        if "quiet" not in call.flags:
            is_left = any(_sets(step, name) for step in recorded for name in names)
            say(
                f"{', '.join(removed)} removed" if removed else f"{', '.join(names)} was not set",
                *([f"forgotten: {', '.join(forgotten)}"] if forgotten else []),
                *(["Its line is still in the setup cell: delete it there."] if is_left else []),
            )
        return removed

    def complete(self, line: str, symbol: str) -> List[str]:
        """Return names of variables that are set, and options."""
        if symbol.startswith("-") or not symbol:
            return super().complete(line, symbol)
        end = "" if "--unset" in line.split() else "="
        return sorted(f"{name}{end}" for name in os.environ if name.startswith(symbol))


def _sets(step: Any, name: str) -> bool:
    return any(name == variable for variable, _ in step.variables)


def _without(lines: Sequence[Line], names: Sequence[str]) -> Merged:
    """Return the lines without the variables of these names, entries of their lists too."""
    parts = parts_of("env_persist", [line.step for line in lines])
    keys = {key for part in parts if any(_sets(part, name) for name in names) for key in part.keys}
    return remove_steps(lines, "env_persist", frozenset(keys)) if keys else (list(lines), ())
