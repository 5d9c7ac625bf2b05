"""Reading the notebook that is open in Colab's browser: its own message ``get_ipynb``.

Source: ``google.colab._message`` of colabtools. The request travels on iopub, the answer on
stdin. Sessions of Colab's command line and of VS Code answer other requests but not this one, so
it is time-boxed, and silence means that the notebook cannot be read.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from .document import Document

#: Seconds to wait; a notebook of 20 MB was seen to need 0.7.
PATIENCE = 5
#: After so many silences in a row the kernel stops asking.
TRIES = 2

_silences: List[int] = []


def texts() -> Optional[List[str]]:
    """The text of each cell (empty for one that is no code), or None where nobody answers."""
    try:
        cells = (notebook() or {})["cells"]
        return [Document.source(c) if c["cell_type"] == "code" else "" for c in cells]
    except (TypeError, KeyError):  # another protocol
        return None


def notebook() -> Optional[Dict[str, Any]]:
    """The notebook, or None where nobody answers."""
    try:
        from google.colab import _message
    except ImportError:
        return None
    if len(_silences) >= TRIES:
        return None
    try:
        answer = _message.blocking_request("get_ipynb", request="", timeout_sec=PATIENCE)
        found = dict(answer["ipynb"])
        _silences.clear()
        return found
    except (
        _message.MessageError,
        TypeError,
        KeyError,
        ValueError,
    ):  # refused, silent, another protocol
        _silences.append(1)
        return None
