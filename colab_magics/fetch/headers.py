"""What the headers of an answer say of a file: its name, its length, and which version it is.

Source: RFC 9110, "Validator Fields" and "Content-Length"; RFC 6266, ``Content-Disposition``.
"""

import re
from contextlib import suppress
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any, Dict

from ..core.errors import conceal
from .source import file_name


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
    with suppress(TypeError, ValueError, IndexError):
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
    whole = re.fullmatch(r"bytes \d+-\d+/(\d+)", headers.get("Content-Range", ""))
    if whole:  # which a server may send in more parts than it was asked for
        return int(whole[1])
    if headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        return 0
    length = headers.get("Content-Length", "")
    return have + int(length) if re.fullmatch(r"\d+", length) else 0


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
    return str(text) if conceal(str(text)) == text else ""
