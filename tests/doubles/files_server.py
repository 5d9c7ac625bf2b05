"""A server of files on loopback that can do all that servers do to people who download.

Plain HTTP/1.1 with ranges as RFC 9110 has them; curl goes on with its downloads too
(``curl -C -``). What is asked is kept in ``asked``, with the headers.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import parse_qs, urlsplit

__all__ = ["Asked", "Files", "google", "login_page", "warning_page", "zenodo"]


class Asked(NamedTuple):
    """One request: its path with the query, and its headers."""

    path: str
    headers: Dict[str, str]


class Files:
    """``held``: path → bytes. ``rules``: path → what to do instead, given the handler."""

    def __init__(self) -> None:
        self.held: Dict[str, bytes] = {}
        self.rules: Dict[str, Callable[[Any], None]] = {}
        self.asked: List[Asked] = []
        #: How many bytes of an answer are sent before the connection is cut, one for each answer.
        self.cuts: List[int] = []
        #: Set: a file's second half waits for `go`.
        self.slow = False
        self.half, self.go = threading.Event(), threading.Event()
        self.etags = True
        outer = self

        class Handler(_Handler):
            files = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.host = f"127.0.0.1:{self._server.server_address[1]}"

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http://{self.host}/{path}"

    def put(self, path: str, data: bytes) -> str:
        """Serve a file; its address."""
        self.held[f"/{path}"] = data
        return self.url(path)

    def rule(self, path: str, status: int, body: bytes = b"", **headers: str) -> str:
        """Answer so, whatever is asked; the address."""

        def answer(handler: Any) -> None:
            handler.reply(status, body, {k.replace("_", "-"): v for k, v in headers.items()})

        self.rules[f"/{path}"] = answer
        return self.url(path)

    def close(self) -> None:
        """End it."""
        self.go.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: Files

    def do_GET(self) -> None:
        """Answer."""
        self.files.asked.append(Asked(self.path, dict(self.headers.items())))
        path = urlsplit(self.path).path
        rule = self.files.rules.get(path)
        if rule is not None:
            rule(self)
        elif path in self.files.held:
            self._file(self.files.held[path])
        else:
            self.reply(404, b"<html>no such file</html>", {"Content-Type": "text/html"})

    def reply(self, status: int, body: bytes, headers: Optional[Dict[str, str]] = None) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self._send(body)

    def _file(self, data: bytes) -> None:
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        if self.files.etags:
            headers["ETag"] = tag
        span = self._span(len(data))
        if span is None or self.headers.get("If-Range", tag) != tag:
            self.reply(200, data, headers)
        elif span[0] >= len(data):
            self.reply(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        else:
            headers["Content-Range"] = f"bytes {span[0]}-{span[1]}/{len(data)}"
            self.reply(206, data[span[0] : span[1] + 1], headers)

    def _span(self, size: int) -> Optional[Tuple[int, int]]:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match is None:
            return None
        return int(match.group(1)), min(int(match.group(2) or size - 1), size - 1)

    def _send(self, body: bytes) -> None:
        cut = self.files.cuts.pop(0) if self.files.cuts else None
        try:
            if self.files.slow:
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                self.files.half.set()
                self.files.go.wait(60)
                body = body[len(body) // 2 :]
            self.wfile.write(body if cut is None else body[:cut])
            self.wfile.flush()
        except OSError:  # whoever asked has gone
            self.close_connection = True
        if cut is not None:
            self.close_connection = True

    def log_message(self, *said: Any) -> None:
        """Say nothing."""


def login_page() -> bytes:
    """What a server that wants a login shows instead of a file."""
    return b"<!DOCTYPE html><html><body><form>Log in</form></body></html>"


def warning_page(identity: str) -> bytes:
    """What Google shows before a large file: a form with fields that are to be sent back."""
    return (
        "<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>"
        '<p class="uc-warning-caption">Google Drive can\'t scan this file for viruses.</p>'
        '<form id="download-form" action="/download" method="get">'
        '<input type="submit" id="uc-download-link" value="Download anyway"/>'
        f'<input type="hidden" name="id" value="{identity}">'
        '<input type="hidden" name="export" value="download">'
        '<input type="hidden" name="confirm" value="t">'
        '<input type="hidden" name="uuid" value="1b2c-&amp;3d"></form></body></html>'
    ).encode()


def google(files: Files, identity: str, name: str, data: bytes) -> None:
    """Have a file on Google Drive that stands behind the page."""

    def answer(handler: Any) -> None:
        asked = parse_qs(urlsplit(handler.path).query)
        if asked.get("id") != [identity]:
            handler.reply(404, b"", {})
        elif asked.get("confirm") == ["t"] and asked.get("uuid") == ["1b2c-&3d"]:
            handler.reply(
                200,
                data,
                {
                    "Content-Type": "application/octet-stream",
                    "Content-Disposition": f'attachment; filename="{name}"',
                },
            )
        else:
            page = warning_page(identity)
            handler.reply(200, page, {"Content-Type": "text/html; charset=utf-8"})

    files.rules["/download"] = answer


def zenodo(files: Files, record: str, **held: bytes) -> None:
    """Have a record on Zenodo with these files."""
    listed = [
        {"key": name, "size": len(data), "checksum": f"md5:{hashlib.md5(data).hexdigest()}"}
        for name, data in held.items()
    ]
    body = json.dumps({"id": int(record), "files": listed}).encode()
    files.rule(f"api/records/{record}", 200, body, Content_Type="application/json")
    for name, data in held.items():
        files.put(f"api/records/{record}/files/{name}/content", data)
