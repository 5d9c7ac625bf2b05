"""The server: connections, and which request is which."""

from __future__ import annotations

import re
import socket
import ssl
import sys
import threading
import time
import traceback
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, List, Protocol, Set, Tuple
from urllib.parse import parse_qsl, unquote, urlsplit

from .faults import Fault, Faults
from .files import Refused
from .http import Body, Cut, Reply, Request, error_reply

_FILES = r"/drive/v3/files"
_UPLOAD = r"(?:/resumable)?/upload/drive/v3/files"
#: Method, path, parameter ``uploadType``, action. The group of a path is an id.
_ROUTES: List[Tuple[str, str, str, str]] = [
    ("PUT POST DELETE", rf"{_UPLOAD}(?:/[^/]+)?", "resumable", "chunk"),
    ("POST PATCH", rf"{_UPLOAD}(?:/([^/]+))?", "resumable", "start"),
    ("POST PATCH", rf"{_UPLOAD}(?:/([^/]+))?", "multipart", "multipart"),
    ("POST PATCH", rf"{_UPLOAD}(?:/([^/]+))?", "media", "simple"),
    ("GET", rf"{_FILES}/generateIds", "", "ids"),
    ("DELETE", rf"{_FILES}/trash", "", "empty_trash"),
    ("GET", _FILES, "", "list"),
    ("POST", _FILES, "", "create"),
    ("GET", rf"{_FILES}/([^/]+)/export", "", "export"),
    ("POST", rf"{_FILES}/([^/]+)/copy", "", "copy"),
    ("GET", rf"{_FILES}/([^/]+)", "", "get"),
    ("PATCH", rf"{_FILES}/([^/]+)", "", "update"),
    ("DELETE", rf"{_FILES}/([^/]+)", "", "delete"),
    ("GET", r"/drive/v3/changes/startPageToken", "", "start_page_token"),
    ("GET", r"/drive/v3/changes", "", "changes"),
    ("GET", r"/drive/v3/about", "", "about"),
    ("GET", r"/drive/v3/drives", "", "drives"),
    ("GET", r"/o/oauth2/(?:v2/)?auth", "", "authorize"),
    ("POST", r"/(?:oauth2/v4/)?token", "", "token"),
    ("GET POST", r"/(?:o/oauth2/)?revoke", "", "revoke"),
]
#: Actions that need no access token; that of an upload is in the address of its session.
_OPEN = {"authorize", "token", "revoke", "chunk", "unknown"}


class Drive(Protocol):
    """What the server serves."""

    delay: float
    faults: Faults
    requests: List[Request]
    errors: List[BaseException]

    def is_authorized(self, token: str) -> bool: ...

    def expire_session(self, session: str) -> None: ...

    def answer(self, request: Request, fault: Fault, base: str) -> Reply: ...


class Server(ThreadingHTTPServer):
    """Loopback, HTTP/1.1, a thread for each connection; TLS with a context."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, drive: Drive, context: ssl.SSLContext | None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.drive, self.scheme = drive, "https" if context else "http"
        self.connections = 0
        self._live: Set[socket.socket] = set()
        if context is not None:  # each handshake in the thread of its connection
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        self._live.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._live.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError) or error is None:  # the client went away
            return
        traceback.print_exc()
        self.drive.errors.append(error)

    def close(self) -> None:
        """Serve no more, and end the connections that are open."""
        self.shutdown()
        self.server_close()
        for connection in list(self._live):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: Server

    def log_message(self, format: str, *words: Any) -> None:
        """Say nothing."""

    def handle_expect_100(self) -> bool:
        done = super().handle_expect_100()
        self.wfile.flush()
        return done

    def _any(self) -> None:
        drive, request = self.server.drive, self._request()
        drive.requests.append(request)
        fault = drive.faults.take(request)
        request.body.limit = fault.cut_after
        time.sleep(drive.delay + fault.delay)
        try:
            reply = self._answer(request, fault)
            request.body.drain()
            if request.body.is_cut or fault.lost_reply:
                raise Cut
            self._send(request, reply, fault)
            request.status = reply.status
        except Cut:
            self._cut()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        action, file_id = _route(self.command, parts.path, query)
        body = Body(self.rfile, self.headers)
        return Request(action, self.command, parts.path, query, headers, body, file_id)

    def _answer(self, request: Request, fault: Fault) -> Reply:
        drive = self.server.drive
        try:
            if fault.expires_session:
                drive.expire_session(request.id)
            if fault.status:
                raise Refused(fault.status, fault.reason, headers=dict(fault.headers))
            needed = request.action not in _OPEN or "authorization" in request.headers
            if needed and not drive.is_authorized(request.token):
                challenge = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'}
                raise Refused(401, "authError", "Invalid Credentials", challenge)
            host = request.headers.get("host", "")
            return drive.answer(request, fault, f"{self.server.scheme}://{host}")
        except Refused as refused:
            return error_reply(refused)

    def _send(self, request: Request, reply: Reply, fault: Fault) -> None:
        length = reply.length if reply.path else len(reply.data)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif reply.status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        is_cut = fault.cut_after is not None
        for data in _pieces(reply, min(length, fault.cut_after) if is_cut else length):
            if fault.corrupt and data:
                data = bytes([data[0] ^ 1]) + data[1:]
            if reply.chunked:
                data = b"%x\r\n%s\r\n" % (len(data), data)
            self.wfile.write(data)
            request.sent += len(data)
        if reply.chunked and not is_cut:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        if is_cut:
            raise Cut

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _route(method: str, path: str, query: Dict[str, str]) -> Tuple[str, str]:
    """The action, and the id that it is for."""
    for methods, pattern, kind, action in _ROUTES:
        match = re.fullmatch(pattern, path)
        if match is None or method not in methods.split() or kind != query.get("uploadType", ""):
            continue
        if action == "chunk":
            if "upload_id" not in query:
                continue
            return action, query["upload_id"]
        if action == "get" and query.get("alt") == "media":
            action = "media"
        return action, unquote(match[1] or "") if match.re.groups else ""
    return "unknown", ""


def _pieces(reply: Reply, length: int) -> Any:
    if reply.path is None:
        if length:
            yield reply.data[:length]
        return
    with reply.path.open("rb") as file:
        file.seek(reply.start)
        while length > 0:
            data = file.read(min(1 << 20, length))
            if not data:
                return
            length -= len(data)
            yield data
