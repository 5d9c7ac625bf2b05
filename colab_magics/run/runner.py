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
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Set, Tuple

from ..core import files, folders
from ..core.errors import NotebookError, bad_input
from ..core.signals import Requests, held
from ..notebook.document import Document
from ..notebook.metadata_keys import KEPT
from ..notebook.servers import held_by
from ..notebook.writers.run import FILE, RESTART, exchange_read, exchange_write
from ..pin.environments.interpreters import runs, version_of
from ..pin.environments.make import ensure
from ..pin.step import PinStep
from ..record.cell import is_setup, parse
from .execution import Failure, Options, Outcome, Run, Say, execute

#: A notebook that gives another reason each time is run from the top so often.
RESTARTS = 20


@dataclass(frozen=True)
class Result:
    """What a run came to. ``written`` says whether the file changed, ``interrupted`` whether a
    signal came before it was saved.
    """

    path: Path
    setup: Optional[str]
    changed: bool
    written: bool
    failure: Optional[Failure] = None
    interrupted: bool = False


def run(path: Path, output: Optional[Path], options: Options, say: Say) -> Result:
    """Run a notebook and save it, with its setup cell, at ``output`` or in its place.

    Raises `NotebookError`, having run nothing, where the file could not be written safely, and
    ``KeyboardInterrupt`` where a signal came before a cell has run. After that one ends the run,
    not the saving.
    """
    data = files.read(path)
    document = Document.parse(data, path.name)
    text = document.setup_text(is_setup)
    parse(text or "")
    _refuse_other_languages(document, options)
    if output is not None and output.exists() and output.samefile(path):
        output = None
    _refuse_unwritable(path if output is None else output)
    with held() as requests:
        with requests.interruptible():
            options = _elsewhere(options, options.python or _python_of(text or ""), path, say)
        shared = folders.scratch_folder("colab-magics-run-", folders.find_room(len(data)))
        try:
            exchange_write(shared, text)
            exchange_write(shared, str(path.resolve()), FILE)
            for what, find in KEPT.items():
                exchange_write(shared, find(document.metadata), what)
            saved = _Saved(document, path, output, data, shared)
            outcome = _until_done(saved, options, say, requests)
            if requests.count and not outcome.ran:
                raise KeyboardInterrupt
            written = saved.finish(outcome.ran)
            setup = exchange_read(shared)
            interrupted = requests.count > 0
        finally:
            shutil.rmtree(shared, ignore_errors=True)
    return Result(output or path, setup, setup != text, written, outcome.failure, interrupted)


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
    if os.path.lexists(path):
        with files.explain_write_errors(path, "nothing was run", "name another file"):
            files.refuse_planted(path)
    if path.exists() and not (path.stat().st_mode & 0o200 and os.access(path, os.W_OK)):
        raise NotebookError(f"{path.name} is read-only.", "Make it writable, or use --output.")
    holder = held_by(path)
    if holder:
        raise NotebookError(f"{path.name}: {holder}.", "Close it there, or use --output.")


class _Saved:
    """The notebook as it is saved, with what its cells have put out so far.

    In place of what was read; a file that changed meanwhile is left, and ours put beside it.
    """

    def __init__(
        self, document: Document, path: Path, output: Optional[Path], data: bytes, shared: Path
    ) -> None:
        self.document, self.path, self.shared = document, path, shared
        self._before = data
        self._place = output or path
        #: What that file holds; None: whatever it holds, if it is there, is replaced.
        self._expected = None if output else data
        self._changed: Optional[NotebookError] = None

    def meanwhile(self, ran: Run) -> None:
        """Save what there is; what fails now is tried again at the end."""
        with suppress(NotebookError):
            data, problem = self._render(ran)
            if problem:
                return
            try:
                self._put(data)
            except NotebookError as error:
                if self._is_changed():
                    self._changed = error
                    self._place, self._expected = _put_beside(data, self._place), data

    def _is_changed(self) -> bool:
        """Whether the file is not as it was read or saved; it may be gone."""
        try:
            return self._expected not in (None, files.read(self._place))
        except NotebookError:
            return True

    def finish(self, ran: Run) -> bool:
        """Save the run, and say whether the file changed; `NotebookError` where it is elsewhere."""
        data, problem = self._render(ran)
        try:
            if problem:
                raise NotebookError(problem)
            changed = self._put(data)
        except NotebookError as error:
            self._changed = self._changed or error
            self._place = _put_beside(data, self._place)
        if self._changed:
            hint = f"The run was saved as {_shown(self._place, self.path)}."
            raise NotebookError(self._changed.message, hint)
        return changed if self._place != self.path else data != self._before

    def _render(self, ran: Run) -> Tuple[bytes, str]:
        """The notebook with what its cells have put out, and its setup cell, as they are now; and
        why that is without the setup cell, if so: no output is lost to what else is to be kept.
        """
        document = self.document
        new = ((at, {**document.cell(at), **_stored(has)}) for at, has in ran.items())
        done = document.with_cells(new)
        try:
            edited = done.with_setup(exchange_read(self.shared), is_setup)
            for what in KEPT:
                edited = edited.with_kept(what, exchange_read(self.shared, what))
            return edited.encode(), ""
        except Exception as error:  # a notebook may have a form that nobody foresees
            why = getattr(error, "what", f"{type(error).__name__} while its metadata were written.")
            return done.encode(), f"{self.path.name}: {why}"

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


def _stored(has: Dict[str, Any]) -> Dict[str, Any]:
    """What a cell has put out as it stands in a file: texts by lines, keys in order."""
    return {**has, "outputs": [_by_lines(output) for output in has["outputs"]]}


def _by_lines(output: Dict[str, Any]) -> Dict[str, Any]:
    made: Dict[str, Any] = _sorted(output)
    if isinstance(made.get("text"), str):
        made["text"] = made["text"].splitlines(True)
    for kind, value in made.get("data", {}).items():
        if isinstance(value, str) and kind != "application/json":
            made["data"][kind] = value.splitlines(True)
    return made


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _put_beside(data: bytes, path: Path) -> Path:
    """Save a run that has no place in its file: beside it, or where that can be."""
    try:
        with files.explain_write_errors(path):
            names = (f"{path.stem}-run{n or ''}{path.suffix}" for n in count())
            beside = next(p for p in map(path.with_name, names) if not p.exists())
            files.create(beside, data)
        return beside
    except NotebookError:
        with files.explain_write_errors(path):
            place = folders.find_room(len(data))
            folder = tempfile.mkdtemp(prefix="colab-magics-run-", dir=place)
            other = Path(folder, f"run{path.suffix}")
        files.create(other, data)
        return other


def _shown(place: Path, path: Path) -> str:
    """What a person is told of where it is."""
    if place.parent == path.parent:
        return place.name
    memory = place.parent.parent == folders.MEMORY
    return f"{place}{', which is in memory: copy it' if memory else ''}"


# ---------------------------------------------------------------------- the kernel
def _until_done(saved: _Saved, options: Options, say: Say, requests: Requests) -> Outcome:
    """Run from the top; again after each `RestartRequired`, once for each reason."""
    reasons: Set[str] = set()
    outcome = Outcome({})
    while True:
        folder, save = saved.path.parent, saved.meanwhile
        last = execute(saved.document, folder, saved.shared, options, say, requests, save)
        outcome = last if last.ran or not requests.count else outcome
        failure = outcome.failure
        if failure is None or requests.count:
            return outcome
        restart = _restart(saved.shared)
        if restart is None or restart.name != failure.name or restart.reason in reasons:
            return outcome
        if len(reasons) == RESTARTS:
            return outcome
        reasons.add(restart.reason)
        first = (failure.message.splitlines() or [restart.reason])[0]
        say(f"restarting the kernel and running from the top: {first}")
        if restart.python:
            try:
                with requests.interruptible():
                    options = _elsewhere(options, restart.python, saved.path, say)
            except KeyboardInterrupt:
                return outcome


class _Restart(NamedTuple):
    """What a kernel has asked for: the error's name, its reason, and the Python, if another."""

    name: str
    reason: str
    python: str = ""


def _restart(shared: Path) -> Optional[_Restart]:
    """Take what the kernel asked for; None where it asked for nothing that can be done."""
    text = exchange_read(shared, RESTART)
    exchange_write(shared, None, RESTART)
    try:
        found = _Restart(*map(str, json.loads(text or "[]")))
        return found._replace(python=version_of(found.python) if found.python else "")
    except (TypeError, ValueError):
        return None
    except bad_input():
        return None


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
