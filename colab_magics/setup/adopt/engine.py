"""The plan that comes of a notebook's cells: what is dropped, moved, and what stays."""

from __future__ import annotations

import ast
import builtins
from dataclasses import replace
from typing import Collection, Dict, Iterable, List, Optional, Sequence, Set, Tuple

from ...core.secret_scan import assigned, find
from ...core.steps import Step
from ..packages import standard_library
from .pip import canonical
from .plan import CellPlan, Entry, Item, Plan
from .reading import Cell, Row, read_cells
from .shell import name_list
from .source import SHELLS, code_lines, words_in
from .state import Draft, State, Versions

_BUILTINS = frozenset(dir(builtins)) | {"get_ipython", "display", "In", "Out"}
#: Modules beside the standard library whose import does nothing but define names.
_HELPERS = frozenset(name_list("google gdown IPython kaggle_secrets matplotlib numpy pandas tqdm"))
_STAYS = "stays in its cell"


def make_plan(
    sources: Sequence[Tuple[int, str]],
    chosen: Optional[Collection[int]] = None,
    versions: Optional[Versions] = None,
) -> Plan:
    """Return what becomes of the code cells of a notebook, given as (index, text).

    ``chosen`` are the indexes of the cells to adopt; without them, those that are mostly setup.
    ``versions`` are those to write for packages that have none.
    """
    state = State(versions=versions or Versions())
    return _Planner(read_cells(sources, state, chosen), state).plan()


class _Planner:
    """Decides what is dropped, what goes into the setup cell, and what stays in its cell."""

    def __init__(self, cells: Sequence[Cell], state: State) -> None:
        self.cells, self.state = cells, state
        self.rows = [(cell, row) for cell in cells for row in cell.rows]
        self.needed: Set[str] = set()
        self.items: List[Item] = []
        #: Row -> what is written for it into the setup cell.
        self.written: Dict[int, Tuple[str, ...]] = {}
        self.bound: Set[str] = set()
        self.known: Set[str] = set()
        #: Whether the line that moves the kernel makes its folder, too.
        self.makes = False
        #: The lines that are there for moves alone.
        self.moves: Set[str] = set()

    def plan(self) -> Plan:
        """Return the plan."""
        self._settle_lines()
        self._find_needed()
        for cell in self.cells:
            if cell.is_adopted:
                self._take(cell)
        items = self._with_folders()
        self.moves = {x.text for x in items if x.is_move} - {x.text for x in self.items}
        return Plan(tuple(map(self._plan_cell, self.cells)), tuple(items))

    def _settle_lines(self) -> None:
        """Drop what a later line makes needless, and leave deletions to the person."""
        adopted = [row for cell, row in self.rows if cell.is_adopted]
        drafts = [draft for row in adopted for draft in row.drafts]
        steps = [draft for draft in drafts if draft.kind == "step"]
        pinned = {canonical(name) for x in steps if x.word == "pin" for name in _names(x.step())}
        folder = self.state.folders.get(self.state.final)
        for draft in drafts:
            if draft.text.startswith("!pip uninstall") and {*draft.subject} <= pinned:
                self.state.absorb(draft, "a pin decides the version")
            if draft is folder and draft.kind == "line":
                self.state.absorb(draft, "in the line that works there: --make")
                self.makes = True
        for row in adopted:
            if any(x.kind == "line" and x.word == "deletes" for x in row.drafts):
                row.problem = "it deletes on each run"

    def _find_needed(self) -> None:
        """Find the names that something reads which is no step."""
        for cell, row in self.rows:
            if not cell.is_adopted or row.is_effect:
                self.needed |= row.reads
        for cell in self.cells:
            if cell.source.problem:
                self.needed |= words_in(cell.text)
        while True:
            before = len(self.needed)
            for _, row in self.rows:
                names = row.binds if row.is_definition else row.assigns
                if names & self.needed:
                    self.needed |= row.reads
            if len(self.needed) == before:
                return

    # ------------------------------------------------------------------ what is written
    def _take(self, cell: Cell) -> None:
        """Put the rows of a cell into the setup cell."""
        last, stays = cell.last_step, False
        for at, row in enumerate(cell.rows):
            if row.is_understood:
                self._take_lines(row)
            elif row.is_effect and at < last:
                if stays and not row.stays:  # it may need what the code above does
                    row.problem, row.stays = f"{row.problem}; it stays behind code above", True
                if not row.stays:
                    self._take_code(row)
                stays = row.stays

    def _take_lines(self, row: Row) -> None:
        lines = []
        for draft in row.drafts:
            if draft.kind == "dropped":
                continue
            text = draft.render()
            if text in self.known:
                continue
            self.known.add(text)
            lines.append(text)
            step = draft.step() if draft.kind == "step" else None
            self.items.append(Item(text, step, draft.cwd, draft.needs_cwd))
        for text in self._bindings(row):
            lines.append(text)
            self.items.append(Item(text, None, None, False))
        self.written[id(row)] = tuple(lines)

    def _bindings(self, row: Row) -> List[str]:
        """Return the code for names that a row has bound and others read."""
        texts = []
        for name in sorted(row.binds & self.needed):
            secret = self.state.secrets.get(name)
            if secret and row.drafts and row.drafts[0].word == "secret":
                texts.append(f"{name} = __import__('os').environ[{secret!r}]")
        for statement in row.statements:
            if statement.binds & self.needed and not row.assigns & self.needed:
                texts += _imports(statement.node)
        return texts

    def _take_code(self, row: Row) -> None:
        """Put code with the definitions that it reads into the setup cell, if it can run there."""
        if find(row.text) or assigned(row.text):
            row.problem, row.stays = f"{row.problem}; it contains a secret", True
            return
        if row.cwd is None:
            row.problem, row.stays = f"{row.problem}; its folder is not known", True
            return
        missing = row.reads - row.binds - self.bound - _BUILTINS
        definitions = self._definitions(missing, row)
        if definitions is None:
            row.stays = True
            return
        for each in [*definitions, row]:
            self.bound |= each.binds
            self.items.append(Item(each.text, None, row.cwd, each is row))
        self.written[id(row)] = tuple(each.text for each in [*definitions, row])

    def _definitions(self, names: Iterable[str], before: Row) -> Optional[List[Row]]:
        """Return the definitions of names, and of those that they read; None: one is missing."""
        above: List[Row] = []
        for _, row in self.rows:
            if row is before:
                break
            above.append(row)
        definitions: List[Row] = []
        open_names = set(names)
        while open_names:
            name = open_names.pop()
            match = next((x for x in reversed(above) if name in x.binds), None)
            if match is None or not match.is_definition or find(match.text):
                return None
            if match not in definitions:
                definitions.append(match)
                open_names |= match.reads - self.bound - _BUILTINS
                open_names -= {bound for each in definitions for bound in each.binds}
        return [row for row in above if row in definitions]

    # ------------------------------------------------------------------ folders
    def _with_folders(self) -> List[Item]:
        """Return the lines with those that move the kernel where code needs it."""
        final = self.state.final
        moved = final or any(item.needs_cwd and item.cwd for item in self.items)
        items: List[Item] = []
        current: Optional[str] = None if moved else "."
        for item in self.items:
            cwd = item.cwd if item.cwd != "" else "."
            if moved and item.needs_cwd and cwd is not None and cwd != current:
                items.append(_move(cwd))
                current = cwd
            items.append(item)
        target = final or "."
        if moved and current != target:
            items.append(_move(target, self.makes and target == final))
        return items

    # ------------------------------------------------------------------ what is shown
    def _plan_cell(self, cell: Cell) -> CellPlan:
        numbers = code_lines(cell.source.lines)
        if not cell.is_adopted:
            why = f"left alone: {cell.why}"
            spans = [(numbers[0], numbers[-1])] if numbers else []
            entries = tuple(Entry(*span, "verbatim", (), why) for span in spans)
            return CellPlan(cell.index, cell.text, False, entries)
        entries = tuple(self._entry(row) for row in cell.rows)
        if cell.source.magic_line and cell.source.magic not in SHELLS:
            line = cell.source.magic_line
            why = "a step shows one line"
            entries = (Entry(line, line, "dropped", (), why), *entries)
        return CellPlan(cell.index, cell.text, True, _cover(entries, numbers))

    def _entry(self, row: Row) -> Entry:
        first, last = row.first, row.last
        if row.is_definition:
            if self._is_needless(row):
                why = "no other line uses it"
                if "@param" in row.text:
                    why = "the value that the form has now is in the lines that use it"
                return Entry(first, last, "dropped", (), why)
            why = "it defines names"
            if not row.binds & self.needed and all(map(_imported, row.nodes)):
                why = "an import may do something by itself"
            return Entry(first, last, "verbatim", (), f"{_STAYS}: {why}")
        written = self.written.get(id(row), ())
        if row.assigns & self.needed:
            return Entry(first, last, "verbatim", (), f"{_STAYS}: other lines use what it defines")
        if row.problem:
            why = row.problem if written else f"{_STAYS}: {row.problem}"
            return Entry(first, last, "verbatim", written, why)
        places = [x.subject[0] for x in row.drafts if x.word == "cd"]
        texts = [_move(place, make).text for place in places[-1:] for make in (False, True)]
        lines = [*written, *(text for text in texts if text in self.moves)]
        why = "; ".join(dict.fromkeys(draft.why for draft in row.drafts if draft.why))
        if lines:
            shown = [x for x in row.drafts if x.kind != "dropped" or x.word == "note"]
            whys = (x.why for x in shown if x.why)
            return Entry(first, last, "step", tuple(lines), "; ".join(dict.fromkeys(whys)))
        if any(draft.kind != "dropped" for draft in row.drafts):
            why = "as a line above"
        return Entry(first, last, "dropped", (), why)

    def _is_needless(self, row: Row) -> bool:
        """Return whether a definition was there for lines that are steps now."""
        if row.binds & self.needed:
            return False
        return self._is_taken(row) or all(map(_only_defines, row.nodes))

    def _is_taken(self, row: Row) -> bool:
        """Return whether a step, or a definition that only steps need, has read the names."""
        takers = [x for cell, x in self.rows if cell.is_adopted and x is not row]
        reads = {name for x in takers if not x.is_effect for name in x.reads}
        return bool(row.binds & (reads | self.state.flags))


def _imported(node: ast.stmt) -> List[str]:
    """Return the top names of the modules that a statement imports."""
    names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
    if isinstance(node, ast.ImportFrom):
        names = ["." if node.level else node.module or ""]
    return [name.partition(".")[0] for name in names]


def _only_defines(node: ast.stmt) -> bool:
    """Return whether a statement does nothing but bind its names, all of which are known.

    The import of a package may do something by itself: patch another, register operations.
    """
    modules = _imported(node)
    if modules:
        is_star = any(each.name == "*" for each in getattr(node, "names", ()))
        return not is_star and {*modules} <= _HELPERS | standard_library()
    return isinstance(node, ast.Assign)


def _names(step: Step) -> List[str]:
    return [key.partition(";")[0] for key in step.keys if not key.startswith("-")]


def _move(place: str, make: bool = False) -> Item:
    draft = Draft("step", "", "cd_persist", (place, *(["--make"] if make else [])))
    return Item(draft.render(), draft.step(), place, False, is_move=True)


def _imports(node: ast.stmt) -> List[str]:
    """Return the imports within a statement as lines."""
    lines = []
    for each in ast.walk(node):
        if isinstance(each, (ast.Import, ast.ImportFrom)):
            names = ", ".join(f"{x.name} as {x.asname}" if x.asname else x.name for x in each.names)
            place = ""
            if isinstance(each, ast.ImportFrom):
                place = f"from {'.' * each.level}{each.module or ''} "
            lines.append(f"{place}import {names}")
    return list(dict.fromkeys(lines))


def _cover(entries: Tuple[Entry, ...], numbers: Sequence[int]) -> Tuple[Entry, ...]:
    """Return entries that cover each of the lines; what none has belongs to the one before."""
    result = sorted(entries, key=lambda entry: entry.first)
    for number in numbers:
        if not any(entry.first <= number <= entry.last for entry in result):
            before = [at for at, entry in enumerate(result) if entry.last < number]
            if before:
                result[before[-1]] = replace(result[before[-1]], last=number)
            else:
                result.insert(0, Entry(number, number, "verbatim", (), _STAYS))
    return tuple(result)
