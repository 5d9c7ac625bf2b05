"""A git server on loopback: git's own ``http-backend`` behind Basic authentication.

``Server(folder)`` serves the bare repositories in a folder at ``http://127.0.0.1:PORT/NAME.git``.
Those whose names begin with ``private`` want the password; large files are git-lfs's protocol
("basic" transfers of its batch API). ``stall`` holds the answer back after so many bytes, and
``die`` drops the connection there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Dict, List
from urllib.parse import urlsplit

PASSWORD = "canary-9b1e4d"
_PLAIN = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "init.defaultBranch",
    "GIT_CONFIG_VALUE_0": "main",
    "GIT_CONFIG_KEY_1": "protocol.file.allow",
    "GIT_CONFIG_VALUE_1": "always",
}


def git(folder: Path, *words: str) -> str:
    """What git prints, run in a folder as somebody who works there."""
    return subprocess.run(
        ["git", "-C", str(folder), *words],
        env={**os.environ, **_PLAIN},
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ).stdout.strip()


class Server:
    """Bare repositories, each with a work tree beside it from which commits are pushed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: The paths that were asked for, and the passwords that were sent.
        self.asked: List[str] = []
        self.sent: List[str] = []
        self.stall = self.die = 0
        #: Called at each request, while who asks waits for the answer.
        self.looks: Callable[[], object] = lambda: None
        self.stalled, self.go_on = threading.Event(), threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.git = self  # type: ignore[attr-defined]
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        self.at = f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        """Serve no more."""
        self.go_on.set()
        self._http.shutdown()
        self._http.server_close()

    def make(self, name: str, **files: str) -> str:
        """A repository with one commit; gives its URL."""
        self.folder.mkdir(exist_ok=True)
        bare = self.folder / f"{name}.git"
        git(self.folder, "init", "-q", "--bare", str(bare))
        git(self.folder, "clone", "-q", str(bare), name)
        self.commit(name, **files)
        return f"{self.at}/{name}.git"

    def commit(self, name: str, branch: str = "main", **files: str) -> str:
        """One more commit, pushed; a file ``a__b`` is ``a/b``."""
        work = self.folder / name
        if git(work, "branch", "--show-current") != branch:
            git(work, "checkout", "-q", "-b", branch)
        for key, text in files.items():
            path = work / key.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(work, "add", "-A")
        git(work, "commit", "-q", "--allow-empty", "-m", "more")
        git(work, "push", "-q", "-f", "--all")
        return git(work, "rev-parse", "HEAD")


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *words: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while True:
                size = int(self.rfile.readline(), 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if not size:
                    break
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(body)

    def _answer(self, body: bytes) -> None:
        server: Server = self.server.git  # type: ignore[attr-defined]
        server.asked.append(self.path)
        server.looks()
        if self.path.startswith("/private") and not self._may():
            self._send(401, b"", {"WWW-Authenticate": 'Basic realm="git"'})
        elif "/info/lfs/" in self.path:
            self._large(server, body)
        else:
            self._backend(server, body)

    def _may(self) -> bool:
        kind, _, words = self.headers.get("Authorization", "").partition(" ")
        sent = base64.b64decode(words).decode().partition(":")[2] if kind == "Basic" else ""
        self.server.git.sent += [sent] if sent else []  # type: ignore[attr-defined]
        return sent == PASSWORD

    def _backend(self, server: Server, body: bytes) -> None:
        url = urlsplit(self.path)
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        found = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        self._send(int(found.pop("Status", "200").split()[0]), content, found)

    def _large(self, server: Server, body: bytes) -> None:
        if self.command == "GET":  # an object itself
            data = (server.folder / "large" / self.path.rsplit("/", 1)[1]).read_bytes()
            self._send(200, data, {"Content-Type": "application/octet-stream"})
            return
        base = self.path.rsplit("/objects", 1)[0]
        objects = [
            {**one, "actions": {"download": {"href": f"{server.at}{base}/{one['oid']}"}}}
            for one in json.loads(body)["objects"]
        ]
        answer = json.dumps({"transfer": "basic", "objects": objects}).encode()
        self._send(200, answer, {"Content-Type": "application/vnd.git-lfs+json"})

    def _send(self, status: int, body: bytes, headers: Dict[str, str]) -> None:
        server: Server = self.server.git  # type: ignore[attr-defined]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = server.stall or server.die
        if cut and len(body) > cut:
            self.wfile.write(body[:cut])
            self.wfile.flush()
            if server.die:
                self.connection.close()
                return
            server.stalled.set()
            server.go_on.wait(60)
            body = body[cut:]
        with suppress(OSError):  # who asked may be gone
            self.wfile.write(body)


def pointer(folder: Path, data: bytes) -> str:
    """Keep a large file on the server; gives the text that stands for it in a commit."""
    name = hashlib.sha256(data).hexdigest()
    (folder / "large").mkdir(parents=True, exist_ok=True)
    (folder / "large" / name).write_bytes(data)
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{name}\nsize {len(data)}\n"
