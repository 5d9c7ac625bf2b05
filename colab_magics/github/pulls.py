"""Save by a pull request: from a branch of its own, used as long as that request is open.

Source: docs.github.com/rest/pulls.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import NamedTuple, Optional, Sequence, Tuple
from urllib.parse import quote

from ..core.errors import SourceError
from .contents import File, RemoteRepository, Saved, sha_of


class Pull(NamedTuple):
    """A pull request; ``is_new``: it was opened now."""

    number: int
    url: str
    branch: str
    is_new: bool


def propose(
    repository: RemoteRepository, base: str, files: Sequence[File], message: str
) -> Tuple[Saved, Optional[Pull]]:
    """Save files in a pull request; open none where the base has them already."""
    stem = re.sub(r"[^\w-]+", "-", files[0].path.rpartition("/")[2].rpartition(".")[0]).strip("-")
    stem = f"save-{stem or 'notebook'}"
    pull = _find_open(repository, base, stem)
    if pull is not None:
        return repository.save(pull.branch, files, message), pull
    if all(repository.blob(file.path, base) == sha_of(file.data) for file in files):
        return Saved(), None
    start = repository.head(base)
    if not start:
        raise SourceError(
            f"{repository.name} has no branch {base} for a pull request.",
            "Save without --pr first.",
            code="no-branch",
        )
    branch = _choose_branch(repository, stem)
    repository.create_branch(branch, start)
    try:
        saved = repository.save(branch, files, message)
        body = {"title": message, "head": branch, "base": base}
        answer = repository.call("POST", "/pulls", json=body).json
    except BaseException:  # leave nothing half-done
        with suppress(SourceError):
            repository.call("DELETE", f"/git/refs/heads/{quote(branch)}")
        raise
    return saved, Pull(int(answer["number"]), str(answer["html_url"]), branch, True)


def _find_open(repository: RemoteRepository, base: str, stem: str) -> Optional[Pull]:
    """Return the newest open request from a branch of ours in the same repository."""
    url = f"/pulls?state=open&base={quote(base, safe='')}&per_page=100"
    for pull in repository.call("GET", url, expect=list).json:
        branch = str(pull["head"]["ref"])
        name = (pull["head"].get("repo") or {}).get("full_name", "")
        ours = re.fullmatch(re.escape(stem) + r"(-\d+)?", branch)
        if name.lower() == repository.name.lower() and ours:
            return Pull(int(pull["number"]), str(pull["html_url"]), branch, False)
    return None


def _choose_branch(repository: RemoteRepository, stem: str) -> str:
    """Return a name that no branch has: one that was merged may still exist."""
    url = f"/git/matching-refs/heads/{quote(stem)}"
    refs = [str(ref["ref"]) for ref in repository.call("GET", url, expect=list).json]
    names = [stem, *(f"{stem}-{n}" for n in range(2, len(refs) + 3))]
    return next(name for name in names if f"refs/heads/{name}" not in refs)
