"""Restart the kernel through the front-end extension, which then goes on with the cells.

The kernel cannot restart itself and stay with its notebook. The extension can, and it alone knows
which cells were under way. Measured on ipykernel 6.29 and 7.4: a restart begins with an interrupt,
and the first queued cell may still run in the old process; so the queue is refused before.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, NoReturn, Optional

from ..core.errors import NotebookError, ServerError
from ..core.host import Host
from .comm import ask
from .server_side import runs_on_server
from .servers import Server

#: Seconds that the front end may take from its answer to the interrupt.
GRACE = 20.0
#: Seconds that queued cells are refused after the interrupt; the process ends within them.
ENDING = 5.0


def offer(host: Host, reason: str, about: str, text: str) -> Optional[Dict[str, Any]]:
    """Have the error of the running cell drawn as a notice with a button that restarts and goes on.

    ``about`` says in a word or two what the restart is for, ``text`` why it is needed. Returns the
    answer, if one came.
    """
    return ask(host, "restart", reason=reason, about=about, text=text, now=False)


def restart(
    host: Host,
    reason: str,
    about: str,
    kernel: str = "",
    alone: bool = False,
    batch: Optional[List[str]] = None,
) -> Optional[Dict[str, Any]]:
    """Restart the kernel; return None where that is under way, so that the cell may end.

    Otherwise return the answer of the extension, whose ``status`` says why there is no restart; a
    second one for the same reason, in cells that a restart has run, is refused. ``kernel``: switch
    the notebook to the kernel of this name instead. ``alone``: run no cell afterwards. To be called
    as the last act of a cell: what is queued behind it is refused from now on. A server that runs
    the cells waits for its end, and runs those of ``batch`` again; a page knows them itself.
    """
    data = {"reason": reason, "about": about, "kernel": kernel, "alone": alone, "now": True}
    if runs_on_server(host):
        accept = _refuse_queue(host.shell.kernel, GRACE)
        reply = ask(host, "restart", **data, cells=batch or []) or {"status": "silent"}
        if reply["status"] == "ok":
            return None
        accept()
        return reply

    def begin() -> Dict[str, Any]:
        answer = ask(host, "restart", **data) or {"status": "silent"}
        if answer["status"] == "ok":
            time.sleep(GRACE)  # ended by the interrupt that every restart begins with
            answer = {"status": "late"}
        return answer

    return _until_interrupted(host, begin)


def restart_by_server(host: Host, server: Server, kernel: str) -> None:
    """Have the Jupyter server restart this kernel, for pages without the extension.

    `NotebookError` where that is not under way. To be called as the last act of a cell; no cell is
    run afterwards. The page is not told: where it runs a cell in the moment in which the new
    kernel starts, it may miss what that shows.
    """

    def begin() -> NoReturn:
        try:
            server.ask("POST", f"api/kernels/{kernel}/restart", GRACE)  # cut off by the interrupt
        except ServerError as error:
            if error.code != "late":
                raise
        raise late()

    _until_interrupted(host, begin)


def late() -> NotebookError:
    """Return the error of a restart that was asked for, and has not come."""
    return NotebookError(
        "The kernel has not been restarted yet; it may still be, and then its variables are lost.",
        "Save those that you need, or restart it in the front end's menu.",
        code="restart-late",
    )


def _until_interrupted(host: Host, begin: Callable[[], Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    """Refuse queued cells; return what ``begin`` returns, or None where it was interrupted."""
    accept = _refuse_queue(host.shell.kernel, GRACE + ENDING)
    try:
        answer = begin()
    except KeyboardInterrupt:
        _refuse_queue(host.shell.kernel, ENDING)
        return None
    except NotebookError:
        accept()
        raise
    accept()
    return answer


def _refuse_queue(kernel: Any, seconds: float) -> Callable[[], None]:
    """Abort every execute request for a while; return a function that accepts them again.

    A kernel internal: where it is not as expected, nothing is refused.
    """
    handlers = getattr(kernel, "shell_handlers", {})
    abort = getattr(kernel, "_send_abort_reply", None)
    if "execute_request" not in handlers or abort is None:
        return lambda: None
    original = kernel.execute_request  # bound: a second refusal does not wrap the first
    until = time.monotonic() + seconds

    def accept() -> None:
        handlers["execute_request"] = original

    async def refuse(stream: Any, ident: Any, parent: Any) -> Any:
        if time.monotonic() > until:
            accept()
            done = original(stream, ident, parent)
            return await done if hasattr(done, "__await__") else done
        return abort(stream, parent, ident)

    handlers["execute_request"] = refuse
    return accept
