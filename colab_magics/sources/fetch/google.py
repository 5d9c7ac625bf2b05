"""Files on Google Drive that are shared by a link.

A large file stands behind a page that says it could not be scanned for viruses: a form whose hidden
fields are sent with the next request (seen with gdown 5 and drive.usercontent.google.com in 2024).
"""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Dict, List, Optional, Tuple
from urllib.parse import urlencode, urljoin

from ...errors import SourceError
from ...host import Host
from .kinds import BASES, Source, query

__all__ = ["source"]


def source(address: str, host: Host) -> Source:
    """The file that a share link names; its name is known to Google alone."""
    if "/folders/" in address:
        raise SourceError(
            "That is a folder on Google Drive.", "Share its files, or mount it: %drive mount"
        )
    document = re.search(r"docs\.google\.com/(document|spreadsheets|presentation)/", address)
    if document:
        if "/export" in address or "output=" in address:
            return Source(address)
        raise SourceError(
            f"That is one of Google's own {document.group(1)}s, which is no file.".replace(
                "ss", "s"
            ),
            "Take the address that File > Share > Publish to web gives, as CSV for instance.",
        )
    match = re.search(r"/d/([\w-]+)", address)
    found = match.group(1) if match else query(address).get("id", "")
    if not found:
        raise SourceError(
            "That names no file on Google Drive.", "Take the link that Share > Copy link gives."
        )
    first = f"{BASES['google']}/download?{urlencode({'id': found, 'export': 'download'})}"
    return Source(first, login=_SHARE, behind=lambda page: _behind(page, first))


_SHARE = "In Google Drive: Share > General access > Anyone with the link. Or mount it: %drive mount"


class _Form(HTMLParser):
    """The form of a page: where it goes, and its fields."""

    def __init__(self) -> None:
        super().__init__()
        self.action: Optional[str] = None
        self.fields: Dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        """Keep what belongs to the form that downloads."""
        found = {name: value or "" for name, value in attrs}
        if tag == "form" and "download" in found.get("id", "") + found.get("action", ""):
            self.action = found.get("action", "")
        elif tag == "input" and self.action is not None and found.get("name"):
            self.fields[found["name"]] = found.get("value", "")


def _behind(page: str, first: str) -> str:
    """The address behind the page that asks whether one is sure."""
    form = _Form()
    form.feed(page)
    if form.action is not None and form.fields:
        return f"{urljoin(first, form.action)}?{urlencode(form.fields)}"
    text = unescape(re.sub(r"<[^>]*>", " ", page)).lower()
    if "quota" in text or "too many users" in text:
        raise SourceError(
            "Google Drive gives this file to nobody for now: too many have fetched it today.",
            "Wait up to a day; or add a copy to your own drive, and: %drive mount",
        )
    raise SourceError("Google Drive shows a page and not the file: it is not shared.", _SHARE)
