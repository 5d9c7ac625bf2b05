"""The index on loopback, watched: it may ask for a password, stall, or speak TLS.

While it answers it looks at the arguments of every process on this machine, which is when an
installer that was given a secret would show it.
"""

from __future__ import annotations

import base64
import ssl
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Iterator, List, Mapping, Optional, Tuple

from .index import IndexServer, _Handler


class Watched:
    """What an index saw, and how it behaves."""

    def __init__(self, folder: Path, user: str = "", stalls: bool = False) -> None:
        self.folder, self.user, self.stalls = folder, user, stalls
        self.url = ""
        #: The paths that were asked for, and the arguments of all processes at that time.
        self.asked: List[str] = []
        self.arguments: List[str] = []
        #: Set when a wheel is asked for and held back; until `go_on` is set.
        self.stalled, self.go_on = Event(), Event()

    def sees(self, path: str) -> None:
        """A request has come."""
        self.asked.append(path)
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                self.arguments.append(entry.read_bytes().decode("utf-8", "replace"))
            except OSError:
                continue  # it has ended meanwhile


class _Handler_(_Handler):
    watched: Watched

    def do_GET(self) -> None:
        self.watched.sees(self.path)
        wanted = "Basic " + base64.b64encode(self.watched.user.encode()).decode()
        if self.watched.user and self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.watched.stalls and self.path.startswith("/files/"):
            self.watched.stalled.set()
            self.watched.go_on.wait(60)
        with suppress(BrokenPipeError):  # where the installer was ended meanwhile
            super().do_GET()


@contextmanager
def watch(
    folder: Path,
    user: str = "",
    stalls: bool = False,
    certificate: Optional[Tuple[Path, Path]] = None,
    sizes: bool = False,
    uploads: Optional[Mapping[str, str]] = None,
) -> Iterator[Watched]:
    """Serve a folder of wheels; ``user`` is ``name:password``, ``certificate`` its files.

    With ``sizes`` in JSON, which says them; with ``uploads`` (version → day) also when each version
    was uploaded.
    """
    watched = Watched(folder, user, stalls)
    how = {"folder": folder, "watched": watched, "sizes": sizes, "uploads": uploads or {}}
    handler = type("Handler", (_Handler_,), how)
    server = IndexServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda request, address: None  # type: ignore[method-assign]
    scheme = "http"
    if certificate:
        scheme = "https"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    at = f"{user}@" if user else ""
    watched.url = f"{scheme}://{at}127.0.0.1:{server.server_address[1]}/simple/"
    try:
        yield watched
    finally:
        watched.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
