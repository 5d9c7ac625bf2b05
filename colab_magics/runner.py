"""``colab-magics run``: a notebook from top to bottom in a fresh kernel, its setup cell kept.

This process owns the file. The kernel puts the setup cell into a shared folder (see
`notebook.writers.run`); at the end both it and the outputs go into the notebook, in one write.
"""

import asyncio
import atexit
import json
import os
import re
import shutil
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Callable, Dict, List, NoReturn, Optional, Set, Tuple

from . import files
from .errors import NotebookError
from .notebook.document import Document
from .notebook.kept import KEPT
from .notebook.locate import RUN_VARIABLE
from .notebook.manager import manager
from .notebook.servers import held_by
from .notebook.writers.run import FILE, exchange_read, exchange_write
from .pins.environments.make import ensure
from .pins.environments.pythons import runs
from .pins.step import PinStep
from .setup.cell import is_setup, parse

__all__ = ["Failure", "Options", "Result", "run"]

#: The debugger of older ipykernels warns of frozen modules, which nobody asked about.
_QUIET = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Failure:
    """The cell (counted from 1 in the file as it was) that ended the run, and its error."""

    cell: int
    name: str
    message: str


@dataclass(frozen=True)
class Result:
    """What a run came to. ``written`` says whether the file changed."""

    path: Path
    setup: Optional[str]
    changed: bool
    written: bool
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


def run(path: Path, output: Optional[Path], options: Options, say: Say) -> Result:
    """Run a notebook and save it, with its setup cell, at ``output`` or in its place.

    Raises `NotebookError`, having run nothing, where the file could not be written safely.
    """
    data = files.read(path)
    document = Document.parse(data, path.name)
    text = document.setup_text(is_setup)
    parse(text or "")
    _refuse_other_languages(document, options)
    if output is not None and output.exists() and output.samefile(path):
        output = None
    _refuse_unwritable(path if output is None else output)
    shared = files.private_folder("colab-magics-run-")
    try:
        exchange_write(shared, text)
        exchange_write(shared, str(path.resolve()), FILE)
        for what, find in KEPT.items():
            exchange_write(shared, find(document.metadata), what)
        options = _elsewhere(options, options.python or _python_of(text or ""), path, say)
        done, failure = _until_done(document, path, shared, options, say)
        setup = exchange_read(shared)
        final = done.with_setup(setup, is_setup)
        for what in KEPT:
            final = final.with_kept(what, exchange_read(shared, what))
        written = _save(final, path, output, data)
        return Result(output or path, setup, setup != text, written, failure)
    finally:
        shutil.rmtree(shared, ignore_errors=True)


def _refuse_other_languages(document: Document, options: Options) -> None:
    metadata = document.metadata
    told = (
        metadata.get("language_info", {}).get("name"),
        metadata.get("kernelspec", {}).get("language"),
    )
    other = [name for name in told if name and str(name).lower() not in {"python", "ipython"}]
    if other and not options.kernel:
        raise NotebookError(
            f"This notebook is written in {other[0]}, and would be run as Python.",
            "Name its kernel: --kernel NAME",
        )


def _refuse_unwritable(path: Path) -> None:
    """Better before the run than after it."""
    if not path.parent.is_dir() or path.is_dir():
        raise NotebookError(f"{path} cannot be written there.", "Name a file in a folder.")
    if path.exists() and not (path.stat().st_mode & 0o200 and os.access(path, os.W_OK)):
        raise NotebookError(f"{path.name} is read-only.", "Make it writable, or use --output.")
    holder = held_by(path)
    if holder:
        raise NotebookError(f"{path.name}: {holder}.", "Close it there, or use --output.")


def _save(final: Document, path: Path, output: Optional[Path], data: bytes) -> bool:
    """Save in place of what was read; a file that changed meanwhile is left, ours put beside it."""
    if output is not None:
        if not output.exists() or not output.stat().st_size:
            output.write_bytes(b" ")
        return files.replace(output, final.encode(), expected=output.read_bytes())
    try:
        return files.replace(path, final.encode(), expected=data)
    except NotebookError as error:
        names = (f"{path.stem}-run{n or ''}{path.suffix}" for n in count())
        beside = next(p for p in map(path.with_name, names) if not p.exists())
        beside.write_bytes(final.encode())
        raise NotebookError(error.what, f"The run was saved as {beside.name}.") from None


# ---------------------------------------------------------------------- the kernel
def _until_done(
    document: Document, path: Path, shared: Path, options: Options, say: Say
) -> Tuple[Document, Optional[Failure]]:
    """Run from the top; again after each `RestartRequired`, once for each reason."""
    reasons: Set[str] = set()
    while True:
        done, failure = _started(document, path.parent, shared, options, say)
        if failure is None or failure.name not in {"RestartRequired", "OtherPython"}:
            return done, failure
        reason = re.sub(r" \([^)]*\)", "", failure.message)  # less how many modules are loaded
        if reason in reasons:
            return done, failure
        reasons.add(reason)
        say(f"restarting the kernel and running from the top: {failure.message.splitlines()[0]}")
        if failure.name == "OtherPython":
            options = _elsewhere(options, _ASKED.findall(failure.message)[0], path, say)


#: The version in the message of an `OtherPython`.
_ASKED = re.compile(r"asks for Python ([\d.]+);")


def _python_of(text: str) -> str:
    """The Python that the lines of a setup cell ask for; empty where they ask for none."""
    steps = (line.step for line in parse(text))
    return next((step.python for step in steps if isinstance(step, PinStep) and step.python), "")


def _elsewhere(options: Options, version: str, path: Path, say: Say) -> Options:
    """Run on that Python: this one where it is, else in the notebook's environment for it."""
    if options.kernel or runs(version):
        return options
    made = ensure(path, version, lambda said: say(said if isinstance(said, str) else said.lines[0]))
    return replace(options, interpreter=str(made.interpreter))


class _NotStarted(NotebookError):
    """The kernel has ended before it ran a cell."""


def _started(
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
