"""How a Jupyter server is asked, and why it does not answer."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Iterator, Optional

import pytest
from doubles.certificate import self_signed

from colab_magics.core.errors import ServerError
from colab_magics.notebook import servers


@contextmanager
def answering(
    status: int, body: bytes = b"", certified: Optional[Path] = None, **headers: str
) -> Iterator[str]:
    """A server that always says the same, over TLS where it has a folder for a certificate."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        if certified is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self_signed(certified))
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http{'s' if certified else ''}://127.0.0.1:{server.server_port}/"
        server.shutdown()


def why(url: str, seconds: float = 5.0) -> str:
    """Why there is no answer."""
    with pytest.raises(ServerError) as caught:
        servers.Server({"url": url, "token": "secret"}).ask("GET", "api/sessions", seconds)
    assert url in str(caught.value) and "secret" not in str(caught.value)
    assert str(caught.value).count("\n") == 1
    return caught.value.code


def test_an_answer_is_read() -> None:
    """JSON as what it says; nothing at all is True."""
    with answering(200, b"[1]") as url:
        assert servers.Server({"url": url}).ask("GET", "api", 5) == [1]
    with answering(204) as url:
        assert servers.Server({"url": url}).ask("GET", "api", 5) is True


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [(401, b"", "refused"), (403, b"{}", "refused"), (500, b"{}", "failed"), (200, b"<", "failed")],
)
def test_a_refusal_is_no_failure(status: int, body: bytes, word: str) -> None:
    """What it does not allow is told apart from what it cannot, and from what is no answer."""
    with answering(status, body) as url:
        assert why(url) == word


def test_no_redirect_takes_the_token_elsewhere() -> None:
    """A server that leads to another one, as to where a person logs in, has refused."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        other.settimeout(0)
        with answering(302, Location=f"http://127.0.0.1:{other.getsockname()[1]}/") as url:
            assert why(url) == "refused"
        with pytest.raises(BlockingIOError):
            other.accept()


def test_one_that_is_silent_is_late_and_one_that_is_gone_is_not() -> None:
    """Only what was asked of one that is there may still be done."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert why(url, 0.1) == "late"
    assert why(url) == "away"
    for nowhere in ("http+unix://%2Fno%2Fsuch%2Fsocket/", "http://127.0.0.1:port/", "gone"):
        assert why(nowhere) == "away"


def test_a_certificate_of_its_own_is_for_this_machine_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the other end of a wire it proves nothing, and the token is not sent."""
    with answering(200, b"[]", certified=tmp_path) as url:
        assert servers.Server({"url": url, "token": "secret"}).ask("GET", "api", 5) == []
        monkeypatch.setattr(servers, "_is_local", lambda connected: False)
        assert why(url) == "certificate"
