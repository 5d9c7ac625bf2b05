"""Files of a repository, read and saved as commits; what is there already is not sent.

Source: docs.github.com/rest: "Repository contents" (a file is replaced only by naming the blob
that stands there), "Git database". GitHub takes files of up to 100 MB; what its interface takes in
one request is less (40 MiB for a blob was seen), and not documented.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import quote

from ..core.errors import SourceError
from .api import ANY, RAW, Api

#: Bytes that GitHub takes of a file, and those that are sent through the contents interface.
LIMIT, SMALL = 100 * 1024 * 1024, 20 * 1024 * 1024


class File(NamedTuple):
    """A file as it is to stand in a repository."""

    path: str
    data: bytes


class Saved(NamedTuple):
    """What became of it: the commit (empty: nothing was sent), and the paths that are in it.

    ``changed``: those of them that had changed there since they were last saved from here.
    """

    commit: str = ""
    paths: Tuple[str, ...] = ()
    changed: Tuple[str, ...] = ()


#: Repository, branch and path → the content that was last saved there by this process.
_LAST: Dict[Tuple[str, str, str], str] = {}


def sha_of(data: bytes) -> str:
    """The name that git gives to this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324 - git's own


class Repository:
    """One repository, as the token sees it; `Refused` where it is not there."""

    def __init__(self, api: Api, name: str) -> None:
        self.api, self.name = api, name
        found = api("GET", f"/repos/{name}", about=name).json
        self.default = str(found["default_branch"] or "main")
        self.url = str(found.get("html_url") or f"https://github.com/{name}")
        self.writable = (found.get("permissions") or {}).get("push", True)
        # One that was renamed is written to by its name of now.
        self.name = str(found["full_name"])

    def call(self, method: str, path: str, **options: Any) -> Any:
        """An answer about this repository."""
        return self.api(method, f"/repos/{self.name}{path}", about=self.name, **options)

    # ------------------------------------------------------------------ branches
    def head(self, branch: str) -> str:
        """The commit that a branch is at; empty where there is no such branch, or no commit."""
        found = self.call("GET", f"/git/ref/heads/{quote(branch)}", may=(404, 409))
        return str(found.json["object"]["sha"]) if found.status == 200 else ""

    def branch(self, name: str) -> bool:
        """Have a branch, made from the default one; whether it was made now."""
        if name == self.default or self.head(name):
            return False
        start = self.head(self.default)
        if not start:
            raise SourceError(
                f"{self.name} is empty, and its first branch is {self.default}.",
                f"Save there first: --branch {self.default}",
            )
        self.call("POST", "/git/refs", json={"ref": f"refs/heads/{name}", "sha": start})
        return True

    # ------------------------------------------------------------------ files
    def sha(self, path: str, branch: str) -> str:
        """The name of the content that is there; empty where no file is."""
        place = f"/contents/{quote(path)}?ref={quote(branch, safe='')}"
        found = self.call("GET", place, accept=ANY, may=(404,))
        if found.status == 404:
            return ""
        if not isinstance(found.json, dict) or found.json.get("type") != "file":
            raise SourceError(f"{self.name}: {path} is no file there.", "Name another: --path")
        return str(found.json["sha"])

    def save(self, branch: str, files: Sequence[File], message: str) -> Saved:
        """One commit with those files that differ; tried once more where somebody was faster."""
        for attempt in (1, 2):
            there = {file.path: self.sha(file.path, branch) for file in files}
            new = [file for file in files if there[file.path] != sha_of(file.data)]
            last = {path: _LAST.get((self.name, branch, path)) for path in there}
            changed = [one.path for one in new if last[one.path] not in (None, there[one.path])]
            if not new:
                self._sent(branch, files)
                return Saved()
            if not self.writable:
                raise SourceError(
                    f"{self.name}: you may read it, and not write there.",
                    "Save to a repository of yours, such as a fork of it.",
                )
            commit = self._commit(branch, new, there, message, last=attempt == 2)
            if commit:
                self._sent(branch, files)
                return Saved(commit, tuple(file.path for file in new), tuple(changed))
        raise AssertionError("the last attempt returns or raises")

    def _sent(self, branch: str, files: Sequence[File]) -> None:
        _LAST.update({(self.name, branch, file.path): sha_of(file.data) for file in files})

    def _commit(
        self, branch: str, new: List[File], there: Dict[str, str], message: str, last: bool
    ) -> str:
        """The commit that was made; empty where somebody was faster."""
        first = new[0]
        if len(new) == 1 and len(first.data) <= SMALL:
            return self._put(branch, first, there[first.path], message, last)
        head = self.head(branch)
        if not head:  # there is no commit yet, which only the contents interface can make
            self._put(branch, first, "", message, last)
            new, head = new[1:] or new, self.head(branch)
        return self._tree(branch, head, new, message, last)

    def _put(self, branch: str, file: File, sha: str, message: str, last: bool) -> str:
        body = {"message": message, "content": _encoded(file.data), "branch": branch}
        body.update({"sha": sha} if sha else {})
        may = () if last else (409,)
        done = self.call("PUT", f"/contents/{quote(file.path)}", json=body, may=may)
        return str(done.json["commit"]["sha"]) if done.status < 300 else ""

    def _tree(self, branch: str, head: str, new: List[File], message: str, last: bool) -> str:
        """Several files, or a large one, in one commit; the branch moves only when all is there."""
        tree = self.call("GET", f"/git/commits/{head}").json["tree"]["sha"]
        entries = []
        for file in new:
            content = {"content": _encoded(file.data), "encoding": "base64"}
            blob = self.call("POST", "/git/blobs", json=content).json["sha"]
            entries.append({"path": file.path, "mode": "100644", "type": "blob", "sha": blob})
        body: Dict[str, Any] = {"base_tree": tree, "tree": entries}
        made = self.call("POST", "/git/trees", json=body).json["sha"]
        body = {"message": message, "tree": made, "parents": [head]}
        commit = str(self.call("POST", "/git/commits", json=body).json["sha"])
        # 422: "Update is not a fast forward"
        may = () if last else (409, 422)
        place = f"/git/refs/heads/{quote(branch)}"
        done = self.call("PATCH", place, json={"sha": commit, "force": False}, may=may)
        return commit if done.status < 300 else ""


def fetch(api: Api, repository: str, path: str, ref: str) -> Optional[bytes]:
    """A file of a repository, of up to 100 MB; None where there is none of that path and ref."""
    place = f"/repos/{repository}/contents/{quote(path)}"
    place += f"?ref={quote(ref, safe='')}" if ref else ""
    found = api("GET", place, accept=RAW, may=(404,), about=f"{repository}/{path}")
    return None if found.status == 404 else found.data


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
