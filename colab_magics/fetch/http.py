"""Requests to web servers for files: passing failures are retried, all others explained.

Sources: RFC 9110, "HTTP Semantics" (redirects, ``Retry-After``, ranges, validators, lengths);
RFC 6266, ``Content-Disposition``. Importing ``requests`` takes long: import this where needed.
"""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Dict, TypeVar
from urllib.parse import urlsplit

import requests

from ..core.connections import Connections
from ..core.errors import SourceError
from ..core.redact import redact_secrets
from ..core.web import NO_DATE, Sign, follow, is_loopback, number, origin, retry_after, signer
from .urls import Request, file_name

T = TypeVar("T")
#: Failures in a row before it gives up, and the pause after the first one, which then doubles.
TRIES, PAUSE = 5, 0.5
#: The longest pause in seconds that a server may ask for.
LONGEST = 120.0
_REDIRECTS = 10
_PASSING = {408, 425, 429, 500, 502, 503, 504}


class Retry(Exception):
    """A failure that may pass; ``gained`` tells whether something has arrived before it."""

    def __init__(self, message: str, after: float = 0.0, gained: bool = False) -> None:
        super().__init__(message)
        self.message, self.after, self.gained = message, after, gained


class Web(Connections):
    """Requests for the files of one line. ``stop`` is set when they have to end at once."""

    def __init__(self, stop: threading.Event, token: str = "", name: str = "") -> None:
        super().__init__(stop)
        self._token, self._name = token, name

    def open(self, request: Request, url: str, headers: Dict[str, str]) -> Any:
        """Return the response to a request, after redirects, with its body unread; or `Retry`."""
        try:
            home = origin(request.url)
        except ValueError:
            raise _bad_address() from None
        if self._token and home[0] != "https" and not is_loopback(home):
            # The address comes from a setting of the environment, or from a script.
            message = "A token is not sent over http://, where others can read it."
            hint = "Check the URL and HF_ENDPOINT, or remove --token."
            raise SourceError(message, hint, code="token-over-http")
        sign = signer(home, self._token, request.login())
        return follow(lambda url: self._send(url, headers, sign), url, _REDIRECTS)[0]

    def json(self, url: str) -> Any:
        """Return what a service lists at an address of its own."""

        def attempt() -> Any:
            response = self.open(Request(url), url, {"Accept": "application/json"})
            self.raise_for_status(response, urlsplit(url).path.rpartition("/")[2])
            try:
                return response.json()
            except (ValueError, OSError):
                raise Retry(f"{host_of(url)} did not answer as it should") from None

        return self.retry(attempt)

    def retry(self, attempt: Callable[[], T], say: Callable[[str], None] = lambda line: None) -> T:
        """Return the result of an attempt, repeated after `Retry` with longer and longer pauses."""
        failures = 0
        while True:
            try:
                return attempt()
            except Retry as failure:
                failures = 1 if failure.gained else failures + 1
                if failures >= TRIES or failure.after > LONGEST:
                    wait = f" It asks to wait {failure.after:.0f} s." if failure.after else ""
                    message = f"{failure.message}."
                    hint = f"Check the network, and run it again.{wait}"
                    raise SourceError(message, hint, code="no-answer") from None
                say(f"{failure.message}: trying again")
                self._stop.wait(failure.after or PAUSE * 2 ** (failures - 1))
                self.check()

    def raise_for_status(self, response: Any, name: str) -> None:
        """Raise `Retry` for a failure that may pass, and `SourceError` for all others."""
        status, host = response.status_code, host_of(response.url)
        if status in (200, 203, 206):  # others of success hold no file
            return
        if status in _PASSING:
            after = retry_after(response.headers.get("Retry-After", ""))
            raise Retry(f"{host} answered {status}", after)
        if status in (401, 403):
            raise self._forbidden(host, name)
        if status in (404, 410):
            private = "" if self._token else " If the file is private: --token NAME"
            raise SourceError(f"{host} has no {name}.", f"Check the URL.{private}", code="absent")
        raise SourceError(
            f"{host} answered {status} for {name}.", "Open the URL in a browser.", code="status"
        )

    def _send(self, url: str, headers: Dict[str, str], sign: Sign) -> Any:
        self.check()
        try:
            response = self.session.send("GET", url, sign, headers=headers, stream=True)
        except ValueError:  # of the URL, of where it leads, or of a token that is no ASCII
            raise _bad_address() from None
        except requests.exceptions.SSLError:
            message = f"{urlsplit(url).hostname} has no valid certificate."
            hint = "Check the URL, and the clock and certificates of this machine."
            raise SourceError(message, hint, code="certificate") from None
        except requests.RequestException:
            raise Retry(f"{host_of(url)} did not answer") from None
        self.register(response.raw)
        return response

    def _forbidden(self, host: str, name: str) -> SourceError:
        if self._token:
            message = f"{host} refuses {name} to the token {self._name}."
            hint = "Check what the token may read, whether it has expired, and the URL."
        else:
            message = f"{host} refuses {name} without a login."
            hint = "Store a token and name it: %secret set NAME, then --token NAME"
            if "kaggle" in host:
                hint = "Set KAGGLE_USERNAME and KAGGLE_KEY: %secret KAGGLE_USERNAME KAGGLE_KEY"
        return SourceError(message, hint, code="forbidden")


def host_of(url: str) -> str:
    """Return the server of a URL, with its port."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _bad_address() -> SourceError:
    message = "The URL, the address that it leads to, or the token is not valid."
    return SourceError(message, "Check the URL and the token.", code="bad-address")


# ---------------------------------------------------------------------- headers of an answer
def is_page(headers: Any) -> bool:
    """Tell whether an answer is a page to look at, and not one that is sent as a file."""
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    sent = headers.get("Content-Disposition", "").strip().lower().startswith("attachment")
    return kind in ("text/html", "application/xhtml+xml") and not sent


def strong_tag(headers: Any) -> str:
    """Return what names exactly these bytes: a strong tag, else a date, else nothing."""
    tag = _without_secret(headers.get("ETag", ""))
    if tag.startswith('"'):
        return tag
    changed = _without_secret(headers.get("Last-Modified", ""))
    with suppress(*NO_DATE):
        sent = parsedate_to_datetime(str(headers.get("Date", "")))
        # In the second in which it was changed it may be changed again.
        if (sent - parsedate_to_datetime(changed)).total_seconds() >= 1:
            return changed
    return ""


def undo_packing(response: Any, name: str) -> None:
    """Leave a ``.gz`` file as it is if its server declares the compression as one of transport."""
    if name.lower().endswith((".gz", ".tgz")):
        for headers in (response.headers, response.raw.headers):
            headers.pop("Content-Encoding", None)


def total_size(headers: Any, have: int) -> int:
    """Return the size of the file, 0 if it is not known; ``have`` bytes were not asked for."""
    in_range = re.fullmatch(r"bytes [0-9]+-[0-9]+/([0-9]+)", headers.get("Content-Range", ""))
    if in_range:  # a server may send it in more parts than it was asked for
        return number(in_range[1]) or 0
    if headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        return 0  # the length is that of something else
    size = number(headers.get("Content-Length", ""))
    return 0 if size is None else have + size


def name_of(headers: Any) -> str:
    """Return the name that the server gives the file, or nothing."""
    text = str(headers.get("Content-Disposition", ""))
    with suppress(UnicodeError):
        text = text.encode("latin-1").decode("utf-8")  # what requests reads as Latin-1
    message = Message()
    message["Content-Disposition"] = re.sub(r"[\r\n]", " ", text)
    with suppress(ValueError, LookupError, TypeError):
        return _without_secret(file_name(message.get_filename() or ""))
    return ""


def _without_secret(text: Any) -> str:
    """Return a server's text that is to be saved; nothing if it repeats a secret."""
    return str(text) if redact_secrets(str(text)) == text else ""
