"""GitHub's REST interface on loopback, as far as notebooks are saved and fetched by it.

It holds what matters of the real one: who may do what by the token of the header, a file that is
replaced only by naming the blob that stands there, 409 where somebody was faster, branches that
move forward only. Each commit is the whole content by path.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "canary-4c7e1f" + "0" * 20


def sha_of(data: bytes) -> str:
    """The name of a blob, as git gives it."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str
    signed: bool
    body: Any


class Repo:
    """A repository: commits, and branches that point at them."""

    def __init__(self, name: str, private: bool = False) -> None:
        self.name, self.private, self.writable = name, private, True
        self.commits: Dict[str, Dict[str, bytes]] = {}
        self.parents: Dict[str, List[str]] = {}
        self.messages: Dict[str, str] = {}
        self.branches: Dict[str, str] = {}
        self.blobs: Dict[str, bytes] = {}
        self.trees: Dict[str, Dict[str, bytes]] = {}
        self.pulls: List[Dict[str, Any]] = []

    def commit(self, branch: str, files: Dict[str, bytes], message: str = "more") -> str:
        """One more commit on a branch; on the first one, if it is new."""
        parent = self.branches.get(branch) or self.branches.get("main", "")
        content = {**self.commits.get(parent, {}), **files}
        self.branches[branch] = self._add(content, [parent] if parent else [], message)
        return self.branches[branch]

    def _add(self, content: Dict[str, bytes], parents: List[str], message: str) -> str:
        sha = hashlib.sha1(f"{len(self.commits)} {parents}".encode()).hexdigest()
        self.commits[sha], self.parents[sha], self.messages[sha] = content, parents, message
        return sha

    def files(self, branch: str = "main") -> Dict[str, bytes]:
        """What a branch holds."""
        return self.commits[self.branches[branch]]

    def at(self, ref: str) -> Optional[str]:
        """The commit that a ref means."""
        return self.branches.get(ref) or (ref if ref in self.commits else None)


class GitHub:
    """The server. ``conflicts``: so many changes are refused with 409; ``status`` for all."""

    def __init__(self) -> None:
        self.repos: Dict[str, Repo] = {}
        self.gists: Dict[str, Dict[str, Any]] = {}
        self.asked: List[Asked] = []
        self.conflicts = self.status = 0
        self.headers: Dict[str, str] = {}
        self.moved: Dict[str, str] = {}
        self.largest = 40 * 1024 * 1024
        #: What is answered to everything, with 200, where something else than GitHub answers.
        self.strange = b""
        #: Called before a change is looked at: somebody else who is faster.
        self.before: Callable[[], object] = lambda: None
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.github = self  # type: ignore[attr-defined]
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        """Serve no more."""
        self._http.shutdown()
        self._http.server_close()

    def repo(self, name: str, private: bool = False, **files: str) -> Repo:
        """A repository; without files it is empty. ``a__b`` is ``a/b``, ``_dot_`` a dot."""
        made = self.repos[name] = Repo(name, private)
        if files:
            texts = {k.replace("__", "/").replace("_dot_", "."): v for k, v in files.items()}
            made.commit("main", {k: v.encode() for k, v in texts.items()})
        return made

    @property
    def changes(self) -> List[str]:
        """What was asked for that changes something."""
        return [f"{one.method} {one.path}" for one in self.asked if one.method != "GET"]

    # ------------------------------------------------------------------ answers
    def answer(self, one: Asked, accept: str, query: Dict[str, str]) -> Tuple[int, Any]:
        """Status and body (bytes as they are)."""
        if self.status:
            return self.status, {"message": "as it was told"}
        path = urlsplit(one.path).path
        if path == "/user":
            return (200, {"login": "me"}) if one.signed else (401, {"message": "Bad credentials"})
        if path.startswith("/gists"):
            return self._gist(one, path)
        if path.startswith("/raw/"):
            gist, name = path[5:].split("/")
            return 200, self.gists[gist]["files"][name]["content"].encode()
        found = re.fullmatch(r"/repos/([^/]+/[^/]+)(/.*)?", path)
        names = {name.lower(): one for name, one in self.repos.items()}
        repo = names.get(found[1].lower()) if found else None
        if repo is None or (repo.private and not one.signed):
            return 404, {"message": "Not Found"}
        if one.method != "GET":
            if not one.signed:
                return 401, {"message": "Requires authentication"}
            if not repo.writable:
                return 403, {"message": "Resource not accessible by personal access token"}
            self.before()
        assert found is not None
        return self._repo(repo, one, unquote(found[2] or ""), accept, query)

    def _repo(
        self, repo: Repo, one: Asked, path: str, accept: str, query: Dict[str, str]
    ) -> Tuple[int, Any]:
        if not path:
            return 200, {
                "full_name": repo.name,
                "default_branch": "main",
                "html_url": f"https://github.com/{repo.name}",
                "permissions": {"push": repo.writable},
            }
        kind, _, rest = path[1:].partition("/")
        method = getattr(self, f"_{kind}")
        done: Tuple[int, Any] = method(repo, one, rest, accept, query)
        return done

    def _commits(self, repo: Repo, one: Asked, rest: str, accept: str, query: Any) -> Any:
        sha = repo.at(rest)
        if sha is None:
            return 422, {"message": f"No commit found for SHA: {rest}"}
        return 200, sha.encode() if accept.endswith("sha") else {"sha": sha}

    def _contents(self, repo: Repo, one: Asked, path: str, accept: str, query: Any) -> Any:
        if one.method == "GET":
            sha = repo.at(query.get("ref", "main"))
            files = repo.commits.get(sha or "", {})
            if path not in files:
                below = any(name.startswith(path + "/") for name in files)
                return (200, {"type": "dir"}) if below else (404, {"message": "Not Found"})
            if "raw" in accept:
                return 200, files[path]
            return 200, {"type": "file", "sha": sha_of(files[path]), "path": path}
        data = base64.b64decode(one.body["content"], validate=True)
        branch, there = one.body["branch"], {}
        if branch in repo.branches:
            there = repo.files(branch)
        elif repo.commits:
            return 404, {"message": f"Branch {branch} not found"}
        known = sha_of(there[path]) if path in there else None
        if self.conflicts:
            self.conflicts -= 1
            return 409, {"message": "is at 1 but expected 2"}
        if known and "sha" not in one.body:
            return 422, {"message": 'Invalid request.\n\n"sha" wasn\'t supplied.'}
        if one.body.get("sha") != known:
            return 409, {"message": f"{path} does not match {one.body.get('sha')}"}
        sha = repo.commit(branch, {path: data}, one.body["message"])
        return 200 if known else 201, {"commit": {"sha": sha}}

    def _git(self, repo: Repo, one: Asked, rest: str, accept: str, query: Any) -> Any:
        kind, _, name = rest.partition("/")
        branch = name.replace("heads/", "", 1)
        if not repo.commits:
            return 409, {"message": "Git Repository is empty."}
        if kind == "ref":
            sha = repo.branches.get(branch)
            return (200, {"object": {"sha": sha}}) if sha else (404, {"message": "Not Found"})
        if kind == "matching-refs":
            names = [one for one in repo.branches if one.startswith(branch)]
            return 200, [{"ref": f"refs/heads/{one}"} for one in names]
        if kind == "refs":
            return self._refs(repo, one, branch)
        if kind == "blobs":
            data = base64.b64decode(one.body["content"], validate=True)
            if len(data) > self.largest:
                return 422, {"message": "Sorry, your input was too large to process."}
            repo.blobs[sha_of(data)] = data
            return 201, {"sha": sha_of(data)}
        if kind == "trees":
            content = dict(repo.trees[one.body["base_tree"]])
            content.update({e["path"]: repo.blobs[e["sha"]] for e in one.body["tree"]})
            sha = f"tree{len(repo.trees)}"
            repo.trees[sha] = content
            return 201, {"sha": sha}
        if one.method == "GET":  # a commit
            repo.trees[f"tree-{name}"] = repo.commits[name]
            return 200, {"sha": name, "tree": {"sha": f"tree-{name}"}}
        tree = repo.trees[one.body["tree"]]
        return 201, {"sha": repo._add(tree, one.body["parents"], one.body["message"])}

    def _refs(self, repo: Repo, one: Asked, branch: str) -> Any:
        if one.method == "DELETE":
            del repo.branches[branch]
            return 204, b""
        if one.method == "POST":
            branch = one.body["ref"].replace("refs/heads/", "", 1)
            if branch in repo.branches:
                return 422, {"message": "Reference already exists"}
        elif repo.parents[one.body["sha"]] != [repo.branches[branch]]:
            return 422, {"message": "Update is not a fast forward"}
        repo.branches[branch] = one.body["sha"]
        return 201, {"ref": f"refs/heads/{branch}"}

    def _pulls(self, repo: Repo, one: Asked, rest: str, accept: str, query: Any) -> Any:
        if one.method == "GET":
            return 200, [
                p for p in repo.pulls if p["state"] == "open" and p["base"]["ref"] == query["base"]
            ]
        head, base = one.body["head"], one.body["base"]
        if repo.branches[head] == repo.branches[base]:
            return 422, {"message": "No commits between them"}
        number = len(repo.pulls) + 1
        url = f"https://github.com/{repo.name}/pull/{number}"
        made = {"number": number, "html_url": url, "state": "open", "title": one.body["title"]}
        made.update(head={"ref": head, "repo": {"full_name": repo.name}}, base={"ref": base})
        repo.pulls.append(made)
        return 201, made

    def _gist(self, one: Asked, path: str) -> Tuple[int, Any]:
        gist = path.replace("/gists", "").strip("/")
        if one.method != "GET" and not one.signed:
            return 401, {"message": "Requires authentication"}
        if one.method == "POST":
            gist = hashlib.sha1(str(len(self.gists)).encode()).hexdigest()[:20]
            self.gists[gist] = {"files": {}, "owner": {"login": "me"}, "public": one.body["public"]}
        if gist not in self.gists:
            return 404, {"message": "Not Found"}
        found = self.gists[gist]
        for name, file in (one.body or {}).get("files", {}).items():
            found["files"][name] = {"content": file["content"]}
        files = {}
        for name, file in found["files"].items():
            cut = len(file["content"]) > 1000000
            files[name] = {"content": file["content"][:1000000], "truncated": cut}
            files[name]["raw_url"] = f"{self.url}/raw/{gist}/{name}"
        address = f"https://gist.github.com/{gist}"
        return 200, {"id": gist, "html_url": address, **found, "files": files}


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *words: Any) -> None:
        """Say nothing."""

    def _any(self) -> None:
        github: GitHub = self.server.github  # type: ignore[attr-defined]
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        sent = self.headers.get("Authorization", "")
        one = Asked(self.command, self.path, sent == f"Bearer {TOKEN}", body)
        github.asked.append(one)
        for old, new in github.moved.items():
            if self.path.startswith(old):
                return self._send(307, b"", {"Location": new + self.path[len(old) :]})
        query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        if sent and not one.signed:
            status, answer = 401, {"message": "Bad credentials"}
        else:
            status, answer = github.answer(one, self.headers.get("Accept", ""), query)
        if github.strange:
            kind = {
                "Content-Type": "text/html" if github.strange[:1] == b"<" else "application/json"
            }
            return self._send(200, github.strange, kind)
        if isinstance(answer, bytes):
            return self._send(status, answer, {})
        kind = {"Content-Type": "application/json; charset=utf-8", **github.headers}
        return self._send(status, json.dumps(answer).encode(), kind)

    def _send(self, status: int, body: bytes, headers: Dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any
