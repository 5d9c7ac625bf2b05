"""Merge steps into the lines of a setup cell and remove them; lines in, lines out.

Lines that are there never move. A later step replaces an earlier one with the same key; a new one
goes after the last of its kind, else by rank.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cached_property
from os.path import normpath
from typing import Dict, FrozenSet, Iterator, List, Optional, Sequence, Set, Tuple

from ..core.errors import NotebookError
from ..core.steps import STEPS, Step
from .cell import (
    MOST_ESCAPES,
    Line,
    count_escapes,
    is_own,
    is_setup,
    new_cell,
    render_step,
    step_line,
)

#: A step to record, and the note to put beside it when its line is new.
Entry = Tuple[Step, str]

#: The new lines, and what changed, one text for each change.
Merged = Tuple[List[Line], Tuple[str, ...]]

_LOAD = re.compile(r"%(re)?load_ext colab_magics\b")
#: A comment, not the last line of a string.
_COMMENT = re.compile(r"#(?!.*(\"\"\"|'''))")


def merge(lines: Sequence[Line], entries: Sequence[Entry]) -> Merged:
    """Return the lines with every step merged in, and what changed."""
    result = list(lines)
    changes: List[str] = []
    for batch in _batches(entries):
        merger = _Merger(result, batch[0][0].word)
        changes += merger.take(batch)
        result = merger.result()
    return result, tuple(changes)


def _batches(entries: Sequence[Entry]) -> Iterator[List[Entry]]:
    """Yield the parts in order, as many at a time as are of one kind and have different keys."""
    batch: List[Entry] = []
    keys: Set[str] = set()
    for step, note in entries:
        for part in step.parts():
            if batch and (part.word != batch[0][0].word or part.keys & keys):
                yield batch
                batch, keys = [], set()
            batch.append((part, note))
            keys |= part.keys
    if batch:
        yield batch


class _Merger:
    """Merges parts of one kind into lines together, since one by one takes quadratic time.

    A removed line becomes None and new lines wait in ``new``, so that line numbers stay valid.
    """

    def __init__(self, lines: Sequence[Line], word: str) -> None:
        self.before = lines
        self.lines: List[Optional[Line]] = list(lines)
        self.escapes = count_escapes(lines)
        #: Number of a line → the new lines before it.
        self.new: Dict[int, List[Line]] = defaultdict(list)
        self.kin = [i for i, line in enumerate(lines) if line.step and line.step.word == word]
        #: Key → its last part, and the numbers of the lines that have one.
        self.parts: Dict[str, Step] = {}
        self.numbers: Dict[str, List[int]] = defaultdict(list)
        for i in self.kin:
            for part in _step(lines[i]).parts():
                self.parts[_key(part)] = part
                self.numbers[_key(part)].append(i)

    def take(self, batch: Sequence[Entry]) -> List[str]:
        """Merge the parts, and return what changed."""
        changes: List[str] = []
        order: Dict[str, int] = {}
        known: Dict[Tuple[int, ...], List[Entry]] = defaultdict(list)
        for part, note in batch:
            old = self.parts.get(_key(part))
            part = part if old is None else part.after(old)
            if old is not None and old.joined(part) == old:
                continue
            order[_key(part)] = len(order)
            known[tuple(self.numbers[_key(part)])].append((part, note))
            text = render_step(part)
            changes.append(text if old is None else f"{render_step(old)} -> {text}")
        rest = known.pop((), [])
        for numbers, entries in known.items():
            for group, step in _groups(entries):
                rest += [] if self._join(group, step, numbers) else group
        for group, step in _groups(sorted(rest, key=lambda entry: order[_key(entry[0])])):
            if not self._join(group, step, self.kin[::-1]):
                self._add(group, step)
        return changes

    def _join(self, group: Sequence[Entry], step: Step, numbers: Sequence[int]) -> bool:
        """Join a group to the first of these lines that can take it; return whether any can."""
        for i in numbers:
            line = self.lines[i]
            joined = line.step.joined(step) if line is not None and line.step is not None else None
            if line is not None and joined is not None:
                self.lines[i] = line.with_step(joined)
                self._remove(group, i)
                return True
        return False

    def _add(self, group: Sequence[Entry], step: Step) -> None:
        """Give a group a line of its own, before the line that it replaces if there is any."""
        first, note = group[0]
        numbers = self.numbers[_key(first)]
        line = step_line(step, note)
        self.escapes += 1
        line = line if self.escapes <= MOST_ESCAPES else line.as_call()
        self.new[numbers[0] if numbers else self._place(first.rank)].append(line)
        self._remove(group, None)

    def _remove(self, group: Sequence[Entry], home: Optional[int]) -> None:
        """Remove the keys of a group from all lines but ``home``; an emptied line's comment stays.

        A person may have written it.
        """
        keys: Dict[int, FrozenSet[str]] = defaultdict(frozenset)
        for part, _ in group:
            for i in self.numbers[_key(part)]:
                keys[i] |= part.keys
        for i in keys.keys() - {home}:
            line = self.lines[i]
            if line is not None and line.step is not None:
                comment = Line(line.comment.strip()) if line.comment else None
                self.lines[i] = _without(line, keys[i]) or comment

    def result(self) -> List[Line]:
        """Return the lines as they are now."""
        lines: List[Line] = []
        for i, line in enumerate([*self.lines, None]):
            lines += self.new.get(i, [])
            lines += [line] if line is not None else []
        return lines

    def _place(self, rank: int) -> int:
        """Return where a new line goes: not behind a backslash, which would continue with it."""
        place = self._place_by_rank(rank)
        while 0 < place < len(self.before) and self.before[place - 1].text.endswith("\\"):
            place += 1
        return place

    def _place_by_rank(self, rank: int) -> int:
        ranks = self._ranks
        before = [i for i, other in ranks if other <= rank]
        if before:
            return before[-1] + 1
        if self._load is not None and (not ranks or self._load < ranks[0][0]):
            return self._load + 1
        if not ranks:
            return len(self.before)
        first = ranks[0][0]  # above its comments, but below the marker
        while first > 0 and _COMMENT.match(self.before[first - 1].text):
            if is_setup(self.before[first - 1].text):
                break
            first -= 1
        return first

    @cached_property
    def _ranks(self) -> List[Tuple[int, int]]:
        return [(i, line.step.rank) for i, line in enumerate(self.before) if line.step]

    @cached_property
    def _load(self) -> Optional[int]:
        """The number of the line that loads this extension."""
        loads = (i for i, x in enumerate(self.before) if x.is_magic and _LOAD.match(x.text))
        return next(loads, None)


def _groups(entries: Sequence[Entry]) -> Iterator[Tuple[Sequence[Entry], Step]]:
    """Yield entries that can share a line, in order, and the step that they are together."""
    while entries:
        first = entries[0][0]
        if type(first).joined is Step.joined:  # a kind of which no two steps share a line
            yield from (([entry], entry[0]) for entry in entries)
            return
        fits = [first.joined(part) is not None for part, _ in entries]
        group: Sequence[Entry] = [entry for entry, fit in zip(entries, fits) if fit]
        rest = [entry for entry, fit in zip(entries, fits) if not fit]
        step = _together([part for part, _ in group])
        if step is None:
            group, step, rest = entries[:1], first, list(entries[1:])
        yield group, step
        entries = rest


def _together(parts: Sequence[Step]) -> Optional[Step]:
    """Return parts as one step, None if they cannot share a line; halves save quadratic time."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    first, second = _together(parts[:half]), _together(parts[half:])
    return None if first is None or second is None else first.joined(second)


def _key(part: Step) -> str:
    """Return the key of a part, which has a single one."""
    return next(iter(part.keys))


def _step(line: Line) -> Step:
    assert line.step is not None  # noqa: S101 - the callers chose lines that have one
    return line.step


def _without(line: Line, keys: FrozenSet[str]) -> Optional[Line]:
    """Return a line without what these keys name, None if nothing of its step remains."""
    rest = _step(line).without(keys)
    return line.with_step(rest) if rest is not None else None


# ---------------------------------------------------------------------- removing
def remove_steps(lines: Sequence[Line], word: str, keys: FrozenSet[str]) -> Merged:
    """Return the lines without the steps of a kind with these keys, or all of the kind if empty.

    The trailing comment of a removed line goes too.
    """
    result: List[Optional[Line]] = []
    changes: List[str] = []
    for line in lines:
        if line.step is None or line.step.word != word or (keys and not keys & line.step.keys):
            result.append(line)
            continue
        parts = line.step.parts()
        changes += [render_step(part) for part in parts if not keys or part.keys & keys]
        result.append(_without(line, keys or line.step.keys))
    return [line for line in result if line is not None], tuple(changes)


def forget(lines: Sequence[Line], selector: Sequence[str]) -> Merged:
    """Return the lines without the steps that a selector names; with none, no lines at all.

    A selector is a kind (``pin``), a kind and names (``pin numpy``), or the names of pinned
    packages, files or folders. `NotebookError` if all lines are to go and some are the user's own.
    """
    if not selector:
        return _forget_all(lines)
    word = {"cd": "cd_persist", "auto": "setup"}.get(selector[0], selector[0])
    names = selector[1:]
    if word not in STEPS:
        word, names = "pin", selector
    keys = frozenset(key for name in names for key in _matching(lines, word, name))
    if names and not keys:
        return list(lines), ()
    return remove_steps(lines, word, keys)


def _matching(lines: Sequence[Line], word: str, name: str) -> List[str]:
    """Return the keys of a kind that a name means; a package in any spelling, with any marker."""
    keys = [key for x in lines if x.step and x.step.word == word for key in x.step.keys]
    if word != "pin":
        return [key for key in keys if key == name]
    paths = {f"{option} {normpath(name)}" for option in ("-r", "-e")}
    return [key for key in keys if key in paths or _folded(key) == _folded(name)]


def _folded(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[=<>~!\[ ;]", name)[0] or name).lower()


def _forget_all(lines: Sequence[Line]) -> Merged:
    """Return no lines; `NotebookError` if some are the user's own."""
    head = {line.text for line in new_cell()}
    others = [line.text for line in lines if line.step is None and line.text not in head]
    others = [text for text in others if not is_own(text) and not text.strip().startswith("#")]
    if others:
        raise NotebookError(
            f"The setup cell also holds lines of your own: {'; '.join(others[:3])}.",
            "Delete the cell by hand, or forget the lines one by one.",
            code="lines-of-the-user",
        )
    removed = tuple(line.text for line in lines if line.step is not None)
    return [], removed or (("the setup cell",) if lines else ())
