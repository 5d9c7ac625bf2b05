"""Where requests and their secrets go, whatever a server answers: redirects, schemes, indexes."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Tuple

import pytest
from doubles.certificate import self_signed

from colab_magics.core import errors, redact, web
from colab_magics.core.errors import SourceError
from colab_magics.core.host import Host
from colab_magics.fetch import http
from colab_magics.fetch import step as line
from colab_magics.fetch.http import Web
from colab_magics.fetch.urls import Request, read_url
from colab_magics.github import api
from colab_magics.github.api import Api
from colab_magics.pin.options import authenticated

CANARY = "canary-51d0c7e2"
LOGIN = base64.b64encode(f"me:{CANARY}".encode())


class Raw:
    """A server on loopback that answers with the bytes it is given, and keeps what was asked.

    ``location`` is sent in a redirect from any path but ``/end``, which is a file.
    """

    def __init__(self, certificate: Optional[Tuple[Path, Path]] = None) -> None:
        self.location, self.asked = b"", []  # type: bytes, List[bytes]
        self._context: Optional[ssl.SSLContext] = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*certificate)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.at = f"{'https' if certificate else 'http'}://{self.place}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Serve no more."""
        self._socket.close()

    @property
    def secrets(self) -> int:
        """How many requests held the canary."""
        return sum(CANARY.encode() in one or LOGIN in one for one in self.asked)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(plain,), daemon=True).start()

    def _answer(self, plain: socket.socket) -> None:
        with suppress(OSError), plain:
            plain.settimeout(5)
            line = self._context.wrap_socket(plain, server_side=True) if self._context else plain
            asked = b""
            while b"\r\n\r\n" not in asked:
                piece = line.recv(65536)
                if not piece:
                    return
                asked += piece
            self.asked.append(asked)
            end = asked.split()[1].startswith((b"/end", b"//end", b"/%5C"))
            head = b"HTTP/1.1 200 OK" if end or not self.location else b"HTTP/1.1 302 Found"
            head += b"\r\nLocation: " + self.location if b" 302 " in head else b""
            line.sendall(head + b"\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Raw]]:
    """Make servers; each is closed behind the test."""
    monkeypatch.setattr(redact, "_SECRETS", set())
    monkeypatch.setattr(http, "PAUSE", 0.01)
    monkeypatch.setattr(http, "TRIES", 1)
    made: List[Raw] = []

    def make(certificate: Optional[Tuple[Path, Path]] = None) -> Raw:
        made.append(Raw(certificate))
        return made[-1]

    yield make
    for one in made:
        one.close()


#: What a server sends on to, ``{home}`` being its own host and port and ``{other}`` another's; and
#: what is to become of it: ``home`` follows with the secret, ``bare`` follows to the other server
#: without it, ``refused`` asks nobody.
LOCATIONS = {
    "plain": ("http://{home}/end", "home"),
    "relative": ("/end", "home"),
    "relative to the scheme": ("//{home}/end", "home"),
    "upper case": ("HTTP://{home}/end", "home"),
    "UTF-8 as it is": ("/end/à", "home"),
    "another port": ("http://{other}/end", "bare"),
    "another port, no scheme": ("//{other}/end", "bare"),
    "another name of this host": ("http://localhost:{port}/end", "bare"),
    "a trailing dot": ("http://localhost.:{port}/end", "bare or away"),
    "white space around": (" \t/end\t ", "home"),
    "backslash before @": ("http://{other}\\@{home}/end", "refused"),
    "backslash, no scheme": ("//{other}\\@{home}/end", "refused"),
    "backslashes for slashes": ("http:\\\\{other}/end", "refused"),
    "backslash first": ("/\\{other}/end", "refused"),
    "backslash behind": ("http://{other}\\.{home}/end", "refused"),
    "userinfo": ("http://{home}@{other}/end", "refused"),
    "userinfo and password": ("http://a:b@{home}/end", "refused"),
    "userinfo, no scheme": ("//a@{other}/end", "refused"),
    "empty userinfo": ("http://@{other}/end", "refused"),
    "two at signs": ("http://a@{other}@{home}/end", "refused"),
    "a space in the host": ("http://{other} @{home}/end", "refused"),
    "a space in the path": ("/end of file", "refused"),
    "a tab inside": ("http://{other}\t@{home}/end", "refused"),
    "a tab in the scheme": ("ht\ttp://{other}/end", "refused"),
    "a vertical tab": ("http://{other}\x0b/end", "refused"),
    "a NUL": ("http://{other}\x00@{home}/end", "refused"),
    "an escape": ("/end\x1b]52;c;x\x07", "refused"),
    "a next line (U+0085)": ("/end\u0085x", "refused"),
    "a line separator": ("/end\u2028x", "refused"),
    "a bidi override": ("/end\u202ex", "refused"),
    "a no-break space": ("http://{other}\u00a0@{home}/end", "refused"),
    "an encoded at sign": ("http://{other}%40{home}/end", "away"),
    "an encoded backslash": ("http://{other}%5C@{home}/end", "refused"),
    "a hash before the at sign": ("http://{other}#@{home}/end", "bare"),
    "a question mark before the at sign": ("http://{other}?@{home}/end", "bare"),
    "full-width letters": ("http://{wide}/end", "bare or away"),
    "a full-width full stop": ("http://127。0。0。1:{port}/end", "bare or away"),
    "brackets that hold nothing": ("http://[{other}]/end", "refused"),
    "another IPv6 address": ("http://[::ffff:127.0.0.1]:{port}/end", "bare or away"),
    "no host": ("http:///end", "home"),
    "one slash": ("https:/{other}/end", "refused"),
    "a file": ("file:///etc/passwd", "refused"),
    "ftp": ("ftp://{other}/end", "refused"),
    "a script": ("javascript:alert(1)", "refused"),
    "data": ("data:text/plain,x", "refused"),
    "itself, for ever": ("/again", "loop"),
}


def _pair(servers: Callable[..., Raw], name: str) -> Tuple[Raw, Raw, str]:
    """A server that sends on, the one that it may send to, and what is to become of it."""
    text, expected = LOCATIONS[name]
    home, other = servers(), servers()
    port = other.place.rpartition(":")[2]
    wide = other.place.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789"})
    filled = text.format(home=home.place, other=other.place, port=port, wide=wide)
    home.location = filled.encode()
    return home, other, expected


@pytest.mark.parametrize("name", LOCATIONS)
def test_a_redirect_takes_no_secret_along(servers: Callable[..., Raw], name: str) -> None:
    """No ``Location`` brings a token to another server, and an ambiguous one leads nowhere."""
    home, other, expected = _pair(servers, name)
    request = Request(f"{home.at}/begin")
    status = 0
    try:
        found = Web(threading.Event(), CANARY, "MY_TOKEN").open(request, request.url, {})
        status = found.status_code
        found.close()
    except (SourceError, http.Retry) as error:
        assert CANARY not in str(error)
    assert other.secrets == 0, other.asked
    assert home.secrets == len(home.asked)
    if expected in ("home", "bare"):
        assert status == 200, (home.asked, other.asked)
    if expected == "home":
        assert len(home.asked) == 2 and not other.asked
    elif "bare" in expected:
        assert len(home.asked) == 1 and len(other.asked) <= 1
    elif expected == "refused":
        assert status == 0 and len(home.asked) == 1 and not other.asked
    elif expected == "loop":
        assert status == 0 and len(home.asked) > 3


@pytest.mark.parametrize("name", LOCATIONS)
def test_a_redirect_of_githubs(
    servers: Callable[..., Raw], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The token for GitHub goes to its interface alone, and no redirect leads anywhere else."""
    home, other, expected = _pair(servers, name)
    monkeypatch.setenv("GITHUB_API_URL", home.at)
    api = Api(CANARY)
    with suppress(SourceError):
        api("GET", "/begin", accept="*/*")
    assert not other.asked and home.secrets == len(home.asked)
    assert (len(home.asked) == 2) == (expected == "home") or expected == "loop"
    signed = home.secrets
    with suppress(SourceError):
        api.download(f"{home.at}/begin")
    assert other.secrets == 0 and home.secrets == signed


def test_no_secret_goes_from_https_to_http(
    servers: Callable[..., Raw], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token for https is not sent over http, nor to another port of the same host."""
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    for certified in (None, certificate):
        home, other = servers(certificate), servers(certified)
        home.location = f"{other.at}/end".encode()
        request = Request(f"{home.at}/begin")
        found = Web(threading.Event(), CANARY).open(request, request.url, {})
        found.close()
        assert found.status_code == 200 and len(other.asked) == 1
        assert home.secrets == 1 and other.secrets == 0


#: Addresses that fsspec would read in its own way: file systems that run what a server says, and
#: chains of one file system over another.
SCHEMES = [
    "reference://{at}/x.json",
    "REFERENCE://{at}/x.json",
    "memory://x",
    "Memory://x",
    "zip://a.txt::{at}/x.zip",
    "tar://a.txt::{at}/x.tar",
    "libarchive://a.txt::{at}/x.7z",
    "github://owner:repo@/x",
    "git://x",
    "gist://user:0/x",
    "hdfs://host/x",
    "webhdfs://host/x",
    "smb://host/x",
    "ssh://host/x",
    "data://x",
    "dbfs://host/x",
    "jupyter://host/x",
    "dask://x",
    "generic://x",
    "dir://x",
    "local:///etc/hostname",
    "filecache://x",
    "simplecache://x",
    "blockcache://x",
    "cached://x",
    "async_wrapper://x",
    "http+x://{at}/x",
    "s3a://bucket/x",
    "filecache::{at}/x.bin",
    "simplecache::{at}/x.bin",
    "SimpleCache::s3://bucket/x",
    "reference::{at}/x.json",
    "file::{at}/x.bin",
    "s3://bucket/x::reference://{at}/x.json",
    "file:///etc/hostname::{at}/x.bin",
    "file:///x::reference::{at}/x.json",
    "ftp://host/x::memory://",
    "FILE:///x::MEMORY://",
    "az://x::file:///etc/hostname",
    "gs://::file:///etc/hostname",
    "sftp://host/::x",
]


@pytest.mark.parametrize("text", SCHEMES)
def test_fsspec_is_given_plain_addresses_alone(
    servers: Callable[..., Raw], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Only s3, gs, az, ftp, sftp and file reach fsspec, never over one another."""
    import fsspec
    from IPython.core.error import UsageError

    opened: List[str] = []
    monkeypatch.setattr(fsspec, "open", lambda url, mode: opened.append(url))
    server = servers()
    with pytest.raises(UsageError):
        line.parse([text.format(at=server.at), "x"])
    assert not opened and not server.asked


@pytest.mark.parametrize("scheme", ["s3", "gs", "az", "ftp", "sftp", "file", "FILE", "Ftp"])
def test_fsspec_is_given_what_it_may_have(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """Each scheme that is let in reaches it, in lower case."""
    import fsspec

    opened: List[str] = []
    monkeypatch.setattr(fsspec, "open", lambda url, mode: opened.append(url))
    stream = read_url(f"{scheme}://host/Folder/x.bin").open
    with suppress(SourceError):
        assert stream is not None
        stream(Host())
    assert opened == [f"{scheme.lower()}://host/Folder/x.bin"]


#: Options of a line with --index-auth, and whether the secret may go there.
INDEXES = [
    (("https://host/simple",), True),
    (("https://host:8443/simple", "https://host:8443/other"), True),
    (("https://HOST/simple", "https://host:443/other"), True),
    (("http://127.0.0.1:8000/simple",), True),
    (("http://localhost/simple",), True),
    (("http://[::1]:8000/simple",), True),
    (("http://host/simple",), False),
    (("http://127.0.0.1.evil.test/simple",), False),
    (("http://127.0.0.1@evil.test/simple",), False),
    (("http://evil.test\\@127.0.0.1/simple",), False),
    (("https://a\\@b/simple",), False),
    (("https://a@b/simple",), False),
    (("https://a b/simple",), False),
    (("https://a\t.b/simple",), False),
    (("https://host/simple", "http://host/simple"), False),
    (("https://host/simple", "https://host:8443/simple"), False),
    (("https://host/simple", "https://other/simple"), False),
    (("https://host/simple", "https://host.evil.test/simple"), False),
    (("https://host/simple", "/srv/wheels"), False),
    (("file:///srv/wheels",), False),
    (("ftp://host/simple",), False),
    (("https:///simple",), False),
    (("https://host:port/simple",), False),
    (("https://[bad/simple",), False),
]


@pytest.mark.parametrize(("urls", "good"), INDEXES)
def test_a_login_goes_to_one_index(
    monkeypatch: pytest.MonkeyPatch, urls: Tuple[str, ...], good: bool
) -> None:
    """--index-auth is for one scheme, host and port; over http for this machine alone."""
    monkeypatch.setattr(redact, "_SECRETS", set())
    settings = dict(zip(("index-url", "extra-index-url"), urls))
    settings["index-auth"] = "MINE"
    if good:
        found = authenticated(settings, {"MINE": f"me:{CANARY}"})
        assert all(f"//me:{CANARY}@" in url for url in found.values())
        return
    with pytest.raises(errors.ColabMagicsError) as raised:
        authenticated(settings, {"MINE": f"me:{CANARY}"})
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize("number", ["9" * 5000, "\u00b2", "\u0663", "-1", "1_0", "+1", " 1", ""])
def test_no_number_of_a_servers_is_more_than_one(number: str) -> None:
    """Lengths and waits that are none, or that make no sense, are as if there were none."""
    assert http.total_size({"Content-Length": number}, 5) == 0
    assert http.total_size({"Content-Range": f"bytes 0-1/{number}", "Content-Length": "2"}, 0) in (
        0,
        2,
    )
    assert web.retry_after(number) in (0.0, 1.0)
    assert web.retry_after(f"Mon, 01 Jan {number} 00:00:00 GMT") == 0.0
    for until in (number, "9" * 18):
        assert (
            api._explain_limit({"X-RateLimit-Reset": until}, True)[1]
            == "Run it again after a while."
        )
    changed = {"Last-Modified": f"Mon, 01 Jan {number[:12]} 00:00:00 GMT", "Date": "x"}
    assert http.strong_tag(changed) == ""


def test_numbers_of_a_servers() -> None:
    """What makes sense counts."""
    assert http.total_size({"Content-Length": "12"}, 5) == 17
    assert http.total_size({"Content-Range": "bytes 5-9/10", "Content-Length": "5"}, 5) == 10
    assert web.retry_after(" 7 ") == 7.0
