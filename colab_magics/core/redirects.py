r"""Which server a request goes to, and where its answer may send it on to.

Libraries read unusual URLs differently: of ``https://a\@b/`` one takes ``b`` for the host and
another connects to ``a``. So what decides whether a secret is sent is the URL of the prepared
request, and a ``Location`` that two readers could understand differently is refused.

Sources: RFC 3986, "Syntax Components"; RFC 9110, "Location".
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Tuple
from urllib.parse import urljoin, urlsplit

from .controls import has_controls
from .errors import SourceError

#: Scheme, host and port. A secret is for one of them: another port or scheme is another server.
Origin = Tuple[str, str, int]

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def origin(url: str) -> Origin:
    """Return the server that ``requests`` connects to for a URL; ``ValueError`` where none is."""
    import requests

    parts = urlsplit(str(requests.Request("GET", url).prepare().url))
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80)


def is_loopback(server: Origin) -> bool:
    """Tell whether a server is on this machine, so that nobody listens on the way to it."""
    return server[1] in _LOOPBACK


def redirected(url: str, location: str) -> str:
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
        f"{urlsplit(url).hostname} sends on to something that is no plain web address; "
        "that was not followed.",
        "Check the URL, or open it in a browser.",
    )
