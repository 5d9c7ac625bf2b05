"""Which cells of a notebook need not run again after a checkpoint was restored.

What has happened is followed cell by cell, and so is what a run from the top would do: each value
of a name is a number, equal where the same source has made it from equal values. A cell is done if
it has run with the values that it would have. The others run, and with them, until nothing is
amiss, the cells that make the values which these need. So whatever people did, in whatever order,
the result is that of a run from the top, or more cells run than need be.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field
from typing import (
    AbstractSet,
    Container,
    Dict,
    FrozenSet,
    Iterable,
    List,
    Literal,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from .cells import Effects, Run
from .manifest import hash_source
from .names import ANYTHING, HIDDEN, PROCESS, RESULT, find_effects

#: ``changed``: its source is another one; ``new``: it has not run, though later ones have;
#: ``failed``; ``order``: it ran with other values; ``lost``: it makes ``name``, which is lost;
#: ``values``: it makes ``name``, whose value is a later one; ``options``: it sets some.
Kind = Literal["changed", "new", "failed", "order", "lost", "values", "options"]
#: Those of a cell behind all that are done which are no surprise, where some are, and else.
_PLAIN: Tuple[Tuple[Kind, ...], ...] = (
    ("new",),
    ("new", "failed", "order", "lost", "values", "options"),
)


class NotebookCell(NamedTuple):
    """A cell with code, as the notebook has it now."""

    id: str
    source: str
    #: Its place in the notebook, from 1.
    number: int = 0


class Reason(NamedTuple):
    """Why a cell runs though later ones are done."""

    cell: int
    kind: Kind
    name: str = ""


@dataclass(frozen=True)
class Plan:
    """Which cells run, by their indexes; ``done`` has the others, each with the run that it had."""

    count: int
    done: Dict[int, Run] = field(default_factory=dict)
    reasons: Tuple[Reason, ...] = ()
    #: Names that a run from the top would not have where they are read.
    stale: FrozenSet[str] = frozenset()

    @property
    def run(self) -> Tuple[int, ...]:
        """The cells that run, in their order."""
        return tuple(at for at in range(self.count) if at not in self.done)

    @property
    def again(self) -> Tuple[int, ...]:
        """Those of them that stand before one that is done."""
        return tuple(at for at in self.run if at < max(self.done, default=0))

    @property
    def rest(self) -> Tuple[int, ...]:
        """The others: with the first of them Run All goes on."""
        return self.run[len(self.again) :]


class _Cell(NamedTuple):
    id: str
    hash: str
    effects: Optional[Effects]


def plan(
    cells: Sequence[NotebookCell],
    runs: Sequence[Run],
    running: Optional[Run],
    names: Container[str],
    since: Sequence[Run] = (),
) -> Plan:
    """Return which cells run.

    ``runs`` are those before the checkpoint, in their order, ``running`` is the cell that it cut;
    ``names`` are the variables that came back, and ``since`` what has run here after that.
    """
    current = [_Cell(x.id, hash_source(x.source), find_effects(x.source)) for x in cells]
    known = [*(x.effects for x in (*runs, *since)), *(x.effects for x in current)]
    effects = list(filter(None, known))
    planner = _Planner(current, _Context(_find_objects(effects), {}))
    planner.follow([*runs, *([running] if running else [])])
    planner.lose_all_but(names)
    planner.follow(since)
    planner.match()
    planner.close()
    done = {at: run for at, run in planner.done.items() if at not in planner.run}
    last = max(done, default=-1)
    reasons = [x for x in planner.reasons if x.cell < last or x.kind not in _PLAIN[bool(done)]]
    return Plan(len(cells), done, tuple(reasons), frozenset(planner.stale))


_REASONS: Mapping[Kind, str] = {
    "changed": "cell {cell} has changed",
    "new": "cell {cell} has not run",
    "failed": "cell {cell} did not end",
    "order": "cell {cell} ran with other values",
    "lost": "{name} is lost",
    "values": "{name} has changed since",
    "options": "cell {cell} sets options",
}
#: Reasons that a message has.
_FEW = 3


def describe(plan: Plan, cells: Sequence[NotebookCell]) -> Tuple[str, str]:
    """Return how a notebook stands, and what is to be done, in words."""
    texts = [_REASONS[x.kind].format(cell=cells[x.cell].number, name=x.name) for x in plan.reasons]
    reasons = ", ".join(list(dict.fromkeys(texts))[:_FEW])
    state = f"{len(plan.done)} of {plan.count} cells were done"
    if not plan.done:
        return f"{state}: {reasons}" if reasons else state, "Run all cells"
    again = name_cells([cells[at].number for at in plan.again])
    if plan.again:
        state += f"; {again} first: {reasons}"
    if not plan.rest:
        return state, f"Run {again} again" if plan.again else "Nothing is left to run"
    return state, f"Continue with cell {cells[plan.rest[0]].number}"


def name_cells(numbers: Sequence[int]) -> str:
    """Return how people call these cells: ``cells 1-3, 5``."""
    ranges: List[List[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1][1:] = [number]
        else:
            ranges.append([number])
    words = ", ".join("-".join(map(str, x)) for x in ranges)
    return f"cell{'s' * (len(numbers) != 1)} {words}"


def _find_objects(effects: Iterable[Effects]) -> FrozenSet[str]:
    """Return the names of what may be changed: not those that are only imported,
    plain functions or Python's own.
    """
    mentioned: Set[str] = set()
    imported: Set[str] = set(vars(builtins))
    others: Set[str] = set()
    for effect in effects:
        names = {name for name, _ in effect.constants}
        mentioned |= effect.reads | effect.defines
        imported |= names
        others |= effect.defines - names
    constant = imported - others
    return frozenset(name for name in mentioned - constant if name.isidentifier())


class _Context(NamedTuple):
    """What is the same in each state: names of objects that may be changed, which are not those of
    modules and builtins; and the numbers of values, by what they were made from.
    """

    objects: FrozenSet[str]
    numbers: Dict[object, int]


class _State:
    """The values of names, as numbers."""

    def __init__(self, context: _Context) -> None:
        self._context = context
        self.values: Dict[str, int] = {}
        #: What a function may use, by its name.
        self._functions: Dict[str, Effects] = {}
        #: The names that may share an object with a name, itself among them.
        self._shared: Dict[str, FrozenSet[str]] = {}

    def copy(self) -> _State:
        """Return one that is changed by itself."""
        copy = _State(self._context)
        copy.values, copy._functions = dict(self.values), dict(self._functions)
        copy._shared = dict(self._shared)
        return copy

    def number(self, *parts: object) -> int:
        """Return a number that stands for these parts."""
        numbers = self._context.numbers
        return numbers.setdefault(parts, len(numbers))

    def lose(self, name: str) -> None:
        """Give a name a value that no cell makes."""
        self.values[name] = self.number(object())

    def inputs(self, effects: Optional[Effects]) -> Dict[str, Optional[int]]:
        """Return the values that a cell depends on: also those that it changes by other names."""
        if effects is None:
            return dict(self.values)
        reached = self._reached(effects)
        names = {ANYTHING, *reached, *self._objects_of(self._changed(effects, reached))}
        return {name: self.values.get(name) for name in names}

    def run(self, cell: _Cell, failed: bool = False) -> Tuple[int, AbstractSet[str]]:
        """Let a cell run; return a number for it with its inputs, and the names that it makes.

        One that has failed has made values that no other makes.
        """
        effects = cell.effects
        key = self.number(cell.hash, tuple(sorted(self.inputs(effects).items())))
        made = self.number(object()) if failed else key
        if effects is None:
            written = {ANYTHING, *self.values}
            self._share(written)
        else:
            written = self._write(effects)
        for name in written:
            self.values[name] = self.number(made, name)
        for name, target in effects.constants if effects else ():
            self.values[name] = self.number("constant", target)
        return key, written

    def _write(self, effects: Effects) -> Set[str]:
        """Return the names that a cell makes or changes; note what shares objects from now on."""
        reached = self._reached(effects)
        changed = self._changed(effects, reached)
        written = {*effects.defines, *self._objects_of(changed)}
        for name in effects.defines - changed:
            self._functions.pop(name, None)
            rest = self._shared.pop(name, frozenset()) - {name}
            self._shared.update(dict.fromkeys(rest, rest))
        if effects.uses | effects.alters:
            self._functions.update(dict.fromkeys(effects.defines, effects))
        self._share(effects.defines | changed | reached)
        return written

    def _changed(self, effects: Effects, reached: AbstractSet[str]) -> Set[str]:
        """Return the names whose objects a cell may change, itself or by a function."""
        changed = set(effects.changes)
        for name in reached & self._functions.keys():
            changed |= self._functions[name].alters
        return changed & {*self._context.objects, *HIDDEN}

    def _objects_of(self, names: Iterable[str]) -> Set[str]:
        """Return these names, and those by which their objects may be known too."""
        return set().union(*(self._shared.get(name, (name,)) for name in names))

    def _share(self, names: Iterable[str]) -> None:
        """Note that objects of these names may be in each other."""
        visible = [name for name in names if name in self._context.objects]
        group = frozenset(visible).union(*(self._shared.get(x, ()) for x in visible))
        self._shared.update(dict.fromkeys(group, group))

    def _reached(self, effects: Effects) -> Set[str]:
        """Return the names that a cell reads, and those that their functions use."""
        reached: Set[str] = set()
        rest = [*effects.reads, *effects.changes]
        while rest:
            name = rest.pop()
            if name not in reached:
                reached.add(name)
                for other in self._shared.get(name, (name,)):
                    used = self._functions.get(other)
                    rest += [*used.uses, *used.alters] if used else ()
        return reached


class _Planner:
    """Finds the cells that run."""

    def __init__(self, cells: Sequence[_Cell], context: _Context) -> None:
        self._cells = cells
        self._past = _State(context)
        ideal = self._past.copy()
        #: Of each cell in a run from the top: its number, the values it depends on, what it makes.
        self._inputs: List[Dict[str, Optional[int]]] = []
        self._keys: List[int] = []
        self._written: List[AbstractSet[str]] = []
        for cell in cells:
            self._inputs.append(ideal.inputs(cell.effects))
            key, written = ideal.run(cell)
            self._keys.append(key)
            self._written.append(written)
        self._end = ideal.values
        #: What has run, each with its number.
        self._runs: List[Tuple[Run, int]] = []
        self._lost: Set[str] = set()
        self.done: Dict[int, Run] = {}
        self.run: Set[int] = set()
        self.stale: Set[str] = set()
        self.reasons: List[Reason] = []

    def follow(self, runs: Iterable[Run]) -> None:
        """See which values there are after these runs."""
        for run in runs:
            cell = _Cell(run.id, run.hash, run.effects)
            key, _ = self._past.run(cell, run.state == "failed")
            self._runs.append((run, key))

    def lose_all_but(self, names: Container[str]) -> None:
        """See which values are lost."""
        for name in list(self._past.values):
            if name not in names and name not in HIDDEN:
                self._past.lose(name)
                self._lost.add(name)
        self._past.values.pop(PROCESS, None)

    def match(self) -> None:
        """See which cells are done: those that had the values which they would have."""
        ids = {cell.id for cell in self._cells if cell.id}
        free = [(run, key) for run, key in self._runs if run.state == "finished"]
        for at, cell in enumerate(self._cells):
            same = [x for x in free if x[1] == self._keys[at]]
            same = [x for x in same if x[0].id == cell.id or x[0].id not in ids or not cell.id]
            same.sort(key=lambda x: x[0].id != cell.id)
            if same:
                free.remove(same[0])
                self.done[at] = same[0][0]
            else:
                self._add(at, self._reason(cell))

    def _reason(self, cell: _Cell) -> Kind:
        runs = [run for run, _ in self._runs]
        own = [run for run in runs if (cell.id and run.id == cell.id) or run.hash == cell.hash]
        if not own:
            return "new"
        if own[-1].hash != cell.hash:
            return "changed"
        return "order" if own[-1].state == "finished" else "failed"

    def close(self) -> None:
        """Add cells until those that run get the values which they need, and leave no old ones."""
        before = -1
        while before != len(self.run) + len(self.stale):
            before = len(self.run) + len(self.stale)
            state = self._past.copy()
            for name in self.stale:
                state.values.pop(name, None)
            written = {PROCESS, *self.stale}
            for at in sorted(self.run):
                self._require(self._inputs[at], state, at)
                written |= state.run(self._cells[at])[1]
            if self.run:
                end = {name: self._end.get(name) for name in written - {RESULT}}
                self._require(end, state, len(self._cells))

    def _require(self, values: Dict[str, Optional[int]], state: _State, before: int) -> None:
        for name, value in values.items():
            if state.values.get(name) == value:
                continue
            if value is None and name not in HIDDEN:
                self.stale.add(name)
            makers = (x for x in reversed(range(before)) if name in self._written[x])
            maker = next(makers, None)
            if maker is not None:
                kind: Kind = "lost" if name in self._lost else "values"
                self._add(maker, "options" if name == PROCESS else kind, name)

    def _add(self, at: int, kind: Kind, name: str = "") -> None:
        if at not in self.run:
            self.run.add(at)
            self.reasons.append(Reason(at, kind, name))
