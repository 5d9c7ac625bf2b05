"""Files of a repository, read and saved as commits; what is there already is not sent.

Source: docs.github.com/rest: "Repository contents" (a file is replaced only by naming the blob that
it has now), "Git database". GitHub takes files of up to 100 MB; what its interface takes in one
request is less (40 MiB for a blob was seen), and not documented.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import quote

from ..core.errors import SourceError
from .api import OBJECT, RAW, Api

#: The most bytes that GitHub takes of a file, and that are sent through the contents interface.
LIMIT, SMALL = 100 * 1024 * 1024, 20 * 1024 * 1024


class File(NamedTuple):
    """A file as it is to be in a repository."""

    path: str
    data: bytes


class Saved(NamedTuple):
    """A commit (empty: nothing was sent), and the paths in it.

    ``changed``: those that others had changed since they were last saved from here.
    """

    commit: str = ""
    paths: Tuple[str, ...] = ()
    changed: Tuple[str, ...] = ()


#: Repository, branch and path → the blob that this process saved there last.
_LAST: Dict[Tuple[str, str, str], str] = {}


def sha_of(data: bytes) -> str:
    """Return git's name for this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324 - git's own


class RemoteRepository:
    """A repository on GitHub, as the token sees it; `Refused` where there is none."""

    def __init__(self, api: Api, name: str) -> None:
        self.api = api
        about = api("GET", f"/repos/{name}", subject=name).json
        self.default_branch = str(about["default_branch"] or "main")
        self.url = str(about.get("html_url") or f"https://github.com/{name}")
        self.writable = (about.get("permissions") or {}).get("push", True)
        self.name = str(about["full_name"])  # its new name, if it was renamed

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Send a request about this repository."""
        return self.api(method, f"/repos/{self.name}{path}", subject=self.name, **options)

    def head(self, branch: str) -> str:
        """Return the commit of a branch; empty where there is no such branch, or no commit."""
        response = self.call("GET", f"/git/ref/heads/{quote(branch)}", allow=(404, 409))
        return str(response.json["object"]["sha"]) if response.status == 200 else ""

    def ensure_branch(self, name: str) -> bool:
        """Create a branch from the default one, unless it exists; return whether it is new."""
        if name == self.default_branch or self.head(name):
            return False
        start = self.head(self.default_branch)
        if not start:
            raise SourceError(
                f"{self.name} is empty, and its first branch is {self.default_branch}.",
                f"Save there first: --branch {self.default_branch}",
                code="empty-repository",
            )
        self.create_branch(name, start)
        return True

    def create_branch(self, name: str, commit: str) -> None:
        """Create a branch at a commit."""
        self.call("POST", "/git/refs", json={"ref": f"refs/heads/{name}", "sha": commit})

    def blob(self, path: str, branch: str) -> str:
        """Return the name of a file's content; empty where there is no file."""
        url = f"/contents/{quote(path)}?ref={quote(branch, safe='')}"
        response = self.call("GET", url, accept=OBJECT, allow=(404,))
        if response.status == 404:
            return ""
        if response.json.get("type") != "file":
            message = f"{self.name}: {path} is not a file there."
            raise SourceError(message, "Name another: --path", code="not-a-file")
        return str(response.json["sha"])

    def save(self, branch: str, files: Sequence[File], message: str) -> Saved:
        """Commit those files that differ; try once more where somebody else was faster."""
        for last in (False, True):
            blobs = {file.path: self.blob(file.path, branch) for file in files}
            new = [file for file in files if blobs[file.path] != sha_of(file.data)]
            paths = tuple(file.path for file in new)
            before = [_LAST.get((self.name, branch, path), blobs[path]) for path in paths]
            changed = tuple(path for path, blob in zip(paths, before) if blob != blobs[path])
            if new and not self.writable:
                raise SourceError(
                    f"{self.name}: you may read it, but not write to it.",
                    "Save to a repository of yours, such as a fork of it.",
                    code="read-only",
                )
            commit = self._commit(branch, new, blobs, message, last) if new else ""
            if commit or not new:
                sent = {(self.name, branch, file.path): sha_of(file.data) for file in files}
                _LAST.update(sent)
                return Saved(commit, paths, changed) if new else Saved()
        raise AssertionError("the last attempt returns or raises")

    def _commit(
        self, branch: str, new: List[File], blobs: Dict[str, str], message: str, last: bool
    ) -> str:
        """Return the new commit; empty where somebody else was faster."""
        first = new[0]
        if len(new) == 1 and len(first.data) <= SMALL:
            return self._put(branch, first, blobs[first.path], message, last)
        head = self.head(branch)
        if not head:  # the first commit of a repository, which only the contents interface makes
            self._put(branch, first, "", message, last)
            new, head = new[1:] or new, self.head(branch)
        return self._commit_tree(branch, head, new, message, last)

    def _put(self, branch: str, file: File, blob: str, message: str, last: bool) -> str:
        body = {"message": message, "content": _encode(file.data), "branch": branch}
        body.update({"sha": blob} if blob else {})
        allow = () if last else (409,)
        response = self.call("PUT", f"/contents/{quote(file.path)}", json=body, allow=allow)
        return str(response.json["commit"]["sha"]) if response.status < 300 else ""

    def _commit_tree(
        self, branch: str, head: str, new: List[File], message: str, last: bool
    ) -> str:
        """Commit several files, or a large one; the branch moves only when all are there."""
        tree = self.call("GET", f"/git/commits/{head}").json["tree"]["sha"]
        entries = []
        for file in new:
            content = {"content": _encode(file.data), "encoding": "base64"}
            blob = self.call("POST", "/git/blobs", json=content).json["sha"]
            entries.append({"path": file.path, "mode": "100644", "type": "blob", "sha": blob})
        body: Dict[str, Any] = {"base_tree": tree, "tree": entries}
        tree = self.call("POST", "/git/trees", json=body).json["sha"]
        body = {"message": message, "tree": tree, "parents": [head]}
        commit = str(self.call("POST", "/git/commits", json=body).json["sha"])
        allow = () if last else (409, 422)  # 422: "Update is not a fast forward"
        url = f"/git/refs/heads/{quote(branch)}"
        response = self.call("PATCH", url, json={"sha": commit, "force": False}, allow=allow)
        return commit if response.status < 300 else ""


def fetch(api: Api, repository: str, path: str, ref: str) -> Optional[bytes]:
    """Return a file of a repository, of up to 100 MB; None where there is none."""
    url = f"/repos/{repository}/contents/{quote(path)}"
    url += f"?ref={quote(ref, safe='')}" if ref else ""
    response = api("GET", url, accept=RAW, allow=(404,), subject=f"{repository}/{path}")
    return None if response.status == 404 else response.data


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
