"""``colab-magics run``: a notebook from top to bottom in a fresh kernel, its setup cell kept.

This process owns the file. The kernel puts the setup cell into a shared folder (see
`notebook.writers.run`); at the end both it and the outputs go into the notebook, in one write.
"""

import os
import re
import shutil
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Optional, Set, Tuple

from . import files
from .errors import NotebookError
from .execution import Failure, Options, Say, execute
from .notebook.document import Document
from .notebook.kept import KEPT
from .notebook.servers import held_by
from .notebook.writers.run import FILE, exchange_read, exchange_write
from .pins.environments.make import ensure
from .pins.environments.pythons import runs
from .pins.step import PinStep
from .setup.cell import is_setup, parse

__all__ = ["Failure", "Options", "Result", "run"]


@dataclass(frozen=True)
class Result:
    """What a run came to. ``written`` says whether the file changed."""

    path: Path
    setup: Optional[str]
    changed: bool
    written: bool
    failure: Optional[Failure] = None


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
    shared = files.scratch_folder("colab-magics-run-", files.with_room(len(data)))
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
    try:
        with files.told(output or path):
            if output is None:
                return files.replace(path, final.encode(), expected=data)
            if not output.exists():
                return files.create(output, final.encode())
            if not output.stat().st_size:  # nobody is about to write it
                output.write_bytes(b" ")
            return files.replace(output, final.encode(), expected=files.read(output))
    except NotebookError as error:
        todo = f"The run was saved as {_kept(final, output or path)}."
        raise NotebookError(error.what, todo) from None


def _kept(final: Document, path: Path) -> str:
    """Where a run is that has no place in its file: beside it, or where that can be."""
    data = final.encode()
    try:
        with files.told(path):
            names = (f"{path.stem}-run{n or ''}{path.suffix}" for n in count())
            beside = next(p for p in map(path.with_name, names) if not p.exists())
            files.create(beside, data)
        return beside.name
    except NotebookError:
        with files.told(path):
            place = files.with_room(len(data))
            other = files.private_folder("colab-magics-run-", place) / f"run{path.suffix}"
        files.create(other, data)
        return f"{other}{', which is in memory: copy it' if place == files.MEMORY else ''}"


# ---------------------------------------------------------------------- the kernel
def _until_done(
    document: Document, path: Path, shared: Path, options: Options, say: Say
) -> Tuple[Document, Optional[Failure]]:
    """Run from the top; again after each `RestartRequired`, once for each reason."""
    reasons: Set[str] = set()
    while True:
        done, failure = execute(document, path.parent, shared, options, say)
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
