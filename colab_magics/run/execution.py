"""One run of a notebook's cells, from the top, in a fresh kernel that ends with it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

from ..core.errors import NotebookError
from ..core.signals import SignalCounter
from ..notebook.document import Document
from ..notebook.locate import RUN_VARIABLE
from ..notebook.writers.run import RESUMED, STATUS, exchange_read
from ..pin.environments.interpreters import KERNEL_OPTIONS
from .console import Console

#: The debugger of older ipykernels warns of frozen modules, which nobody asked about.
_QUIET = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}
#: Seconds between two looks at whether a signal has come, or it is time to save.
TICK = 0.1
#: Seconds that an interrupted cell has to end, and its kernel behind it, before it is killed.
GRACE, ENDING = 2.5, 1.0
#: Seconds after which the outputs so far are saved; a cell that took so long is saved at its end.
EVERY, LONG = 60.0, 10.0
#: The most of what a kernel that died had printed, in bytes.
LAST_WORDS = 2000
#: The part of the time that saving in between may take.
SHARE = 0.1

#: Cell, counted from 0 → what it has now: its count and its outputs, as messages have them.
Run = Dict[int, Dict[str, Any]]


@dataclass(frozen=True)
class Failure:
    """The cell (counted from 1 in the file as it was) that ended the run, and its error."""

    cell: int
    name: str
    message: str
    #: The stable code of an error of ours; empty for others.
    code: str = ""

    def as_json(self) -> Dict[str, str]:
        """Return the error as JSON has it."""
        return {"name": self.name, "message": self.message, "code": self.code}


class Cell(NamedTuple):
    """A cell to run in place of the notebook's; with ``may_fail`` the run goes on after it."""

    source: str
    may_fail: bool = False


@dataclass(frozen=True)
class Outcome:
    """What the cells that ran came to, and the one that has failed."""

    ran: Run
    failure: Optional[Failure] = None


@dataclass(frozen=True)
class Options:
    """How to run: seconds for each cell (None: no limit), an installed kernel's name, or another
    Python, in an environment of its own.
    """

    timeout: Optional[int] = None
    kernel: str = ""
    python: str = ""
    interpreter: str = sys.executable
    #: Whether cells that were done before a checkpoint are shown instead of run.
    resume: bool = False
    #: What is run in the place of the notebook's cells; their outputs are not saved.
    cells: Tuple[Cell, ...] = ()
    #: Whether no line of the notebook leads to another interpreter.
    is_fixed: bool = False


@dataclass(frozen=True)
class Task:
    """What to run: a notebook, in a folder, with a folder that its kernel shares with us.

    A signal (counted in ``signals``) ends the run within some seconds. ``save`` is called now and
    then with the outputs so far, in another thread, and never twice at once. ``restarts`` tells
    whether the cell that ends with an error of this name is run again, in a fresh kernel.
    """

    document: Document
    folder: Path
    shared: Path
    options: Options
    console: Console
    signals: SignalCounter
    save: Callable[[Run], None]
    restarts: Callable[[str], bool]


class _NotStarted(NotebookError):
    """The kernel of the notebook cannot be started."""

    code = "kernel-not-started"


def execute(task: Task) -> Outcome:
    """Run the cells of a notebook once; try again where the kernel did not start.

    Ports are chosen before the kernel takes them, so that another program may be faster.
    """
    try:
        return asyncio.run(_Execution(task).main())
    except _NotStarted:
        if task.signals.count:
            raise
        return asyncio.run(_Execution(task).main())


class _Client(NotebookClient):  # type: ignore[misc]
    """Passes on the messages of our magics: `extension.output` marks them for who runs the cell."""

    console: Console

    def process_message(self, msg: Dict[str, Any], cell: Any, cell_index: int) -> Any:
        """See ``NotebookClient``."""
        content = msg["content"]
        if (content.get("transient") or {}).get("colab_magics"):
            self.console.message(str(content.get("data", {}).get("text/plain", "")))
        return super().process_message(msg, cell, cell_index)


class _Execution:
    """One kernel, from its start to its end."""

    def __init__(self, task: Task) -> None:
        self._signals, self._options, self._console = task.signals, task.options, task.console
        self._restarts, self._shared = task.restarts, task.shared
        self._blank: List[Any] = []  # the outputs of a cell that has not run
        node = _make_node(task.document, self._blank, task.options.cells)
        self._cells = node.cells
        self._cell = 0  # counted from 1: the one that runs, or ran last
        self._started = 0.0
        self._killed = False  # not asked to end, which it would not do
        self._saves = _Saves(task.save)
        self._manager = _make_manager(task)
        #: Not passed on: a kernel that ends may print a traceback that says nothing of the run.
        self._stderr = task.shared / "kernel.stderr"
        self._cwd = str(task.folder.resolve())
        self._variables = {**os.environ, RUN_VARIABLE: str(task.shared), **_QUIET}
        self._client = _Client(
            node,
            km=self._manager,
            timeout=task.options.timeout,
            record_timing=False,
            resources={"metadata": {"path": self._cwd}},
            on_cell_executed=self._report,
        )
        self._client.console = task.console

    async def main(self) -> Outcome:
        """Run the cells until a signal comes, and end the kernel."""
        failure: Optional[Failure] = None
        try:
            await self._start_kernel()
            running = asyncio.ensure_future(self._run_cells())
            await self._watch(running)
            if not running.done():
                await self._interrupt(running)
            failure = self._failure(_error(running))
        except (RuntimeError, OSError) as error:  # there is no such program
            failure = self._failure(error)
        finally:
            self._console.clear()
            await self._saves.end()
            await self._end_kernel()
        return Outcome(self._ran(), failure)

    async def _start_kernel(self) -> None:
        """Start its process; not cut short by a signal, which would leave it without an owner."""
        with self._stderr.open("wb") as stderr:
            await self._client.async_start_new_kernel(
                env=self._variables, cwd=self._cwd, stderr=stderr
            )

    async def _run_cells(self) -> None:
        client = self._client
        await client.async_start_new_kernel_client()
        for at, cell in enumerate(self._cells):
            if self._signals.count:
                return
            self._cell, self._started = at + 1, time.monotonic()
            if cell.cell_type == "code":
                self._console.cell_begins(at + 1, len(self._cells), cell.source)
            await client.async_execute_cell(
                cell, at, execution_count=client.code_cells_executed + 1
            )
            self._saves.cell_ended(time.monotonic() - self._started)

    async def _watch(self, running: asyncio.Future[None]) -> None:
        """Wait until the cells have run or a signal comes; save now and then."""
        while not running.done() and not self._signals.count:
            await asyncio.wait({running}, timeout=TICK)
            self._console.update()
            if self._saves.due():
                self._saves.begin(self._ran())

    async def _interrupt(self, running: asyncio.Future[None]) -> None:
        """End the cell that runs; another signal, or its not ending, ends the waiting."""
        if self._cell:
            with suppress(RuntimeError, OSError):
                await self._manager.interrupt_kernel()
            await self._wait(running, GRACE)
        if not running.done():
            self._killed = True
            running.cancel()
            await asyncio.wait({running}, timeout=ENDING)

    async def _wait(self, task: asyncio.Future[None], seconds: float) -> None:
        """Wait for a task for some seconds at most, and not after a second signal."""
        until = time.monotonic() + seconds
        while not task.done() and time.monotonic() < until and self._signals.count < 2:
            await asyncio.wait({task}, timeout=TICK)

    async def _end_kernel(self) -> None:
        """Ask the kernel to end; after a signal it has a second for that, if it is not busy."""
        manager, client = self._manager, self._client
        if manager.has_kernel:
            ending = asyncio.ensure_future(manager.shutdown_kernel(now=self._killed))
            while not ending.done() and not self._signals.count:
                await asyncio.wait({ending}, timeout=TICK)
            await self._wait(ending, ENDING)
            if not ending.done():
                with suppress(RuntimeError, OSError):
                    await manager.signal_kernel(getattr(signal, "SIGKILL", signal.SIGTERM))
            await asyncio.wait({ending})
            _error(ending)
        if client.kc is not None:
            client.kc.stop_channels()

    def _failure(self, error: Optional[BaseException]) -> Optional[Failure]:
        if isinstance(error, CellExecutionError):
            return self._failed(error.ename, error.evalue)
        if isinstance(error, CellTimeoutError):
            return Failure(self._cell, "CellTimeout", f"not done in {self._options.timeout} s")
        if error is None or self._signals.count:
            return None
        if not self._cell:
            raise _NotStarted(
                "The kernel did not start.", "Try another: --kernel NAME", self._last_words()
            ) from None
        if isinstance(error, (RuntimeError, OSError)):  # nbclient, of a kernel that is gone
            message = f"the kernel has ended\n{self._last_words()}".rstrip()
            return Failure(self._cell, "KernelDied", message)
        return Failure(self._cell, type(error).__name__, str(error))

    def _last_words(self) -> str:
        """Return the end of what the kernel's process printed outside of cells."""
        with suppress(OSError), self._stderr.open("rb") as file:
            file.seek(max(0, self._stderr.stat().st_size - LAST_WORDS))
            return file.read().decode(errors="replace").strip()
        return ""

    def _report(self, cell: Any, cell_index: int, execute_reply: Dict[str, Any]) -> None:
        reply = execute_reply.get("content", {})
        result = "done before" if cell_index + 1 in self._read_resumed() else "ok"
        error = None
        if reply.get("status") != "ok":
            name, message = str(reply.get("ename")), str(reply.get("evalue"))
            result = "restart" if self._restarts(name) else "failed"
            error = self._failed(name, message).as_json()
        self._console.cell_ends(result, error)

    def _failed(self, name: str, message: str) -> Failure:
        """Return the error of the cell that runs, with the code that the kernel has noted."""
        with suppress(TypeError, ValueError):
            noted, _, code = json.loads(exchange_read(self._shared, STATUS) or "[]")
            return Failure(self._cell, name, message, str(code) if noted == name else "")
        return Failure(self._cell, name, message)

    def _read_resumed(self) -> List[int]:
        """Return the numbers of the cells that the kernel only shows, as it says itself."""
        with suppress(ValueError):
            numbers = json.loads(exchange_read(self._shared, RESUMED) or "[]")
            return numbers if isinstance(numbers, list) else []
        return []

    def _ran(self) -> Run:
        if self._options.cells:
            return {}
        return {
            at: {
                "execution_count": cell.get("execution_count"),
                "outputs": [_copy(output) for output in cell.outputs],
            }
            for at, cell in enumerate(self._cells)
            if cell.cell_type == "code" and cell.outputs is not self._blank
        }


class _Saves:
    """When to save what there is so far, so that a run which is killed loses a minute."""

    def __init__(self, save: Callable[[Run], None]) -> None:
        self._save = save
        self._task: Optional[asyncio.Future[None]] = None
        self._next = time.monotonic() + EVERY
        self._earliest = 0.0

    def cell_ended(self, seconds: float) -> None:
        """Make a save due at once after a cell that took long."""
        if seconds >= LONG:
            self._next = time.monotonic()

    def due(self) -> bool:
        """Tell whether it is time to save; not if that would take too much of the time."""
        idle = self._task is None or self._task.done()
        return idle and time.monotonic() >= max(self._next, self._earliest)

    def begin(self, ran: Run) -> None:
        """Save in another thread: a message that nobody receives meanwhile may be lost."""
        self._task = asyncio.get_running_loop().run_in_executor(None, self._timed, ran)
        self._next = time.monotonic() + EVERY

    def _timed(self, ran: Run) -> None:
        started = time.monotonic()
        with suppress(Exception):  # it is tried again at the end, and explained then
            self._save(ran)
        now = time.monotonic()
        self._earliest = now + (now - started) / SHARE

    async def end(self) -> None:
        """Wait until nothing is being saved."""
        if self._task is not None:
            await asyncio.wait({self._task})


def _error(task: asyncio.Future[None]) -> Optional[BaseException]:
    """Return the error that ended a task; asyncio logs one that nobody asks for."""
    return task.exception() if task.done() and not task.cancelled() else None


def _make_node(document: Document, outputs: List[Any], instead: Sequence[Cell]) -> Any:
    """Return the notebook as nbclient takes it, each cell with these outputs."""
    cells = [{"metadata": {}, **head, "source": document.source(head)} for head in document.heads]
    if instead:
        tags: List[List[str]] = [["raises-exception"] * each.may_fail for each in instead]
        cells = [
            {"cell_type": "code", "metadata": {"tags": tag}, "source": each.source}
            for each, tag in zip(instead, tags)
        ]
    node = nbformat.from_dict(
        {"cells": cells, "metadata": document.metadata, "nbformat": 4, "nbformat_minor": 5}
    )
    for cell in node.cells:
        cell.outputs = outputs
    return node


def _copy(output: Any) -> Dict[str, Any]:
    """Return an output that does not change when the kernel goes on."""
    copy = dict(output)
    if "data" in copy:
        copy["data"] = dict(copy["data"])
    return copy


def _make_manager(task: Task) -> Any:
    options = task.options

    class FixedPython(KernelSpecManager):  # type: ignore[misc]
        """Every name is that interpreter: a kernelspec elsewhere might be another one."""

        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            argv = [options.interpreter, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            argv.append("--log-level=ERROR")
            argv += KERNEL_OPTIONS if options.interpreter != sys.executable else ()
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    connection = str((task.shared / "connection.json").resolve())
    (task.shared / "kernel").write_text(connection, encoding="utf-8")
    manager = AsyncKernelManager(connection_file=connection)
    if not options.kernel:
        manager.kernel_spec_manager = FixedPython()
        return manager
    manager.kernel_name = options.kernel
    try:
        _ = manager.kernel_spec
    except NoSuchKernel as error:
        raise NotebookError(
            f"There is no kernel {error.name}.",
            "They are named by: jupyter kernelspec list",
            code="no-kernel",
        ) from None
    return manager
