"""Putting steps into a notebook's setup cell through a writer: read, merge, put.

The kernel holds no recipe of its own. The cell is read from the writer each time, so that a
fresh kernel loses no line of yesterday and two notebooks on one kernel keep their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, List, Optional, Sequence, Tuple

from ..core.errors import NotebookError
from ..core.files import Conflict
from ..notebook.writers.base import Writer
from .auto_off import AutoOff
from .cell import Line, new_cell, parse, render
from .merge import Entry, Merged, merge


@dataclass(frozen=True)
class Record:
    """What recording came to: ``state`` is the writer's word, or ``unchanged`` or ``off``."""

    state: str
    changes: Tuple[str, ...] = ()
    created: bool = False
    #: The text of the setup cell from now on, where it was written.
    text: Optional[str] = None


def is_off(lines: Sequence[Line]) -> bool:
    """Whether ``%setup auto off`` stands in the cell."""
    return any(isinstance(line.step, AutoOff) for line in lines)


def add(writer: Writer, entries: Sequence[Entry]) -> Record:
    """Merge steps into the setup cell, making one where there is none."""

    def change(lines: Optional[List[Line]]) -> Optional[Merged]:
        if lines is not None and is_off(lines):
            return None
        return merge(new_cell() if lines is None else lines, entries)

    return edit(writer, change)


def write(writer: Writer, entries: Sequence[Entry], name: str) -> Record:
    """Like `add`, for a notebook that was named; `NotebookError` where it has recording off."""
    record = add(writer, entries)
    if record.state == "off":
        raise NotebookError(
            f"Recording is off in {name}; nothing was written.",
            "Take the line %setup auto off out of its setup cell first.",
        )
    return record


def edit(writer: Writer, change: Callable[[Optional[List[Line]]], Optional[Merged]]) -> Record:
    """Read, change, put; after a conflict once more, then refused.

    ``change`` gets the lines (None: no cell) and gives the new ones and what changed; None means
    that this notebook does not want it, and no lines at all that the cell goes.
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
        _prove(lines, text or "")
        try:
            state = writer.put(text, old)
        except Conflict:
            continue
        return Record(state, changes, old is None, text)
    raise NotebookError(
        "The setup cell is being edited; nothing was written into it.",
        "Run this again when the edit is done.",
    )


def _prove(lines: Sequence[Line], text: str) -> None:
    """`NotebookError` unless the cell is read back as its lines: each is proved alone before.

    A person's own code around them may take one in: a string, a bracket, a backslash.
    """
    if [line.step for line in parse(text) if line.step] != [x.step for x in lines if x.step]:
        raise NotebookError(
            "In the setup cell a line would become part of the code before it, such as a string or "
            "a line that ends in a backslash; nothing was written.",
            "Close it, or take it out of the setup cell, and run this again.",
        )
