"""Saving by a pull request: from a branch of its own, used as long as that request is open.

Source: docs.github.com/rest/pulls.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, List, NamedTuple, Optional, Sequence
from urllib.parse import quote

from ..core.errors import SourceError
from .contents import File, Repository, Saved, sha_of


class Pull(NamedTuple):
    """A pull request; ``made`` says whether it was opened now."""

    number: int
    url: str
    branch: str
    made: bool


def propose(
    found: Repository, base: str, files: Sequence[File], message: str
) -> tuple[Saved, Optional[Pull]]:
    """The files in a pull request; nothing, and no request, where the base has them already."""
    stem = re.sub(r"[^\w-]+", "-", files[0].path.rpartition("/")[2].rpartition(".")[0]).strip("-")
    wanted = f"save-{stem or 'notebook'}"
    open_one = _open(found, base, wanted)
    if open_one is not None:
        return found.save(open_one.branch, files, message), open_one
    if all(found.sha(file.path, base) == sha_of(file.data) for file in files):
        return Saved(), None
    start = found.head(base)
    if not start:
        raise SourceError(
            f"{found.name} has no branch {base} to propose it for.", "Save without --pr first."
        )
    branch = _free(found, wanted)
    found.call("POST", "/git/refs", json={"ref": f"refs/heads/{branch}", "sha": start})
    try:
        saved = found.save(branch, files, message)
        body = {"title": message, "head": branch, "base": base}
        made = found.call("POST", "/pulls", json=body).json
    except BaseException:  # nothing half-done stays
        with suppress(SourceError):
            found.call("DELETE", f"/git/refs/heads/{quote(branch)}")
        raise
    return saved, Pull(int(made["number"]), str(made["html_url"]), branch, True)


def _open(found: Repository, base: str, wanted: str) -> Optional[Pull]:
    """The newest open request that came from a branch of ours in the same repository."""
    place = f"/pulls?state=open&base={quote(base, safe='')}&per_page=100"
    for one in found.call("GET", place, kind=list).json:
        head = one["head"]
        name = (head.get("repo") or {}).get("full_name", "")
        if name.lower() == found.name.lower() and _ours(str(head["ref"]), wanted):
            return Pull(int(one["number"]), str(one["html_url"]), str(head["ref"]), False)
    return None


def _free(found: Repository, wanted: str) -> str:
    """A name that no branch has: one that was merged may have been left there."""
    listed: List[Any] = found.call(
        "GET", f"/git/matching-refs/heads/{quote(wanted)}", kind=list
    ).json
    taken = {str(one["ref"]).replace("refs/heads/", "", 1) for one in listed}
    names = [wanted, *(f"{wanted}-{n}" for n in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def _ours(branch: str, wanted: str) -> bool:
    return re.fullmatch(re.escape(wanted) + r"(-\d+)?", branch) is not None
