"""GitHub's REST interface: one token, one host, time limits, and errors that say what to do.

Source: docs.github.com/rest, "Getting started", "Troubleshooting" and "Rate limits".
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from ..core.errors import SourceError
from ..core.web import Session, follow, is_loopback, number, origin, signer

HOME = "https://api.github.com"
#: Answers as JSON; a file by its content; a file's or folder's description without much content.
JSON, RAW = "application/vnd.github+json", "application/vnd.github.raw+json"
ANY = "application/vnd.github.object+json"
_REDIRECTS = 3


class Answer(NamedTuple):
    """What came back: the status, the JSON (or None), the bytes."""

    status: int
    json: Any
    data: bytes


class Part(Dict[str, Any]):
    """An object of an answer; `SourceError` where it lacks what GitHub always has there."""

    def __missing__(self, key: str) -> Any:
        raise strange()


def strange() -> SourceError:
    """What answered is not GitHub: a page to log in to a network, or another service."""
    return SourceError(
        "What answered is not GitHub's interface.", "Check the network and GITHUB_API_URL."
    )


class Refused(SourceError):
    """GitHub does not do it; ``status`` is its own."""

    def __init__(self, status: int, message: str, hint: str, details: str = "") -> None:
        self.status = status
        super().__init__(message, hint, details)


class Api:
    """Calls of one magic. ``name`` is the secret that the token is kept as; none: anonymous."""

    def __init__(self, token: str = "", name: str = "") -> None:
        self.base = os.environ.get("GITHUB_API_URL", "").rstrip("/") or HOME
        try:
            self._origin = origin(self.base)
        except ValueError:
            self._origin = ("", "", 0)
        if self._origin[0] != "https" and not is_loopback(self._origin):
            raise SourceError("GITHUB_API_URL is no https address.", "Such as: " + HOME)
        self._token, self.name = token, name
        self._session = Session()

    def __call__(
        self,
        method: str,
        path: str,
        json: Optional[Dict[str, Any]] = None,
        accept: str = JSON,
        may: Sequence[int] = (),
        about: str = "",
        kind: type = dict,
    ) -> Answer:
        """The answer; `Refused` for a status of 400 or more that is not in ``may``.

        ``about`` is what people call that which is asked for: ``owner/name``. ``kind`` is what its
        JSON is to be.
        """
        answer = self._followed(method, self.base + path, json, accept)
        found = Answer(answer.status_code, _json(answer), answer.content)
        if found.status >= 300 and found.status not in may:
            raise self._refusal(found, answer.headers, about)
        asked = found.status < 300 and method != "DELETE" and accept in (JSON, ANY)
        if asked and not isinstance(found.json, kind):
            raise strange()
        return found

    def plain(self, url: str) -> bytes:
        """What is at an address of another host of GitHub's; the token is not sent there."""
        answer = self._followed("GET", url, None, "*/*", plain=True)
        if answer.status_code >= 300:
            raise self._refusal(Answer(answer.status_code, None, b""), answer.headers, "That file")
        return bytes(answer.content)

    def _followed(self, method: str, url: str, json: Any, accept: str, plain: bool = False) -> Any:
        """The answer of where a repository that was renamed is now; a token goes to no other."""
        return follow(lambda to: self._send(method, to, json, accept, plain), url, _REDIRECTS)[0]

    def _send(self, method: str, url: str, json: Any, accept: str, plain: bool) -> Any:
        import requests

        headers = {"Accept": accept, "X-GitHub-Api-Version": "2022-11-28"}
        sign = signer(None if plain else self._origin, self._token)
        try:
            if not plain and origin(url) != self._origin:
                raise SourceError(
                    f"GitHub sends on to {urlsplit(url).hostname}; that was not followed.",
                    "Check GITHUB_API_URL.",
                )
            return self._session.send(method, url, sign, json=json, headers=headers)
        except (requests.RequestException, ValueError):  # no address; a token that is no ASCII
            raise SourceError(
                f"{urlsplit(url).hostname} did not answer.",
                "Check the network and GITHUB_API_URL, and run it again.",
            ) from None

    def _refusal(self, found: Answer, headers: Any, about: str) -> Refused:
        """Why GitHub does not do it, in words that help."""
        said = str(found.json.get("message", "")) if isinstance(found.json, dict) else ""
        details = f"GitHub says: {said}" if said else ""
        if found.status in (403, 429) and _limited(headers, said):
            what, hint = _limit(headers, bool(self._token))
        elif found.status == 404 and not self._token:
            what = "{about} is not there, or it is private."
            hint = "Check the name; a private one needs a token: %secret set GH_TOKEN"
        else:
            status = 413 if "too large" in said else found.status
            what, hint = _WORDS.get(status, ("GitHub answered {status}.", "Run it again later."))
        words = {"about": about, "name": self.name or "GH_TOKEN", "status": found.status}
        return Refused(found.status, what.format(**words), hint.format(**words), details)


#: Status → what failed and what to do.
_WORDS = {
    401: (
        "GitHub refused the token {name}.",
        "It may have expired. Make one at github.com/settings/tokens; keep it: %secret set {name}",
    ),
    403: (
        "{about}: the token {name} may not do that.",
        "A fine-grained token needs leave to write there; a classic one the scope repo, or gist.",
    ),
    404: (
        "{about} is not there, or the token {name} may not see it.",
        "Check the name, and what the token may see.",
    ),
    409: ("{about} was being changed by somebody else.", "Run it again."),
    413: (
        "{about}: that is too large for GitHub's interface; nothing was saved.",
        "Leave the outputs out: --strip. Or push it with git.",
    ),
    422: ("{about}: GitHub does not take that.", "See below."),
}


def _limited(headers: Any, said: str) -> bool:
    spent = headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in headers
    return spent or "rate limit" in said


def _limit(headers: Any, token: bool) -> Tuple[str, str]:
    """What is said where too much was asked; the time is no part of what nbval compares."""
    until, when = number(headers.get("X-RateLimit-Reset", "")), "a while"
    with suppress(ValueError, OverflowError, OSError):  # there is no such time
        when = time.strftime("%H:%M", time.localtime(until)) if until is not None else when
    more = "" if token else " With a token there is more: %secret set GH_TOKEN"
    return "GitHub's rate limit is used up.", f"Run it again after {when}.{more}"


def _json(answer: Any) -> Any:
    if "json" not in answer.headers.get("Content-Type", ""):
        return None
    try:
        return answer.json(object_hook=Part)
    except ValueError:
        return None
