"""Requests to web servers for files: what passes is tried again, and every other failure explained.

Sources: RFC 9110, "HTTP Semantics" (redirects, ``Retry-After``, ranges, validators, lengths);
RFC 6266, ``Content-Disposition``. Importing ``requests`` takes long: import this where needed.
"""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from datetime import datetime, timezone
from email.message import Message
from email.utils import parsedate_to_datetime
from os import dup
from typing import Any, Callable, Dict, NamedTuple, TypeVar
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter

from ..core.errors import SourceError
from ..core.redact import redact_secrets
from ..core.web import Origin, Session, Sign, follow, is_loopback, number, origin, signer
from .urls import Request, file_name

#: What ``parsedate_to_datetime`` raises for what is no date.
_NO_DATE = (TypeError, ValueError, IndexError, OverflowError)
T = TypeVar("T")
#: How often in a row nothing may come of it, and the seconds after the first time; then twice that.
TRIES, PAUSE = 5, 0.5
#: Seconds that a server may ask to be left alone; longer is a failure.
LONGEST = 120.0
_REDIRECTS = 10
_PASSING = {408, 425, 429, 500, 502, 503, 504}


class Again(Exception):
    """It failed and may work when it is tried again; ``gained``: something has arrived."""

    def __init__(self, what: str, after: float = 0.0, gained: bool = False) -> None:
        super().__init__(what)
        self.what, self.after, self.gained = what, after, gained


class Answer(NamedTuple):
    """What a server answered, and the address that it came from in the end."""

    got: Any
    url: str

    @property
    def host(self) -> str:
        """Who answered."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


class Web:
    """Requests for the files of one line. ``stop`` is set where they are to end at once."""

    def __init__(self, stop: threading.Event, token: str = "", name: str = "") -> None:
        self._stop, self._token, self._name = stop, token, name
        self._session = Session(Telling(self._reads))
        #: What each thread reads from.
        self._read: Dict[int, Any] = {}

    def open(self, request: Request, url: str, headers: Dict[str, str]) -> Answer:
        """The answer to a request, redirects followed, its body not read; or `Again`."""
        home, login = _home(request.url), request.login()
        if self._token and home[0] != "https" and not is_loopback(home):
            # Of a setting of the environment, or of a script.
            raise SourceError(
                "A token is not sent over http://, where others can read it.",
                "Check the URL, and HF_ENDPOINT; or take --token off the line.",
            )
        sign = signer(home, self._token, login)
        return Answer(*follow(lambda url: self._send(url, headers, sign), url, _REDIRECTS))

    def json(self, url: str) -> Any:
        """What a service lists at an address of its own."""
        request = Request(url)

        def ask() -> Any:
            answer = self.open(request, url, {"Accept": "application/json"})
            self.judge(answer, urlsplit(url).path.rpartition("/")[2])
            try:
                return answer.got.json()
            except (ValueError, OSError):
                raise Again(f"{answer.host} did not answer as it should") from None

        return self.persist(ask)

    def persist(
        self, attempt: Callable[[], T], told: Callable[[str], None] = lambda line: None
    ) -> T:
        """What an attempt gives, made again where it raises `Again`, after longer and longer."""
        failed = 0
        while True:
            try:
                return attempt()
            except Again as again:
                failed = 1 if again.gained else failed + 1
                if failed >= TRIES or again.after > LONGEST:
                    late = f" It asks to wait {again.after:.0f} s." if again.after else ""
                    raise SourceError(
                        f"{again.what}.", f"Check the network, and run it again.{late}"
                    ) from None
                told(f"{again.what}: trying again")
                self._stop.wait(again.after or PAUSE * 2 ** (failed - 1))
                self.check()

    def judge(self, answer: Answer, name: str) -> None:
        """Nothing for a success; `Again` for what passes; else `SourceError`, in a line."""
        status, host = answer.got.status_code, answer.host
        if status in (200, 203, 206):  # others of success hold no file
            return
        if status in _PASSING:
            after = _seconds(answer.got.headers.get("Retry-After", ""))
            raise Again(f"{host} answered {status}", after)
        if status in (401, 403):
            raise self._refused(host, name)
        if status in (404, 410):
            hint = (
                "Check the URL." if self._token else "Check the URL; if it is private: --token NAME"
            )
            raise SourceError(f"{host} has no {name}.", hint)
        raise SourceError(f"{host} answered {status} for {name}.", "Open the URL in a browser.")

    def check(self) -> None:
        """Raise where all is to end."""
        if self._stop.is_set():
            raise KeyboardInterrupt

    def cut(self) -> None:
        """Wake a thread that waits for bytes: its connection ends."""
        for stream in list(self._read.values()):
            with suppress(Exception), socket.socket(fileno=dup(stream.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)

    def _reads(self, stream: Any) -> None:
        """This thread begins to read from there, or ends at once where all is to end."""
        self._read[threading.get_ident()] = stream
        self.check()

    def _send(self, url: str, headers: Dict[str, str], sign: Sign) -> Any:
        """The answer of one server, its body not read."""
        import requests

        self.check()
        try:
            got = self._session.send("GET", url, sign, headers=headers, stream=True)
        except ValueError:  # of the URL, of where it leads, or of a token that is no ASCII
            raise _no_address() from None
        except requests.exceptions.SSLError:
            raise SourceError(
                f"{urlsplit(url).hostname} cannot prove that it is that.",
                "Check the URL and this machine's clock and certificates.",
            ) from None
        except requests.RequestException:
            raise Again(f"{urlsplit(url).netloc.rpartition('@')[2]} did not answer") from None
        self._reads(got.raw)
        return got

    def _refused(self, host: str, name: str) -> SourceError:
        if self._token:
            hint = "Check what it may read, whether it has expired, and the URL."
            return SourceError(f"{host} does not give {name} for the token {self._name}.", hint)
        if "kaggle" in host:
            hint = "Set KAGGLE_USERNAME and KAGGLE_KEY: %secret KAGGLE_USERNAME KAGGLE_KEY"
        else:
            hint = "Keep a token: %secret set NAME, and name it: --token NAME"
        return SourceError(f"{host} gives {name} only to those who may read it.", hint)


def _home(url: str) -> Origin:
    """The server that a secret is for."""
    try:
        return origin(url)
    except ValueError:
        raise _no_address() from None


def _no_address() -> SourceError:
    return SourceError("That is no address, or leads to none; or the token is none.", "Check both.")


def _seconds(text: str) -> float:
    """``Retry-After``: a number of seconds, or a date."""
    seconds = number(text.strip())
    if seconds is not None:
        return float(seconds)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(timezone.utc)).total_seconds(), 0.0)
    except _NO_DATE:
        return 0.0


# ---------------------------------------------------------------------- headers of an answer
def is_page(headers: Any) -> bool:
    """Whether it is a page to look at, and not one that is sent as a file."""
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    sent = headers.get("Content-Disposition", "").strip().lower().startswith("attachment")
    return kind in ("text/html", "application/xhtml+xml") and not sent


def conditions(tag: str) -> Dict[str, str]:
    """Headers that spare a server what is here already."""
    if not tag:
        return {}
    return {"If-None-Match" if tag.endswith('"') else "If-Modified-Since": tag}


def strong_tag(headers: Any) -> str:
    """What names these very bytes: a weak tag does not."""
    tag = _told(headers.get("ETag", ""))
    return tag if tag.startswith('"') else date(headers)


def date(headers: Any) -> str:
    """When it was changed, where that names these bytes: not in the second in which it was sent."""
    changed = _told(headers.get("Last-Modified", ""))
    with suppress(*_NO_DATE):
        sent = parsedate_to_datetime(str(headers.get("Date", "")))
        if (sent - parsedate_to_datetime(changed)).total_seconds() >= 1:
            return changed
    return ""


def undo_packing(got: Any, name: str) -> None:
    """Have what gzip has made arrive as it is, of a server that says so of the file's own bytes."""
    if name.lower().endswith((".gz", ".tgz")):
        for headers in (got.headers, got.raw.headers):
            headers.pop("Content-Encoding", None)


def length(headers: Any, have: int) -> int:
    """How long the whole file is; 0 where that is not known, or the length is of something else."""
    whole = re.fullmatch(r"bytes [0-9]+-[0-9]+/([0-9]+)", headers.get("Content-Range", ""))
    if whole:  # which a server may send in more parts than it was asked for
        return number(whole[1]) or 0
    if headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        return 0
    length = number(headers.get("Content-Length", ""))
    return 0 if length is None else have + length


def named(headers: Any) -> str:
    """The name that the server gives the file."""
    message = Message()
    text = str(headers.get("Content-Disposition", ""))
    with suppress(UnicodeError):
        text = text.encode("latin-1").decode("utf-8")  # what requests reads as Latin-1
    message["Content-Disposition"] = re.sub(r"[\r\n]", " ", text)
    with suppress(ValueError, LookupError, TypeError):
        return _told(file_name(message.get_filename() or ""))
    return ""


def _told(text: Any) -> str:
    """What a server says and is kept; nothing where it says a secret back."""
    return str(text) if redact_secrets(str(text)) == text else ""


# ---------------------------------------------------------------------- connections
class Telling(HTTPAdapter):
    """As of ``requests``; ``waits`` is called with each socket that an answer is awaited from.

    So that it can be shut down then: ``requests`` gives a connection away only once the headers of
    its answer have come.
    """

    def __init__(self, waits: Callable[[Any], None]) -> None:
        self._waits = waits
        super().__init__()

    def init_poolmanager(self, *words: Any, **named: Any) -> None:
        """For what is asked directly."""
        super().init_poolmanager(*words, **named)
        self._tells(self.poolmanager)

    def proxy_manager_for(self, proxy: Any, **named: Any) -> Any:
        """For what is asked through a proxy; one is made for each."""
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **named)
        if not known:
            self._tells(manager)
        return manager

    def _tells(self, manager: Any) -> None:
        """Have the connections of all its pools tell."""
        plain = manager.pool_classes_by_scheme
        manager.pool_classes_by_scheme = {
            scheme: _telling(pool, self._waits) for scheme, pool in plain.items()
        }


def _telling(pool: Any, waits: Callable[[Any], None]) -> Any:
    plain = pool.ConnectionCls

    def getresponse(self: Any, *words: Any, **named: Any) -> Any:
        waits(self.sock)
        return plain.getresponse(self, *words, **named)

    tells = type(plain.__name__, (plain,), {"getresponse": getresponse})
    return type(pool.__name__, (pool,), {"ConnectionCls": tells})
