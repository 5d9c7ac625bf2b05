"""Links that Google Drive gives to share a file, and the pages that come instead of it.

A file that is too large for Google to look for viruses in comes behind a page with a form (seen
2024 and later: ``download-form``, to drive.usercontent.google.com); who sends it gets the file.
"""

from __future__ import annotations

import re
from contextlib import suppress
from html.parser import HTMLParser
from typing import Dict, List, Optional, Tuple
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from ..core.controls import visible
from ..core.errors import SourceError, usage_error
from .urls import Request, Source

_ID = re.compile(r"[\w-]{10,}")
_FOLDER = re.compile(r"/(?:drive/)?(?:u/\d+/)?folders/")


def shared(text: str) -> Source:
    """``https://drive.google.com/file/d/ID/view``, ``open?id=ID`` or ``uc?id=ID``."""
    from .urls import BASES

    parts = urlsplit(text)
    found = re.search(r"/file/(?:u/\d+/)?d/([^/]+)", parts.path)
    name = found[1] if found else parse_qs(parts.query).get("id", [""])[0]
    if _FOLDER.search(parts.path):
        raise usage_error(
            "%fetch: that is a folder of Google Drive.",
            "Share one file of it, or: %drive mount, and %fetch drive:folder/file",
        )
    if not _ID.fullmatch(name):
        raise usage_error(
            "%fetch: that link of Google names no file that can be fetched.",
            "Share > Copy link gives one: https://drive.google.com/file/d/ID/view",
        )
    url = f"{BASES['google']}/uc?{urlencode({'id': name, 'export': 'download'})}"
    return Source(name, Request(url, page=_confirmed))


def _confirmed(page: str, at: str) -> str:
    """The address of the file behind a page of Google's; `SourceError` says what the page says."""
    form = _Form()
    form.feed(page)
    title = visible(" ".join(form.title.split()))
    if form.action and {"id", "confirm"} & {*form.inputs}:
        with suppress(ValueError):  # an address that is none
            return f"{urljoin(at, form.action).split('?')[0]}?{urlencode(form.inputs)}"
    if "quota" in title.lower() or "too many users" in page.lower():
        raise SourceError(
            "Google Drive: too many have fetched this file lately, so that it gives it to nobody.",
            "Try again tomorrow. Or make a copy in your own Drive: %drive mount, then drive:PATH",
        )
    if _signs_in(at, title):
        raise SourceError(
            "Google Drive: this file is not shared with everyone.",
            "Its owner: Share > Anyone with the link. If it is in your Drive: %drive mount, "
            "then drive:PATH",
        )
    raise SourceError(
        f"Google Drive gives a page instead of the file{f': {title}' if title else ''}.",
        "Open the link in a browser; the file may be gone, or not shared.",
    )


def _signs_in(at: str, title: str) -> bool:
    host = urlsplit(at).hostname or ""
    return (
        host.startswith("accounts.")
        or "/ServiceLogin" in at
        or re.search(r"sign.?in|access denied|log.?in", title, re.I) is not None
    )


class _Form(HTMLParser):
    """The form of a page, its hidden inputs, and the page's title."""

    def __init__(self) -> None:
        super().__init__()
        self.action, self.title = "", ""
        self.inputs: Dict[str, str] = {}
        self._titled = False

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        """Take in a form, an input, the beginning of the title."""
        found = {name: value or "" for name, value in attrs}
        if tag == "form" and (not self.action or found.get("id") == "download-form"):
            self.action = found.get("action", "")
        elif tag == "input" and found.get("type", "") == "hidden" and found.get("name"):
            self.inputs[found["name"]] = found.get("value", "")
        self._titled = tag == "title"

    def handle_endtag(self, tag: str) -> None:
        """The end of the title."""
        self._titled = False

    def handle_data(self, data: str) -> None:
        """Text."""
        if self._titled:
            self.title += data
