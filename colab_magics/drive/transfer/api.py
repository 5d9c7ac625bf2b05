"""Requests to Google Drive's interface (v3): a token, retries, and errors that say what to do.

Sources: developers.google.com/drive, "Resolve errors" and "Usage limits". Importing ``requests``
takes long: import this where needed.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

import requests

from ...core.connections import Connections
from ...core.errors import DriveError
from ...core.redact import register_secret
from ...core.web import origin, retry_after
from .retry import FIRST_TRIES, TRIES, Backoff, Bucket, Passing

#: Where Drive is. A test names another place, and nothing else does.
BASE = "https://www.googleapis.com"
#: Returns a token; with True one that is newer than that of the last call, which was refused.
TokenProvider = Callable[[bool], str]
#: How many ids are reserved at once.
_IDS = 100
#: New tokens in a row that Google may refuse.
_RENEWALS = 2
#: Reasons of a 403 that pass.
_LIMITED = {"rateLimitExceeded", "userRateLimitExceeded", "sharingRateLimitExceeded"}
_PASSING = {408, 425, 429, 500, 502, 503, 504}
#: Reason -> code, what failed, what to do.
_REASONS: Dict[str, Tuple[str, str, str]] = {
    "storageQuotaExceeded": (
        "drive-full",
        "Your Google Drive is full.",
        "Make room (https://one.google.com/storage), then run the same line: it goes on from here. "
        "A service account has no room of its own: send to a shared drive.",
    ),
    "dailyLimitExceeded": (
        "daily-limit",
        "Google lets no more be sent today.",
        "Run the same line tomorrow: it goes on from here.",
    ),
    "teamDriveFileLimitExceeded": (
        "drive-full",
        "The shared drive has as many files as it may have.",
        "Delete some, or send a folder as one file: --pack",
    ),
    "numChildrenInNonRootLimitExceeded": (
        "folder-full",
        "The folder has as many files as it may have.",
        "Name another one, or send a folder as one file: --pack",
    ),
    "accessNotConfigured": (
        "no-api",
        "The Google Drive API is not enabled in the project of your OAuth client.",
        "Enable it: https://console.cloud.google.com/apis/library/drive.googleapis.com",
    ),
    "insufficientPermissions": (
        "login",
        "The login does not allow that.",
        "Log in again, and tick every box: %drive login",
    ),
    "cannotDownloadAbusiveFile": (
        "flagged",
        "Google takes {subject} for malware or spam, and does not send it.",
        "Its owner can download it at drive.google.com.",
    ),
    "exportSizeLimitExceeded": (
        "too-large",
        "{subject} is too large: Google exports no more than 10 MB.",
        "Open it at drive.google.com, and download it there.",
    ),
    "cannotDownloadFile": (
        "forbidden",
        "The owner of {subject} does not let it be downloaded.",
        "Ask the owner.",
    ),
}
#: The same for a status whose reason is not known.
_STATUSES: Dict[int, Tuple[str, str, str]] = {
    401: ("login", "Google does not accept the login any more.", "Log in again: %drive login"),
    403: (
        "forbidden",
        "Google does not allow that with {subject}.",
        "Check who may see and write it.",
    ),
    404: ("absent", "Google Drive has no {subject} any more.", "Run it again."),
}


class Answer(NamedTuple):
    """What came back: the status, the headers, and an object of JSON, empty for none."""

    status: int
    headers: Any
    json: Dict[str, Any]


class Api:
    """Requests of several threads. ``stop`` is set when they have to end at once."""

    def __init__(
        self, token: TokenProvider, stop: threading.Event, at_once: int = 10, base: str = BASE
    ) -> None:
        self.base, self._origin, self.stop = base, origin(base), stop
        self._provider, self._token, self._lock = token, "", threading.Lock()
        self._connections = Connections(stop, at_once)
        self._connections.session.settle(base)
        self._has_answered = False
        self._renewals = 0
        self._ids: List[str] = []
        self._ids_lock = threading.Lock()
        self.bucket = Bucket(stop)

    def wake(self) -> None:
        """End all requests that wait."""
        self._connections.wake()

    def call(
        self,
        method: str,
        path: str,
        params: Optional[Dict[str, str]] = None,
        json: Optional[Dict[str, Any]] = None,
        subject: str = "it",
        allow: Tuple[int, ...] = (),
        say: Callable[[str], None] = lambda text: None,
        **options: Any,
    ) -> Answer:
        """Return the answer to a request, which is sent again after a failure that passes.

        `DriveError` for an error whose status is not in ``allow``.
        """
        return self.backoff(say).run(
            lambda: self.attempt(method, path, params, json, subject, allow, **options)
        )

    def attempt(
        self,
        method: str,
        path: str,
        params: Optional[Dict[str, str]] = None,
        json: Optional[Dict[str, Any]] = None,
        subject: str = "it",
        allow: Tuple[int, ...] = (),
        **options: Any,
    ) -> Answer:
        """Send a request once; `Passing` after a failure that passes."""
        response = self.send(
            method, path, subject, allow, params={**(params or {}), **_SHARED}, json=json, **options
        )
        return read_answer(response)

    def backoff(self, say: Callable[[str], None]) -> Backoff:
        """Return the pauses for a request; fewer where Google has never answered."""
        return Backoff(self.stop, say, TRIES if self._has_answered else FIRST_TRIES)

    def send(
        self, method: str, path: str, subject: str, allow: Tuple[int, ...] = (), **options: Any
    ) -> requests.Response:
        """Return a response with a good status, or one of ``allow``; `Passing`, `DriveError`."""
        url = path if "://" in path else self.base + path
        token = self._current()
        response = self._send(method, url, token, options)
        if response.status_code == 401 and 401 not in allow and "data" not in options:
            response.close()
            response = self._send(method, url, self._renewed(token), options)
        if response.status_code < 300 or response.status_code in allow:
            self._renewals = 0
            return response
        try:
            raise self._refusal(response, token, subject)
        finally:
            response.close()

    def take_id(self) -> str:
        """Return an id for a file that is to be made: whoever makes it again makes no second."""
        with self._ids_lock:
            if not self._ids:
                params = {"count": str(_IDS), "space": "drive", "type": "files"}
                answer = self.call("GET", "/drive/v3/files/generateIds", params).json
                ids = answer.get("ids")
                if not isinstance(ids, list) or not all(isinstance(x, str) and x for x in ids):
                    raise not_drive()
                self._ids = list(ids)
            return self._ids.pop(0)

    def is_own(self, url: str) -> bool:
        """Tell whether an address is on Drive's own server: no other one gets the token."""
        try:
            return origin(url) == self._origin
        except (ValueError, requests.RequestException):
            return False

    # ------------------------------------------------------------------ the token
    def _current(self) -> str:
        with self._lock:
            if not self._token:
                self._token = self._provider(False)
                register_secret(self._token)
            return self._token

    def _renewed(self, refused: str) -> str:
        """Return another token than the refused one; several threads get the same."""
        with self._lock:
            if self._token == refused:
                self._token = self._provider(True)  # a failure of Google's login server passes
                self._renewals += 1
                register_secret(self._token)
            return self._token

    # ------------------------------------------------------------------ one request
    def _send(
        self, method: str, url: str, token: str, options: Dict[str, Any]
    ) -> requests.Response:
        self._connections.check()
        if not url.startswith(f"{self.base}/") and not self.is_own(url):
            raise not_drive()
        prefix = f"{self.base}/"

        def sign(request: Any) -> Any:
            if request.url.startswith(prefix):
                request.headers["Authorization"] = f"Bearer {token}"
            return request

        try:
            response = self._connections.session.send(method, url, sign, **options)
        except requests.exceptions.SSLError:
            message = f"{urlsplit(url).hostname} has no valid certificate."
            hint = "Check the clock and the certificates of this machine."
            raise DriveError(message, hint, code="certificate") from None
        except (requests.RequestException, ValueError, OSError):
            self._connections.check()
            raise Passing("Google Drive did not answer") from None
        self._connections.register(response.raw)
        self._has_answered = True
        return response

    def _refusal(self, response: requests.Response, token: str, subject: str) -> Exception:
        status, reason = response.status_code, read_reason(response)
        after = retry_after(response.headers.get("Retry-After", ""))
        if status == 429 or (status == 403 and reason in _LIMITED):
            self.bucket.refused()
            return Passing("Google Drive asks to go slower", after, limited=True)
        if status in _PASSING:
            return Passing(f"Google Drive answered {status}", after)
        if status == 401 and self._renewals < _RENEWALS:
            self._renewed(token)  # a body was sent: the next try has another
            return Passing("The login had to be renewed")
        code, message, hint = (
            _REASONS.get(reason)
            or _STATUSES.get(status)
            or (
                "refused",
                f"Google Drive answered {status} for {{subject}}.",
                "Run it again later.",
            )
        )
        return DriveError(message.format(subject=subject), hint, code=code)


#: Shared drives are drives too.
_SHARED = {"supportsAllDrives": "true"}


def not_drive() -> DriveError:
    """Return the error for an answer of something else, as the login page of a network."""
    message = "The answer is not from Google Drive."
    return DriveError(message, "Check the network, and run it again.", code="not-drive")


def read_answer(response: requests.Response) -> Answer:
    """Return the answer of a response; `Passing` where it was cut off."""
    try:
        text = response.content
    except (requests.RequestException, OSError):
        raise Passing("Google Drive closed the connection") from None
    values: Any = {}
    if text:
        try:
            values = response.json()
        except ValueError:
            values = None
    if response.status_code < 300 and not isinstance(values, dict):
        raise not_drive()
    return Answer(
        response.status_code, response.headers, values if isinstance(values, dict) else {}
    )


def read_reason(response: requests.Response) -> str:
    """Return the reason of an error, which is a word of Google's; empty where there is none."""
    try:
        error = read_answer(response).json["error"]
        reason = error["errors"][0]["reason"]
    except (Passing, DriveError, KeyError, IndexError, TypeError):
        return ""
    return reason if isinstance(reason, str) else ""
