"""A web server on loopback that serves files well, badly, or as the large services do.

``Server().put("/data.bin", b"...")`` gives a URL; what else is said of a file is in `How`. The
answers of Google Drive, Hugging Face, Kaggle and Zenodo are made by the functions of those names;
that they answer so is taken from their documentation and from pages that people have reported.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, Optional, Tuple
from urllib.parse import parse_qs, quote, urlsplit

CANARY = "canary-7c2f90aa"


@dataclass
class How:
    """One file: its bytes, and what goes wrong with it."""

    data: bytes = b""
    #: Sent instead of 200, one for each request, then no more.
    status: List[int] = field(default_factory=list)
    headers: Dict[str, str] = field(default_factory=dict)
    #: The connection ends after so many bytes of an answer, once for each.
    die: List[int] = field(default_factory=list)
    #: After so many bytes it waits until `Server.go_on` is set.
    stall: int = 0
    #: It waits until then before it says anything.
    silent: bool = False
    to: str = ""
    token: str = ""
    basic: str = ""
    ranges: bool = True
    etag: bool = True
    #: Bytes that are promised and not sent.
    short: int = 0
    chunked: bool = False

    #: ``Last-Modified``, of a server that knows no tags.
    date: str = ""

    @property
    def tag(self) -> str:
        """What names these bytes in ``If-Range`` and ``If-None-Match``."""
        return (
            self.date
            if self.date
            else f'"{hashlib.md5(self.data).hexdigest()}"'
            if self.etag
            else ""
        )


class Asked:
    """One request."""

    def __init__(self, path: str, headers: Any) -> None:
        self.path, self.headers = path, {name.lower(): value for name, value in headers.items()}


class Server:
    """See the module; as a context manager it ends itself."""

    def __init__(self) -> None:
        self.files: Dict[str, How] = {}
        self.pages: Dict[str, Callable[[Dict[str, List[str]]], Any]] = {}
        self.asked: List[Asked] = []
        self.stalled, self.go_on = threading.Event(), threading.Event()
        self.at_once = self.most = 0
        self.lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.double = self  # type: ignore[attr-defined]
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        self.at = f"http://127.0.0.1:{self._http.server_address[1]}"

    def put(self, path: str, data: bytes = b"", **how: Any) -> str:
        """Serve a file; gives its URL."""
        self.files[path] = How(data, **how)
        return self.at + path

    def paths(self) -> List[str]:
        """What was asked for so far."""
        return [one.path for one in self.asked]

    def close(self) -> None:
        """Serve no more."""
        self.go_on.set()
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with suppress(ConnectionError):  # who asked may be gone
            super().handle()

    def log_message(self, format: str, *words: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        server: Server = self.server.double  # type: ignore[attr-defined]
        server.asked.append(Asked(self.path, self.headers))
        with server.lock:
            server.at_once += 1
            server.most = max(server.most, server.at_once)
        try:
            parts = urlsplit(self.path)
            if parts.path in server.pages:
                found = server.pages[parts.path](parse_qs(parts.query))
                how = found if isinstance(found, How) else How(*found)
            elif parts.path in server.files:
                how = server.files[parts.path]
            else:
                how = How(b"none", status=[404])
            with suppress(OSError):  # who asked may be gone
                self._answer(server, how)
        finally:
            with server.lock:
                server.at_once -= 1

    def _answer(self, server: Server, how: How) -> None:
        if how.silent:
            server.stalled.set()
            server.go_on.wait(60)
        if how.status:
            self._head(how.status.pop(0), {**how.headers, "Content-Length": "4"})
            self.wfile.write(b"none")
        elif not self._may(how):
            self._head(401, {"Content-Length": "0"})
        elif how.to:
            self._head(302, {"Location": how.to, "Content-Length": "0"})
        elif how.tag and how.tag in (self._asks("None-Match"), self._asks("Modified-Since")):
            self._head(304, {})
        else:
            self._file(server, how)

    def _asks(self, condition: str) -> str:
        return str(self.headers.get(f"If-{condition}", ""))

    def _may(self, how: How) -> bool:
        given = self.headers.get("Authorization", "")
        if how.token:
            return given == f"Bearer {how.token}"
        wanted = base64.b64encode(how.basic.encode()).decode()
        return not how.basic or given == f"Basic {wanted}"

    def _file(self, server: Server, how: How) -> None:
        start = self._start(how)
        headers = {"Content-Type": "application/octet-stream", **how.headers}
        name = "Last-Modified" if how.date else "ETag"
        headers.update({name: how.tag} if how.tag else {})
        if start >= len(how.data) > 0:
            headers.update({"Content-Range": f"bytes */{len(how.data)}", "Content-Length": "0"})
            self._head(416, headers)
            return
        body = how.data[start:]
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(how.data) - 1}/{len(how.data)}"
        if how.chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(body) + how.short)
        self._head(206 if start else 200, headers)
        self._body(server, how, body)

    def _start(self, how: How) -> int:
        """Where the answer begins, by ``Range`` and ``If-Range``."""
        asked = self.headers.get("Range", "")
        same = self.headers.get("If-Range", how.tag) == how.tag
        return int(asked[6:].rstrip("-")) if asked and how.ranges and same else 0

    def _body(self, server: Server, how: How, body: bytes) -> None:
        cut = how.die.pop(0) if how.die else None
        if cut is not None and cut < len(body):
            self.wfile.write(body[:cut])
            self.wfile.flush()
            self._drop()
            return
        if how.chunked:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        if how.stall and len(body) > how.stall:
            self.wfile.write(body[: how.stall])
            self.wfile.flush()
            server.stalled.set()
            server.go_on.wait(60)
            body = body[how.stall :]
        self.wfile.write(body)
        if how.short:
            self.wfile.flush()
            self._drop()

    def _drop(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _head(self, status: int, headers: Dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


# ---------------------------------------------------------------------- services
_CONFIRM = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head>
<body><form action="/search"><input type="text" name="q"></form>
<p>{name} (2.1G) is too large for Google to scan for viruses.</p>
<form id="download-form" action="{at}/download" method="get">
<input type="submit" id="uc-download-link" value="Download anyway"/>
<input type="hidden" name="id" value="{id}"><input type="hidden" name="export" value="download">
<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="u-1&amp;2">
</form></body></html>"""
_PAGES = {
    "quota": "<html><head><title>Google Drive - Quota exceeded</title></head><body>Sorry, you "
    "can&#39;t view or download this file at this time. Too many users have viewed or "
    "downloaded this file recently.</body></html>",
    "login": "<html><head><title>Google Drive: Sign-in</title></head><body></body></html>",
    "other": "<html><head><title>Google Drive - Oops</title></head><body></body></html>",
}
_HTML = {"Content-Type": "text/html; charset=utf-8"}


def google(server: Server, **files: Tuple[str, bytes]) -> None:
    """Google Drive: ID → name and bytes; what is large comes behind a page with a form."""

    def uc(query: Dict[str, List[str]]) -> How:
        (name,) = query["id"]
        for kind, page in _PAGES.items():
            if name.startswith(kind):
                return How(page.encode(), headers=_HTML, etag=False)
        if name not in files:
            return How(status=[404], headers=_HTML)
        if name.startswith("large"):
            page = _CONFIRM.format(name=files[name][0], at=server.at, id=name)
            return How(page.encode(), headers=_HTML, etag=False)
        return file(name)

    def download(query: Dict[str, List[str]]) -> How:
        fine = query.get("confirm") == ["t"] and query.get("uuid") == ["u-1&2"]
        return file(query["id"][0]) if fine else How(status=[403])

    def file(name: str) -> How:
        called, data = files[name]
        return How(data, headers={"Content-Disposition": f'attachment; filename="{called}"'})

    server.pages.update({"/uc": uc, "/download": download})


def zenodo(server: Server, record: str, wrong: bool = False, **files: bytes) -> None:
    """Zenodo's API for one record; ``wrong``: the checksums that it lists are others."""
    listed: List[Any] = []
    for name, data in files.items():
        key = name.replace("__", ".")
        checksum = hashlib.md5(data + b"x" * wrong).hexdigest()
        listed.append({"key": key, "size": len(data), "checksum": f"md5:{checksum}"})
        server.put(f"/api/records/{record}/files/{quote(key, safe='')}/content", data)
    answer = json.dumps({"id": int(record), "files": listed}).encode()
    server.put(f"/api/records/{record}", answer, headers={"Content-Type": "application/json"})


def moved(server: Server, path: str, other: Server, data: bytes, **how: Optional[str]) -> str:
    """A file that its service keeps on another host, as Hugging Face and Kaggle do."""
    return server.put(path, to=other.put(f"/store{path}", data), **how)
