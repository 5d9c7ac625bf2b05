"""One run of a notebook's cells, from the top, in a fresh kernel that ends with it."""

import asyncio
import atexit
import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, NoReturn, Optional, Tuple

from .errors import NotebookError
from .notebook.document import Document
from .notebook.locate import RUN_VARIABLE
from .notebook.manager import manager

__all__ = ["Failure", "Options", "Say", "execute"]

#: The debugger of older ipykernels warns of frozen modules, which nobody asked about.
_QUIET = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}

#: Called with each line of progress.
Say = Callable[[str], None]


@dataclass(frozen=True)
class Failure:
    """The cell (counted from 1 in the file as it was) that ended the run, and its error."""

    cell: int
    name: str
    message: str


@dataclass(frozen=True)
class Options:
    """How to run: seconds for each cell (None: no limit), an installed kernel's name, or another
    Python, in an environment of its own.
    """

    timeout: Optional[int] = None
    kernel: str = ""
    python: str = ""
    interpreter: str = sys.executable


class _NotStarted(NotebookError):
    """The kernel has ended before it ran a cell."""


def execute(
    document: Document, folder: Path, shared: Path, options: Options, say: Say
) -> Tuple[Document, Optional[Failure]]:
    """Run once; a kernel that did not start is tried again.

    Ports are chosen before the kernel takes them, so that another program may be faster.
    """
    try:
        return _once(document, folder, shared, options, say)
    except _NotStarted:
        return _once(document, folder, shared, options, say)


def _once(
    document: Document, folder: Path, shared: Path, options: Options, say: Say
) -> Tuple[Document, Optional[Failure]]:
    import nbformat
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    node = nbformat.reads(document.text, as_version=4)
    progress = _Progress(len(node.cells), say)
    client = _client(node, folder, options, progress)
    # Given later, so that the client ends it.
    client.km = manager(shared, options.kernel, options.interpreter)
    failure: Optional[Failure] = None
    try:
        client.execute(
            env={**os.environ, RUN_VARIABLE: str(shared), **_QUIET}, cwd=str(folder.resolve())
        )
    except CellExecutionError as error:
        failure = Failure(progress.cell, error.ename, error.evalue)
    except CellTimeoutError:
        failure = Failure(progress.cell, "CellTimeout", f"not done in {options.timeout} s")
    except KeyboardInterrupt:  # only where Ctrl-C cannot be handled: on Windows
        progress.stopped = True
    except (RuntimeError, OSError):  # so says nbclient of a kernel that is gone or has no program
        if not progress.cell:
            atexit.unregister(client._cleanup_kernel)  # nbclient's, which needs a kernel
            _not_started(progress.stopped)
        failure = Failure(progress.cell, "KernelDied", "the kernel has ended")
    if progress.stopped:
        failure = Failure(progress.cell, "KeyboardInterrupt", "the run was interrupted")
    return _with_outputs(document, node), failure


def _not_started(stopped: bool) -> NoReturn:
    if stopped:
        raise KeyboardInterrupt
    raise _NotStarted("The kernel did not start.", "Try another: --kernel NAME") from None


def _client(node: Any, folder: Path, options: Options, progress: "_Progress") -> Any:
    """A client that on Ctrl-C ends the cell; nbclient's own way loses what it has put out."""
    from nbclient import NotebookClient

    class Interruptible(NotebookClient):  # type: ignore[misc]
        """Called at the start, so that these handlers take the place of nbclient's."""

        async def async_start_new_kernel(self, **kwargs: Any) -> None:
            loop = asyncio.get_running_loop()
            with suppress(NotImplementedError):  # Windows has none
                for number in (signal.SIGINT, signal.SIGTERM):
                    loop.add_signal_handler(number, progress.stop, self.km)
            await super().async_start_new_kernel(**kwargs)

    return Interruptible(
        node,
        timeout=options.timeout,
        record_timing=False,
        resources={"metadata": {"path": str(folder.resolve())}},
        on_cell_start=progress.begin,
        on_cell_executed=progress.end,
    )


class _Progress:
    """One line for each code cell: its number, its first line, its seconds."""

    def __init__(self, total: int, say: Say) -> None:
        self.total, self.say, self.cell = total, say, 0
        self.stopped = False
        self._started = 0.0
        self._task: Any = None

    def stop(self, manager: Any) -> None:
        """Interrupt the kernel; asked again, end it."""
        again, self.stopped = self.stopped, True
        if manager.has_kernel:
            ending = manager.shutdown_kernel(now=True) if again else manager.interrupt_kernel()
            self._task = asyncio.ensure_future(ending)

    def begin(self, cell: Any, cell_index: int) -> None:
        """A cell is about to run; none is after Ctrl-C."""
        if self.stopped:
            raise RuntimeError
        self.cell, self._started = cell_index + 1, time.monotonic()

    def end(self, cell: Any, cell_index: int, execute_reply: Dict[str, Any]) -> None:
        """A code cell has run."""
        first = next((line for line in cell.source.splitlines() if line.strip()), "")
        status = execute_reply.get("content", {}).get("status", "?")
        took = f"{time.monotonic() - self._started:5.1f} s"
        mark = "ok    " if status == "ok" else "failed"
        self.say(f"[{cell_index + 1:>3}/{self.total}] {mark} {took}  {first[:70]}")


def _with_outputs(document: Document, node: Any) -> Document:
    """The notebook with the outputs of a run; nbformat itself writes them in their stored form."""
    import nbformat

    ran: List[Dict[str, Any]] = json.loads(nbformat.writes(node))["cells"]
    for at, cell in enumerate(ran):
        if cell["cell_type"] == "code":
            new = {k: cell[k] for k in ("execution_count", "outputs")}
            document = document.replaced(at, {**document.cells[at], **new})
    return document
