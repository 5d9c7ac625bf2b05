"""Which cells run again after a checkpoint: a table of notebooks, and any other."""

from __future__ import annotations

import contextlib
import io
import json
import random
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colab_magics.checkpoint.cells import KeptCell, Run, State, decode_run, encode_run
from colab_magics.checkpoint.manifest import hash_source
from colab_magics.checkpoint.names import find_effects
from colab_magics.checkpoint.replay import Replay
from colab_magics.checkpoint.resume import NotebookCell, Plan, describe, name_cells, plan
from colab_magics.core.errors import ColabMagicsError

pytestmark = pytest.mark.once

#: Every name of the table's notebooks.
NAMES = ["np", "x", "y", "z", "f"]


def ran(cell: str, state: State = "finished", identity: str = "") -> Run:
    """A cell that has run; its id is what stands before a colon."""
    known, _, source = cell.rpartition(":: ")
    return Run(known or identity, hash_source(source), state, find_effects(source), "[]")


def cells(*texts: str) -> List[NotebookCell]:
    parts = [text.rpartition(":: ") for text in texts]
    return [NotebookCell(known, source, at) for at, (known, _, source) in enumerate(parts, 1)]


class Case(NamedTuple):
    """A notebook as it is now, what has run, and which of its cells run, counted from 0."""

    name: str
    notebook: Sequence[str]
    runs: Sequence[str]
    run: Sequence[int]
    lost: str = ""
    failed: str = ""  # what was cut
    reasons: Sequence[Tuple[int, str, str]] = ()


LINE = ("import numpy as np", "x = np.arange(3)", "y = x + 1", "print(y)", "z = 7", "print(z)")
CASES = (
    Case("all of it", LINE, LINE, []),
    Case("a part", LINE, LINE[:4], [4, 5]),
    Case("nothing", LINE, [], range(6)),
    Case("ids in some cells", ["a:: x = 1", "y = 2", "b:: z = 3"], ["x = 1", "y = 2"], [2]),
    Case("ids of another page", [f"{i}:: {c}" for i, c in enumerate(LINE)], LINE[:4], [4, 5]),
    Case(
        "a changed cell, and what depends on it",
        ["a:: x = 2", "b:: y = x", "c:: z = 7", "d:: print(y)", "e:: print(z)"],
        ["a:: x = 1", "b:: y = x", "c:: z = 7", "d:: print(y)"],
        [0, 1, 3, 4],
        reasons=[(0, "changed", ""), (1, "order", "")],
    ),
    Case(
        "an import more",
        ["a:: import numpy as np, json", *LINE[1:]],
        ["a:: import numpy as np", *LINE[1:4]],
        [0, 4, 5],
        reasons=[(0, "changed", "")],
    ),
    Case(
        "a cell that was inserted",
        ["x = 1", "y = 2", "print(x)", "print(y)"],
        ["x = 1", "print(x)"],
        [1, 3],
        reasons=[(1, "new", "")],
    ),
    Case(
        "one inserted that changes what is below",
        ["x = 1", "x = 2", "y = x", "print(y)"],
        ["x = 1", "y = x"],
        [1, 2, 3],
    ),
    Case("a cell that was deleted", ["x = 1", "print(x)"], ["x = 1", "x = 2"], [0, 1]),
    Case("a deleted one that nobody needs", ["x = 1", "print(x)"], ["x = 1", "y = 2"], [1]),
    Case(
        "a definition that was run twice",
        ["x = 1", "y = x", "print(y)"],
        ["x = 1", "x = 1", "y = x"],
        [2],
    ),
    Case(
        "a change that was run twice",
        ["x = 1", "x += 1", "print(x)"],
        ["x = 1", "x += 1", "x += 1"],
        [0, 1, 2],
    ),
    Case("duplicates", ["x = 1", "print(1)", "print(1)", "y = 2"], ["x = 1", "print(1)"], [2, 3]),
    Case("duplicates with ids", ["a:: print(1)", "b:: print(1)"], ["b:: print(1)"], [0]),
    Case(
        "in another order",
        ["x = 1", "y = x", "x = 2", "print(y)"],
        ["x = 1", "x = 2", "y = x"],
        [0, 1, 2, 3],
    ),
    Case(
        "in another order that is the same", ["x = 1", "y = 2", "print(x)"], ["y = 2", "x = 1"], [2]
    ),
    Case(
        "a change that was cut",
        ["x = 1", "x += 1", "print(x)"],
        ["x = 1"],
        [0, 1, 2],
        failed="x += 1",
    ),
    Case(
        "a definition that was cut",
        ["x = 1", "y = x", "print(y)"],
        ["x = 1"],
        [1, 2],
        failed="y = x",
    ),
    Case(
        "a lost variable",
        ["x = 1", "y = iter([x])", "z = 3", "print(z, next(y))"],
        ["x = 1", "y = iter([x])", "z = 3"],
        [1, 3],
        lost="y",
        reasons=[(1, "lost", "y")],
    ),
    Case(
        "a lost one that nobody needs",
        ["x = 1", "y = iter([x])", "print(x)"],
        ["x = 1", "y = iter([x])"],
        [2],
        lost="y",
    ),
    Case(
        "a lost one, and what has changed it",
        ["x = [1]", "y = iter([1])", "x.append(next(y))", "print(x)", "print(next(y))"],
        ["x = [1]", "y = iter([1])", "x.append(next(y))", "print(x)"],
        [0, 1, 2, 4],
        lost="y",
    ),
    Case(
        "a changed object by another name",
        ["a:: x = [1]", "b:: y = x", "c:: y.append(2)", "d:: print(x)"],
        ["a:: x = [1]", "b:: y = x", "c:: y.append(1)"],
        range(4),
    ),
    Case(
        "a global that a function reads",
        ["x = 1", "def f(): return x", "b:: x = 2", "print(f())"],
        ["x = 1", "def f(): return x", "b:: x = 3", "print(f())"],
        [2, 3],
    ),
    Case(
        "a global that a function changes",
        ["x = []", "def f(): x.append(1)", "f()", "a:: z = 1", "print(x)"],
        ["x = []", "def f(): x.append(1)", "f()", "f()", "a:: z = 1"],
        [0, 1, 2, 4],
    ),
    Case(
        "what nobody can know",
        ["x = 1", "a:: exec(s)", "y = x", "print(y)"],
        ["x = 1", "a:: exec(t)", "y = x"],
        [0, 1, 2, 3],
    ),
    Case(
        "a function of a library that may change what it gets",
        ["import np", "x = {}", "a:: np.norm(x)", "print(x)"],
        ["import np", "x = {}", "a:: np.other(x)"],
        [1, 2, 3],
    ),
    Case(
        "a helper, though its calls were edited",
        ["def f(n): return n + 1", "x = f(1)", "a:: y = f(2)", "print(x)"],
        ["def f(n): return n + 1", "x = f(1)", "a:: y = f(3)"],
        [2, 3],
    ),
    Case(
        "what a function keeps",
        ["def f(x=[]): x.append(1); return len(x)", "f()", "print(f())"],
        ["def f(x=[]): x.append(1); return len(x)", "f()", "f()"],
        [0, 1, 2],
    ),
    Case("a look that was repeated", ["x = [1]", "x", "print(x)"], ["x = [1]", "x", "x"], [2]),
    Case(
        "options of the process, which is gone",
        ["import np", "np.set_option('a', 1); z = 7", "x = z", "print(x)"],
        ["import np", "np.set_option('a', 1); z = 7", "x = z"],
        [1, 3],
        reasons=[(1, "options", "<process>")],
    ),
    Case("the last value", ["x = 1", "x + 1", "print(_)"], ["x = 1", "x + 1"], [1, 2]),
)


def names_without(lost: str) -> List[str]:
    return [name for name in NAMES if name not in lost.split()]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_which_cells_run(case: Case) -> None:
    """Those that would show or make something else than a run from the top, and no others."""
    runs = [ran(text) for text in case.runs]
    cut = ran(case.failed, "failed") if case.failed else None
    made = plan(cells(*case.notebook), runs, cut, names_without(case.lost))
    assert list(made.run) == list(case.run)
    assert {*made.run, *made.done} == set(range(made.count))
    for reason in case.reasons:
        assert reason in made.reasons


# ---------------------------------------------------------------------- any notebook
#: Cells that are put together at random; each shows values, so that a wrong one is seen.
SOURCES = r"""
a = 1
a = 2
a += 1
try: new += 1\nexcept NameError: new = 0; print('new')
print('new' in dir())
def f(x=[]): x.append(a); return len(x)
L = lambda x=c: x.append(1)
L(); list.append(c, 2); print(c)
sorted([2, 1], key=h2); print(c)
def h2(x): c.append(x); return x
getattr(c, 'append')(3)
import functools; p = functools.partial(h, c)
p(); print(c)
dd['a']; print(dict(dd))
2 in e
c += [a]; print(d)
b = a + 1
b = b * 2
c = [a]
d = c
d.append(a)
c = c + [b]
c.append(len(d))
c[0] = b; print(c)
print(a)
print(b)
print(c, d)
def f(): return a
def f(): return (a, b)
def f(): c.append(a)
print(f())
b = f()
f(); print(c)
def g(): global a; a = 5
g()
def h(x): x.append(0); return x
d = h(c)
e = iter(c)
print(next(e))
e = iter([1, 2, 3])
print(list(e))
print([x for x in e])
class K: total = 0
K.total += 1
print(K.total)
k = K(); k.total = b
print(k.total)
import random
import random, math
random.seed(1)
print(random.random())
a = random.randint(0, 9)
random.shuffle(c)
print(math.floor(2.5), a)
exec('a = 7')
for a in c: b = a
a, b = b, a
del a
d = {"c": c}
d["c"] = a
with_c = [c, d]; with_c[0] = 1; print(with_c)
""".strip().splitlines()
SOURCES = [source.replace("\\n", "\n") for source in SOURCES]


#: What they need.
HEAD = [
    "import random, math, collections\ndd = collections.defaultdict(list)",
    "random.seed(3)",
    "a = b = 0; c, d = [0], [1]",
    "e = iter([1])",
]
HEAD += ["def f(): return a\ndef g(): return 1\ndef h(x): return x\nclass K: total = 0\nk = K()"]
HEAD += ["def h2(x): return x\np = L = h2"]


class Shown(NamedTuple):
    text: str
    failed: bool


def execute(source: str, namespace: Dict[str, Any]) -> Shown:
    """Run a cell, and return what it shows."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        try:
            exec(source, namespace)
        except Exception:
            return Shown(text.getvalue(), True)
    return Shown(text.getvalue(), False)


def run_all(sources: Sequence[str]) -> List[Shown]:
    namespace: Dict[str, Any] = {}
    random.seed(0)
    shown = [execute(source, namespace) for source in sources]
    return shown[: [*(x.failed for x in shown), True].index(True)]


indexes = st.lists(st.integers(0, len(SOURCES) - 1), min_size=1, max_size=9)


@given(indexes, st.lists(st.integers(0, len(SOURCES) - 1), max_size=2), st.data())
def test_nothing_wrong_is_shown(picks: List[int], others: List[int], data: st.DataObject) -> None:
    """Whatever has run before in whatever order, and whatever is lost: each cell shows what it
    shows in a run from the top, whether it runs again or keeps what it had shown.
    """
    sources = [*HEAD, *(SOURCES[at] for at in picks)]
    wanted = run_all(sources)
    sources = sources[: len(wanted)]
    known = [f"{i}:: {source}" for i, source in enumerate(sources)]
    before = [*known, *(SOURCES[at] for at in others)]
    is_in_order = data.draw(st.booleans())
    if is_in_order:
        done = known[: data.draw(st.integers(0, len(known)))]
        done += data.draw(st.lists(st.sampled_from(before), max_size=1))
    else:
        done = data.draw(st.lists(st.sampled_from(before), max_size=12))
    namespace: Dict[str, Any] = {}
    random.seed(0)
    runs = []
    for text in done:
        shown = execute(text.rpartition(":: ")[2], namespace)
        run = ran(text, "failed" if shown.failed else "finished")
        runs.append(Run(run.id, run.hash, run.state, run.effects, json.dumps(shown.text)))
    mine = [name for name in namespace if not name.startswith("__")]
    lost = data.draw(st.sets(st.sampled_from(mine), max_size=2)) if mine else set()
    for name in lost:
        del namespace[name]
    names = [name for name in mine if name not in lost]
    made = plan(cells(*known), runs, None, names)
    for name in made.stale:
        namespace.pop(name, None)
    got = {at: json.loads(run.outputs or "") for at, run in made.done.items()}
    for at in made.run:
        got[at] = execute(sources[at], namespace).text
    assert [got[at] for at in range(len(sources))] == [shown.text for shown in wanted]


def test_a_run_is_kept_and_comes_back() -> None:
    """All of it; what has another form is an error with a code."""
    run = ran("a:: import os\ndef f(x): g(x); return [y for y in z]\nx.a = f(2)")
    assert run.effects is not None and run.effects.uses
    kept = encode_run(run)
    assert decode_run(kept) == run
    broken = ["", "[]", "{}", "null", kept.record.replace("finished", "other")]
    broken += [
        kept.record.replace('"outputs": []', f'"outputs": [{x}]')
        for x in ("1", "{}", '{"output_type": "error"}')
    ]
    for record in broken:
        with pytest.raises(ColabMagicsError) as caught:
            decode_run(KeptCell("a", run.hash, record))
        assert caught.value.code == "damaged-checkpoint"


def test_a_replay_goes_through_each_cell_once() -> None:
    """With ids and without: done cells are shown, changed ones refused, and none twice."""
    texts = ["x = 1", "print(1)", "print(1)", "print(x)"]
    notebook = cells(*(f"{at}:: {text}" for at, text in enumerate(texts)))
    made = plan(notebook, [ran(f"{at}:: {text}") for at, text in enumerate(texts[:3])], None, ["x"])
    replay = Replay(notebook, made)
    assert [replay.decide("", "print(1)"), replay.decide("9", "print(1)")] == ["show", "show"]
    assert replay.decide("0", "x = 2") == "refuse"
    taken = [replay.take("2", "print(1)"), replay.take("", "print(1)"), replay.take("", "print(1)")]
    assert [run and run.id for run in taken] == ["2", "1", None]
    assert (replay.decide("3", "print(x)"), replay.is_past("3", "print(x)")) == ("run", True)


def test_a_plan_in_words() -> None:
    """How many were done, what runs first and why, and where it goes on."""
    notebook = cells(*LINE)
    assert describe(Plan(6), notebook) == ("0 of 6 cells were done", "Run all cells")
    runs = [ran(text) for text in LINE]
    state, action = describe(plan(notebook, runs[:4], None, NAMES), notebook)
    assert (state, action) == ("4 of 6 cells were done", "Continue with cell 5")
    state, _ = describe(plan(notebook, runs[2:], None, NAMES), notebook)
    assert "first: cell 1 has not run" in state or state.startswith("0 of 6")
    assert name_cells([1, 2, 3, 5]) == "cells 1-3, 5"
    assert name_cells([4]) == "cell 4"


def test_lines_of_ipython_are_no_riddle() -> None:
    """Commands, magics and cells of other languages: names are known, and that files are used."""
    command, shell, timed = map(
        find_effects, ("x = !ls\nx.sort(); y = x", "%%bash\nls", "%%time\nx = y")
    )
    assert command and (command.defines, "<files>" in command.changes) == ({"x", "y"}, True)
    assert shell and (shell.defines, shell.changes) == (set(), {"<files>"})
    assert timed and (timed.defines, timed.reads) == ({"x"}, {"y"})
    assert find_effects("%run other.py") is None
    assert find_effects("print(Out[3])") is None
