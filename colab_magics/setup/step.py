"""The lines of ``%setup``. As a step ``%setup auto off``: recording is off in this notebook.

It is a line like any other, so that it travels with the notebook through every front end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, FrozenSet, List, Optional, Tuple

from ..core.arguments import Choice, Parser
from ..core.effects import Effects
from ..core.host import Host
from ..core.steps import Outcome, Progress, Step, Verdict
from ..export.formats import FORMATS
from .editor import add_options, step_of


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

    def effects(self, host: Host) -> Effects:
        """See `Step`."""
        return Effects()

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
    _add_inspection(tree)
    forget = tree.add_command(
        "forget", "Remove lines from the setup cell.", usage="%(prog)s NAME... | --all"
    )
    forget.add_argument(
        "step", nargs="*", metavar="NAME", help="a package, or a kind of line: numpy, pin, drive"
    )
    forget.add_argument("--all", action="store_true", help="the whole cell")
    _add_old_notebooks(tree)
    _add_elsewhere(tree)
    where = tree.add_command(
        "where", "Show where the setup cell is written from here, and why.", usage="%(prog)s"
    )
    where.add_argument("-v", "--verbose", action="store_true", help="which notebook this is, too")
    auto = tree.add_command(
        "auto", "Turn recording on or off in this notebook.", usage="%(prog)s on|off"
    )
    auto.add_argument("state", type=Choice("%setup auto", "state", ("on", "off")), metavar="on|off")
    editor = tree.add_command(
        "editor",
        "Show or set the theme, indent, font size and line numbers of JupyterLab's editor.",
        usage="%(prog)s [OPTIONS]",
    )
    add_options(editor)
    tree.add_command("help", "Show these commands.")
    return tree


def _add_inspection(tree: Parser) -> None:
    """Add what changes nothing."""
    check = tree.add_command("check", "Check every line, and change nothing.")
    check.add_argument("--strict", action="store_true", help="raise unless every line holds")
    check.add_argument("--json", action="store_true", help="print one object")
    plan = tree.add_command(
        "plan", "Show what the cell would do: installs, servers, secrets, places."
    )
    plan.add_argument("--json", action="store_true", help="print one object")
    diff = tree.add_command("diff", "Compare this set-up with another notebook's, line by line.")
    diff.add_argument("notebook", metavar="NOTEBOOK", help="its file")
    diff.add_argument("--json", action="store_true", help="print one object")
    doctor = tree.add_command("doctor", "Show what a bug report needs, without secrets.")
    doctor.add_argument("--json", action="store_true", help="print one object")


def _add_old_notebooks(tree: Parser) -> None:
    """Add what makes steps of a notebook that has none."""
    adopt = tree.add_command(
        "adopt",
        "Turn hand-written set-up into steps; nothing is executed.",
        usage="%(prog)s [NOTEBOOK] [CELL...] [options]",
    )
    adopt.add_argument(
        "words", nargs="*", metavar="CELL", help="numbers from 1; without them, what is set-up"
    )
    adopt.add_argument("--replace", action="store_true", help="make the old lines comments")
    adopt.add_argument("--installed", action="store_true", help="write the versions of here")
    adopt.add_argument("--as-of", default="", metavar="DAY", help="or those of a day: 2020-07-11")
    adopt.add_argument("--undo", action="store_true", help="take it back")
    revive = tree.add_command(
        "revive",
        "Propose a line with which an old notebook runs again: its day, Python and packages.",
        usage="%(prog)s [NOTEBOOK] [--as-of DAY] [--apply]",
    )
    revive.add_argument("notebook", nargs="?", default="", metavar="NOTEBOOK", help="on disk")
    revive.add_argument("--as-of", default="", metavar="DAY", help="when it was made: 2020-07-11")
    revive.add_argument("--apply", action="store_true", help="write the line")


def _add_elsewhere(tree: Parser) -> None:
    """Add what takes a set-up to other tools and back."""
    export = tree.add_command(
        "export",
        "Show or write this set-up for those who have no colab_magics.",
        usage="%(prog)s FORMAT [-o PATH] [--force] [--json]",
    )
    formats = Choice("%setup export", "format", FORMATS)
    export.add_argument("format", type=formats, metavar="FORMAT", help=", ".join(FORMATS))
    export.add_argument(
        "path", nargs="?", default="", metavar="PATH", help="-o: a file or a folder"
    )
    export.add_argument("--force", action="store_true", help="replace files that are there")
    export.add_argument("--json", action="store_true", help="print one object")
    apply = tree.add_command(
        "apply",
        "Set up the workers of Dask, Ray or ipyparallel like this notebook.",
        usage="%(prog)s --on ENGINE [--restart-workers] [--json]",
    )
    text = "dask://HOST:PORT, ray://HOST:PORT, auto, ray, ipyparallel, or a client's variable"
    apply.add_argument("--on", required=True, metavar="ENGINE", help=text)
    text = "Dask: those that have an older version loaded"
    apply.add_argument("--restart-workers", action="store_true", help=text)
    apply.add_argument("--json", action="store_true", help="print one object")
    other = tree.add_command(
        "import", "Take over the pins of a file, or another notebook's set-up."
    )
    text = "requirements, pylock, pyproject.toml, a script, environment.yml or a notebook"
    other.add_argument("path", metavar="PATH", help=text)


def parse(words: List[str]) -> Optional[Step]:
    """Return the step of ``auto off`` or ``editor``; None for the commands that are none."""
    command, arguments = parser().parse_words(words)
    if command == "editor":
        return step_of(arguments)
    return AutoOff() if command == "auto" and arguments.state == "off" else None
