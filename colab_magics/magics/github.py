"""``%github``."""

from typing import Any, List

from ..display import Report
from ..setup.report import judge
from ..steps import Outcome, parse
from ._base import Call, Magic, say, show

__all__ = ["GithubMagic"]


class GithubMagic(Magic):
    """Clone a repository, and remember it, with its commit, in the notebook's setup cell.

    The commit that is checked out is recorded, so that the next machine gets the same files.
    A clone in which you have changed something is never touched. Any git server will do; for a
    private repository name the secret that holds a token (see ``%secret``).

    Examples
    --------
    ::

        %github clone owner/name                  # into name, at what its main branch is now
        %github clone owner/name@v1.2 project     # a tag, branch or commit, into a folder
        %github clone owner/name --token GH_TOKEN # a private one
        %github clone owner/name --update         # move on, and record the new commit
        %github clone owner/name --install        # and %pin -e name
        %github clone https://gitlab.com/owner/name.git --depth 1
        %github                                   # how the remembered ones stand

    Options
    -------
    ``--depth N``: only the last commits. ``--submodules``: with submodules. ``--lfs``: with the
    large files of git-lfs. ``-q``: say nothing. ``-o``: return the outcome. ``--dry-run``: only
    say what differs. ``--no-record``: do not remember it.
    """

    name = "github"
    offers = (
        "clone", "--depth", "--submodules", "--lfs", "--token", "--update", "--install",
    )  # fmt: skip

    def run(self, call: Call) -> Any:
        """Clone, then install where that is asked for."""
        outcome = super().run(call)
        if "--install" in call.words and isinstance(outcome, Outcome):
            self._install(call)
        return outcome

    def bare(self, call: Call) -> Any:
        """Show each clone and how it stands."""
        if call.words:
            return super().bare(call)
        parts = self.session.standing(self.name)
        if not parts:
            say("No repository is remembered here. For instance: %github clone owner/name")
            return parts
        rows: List[Any] = []
        for part in parts:
            verdict = judge(part, self.host)
            rows.append((verdict.state, part.repository, verdict.message))
        show(Report((), tuple(rows)))
        return parts

    def _install(self, call: Call) -> None:
        """As ``%pin -e FOLDER`` would, with the flags of this line."""
        from ..sources.git.step import CloneStep
        from .pin import PinMagic

        step = parse(self.name, call.words)
        if isinstance(step, CloneStep):
            PinMagic(self.session).run(Call(("-e", f"./{step.label}"), call.flags))
