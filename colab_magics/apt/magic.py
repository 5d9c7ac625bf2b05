"""``%apt``."""

from __future__ import annotations

from typing import Any

from ..core.arguments import Parser, quote
from ..core.display import Report
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from ..setup.magic_status import judge
from .step import parser


class AptMagic(Magic):
    """Install packages of the system, and remember them in the notebook's setup cell.

    For Debian and Ubuntu, Colab among them. Packages that dpkg has already are left alone, without
    asking the network; the lists of packages are updated when they are older than a day. Nothing
    that is installed is ever removed. Without root it needs a sudo that asks for no password.

    Examples
    --------
    ::

        %apt ffmpeg
        %apt libsndfile1 sox graphviz
        %apt ffmpeg=7:5.1.*        # a version; archives drop old ones, so it is yours to type
        %apt ffmpeg --dry-run      # only say what is missing
        %apt                       # what is remembered, and whether it is installed
    """

    name = "apt"

    @classmethod
    def parser(cls) -> Parser:
        """Return the arguments that the step is read by."""
        return parser()

    def bare(self, call: Call) -> Any:
        """Show each remembered package and whether it is installed."""
        parts = self.session.recorded_parts("apt")
        if not parts:
            say("No system package is recorded in this notebook. For instance: %apt ffmpeg")
            return parts
        rows = []
        for part in parts:
            verdict, version = judge(part, self.host), part.note(self.host).partition(" ")[2]
            reason = version if verdict.state == "ok" else verdict.message
            rows.append((verdict.mark, " ".join(map(quote, part.arguments())), reason))
        show(Report((), tuple(rows), head=("state", "package", "version or why")))
        return parts
