"""``%github``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

from ..core.arguments import Parser
from ..core.display import Report
from ..core.registry import load
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from ..setup.magic_status import judge
from .address import is_same
from .repository import open_repository
from .step import CloneStep, parser

#: The commands that are not recorded, imported when they are first used.
COMMANDS = {
    "badge": "colab_magics.github.magic_badge:badge",
    "open": "colab_magics.github.magic_open:open_notebook",
    "save": "colab_magics.github.magic_save:save",
}


class GithubMagic(Magic):
    """Clone repositories, open notebooks from GitHub, save this one there, make its badges.

    ``clone`` is remembered in the setup cell with the commit that is checked out, so that the next
    machine gets the same files. A clone in which you have changed something is never touched. Any
    git server will do; for a private repository name the secret that holds a token (see
    ``%secret``).

    ``save`` sends the notebook as it is in front of you where the front end gives it, else its
    file; FILES of its folder too, in the same commit. Nothing is sent where a cell or an output
    contains a secret, or where GitHub has it like that already. Where it was saved is remembered in
    the notebook's metadata. The token is the secret GH_TOKEN, else GITHUB_TOKEN.

    Examples
    --------
    ::

        %github clone owner/name                  # into name here, at what its main branch is now
        %github clone owner/name@v1.2 project     # a tag, branch or commit, into a folder
        %github clone owner/name --token GH_TOKEN # a private one
        %github clone owner/name --update         # move on, and record the new commit
        %github clone owner/name --install        # and %pin -e name
        %github clone https://gitlab.com/owner/name.git --depth 1
        %github                                   # the remembered ones, and their commits
        %github save owner/name                   # this notebook; later: %github save
        %github save owner/name data.csv --path notebooks/nb.ipynb --message "Results"
        %github save --pr                         # as a pull request: the open one, or a new one
        %github save --gist --strip               # a secret gist, without outputs
        %github open owner/name/notebooks/nb.ipynb@v1.2
        %github open https://github.com/owner/name/blob/main/nb.ipynb copy.ipynb
        %github badge                             # Open in Colab, Binder, Kaggle
        %github badge owner/name --path nb.ipynb --commit
    """

    name = "github"
    dry_run_commands = ("", "clone", "save", "open")

    @classmethod
    def parser(cls) -> Parser:
        """Return the tree that the step is read by."""
        return parser()

    def run(self, call: Call) -> Any:
        """Clone, then install where that is asked for; or run one of the other commands."""
        command, arguments = parser().parse_words(call.words)
        self.refuse_body(call)
        if command in COMMANDS:
            return load(COMMANDS[command])(self, call, arguments)
        step = self.parse(call.words)
        if not isinstance(step, CloneStep):
            return self.bare(call)
        if not arguments.folder and not self.session.is_setup_running:
            clone = self._find_clone(step.address.url)
            step = step if clone is None else step.spelled(lambda path: self.host.spell(clone))
        outcome = self.apply_step(step, call)
        if arguments.install and outcome is not None:
            from ..pin.magic import PinMagic

            PinMagic(self.session).run(Call(("-e", str(step.place(self.host))), call.flags))
        return outcome

    def _find_clone(self, url: str) -> Optional[Path]:
        """Return the clone of ours that the kernel is in: none is made inside itself."""
        cwd = self.host.cwd
        folders = (cwd, *cwd.parents) if cwd is not None else ()
        clone = next((folder for folder in folders if (folder / ".git").exists()), None)
        repository = open_repository(clone) if clone is not None else None
        if repository is None or not repository.record[1]:  # a person's own
            return None
        return clone if is_same(repository.origin, url) else None

    def bare(self, call: Call) -> Any:
        """Show each remembered clone and its commit."""
        parts = self.session.recorded_parts(self.name)
        if not parts:
            say(
                "No repository is recorded in this notebook. For instance: %github clone owner/name"
            )
            return parts
        verdicts = [(part.repository, judge(part, self.host)) for part in parts]
        rows = ((verdict.mark, name, verdict.message) for name, verdict in verdicts)
        show(Report((), tuple(rows), head=("state", "repository", "commit or why")))
        return parts
