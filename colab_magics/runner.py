"""``colab-magics run``: a notebook from top to bottom in a fresh kernel, its setup cell kept.

This process owns the file. The kernel puts the setup cell into a shared folder (see
`notebook.writers.run`); at the end both it and the outputs go into the notebook, in one write.
"""

import json
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from . import files
from .errors import NotebookError
from .notebook.document import Document
from .notebook.locate import RUN_VARIABLE, held_by
from .notebook.writers.run import exchange_read, exchange_write
from .setup.cell import is_setup, parse

__all__ = ["Failure", "Result", "run"]

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
    """How to run: seconds for each cell (None: no limit), and an installed kernel's name."""

    timeout: Optional[int] = None
    kernel: str = ""


def run(path: Path, output: Optional[Path], options: Options, say: Say) -> Result:
    """Run a notebook and save it, with its setup cell, at ``output`` or in its place.

    Raises `NotebookError`, having run nothing, where the file could not be written safely.
    """
    data = files.read(path)
    document = Document.parse(data, path.name)
    text = document.setup_text(is_setup)
    parse(text or "")
    if output is None:
        _refuse_unwritable(path)
    shared = files.private_folder("colab-magics-run-")
    try:
        exchange_write(shared, text)
        done, failure = _until_done(document, path.parent, shared, options, say)
        setup = exchange_read(shared)
        if setup is not None and failure is None:
            parse(setup)
        final = done.with_setup(setup, is_setup)
        written = _save(final, path, output, data)
        return Result(output or path, setup, setup != text, written, failure)
    finally:
        shutil.rmtree(shared, ignore_errors=True)


def _refuse_unwritable(path: Path) -> None:
    """Better before the run than after it."""
    if not path.stat().st_mode & 0o200 or not os.access(path, os.W_OK):
        raise NotebookError(f"{path.name} is read-only.", "Make it writable, or use --output.")
    holder = held_by(path)
    if holder:
        raise NotebookError(f"{path.name}: {holder}.", "Close it there, or use --output.")


def _save(final: Document, path: Path, output: Optional[Path], data: bytes) -> bool:
    """Save in place of what was read; a file that changed meanwhile is left, ours put beside it."""
    if output is not None:
        before = output.read_bytes() if output.exists() else None
        if before is None:
            output.write_bytes(b" ")
        return files.replace(output, final.encode(), expected=before or b" ")
    try:
        return files.replace(path, final.encode(), expected=data)
    except NotebookError as error:
        beside = path.with_name(f"{path.stem}-run{path.suffix}")
        beside.write_bytes(final.encode())
        raise NotebookError(error.what, f"The run was saved as {beside.name}.") from None


# ---------------------------------------------------------------------- the kernel
def _until_done(
    document: Document, folder: Path, shared: Path, options: Options, say: Say
) -> Tuple[Document, Optional[Failure]]:
    """Run from the top; again after each `RestartRequired`, once for each reason."""
    reasons: Set[str] = set()
    while True:
        done, failure = _once(document, folder, shared, options, say)
        if failure is None or failure.name != "RestartRequired" or failure.message in reasons:
            return done, failure
        reasons.add(failure.message)
        say(f"restarting the kernel and running from the top: {failure.message.splitlines()[0]}")


def _once(
    document: Document, folder: Path, shared: Path, options: Options, say: Say
) -> Tuple[Document, Optional[Failure]]:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    node = nbformat.reads(document.text, as_version=4)
    progress = _Progress(len(node.cells), say)
    client = NotebookClient(
        node,
        timeout=options.timeout,
        record_timing=False,
        resources={"metadata": {"path": str(folder.resolve())}},
        on_cell_start=progress.begin,
        on_cell_executed=progress.end,
    )
    client.km = _manager(shared, options.kernel)  # given later, so that the client ends it
    failure: Optional[Failure] = None
    try:
        client.execute(env={**os.environ, RUN_VARIABLE: str(shared)}, cwd=str(folder.resolve()))
    except CellExecutionError as error:
        failure = Failure(progress.cell, error.ename, error.evalue)
    except CellTimeoutError:
        failure = Failure(progress.cell, "CellTimeout", f"not done in {options.timeout} s")
    except (DeadKernelError, KeyboardInterrupt):
        failure = Failure(progress.cell, "KernelDied", "the kernel was interrupted or ended")
    return _with_outputs(document, node), failure


def _manager(shared: Path, kernel: str) -> Any:
    """A manager for a kernel of this very interpreter, or of an installed kernelspec."""
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

    class ThisPython(KernelSpecManager):  # type: ignore[misc]
        """Every name is this interpreter: a kernelspec elsewhere might be another one."""

        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            argv.append("--log-level=ERROR")
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    connection = (shared / "connection.json").resolve()
    (shared / "kernel").write_text(str(connection), encoding="utf-8")
    manager = AsyncKernelManager(connection_file=str(connection))
    if kernel:
        manager.kernel_name = kernel
    else:
        manager.kernel_spec_manager = ThisPython()
    return manager


class _Progress:
    """One line for each code cell: its number, its first line, its seconds."""

    def __init__(self, total: int, say: Say) -> None:
        self.total, self.say, self.cell = total, say, 0
        self._started = 0.0

    def begin(self, cell: Any, cell_index: int) -> None:
        """A cell is about to run."""
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
