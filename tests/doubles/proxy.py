"""A web proxy on loopback that notes whom it is asked for, and serves what is put into it.

Every program of a test reaches any host by it, under the host's own name: of https it learns the
name alone, and refuses.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable, Dict, Optional, Tuple
from urllib.parse import urlsplit

#: What is called with a host, and with the one whose answer has led there (or "").
OnContact = Callable[[str, str], None]


class Proxy:
    """See the module; as a context manager it ends itself."""

    def __init__(self, on_contact: OnContact) -> None:
        #: ``host/path`` → the bytes there, or the URL that it leads to.
        self.pages: Dict[str, bytes] = {}
        self.leads: Dict[str, str] = {}
        self.on_contact = on_contact
        self._led: Dict[str, str] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.proxy = self  # type: ignore[attr-defined]
        self.at = f"http://127.0.0.1:{self._http.server_address[1]}"

    def answer(self, url: str) -> Tuple[int, Dict[str, str], bytes]:
        """What a request gets."""
        parts = urlsplit(url)
        self.see(parts.netloc)
        place = f"{parts.netloc}{parts.path}"
        to = self.leads.get(place)
        if to is not None:
            self._led[urlsplit(to).netloc] = parts.netloc
            return 302, {"Location": to}, b""
        data: Optional[bytes] = self.pages.get(place)
        return (404, {}, b"") if data is None else (200, {}, data)

    def see(self, host: str) -> None:
        """Note a host."""
        self.on_contact(host.rpartition("@")[2], self._led.get(host, ""))

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, data = self.server.proxy.answer(self.path)  # type: ignore[attr-defined]
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_HEAD = do_POST = do_GET

    def do_CONNECT(self) -> None:
        self.server.proxy.see(self.path.replace(":443", ""))  # type: ignore[attr-defined]
        self.send_error(502)

    def log_message(self, format: str, *values: object) -> None:
        """Print nothing."""
