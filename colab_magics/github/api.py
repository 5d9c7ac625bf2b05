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
#: Media types: JSON; a file's content; the description of a file or folder.
JSON, RAW = "application/vnd.github+json", "application/vnd.github.raw+json"
OBJECT = "application/vnd.github.object+json"


class Response(NamedTuple):
    """An answer: the status, the JSON (or None), the bytes."""

    status: int
    json: Any
    data: bytes


class Part(Dict[str, Any]):
    """An object in a response; `SourceError` where it lacks what GitHub always sends."""

    def __missing__(self, key: str) -> Any:
        raise not_github()


def not_github() -> SourceError:
    """Return the error for an answer of something else, such as the login page of a network."""
    message = "The answer is not from GitHub's interface."
    return SourceError(message, "Check the network and GITHUB_API_URL.", code="not-github")


class Refused(SourceError):
    """GitHub refused a request; ``status`` is the HTTP status."""

    code = "github-refused"

    def __init__(self, status: int, message: str, hint: str, details: str = "") -> None:
        self.status = status
        super().__init__(message, hint, details)


class Api:
    """Requests with one token; ``name`` is the secret that holds it. Without one: anonymous."""

    def __init__(self, token: str = "", name: str = "") -> None:
        self.base = os.environ.get("GITHUB_API_URL", "").rstrip("/") or HOME
        self._origin = ("", "", 0)
        with suppress(ValueError):
            self._origin = origin(self.base)
        if self._origin[0] != "https" and not is_loopback(self._origin):
            hint = f"For instance: {HOME}"
            raise SourceError("GITHUB_API_URL is not an https address.", hint, code="api-url")
        self._token, self.name = token, name
        self._session = Session()

    def __call__(
        self,
        method: str,
        path: str,
        json: Optional[Dict[str, Any]] = None,
        accept: str = JSON,
        allow: Sequence[int] = (),
        subject: str = "",
        expect: type = dict,
    ) -> Response:
        """Send a request; `Refused` for a status of 300 or more that is not in ``allow``.

        ``subject`` is what errors call it: ``owner/name``. ``expect`` is the type of the JSON.
        """
        url = self.base + path
        answer = follow(lambda to: self._send(method, to, json, accept), url, 3)[0]
        response = Response(answer.status_code, _parse_json(answer), answer.content)
        if response.status >= 300 and response.status not in allow:
            raise self._refusal(response, answer.headers, subject)
        has_json = response.status < 300 and method != "DELETE" and accept in (JSON, OBJECT)
        if has_json and not isinstance(response.json, expect):
            raise not_github()
        return response

    def download(self, url: str) -> bytes:
        """Return what is at an address of another host of GitHub's; the token is not sent there."""
        answer = follow(lambda to: self._send("GET", to, None, "*/*", True), url, 3)[0]
        if answer.status_code >= 300:
            response = Response(answer.status_code, None, b"")
            raise self._refusal(response, answer.headers, "That file")
        return bytes(answer.content)

    def _send(self, method: str, url: str, json: Any, accept: str, anonymous: bool = False) -> Any:
        import requests

        headers = {"Accept": accept, "X-GitHub-Api-Version": "2022-11-28"}
        sign = signer(None if anonymous else self._origin, self._token)
        host = urlsplit(url).hostname
        try:
            # A repository that was renamed redirects to its new name, on the same host.
            if not anonymous and origin(url) != self._origin:
                message = f"GitHub redirects to {host}; that was not followed."
                raise SourceError(message, "Check GITHUB_API_URL.", code="redirect")
            return self._session.send(method, url, sign, json=json, headers=headers)
        except (requests.RequestException, ValueError):  # no address; a token that is no ASCII
            hint = "Check the network and GITHUB_API_URL, and run it again."
            raise SourceError(f"{host} did not answer.", hint, code="offline") from None

    def _refusal(self, response: Response, headers: Any, subject: str) -> Refused:
        json = response.json
        text = str(json.get("message", "")) if isinstance(json, dict) else ""
        status = 413 if "too large" in text else response.status
        if status in (403, 429) and _is_limited(headers, text):
            message, hint = _explain_limit(headers, bool(self._token))
        elif status == 404 and not self._token:
            message = f"{subject} does not exist, or it is private."
            hint = "Check the name; a private one needs a token: %secret set GH_TOKEN"
        else:
            template = _MESSAGES.get(status, f"GitHub answered {status}.\nRun it again later.")
            words = {"subject": subject, "name": self.name or "GH_TOKEN"}
            message, hint = (part.format(**words) for part in template.split("\n"))
        details = f"GitHub says: {text}" if text else ""
        return Refused(response.status, message, hint, details)


#: Status → message and hint.
_MESSAGES = {
    401: "GitHub refused the token {name}.\nIt may have expired. Create one at "
    "github.com/settings/tokens: %secret set {name}",
    403: "{subject}: the token {name} may not do that.\nA fine-grained token needs permission to "
    "write; a classic one the scope repo, or gist.",
    404: "{subject} does not exist, or the token {name} may not see it.\nCheck the name, and what "
    "the token may see.",
    409: "{subject} was being changed by somebody else.\nRun it again.",
    413: "{subject}: that is too large for GitHub's interface; nothing was saved.\nLeave the "
    "outputs out: --strip. Or push it with git.",
    422: "{subject}: GitHub does not accept that.\nIts reason is below.",
}


def _is_limited(headers: Any, text: str) -> bool:
    spent = headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in headers
    return spent or "rate limit" in text


def _explain_limit(headers: Any, has_token: bool) -> Tuple[str, str]:
    """Return message and hint; the time is in the hint, which nbval does not compare."""
    until, when = number(headers.get("X-RateLimit-Reset", "")), "a while"
    with suppress(ValueError, OverflowError, OSError):  # there is no such time
        when = time.strftime("%H:%M", time.localtime(until)) if until is not None else when
    more = "" if has_token else " With a token the limit is higher: %secret set GH_TOKEN"
    return "GitHub's rate limit is used up.", f"Run it again after {when}.{more}"


def _parse_json(answer: Any) -> Any:
    if "json" not in answer.headers.get("Content-Type", ""):
        return None
    try:
        return answer.json(object_hook=Part)
    except ValueError:
        return None
