"""``%gpu request``: the GPU that Colab is to be asked for when it opens the notebook."""

import re
from typing import Any, Optional

from ..core.errors import NotebookError, usage_error
from ..extension.magic import Call, say
from ..notebook.metadata import read_kept


_NONE = "none"
#: What is no name of a GPU, but would look like one.
_TPUS = r"GPU|TPU.*|V\d+E\d*|V28"


def request(session: Any, call: Call) -> None:
    """Write it into the notebook's metadata, where Colab itself keeps what its menu was set to."""
    name = call.words[1].upper() if len(call.words) == 2 else ""
    if not re.fullmatch(r"[A-Z0-9]{1,16}", name) or re.fullmatch(_TPUS, name):
        raise usage_error("%gpu request: name one GPU.", "Such as: %gpu request T4, or none")
    wanted = None if name == _NONE.upper() else name
    said = _request(session, wanted, "dry_run" in call.flags)
    if "quiet" not in call.flags:
        say(said)


def _request(session: Any, wanted: Optional[str], dry: bool) -> str:
    """Do it, and what is to be said."""
    site = session.site
    if site.kind == "executor":
        return "Nothing is written while an executor runs the notebook"
    writer = session.writer()
    if site.kind == "colab" or not hasattr(writer, "keep"):
        raise NotebookError(
            "The metadata of this notebook cannot be written from here.",
            "In Colab: Runtime > Change runtime type; it is kept in the notebook there too.",
        )
    if read_kept(session.host, site, "gpu") == wanted:
        return f"{_said(wanted)} already, nothing to do"
    if dry:
        return f"dry run: {_said(wanted)} then"
    late = ", not saved yet" if writer.keep("gpu", wanted) == "written" else ""
    return f"{_said(wanted)} from now on{late}{_HOW if wanted else ''}"


_HOW = ". It is a request: Colab may give another one, or none. Take it back: %gpu request none"


def _said(wanted: Any) -> str:
    return f"Colab is asked for a {wanted} GPU" if wanted else "Colab is asked for no GPU"
