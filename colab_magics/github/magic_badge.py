"""``%github badge``: the badges that open this notebook in Colab, Binder and Kaggle."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from IPython.display import display

from ..core.errors import usage_error
from ..extension.magic import Call
from ..notebook.reading import name_in_colab, notebook_file
from .api import Api, not_github
from .badges import badges
from .magic_save import read_target
from .magic_token import call_api
from .repository import SHA
from .target import Target, find_target


def badge(magic: Any, call: Call, arguments: Namespace) -> str:
    """Show the badges of this notebook, or of the one that is named: drawn, and to be copied."""
    target = _choose_target(magic, arguments)
    ref = target.branch or "main"
    if arguments.commit:
        ref = call_api(
            magic.host, arguments.token, lambda api: _read_commit(api, target.repository, ref)
        )
    markdown = badges(target.repository, ref, target.path)
    if "quiet" not in call.flags:
        drawn = markdown.replace("\n", " ") + f"\n\n```markdown\n{markdown}\n```"
        display({"text/plain": markdown, "text/markdown": drawn}, raw=True)
    return markdown


def _read_commit(api: Api, repository: str, ref: str) -> str:
    url, accept = f"/repos/{repository}/commits/{ref}", "application/vnd.github.sha"
    response = api("GET", url, accept=accept, subject=f"{repository}, {ref}")
    commit = response.data.decode("ascii", "replace").strip()
    if not SHA.fullmatch(commit):
        raise not_github()
    return commit


def _choose_target(magic: Any, arguments: Namespace) -> Target:
    """Return what is typed, else where it was saved, else the clone that contains the notebook."""
    base = Target()
    if not (arguments.repository and arguments.path):
        file = notebook_file(magic.host, magic.session.site)
        name = file.name if file else name_in_colab(magic.host, magic.session.site)
        base = Target(path=name)
        for target in (find_target(file) if file else None, read_target(magic.session)):
            if target and target.repository and arguments.repository in ("", target.repository):
                base = target
    repository = arguments.repository or base.repository
    path = arguments.path or base.path
    if not repository:
        raise usage_error(
            "%github badge: it is not known where this notebook is on GitHub.",
            "Name it: %github badge OWNER/REPO --path nb.ipynb",
            code="unknown-repository",
        )
    if not path:
        message = "%github badge: it is not known which notebook this is."
        raise usage_error(message, "Name it: --path nb.ipynb", code="unknown-notebook")
    return Target(repository, arguments.branch or base.branch, path)
