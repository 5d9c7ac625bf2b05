"""Read the notebook that is open in Colab's browser, by Colab's own message ``get_ipynb``.

Source: ``google.colab._message`` of colabtools. The request travels on iopub, the answer on
stdin. Sessions of Colab's command line and of VS Code answer other requests but not this one, so
it is time-boxed, and silence means that the notebook cannot be read.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..core.host import Host
from .document import Document

#: Seconds to wait; a notebook of 20 MB was seen to need 0.7.
PATIENCE = 5
#: After so many requests in a row without an answer the kernel stops asking.
TRIES = 2

_unanswered = 0


class Summary(NamedTuple):
    """The text of each cell (empty for one that is no code), and the notebook's metadata."""

    texts: List[str]
    metadata: Any


#: The request whose cell has read the notebook last, and what it has read.
_last: Tuple[Optional[str], Optional[Summary]] = (None, None)


def summary(host: Host) -> Optional[Summary]:
    """Return what the running cell has read first, or None for no answer.

    Each answer carries the whole notebook with its outputs, so a cell asks for one.
    """
    if _last[0] != _request(host):
        notebook(host)
    return _last[1]


def texts(host: Host) -> Optional[List[str]]:
    """Return the text of each cell, or None for no answer."""
    known = summary(host)
    return None if known is None else known.texts


def notebook(host: Host) -> Optional[Dict[str, Any]]:
    """Ask for the notebook as it is now; return None for no answer."""
    global _last
    content = _ask()
    _last = _request(host), None if content is None else _summarize(content)
    return content


def _request(host: Host) -> str:
    return str(host.request.get("header", {}).get("msg_id", ""))


def _summarize(content: Dict[str, Any]) -> Optional[Summary]:
    try:
        cells = content["cells"]
        texts = [Document.source(c) if c["cell_type"] == "code" else "" for c in cells]
    except (TypeError, KeyError):  # another protocol
        return None
    return Summary(texts, content.get("metadata"))


def _ask() -> Optional[Dict[str, Any]]:
    global _unanswered
    try:
        from google.colab import _message
    except ImportError:
        return None
    if _unanswered >= TRIES:
        return None
    try:
        answer = _message.blocking_request("get_ipynb", request="", timeout_sec=PATIENCE)
        content = dict(answer["ipynb"])
    except (_message.MessageError, TypeError, KeyError, ValueError):  # or another protocol
        _unanswered += 1
        return None
    _unanswered = 0
    return content
