"""Merge steps into the lines of a setup cell and remove them; lines in, lines out.

Lines that are there never move. A later step replaces an earlier one with the same key; a new one
goes after the last of its kind, else by rank.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import chain
from os.path import normpath
from typing import Dict, FrozenSet, Iterable, List, Optional, Sequence, Set, Tuple

from ..core.errors import NotebookError
from ..core.steps import STEPS, Step
from .cell import (
    MOST_ESCAPES,
    Line,
    count_escapes,
    is_setup,
    others_than_head,
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
    merger = _Merger(lines)
    parts = ((part, note) for step, note in entries for part in step.parts())
    changes = [merger.take(part, note) for part, note in parts]
    return merger.result(), tuple(filter(None, changes))


class _Group:
    """The parts that share a line: one that is there, or a new one before line ``place``."""

    def __init__(self, place: int, line: Optional[Line], first: Step, note: str = "") -> None:
        self.place, self.line, self.first, self.note = place, line, first, note
        self.changed: Dict[str, Step] = {}
        self.removed: Set[str] = set()

    def accepts(self, part: Step) -> bool:
        """Tell whether the line can hold the part; one of several steps cannot."""
        several = self.line is not None and type(self.line.step) is not type(self.first)
        return not several and self.first.merged_with(part) is not None

    def step(self) -> Optional[Step]:
        """Return what the line is to say, None if nothing."""
        rest = self.line.step if self.line is not None else None
        if rest is not None and self.removed:
            rest = rest.without(frozenset(self.removed))
        new = _together(list(self.changed.values()))
        return new if rest is None else rest if new is None else rest.merged_with(new)

    def result(self) -> Optional[Line]:
        """Return the line; of an emptied one the comment, which a person may have written."""
        step = self.step()
        if self.line is None:
            return step_line(step, self.note) if step is not None else None
        if step is not None:
            return self.line.with_step(step)
        return Line(self.line.comment.strip()) if self.line.comment else None


class _Merger:
    """Merges parts into lines; each part takes the same time, however many lines there are."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines
        self.new: List[_Group] = []
        #: Kind → the groups of its lines.
        self.kin: Dict[str, List[_Group]] = defaultdict(list)
        #: Kind and key → the last part with them, and the groups that have one.
        self.parts: Dict[Tuple[str, str], Step] = {}
        self.homes: Dict[Tuple[str, str], List[_Group]] = defaultdict(list)
        self.places: Dict[int, int] = {}
        for i, line in enumerate(lines):
            if line.step is None:
                continue
            parts = line.step.parts()
            group = _Group(i, line, parts[0])
            self.kin[line.step.word].append(group)
            for part in parts:
                self.parts[_key(part)] = part
                self.homes[_key(part)].append(group)

    def take(self, part: Step, note: str) -> str:
        """Merge a part, and return what changed; empty if nothing."""
        key, old = _key(part), self.parts.get(_key(part))
        part = part if old is None else part.replacing(old)
        if old is not None and old.merged_with(part) == old:
            return ""
        homes = self.homes[key]
        group = self._find(part, homes)
        if group is None:
            place = homes[0].place if homes else self._place(part.rank)
            group = _Group(place, None, part, note)
            self.new.append(group)
            self.kin[part.word].append(group)
        for home in homes:
            if home is not group:
                home.changed.pop(key[1], None)
                home.removed.add(key[1])
        group.removed.discard(key[1])
        group.changed[key[1]] = part
        self.parts[key], self.homes[key] = part, [group]
        text = render_step(part)
        return text if old is None else f"{render_step(old)} -> {text}"

    def _find(self, part: Step, homes: Sequence[_Group]) -> Optional[_Group]:
        """Return the line that can take a part: one that has its key, else the last of its kind."""
        others: Iterable[_Group] = reversed(self.kin[part.word])
        if type(part).merged_with is Step.merged_with:  # a kind of which no two steps share a line
            others = ()
        return next((group for group in chain(homes, others) if group.accepts(part)), None)

    def result(self) -> List[Line]:
        """Return the lines as they are now; new ones with the same place in order of rank."""
        escapes = count_escapes(self.lines)
        new: Dict[int, List[Line]] = defaultdict(list)
        for group in sorted(self.new, key=lambda group: group.first.rank):
            line = group.result()
            escapes += line is not None
            if line is not None:
                new[group.place].append(line if escapes <= MOST_ESCAPES else line.as_call())
        old: Dict[int, Optional[Line]] = dict(enumerate(self.lines))
        for group in chain.from_iterable(self.kin.values()):
            if group.line is not None and (group.changed or group.removed):
                old[group.place] = group.result()
        places = range(len(self.lines) + 1)
        rows = ([*new.get(i, ()), *filter(None, [old.get(i)])] for i in places)
        return list(chain.from_iterable(rows))

    def _place(self, rank: int) -> int:
        """Return where a new line goes: not behind a backslash, which would continue with it."""
        if rank not in self.places:
            place = self._place_by_rank(rank)
            while 0 < place < len(self.lines) and self.lines[place - 1].text.endswith("\\"):
                place += 1
            self.places[rank] = place
        return self.places[rank]

    def _place_by_rank(self, rank: int) -> int:
        steps = [(i, line.step.rank) for i, line in enumerate(self.lines) if line.step]
        before = [i for i, other in steps if other <= rank]
        if before:
            return before[-1] + 1
        first = steps[0][0] if steps else len(self.lines)
        loads = (i for i, x in enumerate(self.lines) if x.is_magic and _LOAD.match(x.text))
        load = next(loads, len(self.lines))
        if load < first:
            return load + 1
        # Above the comments of the first step, but below the marker.
        while steps and first > 0 and _COMMENT.match(self.lines[first - 1].text):
            if is_setup(self.lines[first - 1].text):
                break
            first -= 1
        return first


def _together(parts: Sequence[Step]) -> Optional[Step]:
    """Return parts as one step, None if there are none; halves save quadratic time."""
    if len(parts) < 2:
        return parts[0] if parts else None
    half = len(parts) // 2
    first, second = _together(parts[:half]), _together(parts[half:])
    return first.merged_with(second) if first is not None and second is not None else None


def _key(part: Step) -> Tuple[str, str]:
    """Return the kind of a part, and its key, of which it has one."""
    return part.word, next(iter(part.keys))


# ---------------------------------------------------------------------- removing
def remove_steps(lines: Sequence[Line], word: str, keys: FrozenSet[str]) -> Merged:
    """Return the lines without the steps of a kind with these keys, or all of the kind if empty.

    The trailing comment of a removed line goes too.
    """
    result: List[Line] = []
    changes: List[str] = []
    for line in lines:
        if line.step is None or line.step.word != word or (keys and not keys & line.step.keys):
            result.append(line)
            continue
        parts = line.step.parts()
        changes += [render_step(part) for part in parts if not keys or part.keys & keys]
        rest = line.step.without(keys or line.step.keys)
        result += [line.with_step(rest)] if rest is not None else []
    return result, tuple(changes)


def forget(lines: Sequence[Line], selector: Sequence[str]) -> Merged:
    """Return the lines without the steps that a selector names; with none, no lines at all.

    A selector is a kind (``pin``), a kind and names (``pin numpy``), or the names of pinned
    packages, files or folders. `NotebookError` if all lines are to go and some are the user's own.
    """
    if not selector:
        return _forget_all(lines)
    word, names = {"cd": "cd_persist"}.get(selector[0], selector[0]), selector[1:]
    if word in {"auto", "editor"}:
        word, names = "setup", selector
    elif word not in STEPS:
        word, names = "pin", selector
    keys = frozenset(key for name in names for key in _matching(lines, word, name))
    if names and not keys:
        return list(lines), ()
    return remove_steps(lines, word, keys)


def list_selectors(lines: Sequence[Line]) -> List[str]:
    """Return the words by which `forget` knows lines: pinned packages, and kinds of lines."""
    steps = [line.step for line in lines if line.step]
    names = {key for step in steps if step.word == "pin" for key in step.keys}
    names |= {step.word for step in steps}
    return sorted(name for name in names if " " not in name)


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
    others = others_than_head([line.text for line in lines if line.step is None])
    others = [text for text in others if not text.strip().startswith("#")]
    if others:
        raise NotebookError(
            f"The setup cell also holds lines of your own: {'; '.join(others[:3])}.",
            "Delete the cell by hand, or forget the lines one by one.",
            code="lines-of-the-user",
        )
    removed = tuple(line.text for line in lines if line.step is not None)
    return [], removed or (("the setup cell",) if lines else ())
