"""``%%resumable``: the one loop of a cell, whose turns are counted, saved and, later, skipped.

The cell stays Python's own but for its iterable: ``for x in ITER`` becomes
``for x in LOOP.start().turns(ITER)``, and what ITER reads goes through ``LOOP.check``. On going on,
the statements before the loop are left out, the iterable is made again with the random generators
as they were when the loop began, and the turns that are done are skipped.
"""

from __future__ import annotations

import ast
import time
from dataclasses import dataclass, field
from itertools import islice
from operator import length_hint
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

from ..core.errors import ColabMagicsError
from .iterables import CODE, find_generators, find_globals, fingerprint, is_iterator
from .manifest import hash_bytes
from .names import changed_names, read_names
from .namespace import get_states, set_states

#: The share of a loop's time that saving may take, and that looking at its items may.
SHARE, _ITEMS_SHARE = 0.02, 0.005
#: Builtins to whose result the order of what they get does not matter.
_ORDERLESS = {"sorted", "len", "min", "max", "any", "all"}
_LOOPS = (ast.For, ast.While, ast.AsyncFor)


class NotResumable(ColabMagicsError):
    """A loop that cannot be gone on with after a kill; its first turn has not begun.

    Codes: ``no-loop``, ``while-loop``, ``async-for``, ``several-loops``, ``inner-loop``,
    ``future``, ``iterator``, ``set``, ``changed-iterable``; of one that was cut ``other-items``,
    ``lost-variable``.
    """

    code = "not-resumable"


# ---------------------------------------------------------------------- the cell
@dataclass(frozen=True)
class Cell:
    """The statements of a cell: those before its one loop, the loop, and those behind it."""

    before: Sequence[ast.stmt]
    loop: ast.For
    after: Sequence[ast.stmt]
    #: What the cell is known by; comments and blanks do not count.
    hash: str

    def statements(self, skips: bool, runner: str) -> List[ast.stmt]:
        """Return what is to run: the loop's turns go through ``runner``, an expression."""
        turns = _call(f"{runner}.start().turns()", self.loop.iter)
        turns.args = [_guard(self.loop.iter, runner)]
        self.loop.iter = turns
        return [*([] if skips else self.before), self.loop, *self.after]


def read_cell(statements: Sequence[ast.stmt]) -> Cell:
    """Take a cell apart at its one loop; raise `NotResumable` where it has none, or another."""
    for node in statements:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            raise _refuse("future", "from __future__ must be first.", "Run it in a cell before.")
    loops = [at for at, node in enumerate(statements) if isinstance(node, _LOOPS)]
    if len(loops) > 1:
        hint = "Write each of them into a cell of its own."
        raise _refuse("several-loops", f"the cell has {len(loops)} loops.", hint)
    if not loops:
        raise _explain_missing(statements)
    loop = statements[loops[0]]
    if isinstance(loop, ast.While):
        hint = "Write: for turn in itertools.count(): and in it, if not CONDITION: break"
        raise _refuse("while-loop", "a while loop has no turns to count.", hint)
    if not isinstance(loop, ast.For):
        hint = "Write: items = [item async for item in SOURCE], and then: for item in items:"
        raise _refuse("async-for", "an async for cannot be gone through again.", hint)
    text = "\n".join(map(ast.dump, statements)).encode("utf-8", "surrogatepass")
    return Cell(statements[: loops[0]], loop, statements[loops[0] + 1 :], hash_bytes(text))


def _explain_missing(statements: Sequence[ast.stmt]) -> NotResumable:
    for outer in statements:
        if any(isinstance(node, _LOOPS) for node in ast.walk(outer)):
            hint = "Write the for at the left margin, with what is around it now inside of it."
            return _refuse("inner-loop", "its loop is inside of another statement.", hint)
    hint = "Write one at the left margin: for item in items:"
    return _refuse("no-loop", "the cell has no for loop.", hint)


def _refuse(code: str, message: str, hint: str) -> NotResumable:
    return NotResumable(f"%%resumable: {message}", hint, code=code)


def _guard(node: ast.expr, runner: str, ordered: bool = True) -> ast.expr:
    """Return an expression in which what it reads and makes goes through ``runner.check``."""
    if isinstance(node, (ast.Constant, ast.Lambda)):
        return node
    if isinstance(node, (ast.Starred, ast.NamedExpr)):
        node.value = _guard(node.value, runner, ordered)
        return node
    if isinstance(node, ast.Call):
        is_orderless = isinstance(node.func, ast.Name) and node.func.id in _ORDERLESS
        is_ordered = not is_orderless or bool(node.keywords)  # with a key, what is equal has one
        node.args = [_guard(value, runner, is_ordered) for value in node.args]
        for keyword in node.keywords:
            keyword.value = _guard(keyword.value, runner, is_ordered)
    elif isinstance(node, (ast.List, ast.Tuple)):
        starred = (ast.Starred,)
        node.elts = [_guard(x, runner) if isinstance(x, starred) else x for x in node.elts]
    elif isinstance(node, ast.IfExp):
        node.body, node.orelse = _guard(node.body, runner), _guard(node.orelse, runner)
    elif isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.DictComp)):
        node.generators[0].iter = _guard(node.generators[0].iter, runner)
    stored = isinstance(node, (ast.Name, ast.Attribute, ast.Subscript))
    call = _call(f"{runner}.check(stored={stored}, ordered={ordered})", node)
    call.args = [node]
    return call


def _call(text: str, at: ast.expr) -> ast.Call:
    """Return a call whose nodes stand where the user's expression does, for tracebacks."""
    call: Any = ast.parse(text, mode="eval").body
    for node in ast.walk(call):
        if "lineno" in node._attributes:
            ast.copy_location(node, at)
    return call  # type: ignore[no-any-return]


# ---------------------------------------------------------------------- its turns
@dataclass
class Position:
    """Where a loop stands at the beginning of a turn: what a checkpoint has of it, as a dictionary.

    ``turn`` turns are done. ``start`` are the states of the modules' random generators when the
    loop began, ``generators`` of those in variables; ``now`` those of the modules at the turn.
    """

    hash: str
    cell: str = ""
    turn: int = 0
    length: int = -1
    item: str = ""
    start: Dict[str, Any] = field(default_factory=dict)
    generators: Dict[str, Any] = field(default_factory=dict)
    now: Dict[str, Any] = field(default_factory=dict)


class Loop:
    """A loop that is run: `Cell.statements` calls `start`, `check` and `turns`.

    ``save`` makes a checkpoint of a `Position` and raises no error of its own; ``resumed`` is
    called when the turns that are done were skipped, or cannot be.
    """

    #: Seconds between two checkpoints; more where saving takes more than `SHARE` of the time.
    every = 60.0

    def __init__(
        self,
        cell: Cell,
        namespace: Dict[str, Any],
        position: Optional[Position],
        save: Callable[[Position], object],
        resumed: Callable[[], None] = lambda: None,
        cell_id: str = "",
    ) -> None:
        self.save, self._namespace, self._resumed = save, namespace, resumed
        self._skips = position is not None
        self.position = position or Position(cell.hash, cell_id)
        self.began = time.monotonic()
        self._names = read_names([ast.Expr(cell.loop.iter)])
        self._changed = changed_names(
            [ast.Assign([cell.loop.target], ast.Constant(0)), *cell.loop.body]
        )
        self.is_custom = False

    def start(self) -> Loop:
        """Note the random generators as they are when the loop begins, or set them so again."""
        __tracebackhide__ = True
        names, self.is_custom = find_globals(self._names, self._namespace)
        values = {name: self._namespace[name] for name in names}
        self._generators = find_generators(values)
        for name in sorted(self._changed & names - self._generators.keys()):
            if not isinstance(values[name], CODE):
                message = f"the loop changes {name}, which its first line reads."
                hint = "Write above it: items = list(...), and then: for item in items:"
                raise _refuse("changed-iterable", message, hint)
        states = {path: get() for path, (get, _) in self._generators.items()}
        if self._skips:
            self._states = states
            self._set_states(self.position.start, self.position.generators)
        else:
            self.position.start, self.position.generators = get_states(), states
        return self

    def check(self, value: Any, stored: bool, ordered: bool) -> Any:
        """Return a value of the iterable; refuse one that is not the same another time."""
        __tracebackhide__ = True
        if stored and is_iterator(value):
            message = f"the {type(value).__name__} that it goes through was made before the loop."
            raise _refuse("iterator", message, "Make it in the line of the for, or make it a list.")
        if ordered and isinstance(value, (set, frozenset)):
            message = "a set has another order in another kernel."
            raise _refuse("set", message, "Write: for item in sorted(items):")
        return value

    def turns(self, iterable: Any) -> Iterator[Any]:
        """Begin to go through an iterable; skip the turns that are done."""
        __tracebackhide__ = True
        if not {"__iter__", "__getitem__"} & set(dir(type(iterable))):
            return iterable  # type: ignore[no-any-return] # the for refuses it, in its own line
        try:
            length = length_hint(iterable, -1)
        except Exception:  # of its own; a loop does not need it
            length = -1
        try:
            iterator = iter(iterable)
            if self._skips:
                self._skip(iterator, length)
        finally:
            if self._skips:  # interrupted, it can be gone on with again
                self._set_states(self.position.now, self._states)
        self.position.length = length
        return _Turns(iterator, self)

    def _skip(self, iterator: Iterator[Any], length: int) -> None:
        """Skip the turns that are done; refuse to go on where they are others."""
        position, count, item = self.position, 0, None
        for count, item in enumerate(islice(iterator, position.turn), 1):  # noqa: B007
            pass
        is_same = (length, count) == (position.length, position.turn)
        is_same = is_same and position.item in ("", fingerprint(item, self.is_custom))
        self._resumed()
        if not is_same:
            message = f"the {position.turn} turns that were done have other items now."
            hint = "Run the cells above again and then this one, which begins with its first turn."
            raise _refuse("other-items", message, hint)

    def _set_states(self, modules: Dict[str, Any], generators: Dict[str, Any]) -> None:
        set_states(modules)
        for path, state in generators.items():
            if path in self._generators:
                self._generators[path][1](state)


class _Turns(Iterator[Any]):
    """Counts turns, and saves when it is time; nothing but the for statement holds its iterator."""

    def __init__(self, iterator: Iterator[Any], loop: Loop) -> None:
        self._iterator, self._loop, self._position = iterator, loop, loop.position
        self._due, self._next_print = loop.began + loop.every, 0.0
        self._printed = self._position.turn

    def __next__(self) -> Any:
        __tracebackhide__ = True
        now, position = time.monotonic(), self._position
        if now >= self._due and self._printed == position.turn:
            self._save()
            now = time.monotonic()
        item = next(self._iterator)
        position.turn += 1
        if now >= self._next_print or now >= self._due:
            began = time.monotonic()
            position.item = fingerprint(item, self._loop.is_custom)
            self._printed, ended = position.turn, time.monotonic()
            self._next_print = ended + (ended - began) / _ITEMS_SHARE
        return item

    def _save(self) -> None:
        began = time.monotonic()
        self._position.now = get_states()
        self._loop.save(self._position)
        ended = time.monotonic()
        self._due = ended + max(self._loop.every, (ended - began) / SHARE)
