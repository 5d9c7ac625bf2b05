"""Links that Google Drive gives to share a file, and the pages that come instead of it.

A file that is too large for Google's virus scan comes behind a page with a form (seen 2024 and
later: ``download-form``, to drive.usercontent.google.com); who submits it gets the file.
"""

from __future__ import annotations

import re
from contextlib import suppress
from html.parser import HTMLParser
from typing import Dict, List, Optional, Tuple
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from ..core.controls import visible
from ..core.errors import SourceError, usage_error
from .urls import BASES, Request


def shared_file(text: str) -> Request:
    """Read ``https://drive.google.com/file/d/ID/view``, ``open?id=ID`` or ``uc?id=ID``."""
    parts = urlsplit(text)
    if re.search(r"/(?:drive/)?(?:u/\d+/)?folders/", parts.path):
        message = "%fetch: this is a folder of Google Drive."
        hint = "Share one file of it, or: %drive mount, and %fetch drive:folder/file"
        raise usage_error(message, hint, code="folder")
    match = re.search(r"/file/(?:u/\d+/)?d/([^/]+)", parts.path)
    name = match[1] if match else parse_qs(parts.query).get("id", [""])[0]
    if not re.fullmatch(r"[\w-]{10,}", name):
        message = "%fetch: this link of Google names no file that can be fetched."
        hint = "Share > Copy link gives one: https://drive.google.com/file/d/ID/view"
        raise usage_error(message, hint, code="bad-url")
    url = f"{BASES['google']}/uc?{urlencode({'id': name, 'export': 'download'})}"
    return Request(url, name, page=_file_behind)


def _file_behind(page: str, url: str) -> str:
    """Return the address of the file behind a page; `SourceError` with the reason on the page."""
    form = _Form()
    form.feed(page)
    title = visible(" ".join(form.title.split()))
    if form.action and {"id", "confirm"} & {*form.inputs}:
        with suppress(ValueError):  # not an address
            return f"{urljoin(url, form.action).split('?')[0]}?{urlencode(form.inputs)}"
    if "quota" in title.lower() or "too many users" in page.lower():
        message = "Google Drive: too many people have downloaded this file lately."
        hint = "Try again tomorrow. Or make a copy in your own Drive: %drive mount, then drive:PATH"
        raise SourceError(message, hint, code="quota")
    sign_in = re.search(r"sign.?in|access denied|log.?in", title, re.I) or "/ServiceLogin" in url
    if sign_in or (urlsplit(url).hostname or "").startswith("accounts."):
        raise SourceError(
            "Google Drive: this file is not shared with everyone.",
            "Its owner: Share > Anyone with the link. If it is in your Drive: %drive mount, "
            "then drive:PATH",
            code="forbidden",
        )
    message = f"Google Drive sent a page instead of the file{f': {title}' if title else ''}."
    hint = "Open the link in a browser. The file may be gone, or not shared."
    raise SourceError(message, hint, code="page")


class _Form(HTMLParser):
    """The form of a page, its hidden inputs, and the title of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.action, self.title = "", ""
        self.inputs: Dict[str, str] = {}
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        """Note a form, an input, or the beginning of the title."""
        values = {name: value or "" for name, value in attrs}
        if tag == "form" and (not self.action or values.get("id") == "download-form"):
            self.action = values.get("action", "")
        elif tag == "input" and values.get("type", "") == "hidden" and values.get("name"):
            self.inputs[values["name"]] = values.get("value", "")
        self._in_title = tag == "title"

    def handle_endtag(self, tag: str) -> None:
        """Note the end of the title."""
        self._in_title = False

    def handle_data(self, data: str) -> None:
        """Add text to the title."""
        if self._in_title:
            self.title += data
