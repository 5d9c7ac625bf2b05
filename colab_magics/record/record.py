"""Write steps into a notebook's setup cell through a writer: read, merge, put.

The cell is read each time and the kernel has no copy, so that a fresh kernel loses no line and
two notebooks on one kernel do not mix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, List, Optional, Sequence, Tuple

from ..core.errors import NotebookError
from ..core.files import Conflict
from ..notebook.writers.base import Writer
from .cell import Line, new_cell, parse, render
from .merge import Entry, Merged, merge


@dataclass(frozen=True)
class Record:
    """The result of recording: ``state`` is the writer's, or ``unchanged`` or ``off``."""

    state: str
    changes: Tuple[str, ...] = ()
    created: bool = False
    #: The new text of the setup cell, if it was written.
    text: Optional[str] = None


def is_off(lines: Sequence[Line]) -> bool:
    """Return whether recording is off: ``%setup auto off`` is the only step of ``%setup``."""
    return any(line.step is not None and line.step.word == "setup" for line in lines)


def add(writer: Writer, entries: Sequence[Entry]) -> Record:
    """Merge steps into the setup cell; make one if there is none."""

    def change(lines: Optional[List[Line]]) -> Optional[Merged]:
        if lines is not None and is_off(lines):
            return None
        return merge(new_cell() if lines is None else lines, entries)

    return edit(writer, change)


def write(writer: Writer, entries: Sequence[Entry], name: str) -> Record:
    """Merge steps as `add` does into the notebook ``name``; `NotebookError` if recording is off."""
    record = add(writer, entries)
    if record.state == "off":
        raise NotebookError(
            f"Recording is off in {name}; nothing was written.",
            "Remove the line %setup auto off from its setup cell first.",
            code="recording-off",
        )
    return record


def edit(writer: Writer, change: Callable[[Optional[List[Line]]], Optional[Merged]]) -> Record:
    """Read, change and put the cell; retry once after a conflict, then raise `NotebookError`.

    ``change`` gets the lines (None: no cell) and returns the new ones with what changed, or None if
    recording is off. With no lines the cell is removed.
    """
    for _ in range(2):
        old = writer.read()
        result = change(None if old is None else parse(old))
        if result is None:
            return Record("off")
        lines, changes = result
        text = render(lines) if lines else None
        if not changes or text == old:
            return Record("unchanged")
        _verify(lines, text or "")
        try:
            state = writer.put(text, old)
        except Conflict:
            continue
        return Record(state, changes, old is None, text)
    raise NotebookError(
        "The setup cell is being edited; nothing was written into it.",
        "Run this again when the edit is done.",
        code="conflict",
    )


def _verify(lines: Sequence[Line], text: str) -> None:
    """Raise `NotebookError` unless the cell reads back as its lines.

    A person's open string or bracket, or a backslash, may swallow a line that is good by itself.
    """
    if [line.step for line in parse(text) if line.step] != [x.step for x in lines if x.step]:
        raise NotebookError(
            "Nothing was written: in the setup cell a string or a bracket is not closed, or a line "
            "ends in a backslash, so that the new line would become part of it.",
            "Close it, and run this again.",
            code="open-code",
        )
