"""One request to a Jupyter server, over TCP, TLS or a unix socket.

No proxy stands in between, and no redirect is followed: the token goes to the server that has
written it down, and nowhere else.
"""

import json
import socket
import ssl
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import Any, Callable, Dict
from urllib.parse import unquote, urlsplit

from ..core.errors import ServerError


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
    what, todo = _SAID[why]
    error = ServerError(f"The Jupyter server at {url} {what.format(status=status)}", todo)
    error.why = why
    return error
