"""Merging steps into the lines of a setup cell, and taking them out. Pure: lines in, lines out.

Lines that are there never move. A later step takes the place of an earlier one with the same
key; a new one goes after the last of its kind, else by rank.
"""

import re
from typing import FrozenSet, List, Optional, Sequence, Tuple

from ..steps import Step
from .cell import Line, is_setup, render_step, step_line

__all__ = ["Entry", "Merged", "forget", "merge"]

#: A step to record, and the note to put beside it when its line is new.
Entry = Tuple[Step, str]

#: The new lines, and what changed, one text for each change.
Merged = Tuple[List[Line], Tuple[str, ...]]

_LOAD = re.compile(r"%(re)?load_ext colab_magics\b")
#: A comment, not the last line of a string.
_COMMENT = re.compile(r"#(?!.*(\"\"\"|'''))")


def merge(lines: Sequence[Line], entries: Sequence[Entry]) -> Merged:
    """The lines with every step taken in; nothing changes where they are there already."""
    result = list(lines)
    changes: List[str] = []
    for step, note in entries:
        for part in step.parts():
            old = _standing(result, part)
            part = part if old is None else part.after(old)
            if old is not None and old.joined(part) == old:
                continue
            result = _take_in(result, part, note)
            new = render_step(part)
            changes.append(new if old is None else f"{render_step(old)} -> {new}")
    return result, tuple(changes)


def _standing(lines: Sequence[Line], part: Step) -> Optional[Step]:
    """The part that stands there under the same key, if it stands there once."""
    found = [
        own
        for line in lines
        if line.step is not None and line.step.word == part.word
        for own in line.step.parts()
        if own.keys == part.keys
    ]
    return found[-1] if found else None


def _take_in(lines: List[Line], part: Step, note: str) -> List[Line]:
    """The lines with one part in its place."""
    kin = [i for i, line in enumerate(lines) if line.step and line.step.word == part.word]
    holders = [i for i in kin if part.keys <= _keys(lines[i])]
    for i in (*holders, *reversed(kin)):
        joined = _step(lines[i]).joined(part)
        if joined is not None:
            lines = [*lines[:i], lines[i].with_step(joined), *lines[i + 1 :]]
            return _drop(lines, part.keys, part.word, keep=i)[0]
    home = holders[0] if holders else _place(lines, part)
    lines = [*lines[:home], step_line(part, note), *lines[home:]]
    return _drop(lines, part.keys, part.word, keep=home)[0]


def _place(lines: Sequence[Line], part: Step) -> int:
    """Where a new line goes."""
    steps = [(i, line.step) for i, line in enumerate(lines) if line.step is not None]
    before = [i for i, step in steps if step.rank <= part.rank]
    if before:
        return before[-1] + 1
    loads = [i for i, line in enumerate(lines) if _LOAD.match(line.text)]
    if loads and (not steps or loads[0] < steps[0][0]):
        return loads[0] + 1
    if not steps:
        return len(lines)
    first = steps[0][0]
    while first > 0 and _COMMENT.match(lines[first - 1].text):
        if is_setup(lines[first - 1].text):
            break  # the marker stays in the leading comments
        first -= 1
    return first


def forget(lines: Sequence[Line], word: str, keys: FrozenSet[str]) -> Merged:
    """The lines without the steps of a kind that have these keys (all of the kind, if empty)."""
    wanted = keys or frozenset(
        key for line in lines if line.step and line.step.word == word for key in line.step.keys
    )
    return _drop(list(lines), wanted, word)


def _drop(lines: List[Line], keys: FrozenSet[str], word: str, keep: Optional[int] = None) -> Merged:
    """Take keys out of every line but ``keep``; with one kept, the comments of emptied lines stay.

    A forgotten line takes its trailing comment with it; a line whose step moved elsewhere does
    not, since a person may have written it.
    """
    result: List[Line] = []
    changes: List[str] = []
    for i, line in enumerate(lines):
        if i == keep or line.step is None or line.step.word != word or not keys & _keys(line):
            result.append(line)
            continue
        left = line.step.without(keys)
        gone = [p for p in line.step.parts() if p.keys & keys]
        changes += [render_step(part) for part in gone]
        if left is not None:
            result.append(line.with_step(left))
        elif keep is not None and line.comment:
            result.append(Line(line.comment.strip()))
    return result, tuple(changes)


def _keys(line: Line) -> FrozenSet[str]:
    return _step(line).keys


def _step(line: Line) -> Step:
    assert line.step is not None  # noqa: S101 - the callers chose lines that have one
    return line.step
