"""Write steps into a notebook's setup cell through a writer: read, merge, put.

The cell is read each time and the kernel has no copy, so that a fresh kernel loses no line and
two notebooks on one kernel do not mix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple

from ..core.errors import NotebookError
from ..core.files import Conflict
from ..core.host import Host
from ..notebook.writers.base import Writer
from .cell import Line, is_setup, new_cell, parse, render, with_marker
from .merge import Entry, Merged, merge

#: What is said where a person has deleted the marker.
MARKED = "its line # colab_magics:setup is back, by which it is known"


@dataclass(frozen=True)
class Record:
    """The result of recording: ``state`` is the writer's, or ``unchanged``, ``off`` or ``gone``."""

    state: str
    changes: Tuple[str, ...] = ()
    created: bool = False
    #: The new text of the setup cell, if it was written.
    text: Optional[str] = None
    #: Where it was deleted: how many lines it had, or has now.
    lines: int = 0


def is_off(lines: Sequence[Line]) -> bool:
    """Return whether recording is off: a line says ``%setup auto off``."""
    steps = (line.step for line in lines)
    return any(step.word == "setup" and "auto" in step.keys for step in steps if step)


def count_steps(lines: Sequence[Line]) -> int:
    """Return how many lines of a setup cell are steps."""
    return sum(line.step is not None for line in lines)


def lines_in_words(count: int) -> str:
    """Return ``1 line`` or ``2 lines``."""
    return "1 line" if count == 1 else f"{count} lines"


def add(
    writer: Writer,
    entries: Sequence[Entry],
    host: Optional[Host] = None,
    before: Sequence[Line] = (),
    restore: bool = False,
) -> Record:
    """Merge steps into the setup cell; make one for this host if there is none.

    ``before`` are the lines that it is known to have had: where it is gone with them, nothing is
    written, or all of it with ``restore``.
    """
    is_gone = False

    def change(lines: Optional[List[Line]]) -> Optional[Merged]:
        nonlocal is_gone
        is_gone = lines is None and count_steps(before) > 0
        if is_off(lines or ()) or (is_gone and not restore):
            return None
        if is_gone:
            merged, changes = merge(before, entries)
            return merged, changes or ("all of it",)
        merged, changes = merge(new_cell(host) if lines is None else lines, entries)
        is_marked = lines is None or is_setup(render(lines))
        return (merged, changes) if is_marked else (with_marker(merged), (*changes, MARKED))

    record = edit(writer, change)
    if not is_gone:
        return record
    state = "gone" if record.state == "off" else record.state
    lines = before if record.text is None else parse(record.text)
    return replace(record, state=state, lines=count_steps(lines))


def write(writer: Writer, entries: Sequence[Entry], path: Path) -> Record:
    """Merge steps into the notebook at ``path``; `NotebookError` if recording is off there."""
    record = add(writer, entries, Host(start=path.resolve().parent))
    if record.state == "off":
        raise NotebookError(
            f"Recording is off in {path.name}; nothing was written.",
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
        if lines and changes and not is_setup(render(lines)):  # it is known by its role
            lines, changes = with_marker(lines), (*changes, MARKED)
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
