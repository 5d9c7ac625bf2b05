"""Ask the front-end extension, from inside the running cell.

The question is a ``comm_open`` of target ``colab_magics``. A comm message back would be read only
after the cell, so the extension answers with an ``input_reply`` on stdin, which the kernel can
read at once (seen to work on ipykernel 6.17, 6.29 and 7.4). Reading that socket is a kernel
internal: where it is not as expected, there is no extension for us.
"""

from __future__ import annotations

import json
import shlex
import time
import uuid
from pathlib import Path
from typing import Any, Dict, Optional

from ..core.host import Host
from ..core.origin import requirement
from . import server_side
from .servers import own

#: Seconds that the first answer may take; absence costs this once for each client.
PATIENCE = 2.0
#: Seconds that later ones may take: large notebooks, slow disks.
SAVING = 20.0
#: Seconds for a question that changes nothing.
READING = 5.0
#: How often a silent client is greeted again, and for how many seconds: a tab may have slept.
AGAIN = (2, 0.5)

#: The folder of the extension in an environment.
_FOLDER = Path("share", "jupyter", "labextensions", "colab-magics")
#: Client session -> greetings without an answer; 0 once there was an answer.
_SILENT: Dict[str, int] = {}


def present(host: Host) -> bool:
    """Tell whether the extension answers in the window that asked; the answer is remembered."""
    client = host.client
    kernel = getattr(host.shell, "kernel", None)
    if not host.may_ask or not client or getattr(kernel, "stdin_socket", None) is None:
        return False
    if server_side.runs_on_server(host):
        return False
    silent = _SILENT.get(client)
    if silent == 0:
        return True
    retries, patience = AGAIN
    if silent is not None and silent > retries:
        return False
    answer = _ask(kernel, "hello", PATIENCE if silent is None else patience, {})
    _SILENT[client] = 0 if answer else (silent or 0) + 1
    return answer is not None


def reachable(host: Host) -> bool:
    """Tell whether `ask` gets an answer: of the extension, or of the server that runs the cell."""
    return server_side.obstacle(host) is None or present(host)


def absence(host: Host) -> str:
    """Return why the extension may not answer, and what to do: its place is beside the server."""
    if server_side.runs_on_server(host):
        return "the Jupyter server has sent this cell, and no page"
    server = own()
    python = server.python if server else None
    install = f"pip install {shlex.quote(requirement())}"
    if python is None:
        return f"the extension is missing in the server's environment: {install}"
    if (python.parent.parent / _FOLDER).is_dir():
        if "cellId" not in host.request.get("metadata", {}):
            return (
                "no page has sent this cell. Where the Jupyter server runs the cells: restart it; "
                "jupyter server extension list"
            )
        return "this page has not loaded the extension: reload it; jupyter labextension list"
    return f"the extension is missing beside the server: {python} -m {install}"


def remedy(host: Host) -> str:
    """Return what a person does so that the extension answers; `absence` has the reason."""
    server = own()
    python = server.python if server else None
    if python is None or not (python.parent.parent / _FOLDER).is_dir():
        where = "install colab-magics where the Jupyter server runs"
        return f"{where}, then reload this page and run a cell"
    if len(_SILENT) > 1 and all(_SILENT.values()):  # it was reloaded
        return "restart the Jupyter server, then reload this page and run a cell"
    return "reload this page, which is older than the installed colab-magics, and run a cell"


def ask(host: Host, action: str, **data: Any) -> Optional[Dict[str, Any]]:
    """Return the answer of what is `reachable`, or None where none came in time."""
    if server_side.runs_on_server(host):
        return server_side.ask(host, action, **data)
    kernel = host.shell.kernel
    if action == "read":  # asking changes nothing, so a busy page may be asked again
        return _ask(kernel, action, READING, data) or _ask(kernel, action, READING, data)
    patience = PATIENCE if data.get("now") is False else SAVING  # a button can be missed
    return _ask(kernel, action, patience, data)


def _ask(
    kernel: Any, action: str, patience: float, data: Dict[str, Any]
) -> Optional[Dict[str, Any]]:
    from ipykernel.comm import Comm

    nonce = uuid.uuid4().hex
    data = {"action": action, "nonce": nonce, "patience": patience, **data}
    comm = Comm(target_name="colab_magics", data=data)
    try:
        return _answer(kernel, nonce, patience)
    finally:
        comm.close()


def _answer(kernel: Any, nonce: str, patience: float) -> Optional[Dict[str, Any]]:
    """Return the first message on stdin with our nonce; late answers to others are dropped."""
    socket, until = kernel.stdin_socket, time.monotonic() + patience
    while True:
        remaining = max(0.0, until - time.monotonic())
        if not socket.poll(int(1000 * min(remaining, 0.05))):
            if not remaining:
                return None
            continue
        try:
            _, message = kernel.session.recv(socket, mode=0)
            answer = json.loads(message["content"]["value"])
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(answer, dict) and answer.get("nonce") == nonce:
            return answer
