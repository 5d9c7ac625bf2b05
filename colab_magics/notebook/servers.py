"""The Jupyter servers of this machine: what they have open, and which of them this kernel is of.

A server writes itself down in the runtime folder (``jpserver-PID.json``) and sets
``JPY_PARENT_PID`` for its kernels. Executors set that variable too, so it proves nothing alone:
the kernel's own id, from its connection file, has to be among the server's sessions.

Requests go over TCP, TLS or a unix socket, through no proxy, and follow no redirect: the token
goes to the server that has written it down, and nowhere else.
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple
from urllib.parse import unquote, urlsplit

from ..core.errors import ServerError
from ..core.process import within

#: A server without a token wants this pair instead, which a foreign web page cannot send.
_NO_PAGE = {"Cookie": "_xsrf=colab_magics", "X-XSRFToken": "colab_magics"}

#: Seconds for Colab's server to tell the name of a notebook.
PATIENCE = 3.0

#: The code of a `ServerError` -> what failed, and what to do.
_PROBLEMS = {
    "refused": (
        "refuses this kernel ({status}).",
        "A password alone lets no kernel in: start it with JUPYTER_TOKEN set; now, use its page.",
    ),
    "failed": ("answers with an error ({status}).", "Read what it has logged."),
    "late": ("did not answer in time.", "It may still do what it was asked: look at its page."),
    "certificate": (
        "has a certificate that is not trusted here.",
        "Set SSL_CERT_FILE to its authority's file, or use its page.",
    ),
    "away": ("does not answer.", "List the servers that run: jupyter server list"),
}


class _UnixConnection(HTTPConnection):
    """A connection to a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = unquote(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _TlsConnection(HTTPConnection):
    """A connection to a server whose certificate may be self-signed if it is on this machine."""

    default_port = 443

    def connect(self) -> None:
        super().connect()
        context = ssl.create_default_context()
        if _is_local(self.sock):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host)


_CONNECTIONS: Dict[str, Callable[..., HTTPConnection]] = {
    "http": HTTPConnection,
    "https": _TlsConnection,
    "http+unix": _UnixConnection,
}


def plain_path(path: str) -> str:
    """Return a path without ``RTC:``, which precedes those that are edited together."""
    return path[4:] if path.startswith("RTC:") else path


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
        """Return the file of one of its paths."""
        return Path(self.root, plain_path(path))

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        import psutil  # comes with ipykernel

        pid = self.entry.get("pid")
        return isinstance(pid, int) and psutil.pid_exists(pid)

    @property
    def python(self) -> Optional[Path]:
        """The interpreter that runs it: its extensions are in the same environment."""
        import psutil

        try:
            program = Path(psutil.Process(self.entry["pid"]).cmdline()[0])
        except (psutil.Error, LookupError):
            return None
        return program if "python" in program.name and program.is_absolute() else None

    def ask(self, method: str, path: str, seconds: float = 2.0, body: Any = None) -> Any:
        """Return what its REST interface answers, True for nothing; `ServerError` where it fails.

        Each step of the request may take so many seconds.
        """
        parts, token = urlsplit(self.url), self.entry.get("token")
        headers = {**_NO_PAGE, **({"Authorization": f"token {token}"} if token else {})}
        try:
            with closing(_CONNECTIONS[parts.scheme](parts.netloc, timeout=seconds)) as connection:
                data = None if body is None else json.dumps(body)
                connection.request(method, parts.path + path, data, headers)
                answer = connection.getresponse()
                return _read(self.url, answer.status, answer.read())
        except ssl.SSLCertVerificationError:
            raise _error("certificate", self.url) from None
        except socket.timeout:
            raise _error("late", self.url) from None
        except (OSError, HTTPException, LookupError, ValueError):  # or the URL is none
            raise _error("away", self.url) from None

    def sessions(self) -> Optional[List[Dict[str, Any]]]:
        """Return what it has open; None where it does not say."""
        try:
            sessions = self.ask("GET", "api/sessions")
        except ServerError:
            return None
        return sessions if isinstance(sessions, list) else None

    def paths(self, kernel: str) -> Tuple[str, ...]:
        """Return the notebooks that it runs on this kernel, by their current names."""
        return tuple(
            str(session.get("path", ""))
            for session in self.sessions() or ()
            if session.get("type") == "notebook"
            and (session.get("kernel") or {}).get("id") == kernel
        )


def servers() -> List[Server]:
    """Return the servers of this user that are alive."""
    from jupyter_core.paths import jupyter_runtime_dir

    entries = []
    # nbserver: the classic Notebook, up to version 6. A jpserver-mcp-* is no server of notebooks.
    paths = Path(jupyter_runtime_dir()).glob("*server-*.json")
    for path in sorted(path for path in paths if not path.name.startswith("jpserver-mcp-")):
        try:
            entries.append(Server(dict(json.loads(path.read_text(encoding="utf-8")))))
        except (OSError, ValueError):
            continue
    return [server for server in entries if server.alive]


def own() -> Optional[Server]:
    """Return the server that started this kernel, as far as the variable that it sets tells."""
    parent = os.environ.get("JPY_PARENT_PID")
    return next((server for server in servers() if str(server.entry["pid"]) == parent), None)


def colab() -> Optional[Server]:
    """Return Colab's own server; two variables have the address."""
    host, port = os.environ.get("COLAB_JUPYTER_IP"), os.environ.get("KMP_TARGET_PORT")
    return Server({"url": f"http://{host}:{port}/"}) if host and port else None


def colab_name(kernel: str) -> str:
    """Return the file name of the notebook that Colab's browser runs on this kernel.

    Empty where Colab's own server does not tell within `PATIENCE`, or has several.
    """
    server = colab()
    try:
        sessions = within(PATIENCE, server.sessions) if server is not None else None
    except TimeoutError:
        return ""
    known = [session for session in sessions or () if isinstance(session, dict)]
    own = [
        x for x in known if isinstance(x.get("kernel"), dict) and x["kernel"].get("id") == kernel
    ]
    sessions = own or known
    return _colab_name(sessions[0]) if len(sessions) == 1 else ""


def session_name(session: Mapping[str, Any]) -> str:
    """Return the path of a session's notebook; on Colab, where that is an id, its file name."""
    path = str(session.get("path") or session.get("name"))
    return (path.startswith("fileId=") and _colab_name(session)) or path


def _colab_name(session: Mapping[str, Any]) -> str:
    """Return a name, which Colab gives URL-quoted; empty where it is not one of a notebook."""
    try:
        return notebook_name(unquote(str(session.get("name")), errors="strict"))
    except UnicodeDecodeError:
        return ""


def notebook_name(text: Any) -> str:
    """Return the file name of a notebook that somebody else has chosen, or the empty text.

    A path, a hidden file or a name with controls is none: it becomes a path on GitHub.
    """
    valid = isinstance(text, str) and text.isprintable() and text == text.strip()
    valid = valid and re.fullmatch(r"[^./\\][^/\\]{0,200}\.ipynb", text) is not None
    return text if valid else ""


def held_by(path: Path) -> Optional[str]:
    """Return which running Jupyter server has this notebook open, or may have; None: no server.

    A server that is alive and does not say counts as having it open.
    """
    for server in servers():
        if server.root.resolve() not in path.resolve().parents:
            continue
        sessions = server.sessions()
        if sessions is None:
            return f"the Jupyter server at {server.url} does not say what it has open"
        if any(_is_same(server.file(str(session.get("path", ""))), path) for session in sessions):
            return f"it is open at {server.url}"
    return None


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _is_local(connected: socket.socket) -> bool:
    """Tell whether both ends are on this machine: only then their addresses are the same."""
    return bool(connected.getpeername()[0] == connected.getsockname()[0])


def _read(url: str, status: int, body: bytes) -> Any:
    if status in (401, 403) or 300 <= status < 400:  # a redirect leads to where a person logs in
        raise _error("refused", url, status)
    try:
        if status >= 400:
            raise ValueError
        return json.loads(body) if body else True
    except ValueError:
        raise _error("failed", url, status) from None


def _error(code: str, url: str, status: int = 0) -> ServerError:
    problem, hint = _PROBLEMS[code]
    message = f"The Jupyter server at {url} {problem.format(status=status)}"
    error = ServerError(message, hint, code=code)
    error.status = status
    return error
