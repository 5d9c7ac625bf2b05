"""Gists: fetched, created (secret ones), and updated where something differs.

Source: docs.github.com/rest/gists; a file of more than 1 MB is ``truncated`` in the answer, and its
``raw_url`` has all of it.
"""

from __future__ import annotations

import re
from typing import Any, Dict, NamedTuple, Sequence, Tuple

from ..core.controls import clean_name, visible
from ..core.errors import SourceError
from .api import Api
from .contents import File


class Gist(NamedTuple):
    """A gist; ``sent``: the files that differed; ``is_new``: it was created now."""

    id: str
    url: str
    sent: Sequence[str]
    is_new: bool


def save(api: Api, gist: str, files: Sequence[File], message: str) -> Gist:
    """Save files in a gist; in a new one where it is gone, public, or somebody else's."""
    texts = {file.path.rpartition("/")[2]: _decode(file) for file in files}
    response = api("GET", f"/gists/{gist}", allow=(404,)) if gist else None
    old = response.json if response is not None and response.status == 200 else {}
    if old.get("files") is not None and not old.get("public") and _is_mine(api, old):
        new = {k: text for k, text in texts.items() if _read(api, old["files"].get(k)) != text}
        if new:
            body: Dict[str, Any] = {"files": {k: {"content": text} for k, text in new.items()}}
            api("PATCH", f"/gists/{gist}", json=body, subject="That gist")
        return Gist(gist, str(old["html_url"]), tuple(new), False)
    body = {"files": {k: {"content": text} for k, text in texts.items()}}
    body.update(description=message, public=False)
    answer = api("POST", "/gists", json=body, subject="A gist").json
    return Gist(str(answer["id"]), str(answer["html_url"]), tuple(texts), True)


def fetch(api: Api, gist: str, name: str) -> Tuple[str, bytes]:
    """Return the notebook of a gist, with its name; `SourceError` where it has none, or several."""
    files = api("GET", f"/gists/{gist}", subject="That gist").json["files"] or {}
    names = [key for key in files if key == name or (not name and key.endswith(".ipynb"))]
    if len(names) != 1:
        raise SourceError(
            f"That gist has {'several notebooks' if names else 'no such notebook'}.",
            "Use the address of the notebook's Raw button.",
            f"It has: {visible(', '.join(sorted(files)), allow='')}",
            code="gist-notebook",
        )
    # Whoever made the gist chose the name: it is a name in the folder, never a path.
    plain = clean_name(re.split(r"[/\\]", names[0])[-1]) or "notebook.ipynb"
    return plain, _read(api, files[names[0]]).encode("utf-8")


def _is_mine(api: Api, gist: Dict[str, Any]) -> bool:
    owner = (gist.get("owner") or {}).get("login", "")
    return bool(owner) and owner == api("GET", "/user", subject="The user").json.get("login")


def _read(api: Api, file: Any) -> str:
    """Return all of a file's text; empty where there is no such file."""
    if file and file.get("truncated"):
        return api.download(str(file["raw_url"])).decode("utf-8")
    return str(file["content"]) if file else ""


def _decode(file: File) -> str:
    try:
        return file.data.decode("utf-8")
    except UnicodeDecodeError:
        raise SourceError(
            f"{file.path} is not text, and a gist takes only text.",
            "Save to a repository.",
            code="not-text",
        ) from None
