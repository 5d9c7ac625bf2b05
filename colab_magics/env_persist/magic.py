"""``%env_persist``."""

from __future__ import annotations

import os
from typing import Any, List, Sequence

from ..core.display import Report
from ..core.errors import usage_error
from ..core.steps import parts_of
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from ..record.cell import Line
from ..record.merge import Merged, remove_steps
from ..setup.magic_status import judge
from .step import remove


class EnvironmentMagic(Magic):
    """Set variables of the environment, and remember them in the notebook's setup cell.

    They hold for this kernel and for the programs that it starts. A ``~/`` at the start of a
    value is home, on every machine; a folder that is put into a list is read as by
    ``%cd_persist``. What looks like a secret is refused: that is ``%secret``'s.

    Examples
    --------
    ::

        %env_persist OMP_NUM_THREADS=4
        %env_persist HF_HOME=~/models TOKENIZERS_PARALLELISM=false
        %env_persist "GREETING=good morning"
        %env_persist --prepend PATH=~/bin      # also --append; the folder stands there once
        %env_persist --unset OMP_NUM_THREADS   # out of the environment and of the setup cell
        %env_persist                           # what is remembered, and whether it holds

    Options
    -------
    ``-q``: say nothing. ``-o``: return the outcome. ``--no-record``: do not remember it.
    ``--dry-run``: only say what differs.
    """

    name = "env_persist"
    offers = ("--prepend", "--append", "--unset")

    def bare(self, call: Call) -> Any:
        """Show each variable and how it stands; or take variables out."""
        if call.words:
            return self._unset([word for word in call.words if word != "--unset"], call)
        parts = self.session.standing(self.name)
        if not parts:
            say("No variable is remembered in this notebook. For instance: %env_persist NAME=VALUE")
            return parts
        rows: List[Any] = []
        for part in parts:
            verdict = judge(part, self.host)
            why = "" if verdict.state == "ok" else verdict.message
            rows.append((verdict.state, " ".join(part.arguments()), why))
        show(Report((), tuple(rows)))
        return parts

    def _unset(self, names: List[str], call: Call) -> List[str]:
        """Take variables out of the environment and out of what is recorded."""
        known = self.session.standing(self.name)
        wrong = [name for name in names if "=" in name or name.startswith("-")]
        if wrong or not names:
            raise usage_error("%env_persist --unset takes names.", "For instance: --unset NAME")
        if "dry_run" in call.flags:
            say(f"dry run: would take out {', '.join(names)}")
            return names
        gone = [
            name for name in names if remove(self.host, name, [s for s in known if _of(s, name)])
        ]
        dropped: List[str] = []
        if "no_record" not in call.flags:
            dropped = self.session.edit(lambda lines: _without(lines, names))
        standing = self.session.standing(self.name)
        left = any(_of(step, name) for step in standing for name in names)
        if "quiet" not in call.flags:
            say(
                f"{', '.join(gone)} taken out" if gone else f"{', '.join(names)} was not set",
                *([f"forgotten: {', '.join(dropped)}"] if dropped else []),
                *(["To take it out of the setup cell, delete its line."] if left else []),
            )
        return gone

    def complete(self, line: str, symbol: str) -> List[str]:
        """Names of variables that are set, and options."""
        if symbol.startswith("-") or not symbol:
            return super().complete(line, symbol)
        plain = "--unset" in line.split()
        names = sorted(name for name in os.environ if name.startswith(symbol))
        return [name if plain else f"{name}=" for name in names]


def _of(step: Any, name: str) -> bool:
    return any(one == name for one, _ in step.variables)


def _without(lines: Sequence[Line], names: Sequence[str]) -> Merged:
    """The lines without the variables of these names, entries of their lists too."""
    parts = parts_of("env_persist", [line.step for line in lines])
    keys = [key for part in parts if any(_of(part, name) for name in names) for key in part.keys]
    return remove_steps(lines, "env_persist", frozenset(keys)) if keys else (list(lines), ())
