"""Merging steps into the lines of a setup cell, and taking them out. Pure: lines in, lines out.

Lines that are there never move. A later step takes the place of an earlier one with the same
key; a new one goes after the last of its kind, else by rank.
"""

from __future__ import annotations

import re
from os.path import normpath
from typing import Dict, FrozenSet, Iterator, List, Optional, Sequence, Set, Tuple

from ..core.errors import NotebookError
from ..core.steps import STEPS, Step
from .cell import ESCAPES, Line, escapes, is_setup, magics, new_cell, render_step, step_line

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
    for run in _runs(entries):
        result, new = _Merge(result, run[0][0].word).take_in(run)
        changes += new
    return result, tuple(changes)


def _runs(entries: Sequence[Entry]) -> Iterator[List[Entry]]:
    """The parts in their order, as many at a time as are of one kind and decide nothing twice."""
    run: List[Entry] = []
    keys: Set[str] = set()
    for step, note in entries:
        for part in step.parts():
            if run and (part.word != run[0][0].word or part.keys & keys):
                yield run
                run, keys = [], set()
            run.append((part, note))
            keys |= part.keys
    if run:
        yield run


class _Merge:
    """Parts of one kind on their way into lines, all at once: by one they took a square of time.

    What is taken out leaves None, and what comes in waits in ``new``, so that every line keeps its
    number until the end.
    """

    def __init__(self, lines: Sequence[Line], word: str) -> None:
        self.before = list(lines)
        self.escapes = escapes(lines)
        self.lines: List[Optional[Line]] = list(lines)
        self.new: Dict[int, List[Line]] = {}
        #: Rank → where a new line of it goes.
        self.places: Dict[int, int] = {}
        self.kin = [i for i, line in enumerate(lines) if line.step and line.step.word == word]
        self.standing: Dict[FrozenSet[str], Step] = {}
        self.homes: Dict[str, List[int]] = {}
        for i in self.kin:
            for part in _step(lines[i]).parts():
                self.standing[part.keys] = part
            for key in _keys(lines[i]):
                self.homes.setdefault(key, []).append(i)

    def take_in(self, run: Sequence[Entry]) -> Tuple[List[Line], List[str]]:
        """The lines with these parts, and what changed."""
        changes: List[str] = []
        at_home: Dict[Tuple[int, ...], List[Entry]] = {}
        for part, note in run:
            old = self.standing.get(part.keys)
            part = part if old is None else part.after(old)
            if old is not None and old.joined(part) == old:
                continue
            at_home.setdefault(self._homes(part), []).append((part, note))
            text = render_step(part)
            changes.append(text if old is None else f"{render_step(old)} -> {text}")
        left = at_home.pop((), [])
        left += [
            entry
            for homes, entries in at_home.items()
            for group, step in _groups(entries)
            if not self._join(group, step, homes)
            for entry in group
        ]
        order = {part.keys: at for at, (part, _) in enumerate(run)}
        left.sort(key=lambda entry: order[entry[0].keys])
        for group, step in _groups(left):
            kin = () if _stands_alone(step) else tuple(reversed(self.kin))
            if not self._join(group, step, kin):
                self._add(group, step)
        return self._result(), changes

    def _homes(self, part: Step) -> Tuple[int, ...]:
        """The lines that decide what a part decides."""
        found = [self.homes.get(key, []) for key in part.keys]
        return tuple(i for i in found[0] if all(i in more for more in found)) if found else ()

    def _join(self, group: Sequence[Entry], step: Step, candidates: Sequence[int]) -> bool:
        """Take a group into the first of these lines that can take it; whether there is such."""
        for i in candidates:
            line = self.lines[i]
            joined = line.step.joined(step) if line is not None and line.step is not None else None
            if line is not None and joined is not None:
                self.lines[i] = line.with_step(joined)
                self._leave(group, i)
                return True
        return False

    def _add(self, group: Sequence[Entry], step: Step) -> None:
        """Give a group a line of its own."""
        first, note = group[0]
        homes = self._homes(first)
        if not homes and first.rank not in self.places:
            self.places[first.rank] = _place(self.before, first)
        place = homes[0] if homes else self.places[first.rank]
        line = step_line(step, note)
        self.escapes += 1
        self.new.setdefault(place, []).append(line if self.escapes <= ESCAPES else line.called())
        self._leave(group, None)

    def _leave(self, group: Sequence[Entry], home: Optional[int]) -> None:
        """Take what a group decides out of the other lines; the comment of an emptied one stays."""
        gone: Dict[int, FrozenSet[str]] = {}
        for part, _ in group:
            for i in self._homes(part):
                gone[i] = gone.get(i, frozenset()) | part.keys
        for i, keys in gone.items():
            line = self.lines[i]
            if i != home and line is not None and line.step is not None:
                self.lines[i] = _less(line, keys, comment=True)

    def _result(self) -> List[Line]:
        result: List[Line] = []
        for i, line in enumerate([*self.lines, None]):
            result += self.new.get(i, [])
            result += [line] if line is not None else []
        return result


def _stands_alone(part: Step) -> bool:
    """Whether a line of this kind holds no more than one part."""
    return type(part).joined is Step.joined


def _groups(entries: Sequence[Entry]) -> Iterator[Tuple[Sequence[Entry], Step]]:
    """Entries that can stand on one line, in their order, and the step that they are together."""
    while entries:
        first, rest = entries[0][0], entries[1:]
        if _stands_alone(first):
            yield from (([entry], entry[0]) for entry in entries)
            return
        group, left = entries, []
        step = _together([part for part, _ in group])
        if step is None:
            fits = [first.joined(part) is not None for part, _ in rest]
            group = [entries[0], *(entry for entry, fit in zip(rest, fits) if fit)]
            left = [entry for entry, fit in zip(rest, fits) if not fit]
            step = _together([part for part, _ in group])
        if step is None:
            group, step, left = entries[:1], first, list(rest)
        yield group, step
        entries = left


def _together(parts: Sequence[Step]) -> Optional[Step]:
    """Parts as one step, or None where they need lines of their own: joined by halves, in time."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    one, other = _together(parts[:half]), _together(parts[half:])
    return None if one is None or other is None else one.joined(other)


def _place(lines: Sequence[Line], part: Step) -> int:
    """Where a new line goes: behind no backslash, with which the line before it goes on."""
    place = _fitting(lines, part)
    while 0 < place < len(lines) and lines[place - 1].text.endswith("\\"):
        place += 1
    return place


def _fitting(lines: Sequence[Line], part: Step) -> int:
    """Where a new line goes."""
    steps = [(i, line.step) for i, line in enumerate(lines) if line.step is not None]
    before = [i for i, step in steps if step.rank <= part.rank]
    if before:
        return before[-1] + 1
    loads = [i for i in sorted(magics(lines)) if _LOAD.match(lines[i].text)]
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


def remove_steps(lines: Sequence[Line], word: str, keys: FrozenSet[str]) -> Merged:
    """The lines without the steps of a kind that have these keys (all of the kind, if empty).

    A forgotten line takes its trailing comment with it.
    """
    result: List[Line] = []
    changes: List[str] = []
    for line in lines:
        if line.step is None or line.step.word != word or (keys and not keys & _keys(line)):
            result.append(line)
            continue
        parts = line.step.parts()
        changes += [render_step(part) for part in parts if not keys or part.keys & keys]
        left = _less(line, keys or _keys(line), comment=False)
        result += [left] if left is not None else []
    return result, tuple(changes)


def _less(line: Line, keys: FrozenSet[str], comment: bool) -> Optional[Line]:
    """A line without what these keys name; of an emptied one its comment, or nothing.

    A line whose step moved elsewhere leaves it, since a person may have written it.
    """
    left = _step(line).without(keys)
    if left is not None:
        return line.with_step(left)
    return Line(line.comment.strip()) if comment and line.comment else None


def _keys(line: Line) -> FrozenSet[str]:
    return _step(line).keys


def _step(line: Line) -> Step:
    assert line.step is not None  # noqa: S101 - the callers chose lines that have one
    return line.step


# ---------------------------------------------------------------------- forgetting
def forget(lines: Sequence[Line], selector: Sequence[str]) -> Merged:
    """The lines without the steps that a selector names; with none, no lines at all.

    A selector is a kind (``pin``), a kind and a name (``pin numpy``), or the name of a pinned
    package, file or folder. `NotebookError` where all are to go and lines of the user's own
    would go with them.
    """
    if not selector:
        return _all(lines)
    word, names = selector[0], list(selector[1:])
    if word in {"cd", "auto"}:
        word = {"cd": "cd_persist", "auto": "setup"}[word]
    if word not in STEPS:
        word, names = "pin", list(selector)
    result = list(lines)
    gone: List[str] = []
    for keys in [_matching(lines, word, name) for name in names] or [frozenset()]:
        if names and not keys:
            continue
        result, changes = remove_steps(result, word, keys)
        gone += changes
    return result, tuple(gone)


def _matching(lines: Sequence[Line], word: str, name: str) -> FrozenSet[str]:
    """The keys of a kind that a person means by a name: any spelling, with any marker."""
    wanted = _folded(name)
    return frozenset(
        key
        for line in lines
        if line.step is not None and line.step.word == word
        for key in line.step.keys
        if key == name or (word == "pin" and (_folded(key) == wanted or _is_path(key, name)))
    )


def _is_path(key: str, name: str) -> bool:
    """Whether a key is the file or the folder of this name, however it is spelled."""
    return key in {f"{option} {normpath(name)}" for option in ("-r", "-e")}


def _folded(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[=<>~!\[ ;]", name)[0] or name).lower()


def _all(lines: Sequence[Line]) -> Merged:
    """No lines, unless some are the user's own."""
    head = {line.text for line in new_cell()}
    own = [line.text for line in lines if line.step is None and _own(line.text, head)]
    if own:
        raise NotebookError(
            f"The setup cell also holds lines of your own: {'; '.join(own[:3])}.",
            "Delete the cell by hand, or forget the lines one by one.",
        )
    gone: Tuple[str, ...] = tuple(line.text for line in lines if line.step is not None)
    return [], gone or (("the setup cell",) if lines else ())


def _own(text: str, head: Set[str]) -> bool:
    plain = text.strip()
    ours = plain in {"try:", "import colab_magics", "except ModuleNotFoundError:"}
    loads = re.match(r"%(re)?load_ext colab_magics$", plain)
    installs = re.match(r"%pip install -q \S*colab[-_]magics\S*$", plain)
    return (
        bool(plain)
        and not plain.startswith("#")
        and not (ours or loads or installs)
        and text not in head
    )
