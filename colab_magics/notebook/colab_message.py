"""Read the notebook that is open in Colab's browser, by Colab's own message ``get_ipynb``.

Source: ``google.colab._message`` of colabtools. The request travels on iopub, the answer on
stdin. Sessions of Colab's command line and of VS Code answer other requests but not this one, so
it is time-boxed, and silence means that the notebook cannot be read.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from .document import Document

#: Seconds to wait; a notebook of 20 MB was seen to need 0.7.
PATIENCE = 5
#: After so many requests in a row without an answer the kernel stops asking.
TRIES = 2

_unanswered = 0


def texts() -> Optional[List[str]]:
    """Return the text of each cell (empty for one that is no code), or None for no answer."""
    try:
        cells = (notebook() or {})["cells"]
        return [Document.source(c) if c["cell_type"] == "code" else "" for c in cells]
    except (TypeError, KeyError):  # another protocol
        return None


def notebook() -> Optional[Dict[str, Any]]:
    """Return the notebook, or None for no answer."""
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
