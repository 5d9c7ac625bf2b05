"""Restart a kernel once its cell has ended, and run the setup cell and what was under way."""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List, Set

from .document import find_cells
from .executors import PAUSE, Executor

#: Seconds that the cell which asks for the restart may take to end.
ENDING = 20.0
#: Kernel → the reasons of its restarts, until the last of its cells was run again.
_BUSY: Dict[str, Set[str]] = {}
#: The restarts that are under way, and their kernels.
_TASKS: Dict[asyncio.Task[None], str] = {}


def restart(executor: Executor, kernel: str, path: str, document: Any, data: Any) -> Dict[str, Any]:
    """Have the kernel restarted when its cell has ended; the reply is sent before."""
    reason, sources = data.get("reason"), data.get("cells")
    if not isinstance(reason, str) or not _is_texts(sources) or data.get("kernel"):
        return {"status": "refused"}
    if data.get("now") is not True:
        return {"status": "no-button"}
    reasons = _BUSY.setdefault(kernel, set())
    if reason in reasons:
        return {"status": "again"}
    queue = executor.queue(kernel, document)
    rerun = [] if data.get("alone") else find_cells(document, queue, sources)
    reasons.add(reason)
    task = asyncio.ensure_future(_restart(executor, kernel, path, document, rerun))
    _TASKS[task] = kernel
    task.add_done_callback(_forget)
    return {"status": "ok"}


def _forget(task: asyncio.Task[None]) -> None:
    kernel = _TASKS.pop(task)
    if kernel not in _TASKS.values():
        _BUSY.pop(kernel, None)


async def _restart(
    executor: Executor, kernel: str, path: str, document: Any, cells: List[Any]
) -> None:
    try:
        await _until_idle(executor, kernel, document)
        await executor.restart(kernel, path)
        for cell in cells:
            if not await executor.run(kernel, path, cell):
                break
    except Exception:
        executor.app.log.exception("colab_magics: kernel %s was not restarted", kernel)


async def _until_idle(executor: Executor, kernel: str, document: Any) -> None:
    """Wait until nothing is queued: what is behind the asking cell is refused by the kernel."""
    manager = executor.app.kernel_manager
    for _ in range(int(ENDING / PAUSE)):
        await asyncio.sleep(PAUSE)
        is_idle = manager.get_kernel(kernel).execution_state == "idle"
        if is_idle and not executor.queue(kernel, document):
            return


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
