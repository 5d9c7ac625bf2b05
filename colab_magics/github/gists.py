"""Gists: fetched, made (secret ones), and updated where something differs.

Source: docs.github.com/rest/gists; a file of more than 1 MB is ``truncated`` in the answer, and
its ``raw_url`` has all of it.
"""

from __future__ import annotations

import re
from typing import Any, Dict, NamedTuple, Sequence

from ..core.controls import clean_name, visible
from ..core.errors import SourceError
from .api import Api
from .contents import File


class Gist(NamedTuple):
    """A gist; ``sent``: the files that differed; ``made``: whether it is a new one."""

    id: str
    url: str
    sent: Sequence[str]
    made: bool


def save(api: Api, gist: str, files: Sequence[File], message: str) -> Gist:
    """Have the files in this gist; in a new one where it is gone, public, or somebody else's."""
    texts = {file.path.rpartition("/")[2]: _text(file) for file in files}
    there = api("GET", f"/gists/{gist}", may=(404,)) if gist else None
    found = there.json if there is not None and there.status == 200 else {}
    kept = found.get("files") is not None and not found.get("public")
    if kept and _mine(api, found):
        new = {k: v for k, v in texts.items() if _content(api, found["files"].get(k)) != v}
        if new:
            body: Dict[str, Any] = {"files": {k: {"content": v} for k, v in new.items()}}
            api("PATCH", f"/gists/{gist}", json=body, about="That gist")
        return Gist(gist, str(found["html_url"]), tuple(new), False)
    body = {"files": {k: {"content": v} for k, v in texts.items()}}
    body.update(description=message, public=False)
    made = api("POST", "/gists", json=body, about="A gist").json
    return Gist(str(made["id"]), str(made["html_url"]), tuple(texts), True)


def fetch(api: Api, gist: str, name: str) -> tuple[str, bytes]:
    """The notebook of a gist, with its name; `SourceError` where it has none, or several."""
    found = api("GET", f"/gists/{gist}", about="That gist").json["files"] or {}
    names = [one for one in found if one == name or (not name and one.endswith(".ipynb"))]
    if len(names) != 1:
        listed = visible(", ".join(sorted(found)), keep="")
        raise SourceError(
            f"That gist has {'no such notebook' if not names else 'several notebooks'}.",
            "Take the address that its Raw button has.",
            f"It has: {listed}",
        )
    # Whoever made the gist chose the name: it is one in the folder where it is put, no path.
    bare = clean_name(re.split(r"[/\\]", names[0])[-1]) or "notebook.ipynb"
    return bare, _content(api, found[names[0]]).encode("utf-8")


def _mine(api: Api, found: Dict[str, Any]) -> bool:
    owner = (found.get("owner") or {}).get("login", "")
    return bool(owner) and owner == api("GET", "/user", about="The user").json.get("login")


def _content(api: Api, file: Any) -> str:
    """All of a file's text; empty where there is no such file."""
    if not file:
        return ""
    if file.get("truncated"):
        return api.plain(str(file["raw_url"])).decode("utf-8")
    return str(file["content"])


def _text(file: File) -> str:
    try:
        return file.data.decode("utf-8")
    except UnicodeDecodeError:
        raise SourceError(
            f"{file.path} is no text, and a gist holds text only.", "Save to a repository."
        ) from None
