"""The Jupyter servers of this machine: what they have open, and which of them this kernel is of.

A server writes itself down in the runtime folder (``jpserver-PID.json``) and sets
``JPY_PARENT_PID`` for its kernels. Executors set that variable too, so it proves nothing alone:
the kernel's own id, from its connection file, has to be among the server's sessions.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple
from urllib.parse import unquote, urlsplit

from ..core import files
from ..core.errors import NotebookError, ServerError
from .document import Document

# ---------------------------------------------------------------------- asking
# One request to a Jupyter server, over TCP, TLS or a unix socket.
#
# No proxy stands in between, and no redirect is followed: the token goes to the server that has
# written it down, and nowhere else.

#: A server without a token asks for this pair instead, by which it tells us from a web page.
_NO_PAGE = {"Cookie": "_xsrf=colab_magics", "X-XSRFToken": "colab_magics"}

#: Why there is no answer → what failed, and what to do.
_SAID = {
    "refused": (
        "refuses this kernel ({status}).",
        "A password alone lets no kernel in: start it with JUPYTER_TOKEN set; now, use its page.",
    ),
    "failed": ("answers with an error ({status}).", "Look into what it has logged."),
    "late": ("did not answer in time.", "It may still do what it was asked: look at its page."),
    "certificate": (
        "has a certificate that is not trusted here.",
        "Name its authority's file in SSL_CERT_FILE, or use its page.",
    ),
    "away": ("does not answer.", "Is it still there? jupyter server list"),
}


class _Unix(HTTPConnection):
    """To a socket that stands in a folder."""

    def __init__(self, place: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = unquote(place)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Tls(HTTPConnection):
    """To a server with a certificate, which may be its own where it is on this machine."""

    default_port = 443

    def connect(self) -> None:
        super().connect()
        if _here(self.sock):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        else:
            context = ssl.create_default_context()
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host)


_WAYS: Dict[str, Callable[..., HTTPConnection]] = {
    "http": HTTPConnection,
    "https": _Tls,
    "http+unix": _Unix,
}


def request(url: str, token: str, method: str, path: str, seconds: float) -> Any:
    """What the server at a URL answers, True where that is nothing; else `ServerError`.

    Each step of it may take so many seconds.
    """
    parts = urlsplit(url)
    headers: Dict[str, str] = {**_NO_PAGE, **({"Authorization": f"token {token}"} if token else {})}
    try:
        with closing(_WAYS[parts.scheme](parts.netloc, timeout=seconds)) as connection:
            connection.request(method, parts.path + path, headers=headers)
            answer = connection.getresponse()
            return _read(url, answer.status, answer.read())
    except ssl.SSLCertVerificationError:
        raise _error("certificate", url) from None
    except socket.timeout:
        raise _error("late", url) from None
    except (OSError, HTTPException, LookupError, ValueError):  # or no address at all
        raise _error("away", url) from None


def _here(connected: socket.socket) -> bool:
    """Whether both ends are on this machine: only then their addresses are the same."""
    return bool(connected.getpeername()[0] == connected.getsockname()[0])


def _read(url: str, status: int, body: bytes) -> Any:
    if status in (401, 403) or 300 <= status < 400:  # it leads a browser to where one logs in
        raise _error("refused", url, status)
    try:
        if status >= 400:
            raise ValueError
        return json.loads(body) if body else True
    except ValueError:
        raise _error("failed", url, status) from None


def _error(why: str, url: str, status: int = 0) -> ServerError:
    what, hint = _SAID[why]
    error = ServerError(f"The Jupyter server at {url} {what.format(status=status)}", hint)
    error.code = why
    return error


# ---------------------------------------------------------------------- servers
@dataclass(frozen=True)
class Server:
    """One server, as it has written itself down."""

    entry: Dict[str, Any]

    @property
    def url(self) -> str:
        """Where it answers; the token is not in it."""
        return str(self.entry.get("url", ""))

    @property
    def root(self) -> Path:
        """The folder that its paths count from."""
        return Path(self.entry.get("root_dir") or self.entry.get("notebook_dir") or "/")

    def file(self, path: str) -> Path:
        """The file that one of its paths means; ``RTC:`` stands before those edited together."""
        return Path(self.root, path.rpartition(":")[2])

    @property
    def alive(self) -> bool:
        """Whether its process is there; where that cannot be told, it counts as there."""
        pid = self.entry.get("pid")
        if not isinstance(pid, int):
            return False
        if os.name == "nt":
            return True  # os.kill would end it there
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    @property
    def python(self) -> Optional[Path]:
        """The interpreter that runs it, and so the environment that its extensions stand in."""
        try:
            import psutil  # comes with ipykernel

            word = Path(psutil.Process(self.entry["pid"]).cmdline()[0])
        except Exception:  # gone, not ours to look at, or no psutil
            return None
        return word if "python" in word.name and word.is_absolute() else None

    def ask(self, method: str, path: str, seconds: float = 2.0) -> Any:
        """What its REST interface answers, True where that is nothing; else `ServerError`."""
        return request(self.url, str(self.entry.get("token") or ""), method, path, seconds)

    def sessions(self) -> Optional[List[Dict[str, Any]]]:
        """What it has open; None where it does not say."""
        try:
            found = self.ask("GET", "api/sessions")
        except ServerError:
            return None
        return found if isinstance(found, list) else None

    def paths(self, kernel: str) -> Tuple[str, ...]:
        """The notebooks that it runs on this kernel, by their names of now."""
        return tuple(
            str(one.get("path", ""))
            for one in self.sessions() or ()
            if one.get("type") == "notebook" and (one.get("kernel") or {}).get("id") == kernel
        )


def servers() -> List[Server]:
    """The servers of this user that are alive."""
    from jupyter_core.paths import jupyter_runtime_dir

    found = []
    # nbserver: the classic Notebook, up to version 6
    for entry in sorted(Path(jupyter_runtime_dir()).glob("*server-*.json")):
        try:
            found.append(Server(dict(json.loads(entry.read_text(encoding="utf-8")))))
        except (OSError, ValueError):
            continue
    return [server for server in found if server.alive]


def own() -> Optional[Server]:
    """The server that started this kernel, as far as the variable that it sets tells."""
    parent = os.environ.get("JPY_PARENT_PID")
    return next((server for server in servers() if str(server.entry["pid"]) == parent), None)


def colab() -> Optional[Server]:
    """Colab's own server, which its machine reaches by an address of two variables."""
    host, port = os.environ.get("COLAB_JUPYTER_IP"), os.environ.get("KMP_TARGET_PORT")
    return Server({"url": f"http://{host}:{port}/"}) if host and port else None


def _plain(text: str) -> str:
    """Text with one kind of line end, as the front end gives and takes it."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def saved_as(path: str, text: Optional[str], old: Optional[str]) -> Optional[bool]:
    """Whether the file that a front end names holds a cell of this text (None: none of the old).

    Looked up at the server that started this kernel; None where that cannot be found out, as
    where the server is on another machine.
    """
    server = own()
    if server is None:
        return None
    file = server.file(path)
    try:
        cells = Document.parse(files.read(file), file.name).heads
    except NotebookError:
        return False
    there = [_plain(Document.source(cell)) for cell in cells]
    return old not in there if text is None else text in there


def held_by(path: Path) -> Optional[str]:
    """Which running Jupyter server has this notebook open, or may have; None where none does.

    A server that is alive and does not say counts as holding it.
    """
    for server in servers():
        if server.root.resolve() not in path.resolve().parents:
            continue
        sessions = server.sessions()
        if sessions is None:
            return f"the Jupyter server at {server.url} does not say what it has open"
        if any(_same(server.file(str(one.get("path", ""))), path) for one in sessions):
            return f"it is open at {server.url}"
    return None


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
