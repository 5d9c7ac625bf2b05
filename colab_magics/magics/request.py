"""``%gpu request``: the GPU that Colab is to be asked for when it opens the notebook."""

import re
from typing import Any

from ..errors import NotebookError, usage_error
from ..notebook.metadata import read_kept
from ._base import Call, say

__all__ = ["request"]

_NONE = "none"


def request(session: Any, call: Call) -> None:
    """Write it into the notebook's metadata, where Colab itself keeps what its menu was set to."""
    name = call.words[1].upper() if len(call.words) == 2 else ""
    if not re.fullmatch(r"[A-Z0-9]{1,16}", name):
        raise usage_error("%gpu request: name one GPU.", "Such as: %gpu request T4, or none")
    wanted = None if name == _NONE.upper() else name
    site = session.site
    if site.kind == "executor":
        say("Nothing is written while an executor runs the notebook")
        return
    writer = session.writer()
    if site.kind == "colab" or not hasattr(writer, "keep"):
        raise NotebookError(
            "The metadata of this notebook cannot be written from here.",
            "In Colab: Runtime > Change runtime type; it is kept in the notebook there too.",
        )
    if read_kept(session.host, site, "gpu") == wanted:
        say(f"{_said(wanted)} already, nothing to do")
    elif "dry_run" in call.flags:
        say(f"dry run: {_said(wanted)} then")
    else:
        state = writer.keep("gpu", wanted)
        late = ", not saved yet" if state == "written" else ""
        say(f"{_said(wanted)} from now on{late}{_HOW if wanted else ''}")


_HOW = ". It is a request: Colab may give another one, or none. Take it back: %gpu request none"


def _said(wanted: Any) -> str:
    return f"Colab is asked for a {wanted} GPU" if wanted else "Colab is asked for no GPU"
