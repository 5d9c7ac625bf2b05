"""``%setup auto off`` as a step: recording is off in this notebook.

It is a line like any other, so that it travels with the notebook through every front end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, FrozenSet, List, Optional, Tuple

from ..core.arguments import Choice, Parser
from ..core.host import Host
from ..core.steps import Outcome, Progress, Step, Verdict


@dataclass(frozen=True)
class AutoOff(Step):
    """Recording is off; it always holds."""

    word: ClassVar[str] = "setup"
    rank: ClassVar[int] = 90

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        return ("auto", "off")

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`."""
        return frozenset({"auto"})

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        return Verdict("ok", "recording is off in this notebook; on again: %setup auto on")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """See `Step`."""
        return Outcome("unchanged", self.check(host).message, self)


def parser() -> Parser:
    """Return the arguments of ``%setup``."""
    tree = Parser("%setup")
    write = tree.add_command(
        "write",
        "Turn this (empty, first) cell into the setup cell.",
        usage="%(prog)s [NOTEBOOK | --all]",
    )
    write.add_argument(
        "notebook", nargs="?", default="", metavar="NOTEBOOK", help="a file that nobody has open"
    )
    write.add_argument(
        "--all", action="store_true", help="also what was typed in another notebook or page"
    )
    check = tree.add_command("check", "Check every line, and change nothing.")
    check.add_argument("--strict", action="store_true", help="raise unless every line holds")
    forget = tree.add_command(
        "forget", "Remove lines from the setup cell.", usage="%(prog)s NAME... | --all"
    )
    forget.add_argument(
        "step", nargs="*", metavar="NAME", help="a package, or a kind of line: numpy, pin, drive"
    )
    forget.add_argument("--all", action="store_true", help="the whole cell")
    tree.add_command("where", "Show where the setup cell is written from here, and why.")
    auto = tree.add_command(
        "auto", "Turn recording on or off in this notebook.", usage="%(prog)s on|off"
    )
    auto.add_argument("state", type=Choice("%setup auto", "state", ("on", "off")), metavar="on|off")
    tree.add_command("help", "Show these commands.")
    return tree


def parse(words: List[str]) -> Optional[AutoOff]:
    """Return the step of ``auto off``; None for the commands that are none."""
    command, arguments = parser().parse_words(words)
    return AutoOff() if command == "auto" and arguments.state == "off" else None
