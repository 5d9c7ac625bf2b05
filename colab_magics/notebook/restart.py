"""Restarting the kernel through the front-end extension, which then goes on with the cells.

The kernel cannot restart itself and stay with its notebook. The extension can, and it alone knows
which cells were under way. Measured on ipykernel 6.29 and 7.4: a restart begins with an interrupt,
and the first queued cell may still run in the old process; so the queue is refused before.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, NoReturn, Optional

from ..core.errors import NotebookError, ServerError
from ..core.host import Host
from .comm import ask
from .servers import Server

#: Seconds that the front end may take from its answer to the interrupt.
GRACE = 20.0
#: Seconds that queued cells are refused after the interrupt; the process ends within them.
ENDING = 5.0


def offer(host: Host, reason: str, about: str) -> Optional[Dict[str, Any]]:
    """Have a button drawn below the running cell that restarts and goes on; the answer, if any.

    ``about`` says in a word or two what the restart is for.
    """
    return ask(host, "restart", reason=reason, about=about, now=False)


def restart(
    host: Host, reason: str, about: str, kernel: str = "", alone: bool = False
) -> Optional[Dict[str, Any]]:
    """Have the kernel restarted now; None where that is under way, so that the cell may end.

    ``kernel`` is the name of another one, which the notebook is switched to instead; ``alone``:
    no cell is run then.

    A second time for the same reason, in what a restart has run, is refused. Otherwise it gives
    the answer of the extension, whose ``status`` says why there is no restart. To be called as
    the last act of a cell: what is queued behind it is refused from now on.
    """
    data = {"reason": reason, "about": about, "kernel": kernel, "alone": alone, "now": True}

    def begin() -> Dict[str, Any]:
        answer = ask(host, "restart", **data) or {"status": "silent"}
        if answer["status"] == "ok":
            time.sleep(GRACE)  # ended by the interrupt that every restart begins with
            answer = {"status": "late"}
        return answer

    return _leave(host, begin)


def restart_by_server(host: Host, server: Server, kernel: str) -> None:
    """Have the Jupyter server restart this kernel, so that the cell may end; nothing is run then.

    `NotebookError` where that is not under way. To be called as the last act of a cell.

    For pages without the extension: they hear nothing of it, and one that runs a cell in the
    moment in which the new kernel starts may miss what that shows.
    """
    path = f"api/kernels/{kernel}/restart"

    def begin() -> NoReturn:
        try:
            server.ask("POST", path, GRACE)  # cut off by the interrupt, as above
        except ServerError as error:
            if error.code != "late":
                raise
        raise late()

    _leave(host, begin)


def late() -> NotebookError:
    """The error of a restart that was asked for, and has not come."""
    return NotebookError(
        "The kernel has not been restarted yet; it may still be, and then its variables are lost.",
        "Save what you need of them, or restart it in the front end's menu.",
    )


def _leave(host: Host, begin: Callable[[], Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    """What ``begin`` gives where the kernel does not end meanwhile, else None."""
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
    """Abort every execute request for a while; returns what accepts them again.

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
