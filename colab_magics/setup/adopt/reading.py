"""Cells read in their order: rows of statements, and the lines that they become."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import Collection, FrozenSet, List, Optional, Sequence, Tuple

from ...record.cell import is_setup
from .calls import read_script
from .shell import NotUnderstood
from .source import SHELLS, Source, Statement, code_lines, read, words_in
from .state import Draft, State
from .statements import asks, define, is_definition, read_node, secret_of


@dataclass
class Row:
    """Statements that share lines, and the lines that they become."""

    statements: Tuple[Statement, ...]
    cwd: Optional[str]
    drafts: List[Draft] = field(default_factory=list)
    #: Why it is not understood; empty: it is.
    problem: str = ""
    is_definition: bool = False
    #: It may not be moved into the setup cell.
    stays: bool = False
    #: Names that it assigns within a block, while steps say the rest of it.
    assigns: FrozenSet[str] = frozenset()

    @property
    def nodes(self) -> List[ast.stmt]:
        """Its statements as Python parses them."""
        return [statement.node for statement in self.statements]

    @property
    def first(self) -> int:
        """Its first line."""
        return self.statements[0].first

    @property
    def last(self) -> int:
        """Its last line."""
        return max(each.last for each in self.statements)

    @property
    def text(self) -> str:
        """Its lines in the cell."""
        return "\n".join(dict.fromkeys(each.text for each in self.statements))

    @property
    def reads(self) -> FrozenSet[str]:
        """The names that it reads."""
        return frozenset().union(*(each.reads for each in self.statements))

    @property
    def binds(self) -> FrozenSet[str]:
        """The names that it binds."""
        return frozenset().union(*(each.binds for each in self.statements))

    @property
    def is_understood(self) -> bool:
        """Whether steps say all of it."""
        return not self.problem and not self.is_definition

    @property
    def has_line(self) -> bool:
        """Whether it becomes a line, or must not stay as it is."""
        return self.is_understood and any(
            x.kind != "dropped" or x.word in ("cd", "raises") for x in self.drafts
        )

    @property
    def is_effect(self) -> bool:
        """Whether it is code that does something of its own."""
        return bool(self.problem) and not self.is_definition


@dataclass
class Cell:
    """A cell with its rows; ``is_adopted``: its steps go into the setup cell."""

    index: int
    text: str
    source: Source
    rows: List[Row] = field(default_factory=list)
    is_adopted: bool = False
    why: str = ""

    @property
    def last_step(self) -> int:
        """The place of the last row that becomes a line; -1: there is none."""
        return max((at for at, row in enumerate(self.rows) if row.has_line), default=-1)


def read_cells(
    sources: Sequence[Tuple[int, str]], state: State, chosen: Optional[Collection[int]]
) -> List[Cell]:
    """Return the code cells of a notebook, given as (index, text), as rows."""
    cells = [Cell(index, text, read(text)) for index, text in sources]
    for cell in cells:
        unread = [words_in(cell.text)] if cell.source.problem else []
        for names in [*unread, *(each.reads for each in cell.source.statements)]:
            for name in names:
                state.readers[name] = state.readers.get(name, 0) + 1
    for cell in cells:
        _read_cell(cell, state, chosen)
    return cells


def _read_cell(cell: Cell, state: State, chosen: Optional[Collection[int]]) -> None:
    """Read a cell into rows, and note in the state what it does if it is adopted."""
    index, text, source = cell.index, cell.text, cell.source
    if is_setup(text):
        cell.why = "it is the setup cell"
        return
    mark = state.mark()
    try:
        cell.rows = _read_rows(source, state)
    except RecursionError:
        state.rollback(mark)
        cell.source = source = replace(source, problem="it is nested too deeply")
    steps = sum(row.has_line for row in cell.rows)
    effects = [row for row in cell.rows if row.is_effect]
    if chosen is None:
        cell.is_adopted = 0 < steps >= len(effects)
    else:
        cell.is_adopted = index in chosen and steps > 0
    if not cell.is_adopted:
        cell.why = source.problem or (
            "it is not set-up" if not steps else "most of it is your code"
        )
        if chosen is not None and steps:
            cell.why = "it was not named"
        state.rollback(mark)
        _pass_over(cell, state)
    elif any(row.is_effect for row in cell.rows[cell.last_step + 1 :]):
        state.set(state, "settled", True)


def _pass_over(cell: Cell, state: State) -> None:
    """Note what a cell that stays does to names and to the folder."""
    for row in cell.rows:
        for statement in row.statements:
            define(statement.node, statement.binds, state)
        if not row.is_definition:
            moves = any(draft.word in ("cd", "stays") for draft in row.drafts)
            moves = moves or "chdir" in row.text or "cd " in row.text
            if moves:
                state.set(state, "cwd", None)
            if row.is_effect or moves:
                state.set(state, "settled", True)
        state.forget_variables(words_in(row.text))
    if cell.source.problem and code_lines(cell.source.lines):
        state.set(state, "settled", True)
        for name in words_in(cell.text):
            state.values.pop(name, None)
        state.forget_variables(words_in(cell.text))


def _read_rows(source: Source, state: State) -> List[Row]:
    if source.problem or not code_lines(source.lines):
        return []
    if source.magic in SHELLS:
        numbers = code_lines(source.lines)
        node = ast.parse("pass").body[0]
        text, words = "\n".join(source.lines), words_in(source.body)
        whole = Statement(numbers[0], numbers[-1], text, node, words, frozenset())
        row = Row((whole,), state.cwd, stays=True)
        _try_to_read(row, state, script=source.body)
        return [row]
    rows: List[List[Statement]] = []
    for statement in source.statements:
        if rows and statement.first <= max(each.last for each in rows[-1]):
            rows[-1].append(statement)
        else:
            rows.append([statement])
    return [_read_row(Row(tuple(group), state.cwd), state) for group in rows]


def _read_row(row: Row, state: State) -> Row:
    row.cwd = state.cwd
    row.is_definition = all(is_definition(each.node, state) for each in row.statements)
    if row.is_definition:
        for statement in row.statements:
            define(statement.node, statement.binds, state)
        _read_secret(row, state)
        return row
    _try_to_read(row, state)
    if row.problem:
        for statement in row.statements:
            define(statement.node, statement.binds, state)
        state.forget_variables(words_in(row.text))
        if any(asks(node, state) for node in row.nodes):
            row.problem, row.stays = "it asks a person, which no setup cell does", True
        if not row.drafts and ("chdir" in row.text or "cd " in row.text):
            row.stays = True
            state.set(state, "cwd", None)
    return row


def _try_to_read(row: Row, state: State, script: str = "") -> None:
    mark, before = state.mark(), len(state.drafts)
    state.assigned = set()
    try:
        if script:
            read_script(script, state)
        for statement in () if script else row.statements:
            if isinstance(statement.node, (ast.Import, ast.ImportFrom)):
                define(statement.node, statement.binds, state)
            elif len(row.statements) > 1 and is_definition(statement.node, state):
                raise NotUnderstood("it defines something")
            else:
                read_node(statement.node, state)
        row.drafts, row.assigns = state.drafts[before:], frozenset(state.assigned)
        outside = [x for x in row.assigns if state.readers.get(x, 0) > (x in row.reads)]
        if outside and any(draft.word == "cd" for draft in row.drafts):
            raise NotUnderstood(f"other lines use {outside[0]}")
        if any(draft.word == "stays" for draft in row.drafts):
            row.problem, row.stays = "a cell above works in another folder", True
    except NotUnderstood as error:
        state.rollback(mark)
        row.problem = str(error)


def _read_secret(row: Row, state: State) -> None:
    """Have a secret that a name gets be one of the setup cell."""
    node = row.statements[0].node
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    if len(row.statements) > 1 or not isinstance(target, ast.Name):
        return
    if target.id in state.secrets and secret_of(getattr(node, "value", None), state) is not None:
        mark = state.mark()
        try:
            why = "from any place where secrets are"
            row.drafts = [state.add("secret", [state.secrets[target.id]], why)]
            row.is_definition = False
        except NotUnderstood:
            state.rollback(mark)
