"""Ask the Jupyter server, where that runs the cells itself and has the notebook.

With jupyter-server-nbmodel and jupyter-server-documents no page sends the execute request, so that
no cell's id is in it and no page can tell that it is meant. The half of ours in the server,
`colab_magics.server`, answers as the front-end extension does.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Set, Tuple

from ..core.errors import ServerError
from ..core.host import Host
from .locate import server_kernel
from .servers import own

#: Where the server's half answers.
ADDRESS = "colab-magics/kernels/{kernel}"
#: Seconds that an answer may take; one that saves may take longer.
FINDING, READING, SAVING = 2.0, 5.0, 20.0

#: Why the setup cell cannot be written, by the status of the answer.
_OBSTACLES = {
    "no-notebook": "the Jupyter server runs this cell, and has no shared notebook of it: with "
    "jupyter-server-nbmodel, pip install jupyter-collaboration in its environment",
    "several-notebooks": "several notebooks that share this kernel may have this cell",
}
#: The id of the last request, and the status of the answer to it; empty: no server runs it.
_LAST: Tuple[str, str] = ("", "")
#: The kernel, where its server has no half of ours: it is not asked again.
_ABSENT: Set[str] = set()


def runs_on_server(host: Host) -> bool:
    """Tell whether the Jupyter server, and no page, has sent the running cell."""
    return _status(host) != ""


def obstacle(host: Host) -> Optional[str]:
    """Return why the server cannot write the notebook of the running cell; None: it can."""
    status = _status(host)
    if status == "ok":
        return None
    return _OBSTACLES.get(status, "a page has sent this cell, not the Jupyter server")


def ask(host: Host, action: str, **data: Any) -> Optional[Dict[str, Any]]:
    """Return the answer of the server's half, or None where none came."""
    kernel = server_kernel()
    server = own() if kernel and kernel not in _ABSENT else None
    if server is None:
        return None
    seconds = {"hello": FINDING, "read": READING}.get(action, SAVING)
    path = ADDRESS.format(kernel=kernel)
    try:
        answer = server.ask("POST", path, seconds, {"action": action, **data})
    except ServerError as error:
        if error.status in (401, 403, 404):  # our half is not there, or does not answer to us
            _ABSENT.add(kernel)
        return None
    return answer if isinstance(answer, dict) and "status" in answer else None


def _status(host: Host) -> str:
    global _LAST
    request = host.request
    identity = str(request.get("header", {}).get("msg_id", ""))
    metadata = request.get("metadata", {})
    if not identity or "cellId" in metadata or "colab" in metadata:
        return ""
    if _LAST[0] != identity:
        answer = ask(host, "hello")  # where it is late, it is as it was
        status = _LAST[1] if answer is None else str(answer.get("status", ""))
        _LAST = (identity, "" if status in {"not-running", "refused"} else status)
    return _LAST[1]
