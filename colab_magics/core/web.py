r"""One session for requests to web servers: who gets a secret, and which redirects are followed.

Libraries read unusual URLs differently: of ``https://a\@b/`` one takes ``b`` for the host and
another connects to ``a``. So what decides whether a secret is sent is the URL of the prepared
request, and a ``Location`` that two readers could understand differently is refused.

Sources: RFC 3986, "Syntax Components"; RFC 9110, "Location".
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Callable, Optional, Tuple
from urllib.parse import urljoin, urlsplit

from .controls import has_controls
from .errors import SourceError

if TYPE_CHECKING:  # it takes a tenth of a second to import
    import requests
    from requests.adapters import BaseAdapter

#: Seconds to connect, and to wait for the next byte.
PATIENCE = (10, 60)
#: Scheme, host and port. A secret is for one of them: another port or scheme is another server.
Origin = Tuple[str, str, int]
#: Adds the secret to a prepared request, which ``requests`` calls ``auth``.
Sign = Callable[[Any], Any]

#: What ``parsedate_to_datetime`` raises for an invalid date.
NO_DATE = (TypeError, ValueError, IndexError, OverflowError)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_REDIRECTS = {301, 302, 303, 307, 308}


class Session:
    """A session of ``requests`` that leaves redirects and secrets to its caller.

    ``requests`` itself follows redirects that it reads in its own way, and signs with what is in
    ``~/.netrc`` where it has nothing to sign with.
    """

    def __init__(self, adapter: Optional[BaseAdapter] = None) -> None:
        import requests

        self._session = requests.Session()
        if adapter is not None:
            self._session.mount("http://", adapter)
            self._session.mount("https://", adapter)

    def settle(self, url: str) -> None:
        """Take the proxies and certificates of the environment as they are now, for one server.

        ``requests`` looks for them at each request, which takes as long as all else that it does.
        """
        settings = self._session.merge_environment_settings(url, {}, None, None, None)
        self._session.trust_env = False
        self._session.proxies.update(settings["proxies"])
        self._session.verify, self._session.cert = settings["verify"], settings["cert"]

    def send(self, method: str, url: str, sign: Sign, **options: Any) -> requests.Response:
        """Send one request; errors are those of ``requests``, and ``ValueError`` for no URL."""
        return self._session.request(
            method, url, auth=sign, timeout=PATIENCE, allow_redirects=False, **options
        )


def signer(
    home: Optional[Origin], token: str = "", login: Optional[Tuple[str, str]] = None
) -> Sign:
    """Return what signs requests to ``home`` with a token or a login, and no others.

    It is needed also where there is no secret: see `Session`.
    """
    import requests

    def sign(request: Any) -> Any:
        if home is None or origin(request.url) != home:
            return request
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        elif login:
            return requests.auth.HTTPBasicAuth(*login)(request)
        return request

    return sign


def follow(
    send: Callable[[str], requests.Response], url: str, limit: int
) -> Tuple[requests.Response, str]:
    """Send to a URL, and on to where the answers lead; return the last answer and its URL.

    `SourceError` after ``limit`` redirects, or where a ``Location`` is refused.
    """
    first = url
    for _ in range(limit):
        answer = send(url)
        code, location = answer.status_code, answer.headers.get("Location")
        # 303 asks for a GET, whatever was sent.
        same_request = code in _REDIRECTS and (code != 303 or answer.request.method == "GET")
        if not location or not same_request:
            return answer, url
        answer.close()
        url = _redirected(url, location)
    raise SourceError(
        f"{urlsplit(first).hostname} redirects again and again.",
        "Check the URL.",
        code="redirects",
    )


def origin(url: str) -> Origin:
    """Return the server that ``requests`` connects to for a URL; ``ValueError`` where none is."""
    import requests

    parts = urlsplit(str(requests.Request("GET", url).prepare().url))
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80)


def is_loopback(server: Origin) -> bool:
    """Tell whether a server is on this machine, so that nobody listens on the way to it."""
    return server[1] in _LOOPBACK


def _redirected(url: str, location: str) -> str:
    """Return where a ``Location`` leads; `SourceError` where that is not plainly one web server."""
    with suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")  # what requests reads as Latin-1
    location = location.strip(" \t")
    if not has_controls(location) and not re.search(r"[\s\\]", location):
        with suppress(ValueError):  # brackets that hold no address
            new = urljoin(url, location)
            parts = urlsplit(new)
            if parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc:
                return new
    raise SourceError(
        f"{urlsplit(url).hostname} redirects to something that is no plain web address; "
        "that was not followed.",
        "Check the URL, or open it in a browser.",
        code="bad-redirect",
    )


def number(text: str) -> Optional[int]:
    """Return a number that a server sent; None where it is none, or makes no sense."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def retry_after(text: str) -> float:
    """Return the seconds of ``Retry-After``: a number, or a date."""
    seconds = number(text.strip())
    if seconds is not None:
        return float(seconds)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(timezone.utc)).total_seconds(), 0.0)
    except NO_DATE:
        return 0.0
