"""``colab-magics run``: a notebook from top to bottom in a fresh kernel, its setup cell kept.

This process owns the file. The kernel puts the setup cell into a shared folder (see
`notebook.writers.run`); both it and the outputs go into the notebook, in one write: at the end,
and now and then before it, so that a run which is killed is not lost.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from itertools import count, groupby
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from ..core import files, folders
from ..core.errors import NotebookError, input_errors
from ..core.exit_status import ExitStatus
from ..core.signals import SignalCounter, count_signals
from ..notebook.document import Document
from ..notebook.metadata_keys import READERS
from ..notebook.servers import held_by
from ..notebook.writers.run import (
    FILE,
    RESTART,
    RESUME,
    RESUMED,
    STATUS,
    exchange_read,
    exchange_write,
)
from ..pin.environments.interpreters import runs, version_of
from ..pin.environments.make import ensure
from ..pin.step import PinStep
from ..record.cell import is_setup, parse
from .console import Console
from .execution import Failure, Options, Outcome, Run, Task, execute

#: What ipykernel raises where a cell calls ``input`` and nobody can answer.
_ASKED = "StdinNotImplementedError"
#: A notebook that gives another reason each time is run from the top so often.
RESTARTS = 20


@dataclass(frozen=True)
class Result:
    """What a run came to. ``written`` says whether the file changed, ``interrupted`` whether a
    signal came before it was saved; ``status`` is what the command ends with.
    """

    path: Path
    setup: Optional[str]
    changed: bool
    written: bool
    failure: Optional[Failure] = None
    interrupted: bool = False
    status: ExitStatus = ExitStatus.OK

    def as_json(self) -> Dict[str, Any]:
        """Return it as JSON has it."""
        setup = "saved" if self.changed else "unchanged"
        return {
            "notebook": str(self.path),
            "status": int(self.status),
            "setup": setup if self.setup is not None else "none",
            "written": self.written,
            "interrupted": self.interrupted,
            "failure": self.failure and {"cell": self.failure.cell, **self.failure.as_json()},
        }


def run(path: Path, output: Optional[Path], options: Options, console: Console) -> Result:
    """Run a notebook and save it, with its setup cell, at ``output`` or in its place.

    Raises `NotebookError`, having run nothing, where the file could not be written safely, and
    ``KeyboardInterrupt`` where a signal came before a cell has run. After that one ends the run,
    not the saving.
    """
    data = files.read(path)
    document = Document.parse(data, path.name)
    text = document.setup_text(is_setup)
    python = options.python or required_python(text or "")
    _refuse_other_languages(document, options)
    if options.resume:
        _refuse_without_checkpoint(text or "", path)
    if output is not None and output.exists() and output.samefile(path):
        output = None
    _refuse_unwritable(output or path)
    with count_signals() as signals:
        with signals.interruptible():
            options = _switch_python(options, python, path, console)
        shared = folders.scratch_folder("colab-magics-run-", folders.find_room(len(data)))
        try:
            _share(shared, document, text, path)
            if options.resume:
                exchange_write(shared, "", RESUME)
            saved = _Saved(document, path, output, data, shared)
            outcome = _run_until_done(saved, options, console, signals)
            if signals.count and not outcome.ran:
                raise KeyboardInterrupt
            written = saved.finish(outcome.ran)
            setup = exchange_read(shared)
            interrupted = signals.count > 0
            status = _read_status(shared, outcome.failure)
        finally:
            shutil.rmtree(shared, ignore_errors=True)
    if interrupted:
        status = ExitStatus.INTERRUPTED
    place, failure = output or path, outcome.failure
    return Result(place, setup, setup != text, written, failure, interrupted, status)


def _read_status(shared: Path, failure: Optional[Failure]) -> ExitStatus:
    """Return the status of a run: that of the error of ours that ended it, as the kernel says."""
    if failure is None:
        return ExitStatus.OK
    if failure.name == _ASKED:
        return ExitStatus.NEEDS_PERSON
    try:
        name, status, _ = json.loads(exchange_read(shared, STATUS) or "[]")
        return ExitStatus(status) if name == failure.name else ExitStatus.FAILED
    except (TypeError, ValueError):
        return ExitStatus.FAILED


def _share(shared: Path, document: Document, text: Optional[str], path: Path) -> None:
    """Put what the kernel asks of its notebook into the folder that it shares with us."""
    exchange_write(shared, text)
    exchange_write(shared, str(path.resolve()), FILE)
    for name, get in READERS.items():
        exchange_write(shared, get(document.metadata), name)


def _refuse_without_checkpoint(text: str, path: Path) -> None:
    if not any(line.step and line.step.word == "checkpoint" for line in parse(text)):
        raise NotebookError(
            f"{path.name} has no %checkpoint line in its setup cell: nothing is kept of a run.",
            f"colab-magics setup write {path.name} %checkpoint",
            code="no-checkpoint-line",
        )


def _refuse_other_languages(document: Document, options: Options) -> None:
    metadata = document.metadata
    names = (
        metadata.get("language_info", {}).get("name"),
        metadata.get("kernelspec", {}).get("language"),
    )
    other = [name for name in names if name and str(name).lower() not in {"python", "ipython"}]
    if other and not options.kernel:
        raise NotebookError(
            f"This notebook is written in {other[0]}, and would be run as Python.",
            "Name its kernel: --kernel NAME",
            code="other-language",
        )


def _refuse_unwritable(path: Path) -> None:
    """Better before the run than after it."""
    if not path.parent.is_dir() or path.is_dir():
        raise NotebookError(f"{path} cannot be written there.", "Name a file in a folder.")
    if os.path.lexists(path):
        with files.explain_write_errors(path, "nothing was run", "name another file"):
            files.refuse_planted(path)
    if path.exists() and not (path.stat().st_mode & 0o200 and os.access(path, os.W_OK)):
        hint = "Make it writable, or use --output."
        raise NotebookError(f"{path.name} is read-only.", hint, code="read-only")
    holder = held_by(path)
    if holder:
        hint = "Close it there, or use --output."
        raise NotebookError(f"{path.name}: {holder}.", hint, code="open-elsewhere")


class _Saved:
    """The notebook as it is saved, with the outputs so far, in place of what was read.

    A file that changed meanwhile is left alone, and ours put beside it.
    """

    def __init__(
        self, document: Document, path: Path, output: Optional[Path], data: bytes, shared: Path
    ) -> None:
        self.document, self.path, self.shared = document, path, shared
        self._before = data
        self._place = output or path
        #: What that file holds; None: whatever it holds, if it is there, is replaced.
        self._expected = None if output else data

    def meanwhile(self, ran: Run) -> None:
        """Save the outputs so far; an error is raised again at the end."""
        data, problem = self._render(ran)
        if not problem:
            self._put(data)

    def finish(self, ran: Run) -> bool:
        """Save the run; tell whether the file changed. `NotebookError` where it is elsewhere."""
        data, problem = self._render(ran)
        try:
            if problem:
                raise NotebookError(problem)
            changed = self._put(data)
        except NotebookError as error:
            self._place = _put_beside(data, self._place)
            hint = f"The run was saved as {self._describe_place()}."
            raise NotebookError(error.message, hint, code=error.code) from None
        return changed if self._place != self.path else data != self._before

    def _describe_place(self) -> str:
        place = self._place
        if place.parent == self.path.parent:
            return place.name
        in_memory = place.parent.parent == folders.MEMORY
        return f"{place}, which is in memory: copy it" if in_memory else str(place)

    def _render(self, ran: Run) -> Tuple[bytes, str]:
        """Return the notebook with outputs and setup cell; and why it lacks the latter, if so.

        No output is lost to what else is to be written.
        """
        document = self.document
        done = document.with_cells(
            (at, {**document.cell(at), **new, "outputs": _as_stored(new["outputs"])})
            for at, new in ran.items()
        )
        try:
            edited = done.with_setup(exchange_read(self.shared), is_setup)
            for name in READERS:
                edited = edited.with_stored(name, exchange_read(self.shared, name))
            return edited.encode(), ""
        except Exception as error:  # a notebook may have a form that nobody foresees
            text = f"{self.path.name}: {type(error).__name__} while its metadata were written."
            return done.encode(), getattr(error, "message", text)

    def _put(self, data: bytes) -> bool:
        place = self._place
        with files.explain_write_errors(place):
            if self._expected is not None:
                changed = files.replace(place, data, expected=self._expected)
            elif not place.exists():
                changed = files.create(place, data)
            else:
                # One that is empty stays so: nobody is about to write it.
                before = files.read(place) if place.stat().st_size else b""
                changed = files.replace(place, data, expected=before)
        self._expected = data
        return changed


def _as_stored(outputs: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return outputs as front ends save them: texts by lines, keys in order, and what a stream
    wrote in a row as one output, however many messages it came in.
    """
    stored: List[Dict[str, Any]] = []
    for stream, group in groupby(map(_sort_keys, outputs), _stream_name):
        in_a_row = list(group)
        if stream:
            text = "".join(output["text"] for output in in_a_row)
            in_a_row = [{**in_a_row[0], "text": text}]
        stored += in_a_row
    for output in stored:
        if isinstance(output.get("text"), str):
            output["text"] = output["text"].splitlines(True)
        for kind, value in output.get("data", {}).items():
            if isinstance(value, str) and kind != "application/json":
                output["data"][kind] = value.splitlines(True)
    return stored


def _stream_name(output: Dict[str, Any]) -> str:
    """Return which stream an output is of; empty for what is not text of one."""
    return str(output["name"]) if isinstance(output.get("text"), str) else ""


def _sort_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sort_keys(value[key]) for key in sorted(value)}
    return [_sort_keys(item) for item in value] if isinstance(value, list) else value


def _put_beside(data: bytes, path: Path) -> Path:
    """Save a run that has no place in its file: beside it, or where there is room."""
    try:
        with files.explain_write_errors(path):
            names = (f"{path.stem}-run{n or ''}{path.suffix}" for n in count())
            beside = next(p for p in map(path.with_name, names) if not p.exists())
            files.create(beside, data)
    except NotebookError:
        with files.explain_write_errors(path):
            room = folders.find_room(len(data))
            beside = Path(
                tempfile.mkdtemp(prefix="colab-magics-run-", dir=room), f"run{path.suffix}"
            )
        files.create(beside, data)
    return beside


def _run_until_done(
    saved: _Saved, options: Options, console: Console, signals: SignalCounter
) -> Outcome:
    """Run from the top; again after each `RestartRequired`, once for each reason."""
    restarts = _Restarts(saved.shared)
    outcome = Outcome({})
    task = Task(
        saved.document,
        saved.path.parent,
        saved.shared,
        options,
        console,
        signals,
        saved.meanwhile,
        lambda name: restarts.find(name) is not None,
    )
    while True:
        last = execute(task)
        outcome = last if last.ran or not signals.count else outcome
        failure = outcome.failure
        restart = None if failure is None or signals.count else restarts.find(failure.name)
        if failure is None or restart is None:
            return outcome
        restarts.follow(restart)
        exchange_write(saved.shared, None, RESUMED)
        first = (failure.message.splitlines() or [restart.reason])[0]
        console.line(f"restarting the kernel and running from the top: {first}")
        try:
            with signals.interruptible():
                options = _switch_python(task.options, restart.python, saved.path, console)
        except KeyboardInterrupt:
            return outcome
        task = replace(task, options=options)


class _Restart(NamedTuple):
    """What a kernel has asked for: the error's name, its reason, and the Python, if another."""

    name: str
    reason: str
    python: str = ""


class _Restarts:
    """The restarts that kernels ask for: each reason is followed once."""

    def __init__(self, shared: Path) -> None:
        self._shared = shared
        self._reasons: Set[str] = set()

    def find(self, name: str) -> Optional[_Restart]:
        """Return what a cell that ended with this error asks for; None where that is not done."""
        try:
            restart = _Restart(*map(str, json.loads(exchange_read(self._shared, RESTART) or "[]")))
            python = version_of(restart.python) if restart.python else ""
        except (TypeError, ValueError):
            return None
        except input_errors():
            return None
        done = restart.reason in self._reasons or len(self._reasons) == RESTARTS
        return None if done or restart.name != name else restart._replace(python=python)

    def follow(self, restart: _Restart) -> None:
        """Note that it is done now."""
        exchange_write(self._shared, None, RESTART)
        self._reasons.add(restart.reason)


def required_python(text: str) -> str:
    """Return the Python that the lines of a setup cell require; empty where they require none."""
    steps = (line.step for line in parse(text))
    return next((step.python for step in steps if isinstance(step, PinStep) and step.python), "")


def _switch_python(options: Options, version: str, path: Path, console: Console) -> Options:
    """Run on that Python: this one where it is, else in the notebook's environment for it."""
    if not version or options.kernel or options.is_fixed or runs(version):
        return options
    environment = ensure(path, version, lambda text: console.line(str(text).split("\n")[0]))
    return replace(options, interpreter=str(environment.interpreter))
