"""``%github``."""

from __future__ import annotations

from typing import Any, List

from ..core.display import Report
from ..core.registry import load
from ..core.steps import Outcome, parse
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from ..setup.magic_status import judge

#: What is done now and not recorded: first word → what does it, imported when it is first used.
COMMANDS = {
    "badge": "colab_magics.github.magic_open:badge",
    "open": "colab_magics.github.magic_open:open_notebook",
    "save": "colab_magics.github.magic_save:save",
}


class GithubMagic(Magic):
    """Clone repositories, open notebooks from GitHub, save this one there, make its badges.

    ``clone`` is remembered in the setup cell with the commit that is checked out, so that the next
    machine gets the same files. A clone in which you have changed something is never touched. Any
    git server will do; for a private repository name the secret that holds a token (see
    ``%secret``).

    ``save`` sends the notebook as it stands before you where the front end gives it, else its
    file; FILES of its folder too, in the same commit. Nothing is sent where a cell or an output
    holds a secret, or where GitHub has it like that already. Where it was saved is remembered in
    the notebook's metadata. The token is the secret GH_TOKEN, else GITHUB_TOKEN.

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
        %github save owner/name                   # this notebook; later: %github save
        %github save owner/name data.csv --path notebooks/nb.ipynb --message "Results"
        %github save --pr                         # as a pull request: the open one, or a new one
        %github save --gist --strip               # a secret gist, without outputs
        %github open owner/name/notebooks/nb.ipynb@v1.2
        %github open https://github.com/owner/name/blob/main/nb.ipynb copy.ipynb
        %github badge                             # Open in Colab, Binder, Kaggle
        %github badge owner/name --path nb.ipynb --commit

    Options
    -------
    ``save``: ``--branch B`` (made if it is missing), ``--path P`` in the repository, ``--message
    M``, ``--pr``, ``--gist``, ``--strip`` (what is sent has no outputs), ``--token NAME``.
    ``badge``: ``--commit`` for the present commit instead of the branch.
    ``clone``: ``--depth N``: only the last commits. ``--submodules``: with submodules. ``--lfs``:
    with the large files of git-lfs.
    All: ``-q``: say nothing. ``-o``: return the outcome. ``--dry-run``: only say what differs, or
    would be sent. ``--no-record``: do not remember a clone.
    """

    name = "github"
    offers = (
        "clone", "badge", "open", "save", "--depth", "--submodules", "--lfs", "--token", "--update",
        "--install", "--branch", "--path", "--commit", "--message", "--pr", "--gist", "--strip",
    )  # fmt: skip

    def run(self, call: Call) -> Any:
        """Clone, then install where that is asked for; or one of the other commands."""
        if call.words and call.words[0] in COMMANDS:
            self.no_body(call)
            return load(COMMANDS[call.words[0]])(self, call)
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
        from ..pin.magic import PinMagic
        from .step import CloneStep

        step = parse(self.name, call.words)
        if isinstance(step, CloneStep):
            PinMagic(self.session).run(Call(("-e", step.label), call.flags))
