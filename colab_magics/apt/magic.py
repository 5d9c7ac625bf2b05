"""``%apt``."""

from __future__ import annotations

from typing import Any, List

from ..core.arguments import quote
from ..core.display import Report
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from ..setup.magic_status import judge


class AptMagic(Magic):
    """Install packages of the system, and remember them in the notebook's setup cell.

    For Debian and Ubuntu, Colab among them. What dpkg has already is left alone, and nothing is
    asked of the network for it; the lists of packages are renewed when they are older than a day.
    Without root it needs a sudo that asks for no password.

    Examples
    --------
    ::

        %apt ffmpeg
        %apt libsndfile1 sox graphviz
        %apt ffmpeg=7:5.1.*        # a version; archives drop old ones, so it is yours to type
        %apt                       # what is remembered, and whether it is installed

    Options
    -------
    ``-q``: say nothing. ``-o``: return the outcome. ``--no-record``: do not remember it.
    ``--dry-run``: only say what is missing. Nothing that is installed is ever removed.
    """

    name = "apt"

    def bare(self, call: Call) -> Any:
        """Show each package and how it stands."""
        parts = self.session.standing("apt")
        if not parts:
            say("No package of the system is remembered here. For instance: %apt ffmpeg")
            return parts
        rows: List[Any] = []
        for part in parts:
            verdict, note = judge(part, self.host), part.note(self.host)
            why = verdict.message if verdict.state != "ok" else note.partition(" ")[2]
            rows.append((verdict.state, " ".join(map(quote, part.arguments())), why))
        show(Report((), tuple(rows)))
        return parts
