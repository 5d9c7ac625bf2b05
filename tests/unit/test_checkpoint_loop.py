"""``%%resumable``: the same as Python's loop, run at once or cut at any turn."""

from __future__ import annotations

import ast
import contextlib
import io
import pickle
import random
import re
import traceback
from typing import Any, Dict, List, NamedTuple, Optional, Type

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colab_magics.checkpoint import loop
from colab_magics.checkpoint.cut import Cut, read_names
from colab_magics.checkpoint.iterables import fingerprint
from colab_magics.checkpoint.loop import Loop, NotResumable, Position, read_cell
from colab_magics.checkpoint.manifest import Variables
from colab_magics.checkpoint.namespace import dump, load, user_names

pytestmark = pytest.mark.once


class Killed(BaseException):
    """The kernel is gone."""


class Ended(NamedTuple):
    """What a cell came to: what it printed, its variables, its error and that error's lines."""

    printed: str
    names: Dict[str, Any]
    error: Optional[Type[BaseException]]
    lines: List[int]


def comparable(namespace: Dict[str, Any]) -> Dict[str, Any]:
    """The variables as texts; of functions, whose addresses differ, the length alone."""
    result = {}
    for name, value in namespace.items():
        text = repr(sorted(value) if isinstance(value, set) else value)
        if name not in {"__builtins__", "LOOP"} and "object at" not in text:
            result[name] = len(text) if "function" in text else text
    return result


def execute(code: Any, namespace: Dict[str, Any]) -> Ended:
    printed, error, lines = io.StringIO(), None, []
    with contextlib.redirect_stdout(printed):
        try:
            exec(code, namespace)
        except Killed:
            raise
        except BaseException as raised:
            frames = traceback.extract_tb(raised.__traceback__)
            ours = (__file__, loop.__file__)
            error, lines = type(raised), [x.lineno or 0 for x in frames if x.filename not in ours]
    return Ended(printed.getvalue(), comparable(namespace), error, lines)


def plain(source: str) -> Ended:
    random.seed(1)
    return execute(compile(source, "cell", "exec"), {"__name__": "__main__"})


class Kernel:
    """A namespace in which cells are run, and which is killed when turn ``kill`` would begin."""

    def __init__(self, image: Optional[bytes] = None, kill: Optional[int] = None) -> None:
        random.seed(1 if image is None else 2)
        self.kill, self.image = kill, b""
        self.namespace: Dict[str, Any] = {"__name__": "__main__"}
        self.state = None
        if image:
            variables, stream, buffers = pickle.loads(image)
            self.state = load(variables, stream, buffers, self.namespace).states["loop"]

    def save(self, position: Position) -> None:
        if position.turn == self.kill:
            names = [x for x in user_names(self.namespace, {}) if x != "LOOP"]
            stream, buffers, states = bytearray(), [], {"loop": dict(vars(position))}
            add = lambda data: buffers.append(bytearray(data))  # noqa: E731
            dumped = dump(self.namespace, names, states, stream.extend, add)
            variables = Variables("3", (), tuple(dumped.segments), (), {}, tuple(dumped.lost))
            self.image = pickle.dumps((variables, bytes(stream), buffers))
            raise Killed

    def run(self, source: str) -> Ended:
        tree = ast.parse(source)
        cell = read_cell(tree.body)
        position = Position(**self.state) if self.state else None
        self.namespace["LOOP"] = running = Loop(cell, self.namespace, position, self.save)
        running.every = 0.0
        tree.body = cell.statements(position is not None, "LOOP")
        return execute(compile(tree, "cell", "exec"), self.namespace)


@pytest.fixture(autouse=True)
def every_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint at the beginning of each turn."""
    monkeypatch.setattr(loop, "SHARE", 1e9)


#: Cells that run on after a kill at any turn.
SOURCES = """\
--- range
total = 0
for i in range(6):
    total += i
    print(i, total)
print('end', total)
--- nothing
for i in []:
    pass
else:
    print('else')
--- break
for i in range(9):
    if i == 4: break
else:
    print('else')
print(i)
--- no break
for i in range(4):
    if i == 4: break
else:
    print('else')
print(i)
--- continue
x = []
for i in range(6):
    if i % 2: continue
    x.append(i)
print(x)
--- nested
x = []
for i in range(4):
    for j in range(i):
        if j == 2: break
        x.append((i, j))
    else:
        x.append('else')
print(x)
--- while inside
x = 0
for i in range(4):
    n = i
    while n:
        n -= 1
        x += 1
--- starred
for a, *b in [(1, 2, 3), (4,), (5, 6)]:
    print(a, b)
--- attribute target
d = {}
for d['k'] in 'abc':
    print(d)
--- comprehension
i = 'mine'
x = []
for k in [i * 2 for i in range(4)]:
    x += [i for i in range(k)]
print(i, x)
--- function
def f(n):
    for i in range(n):
        yield i * k
k = 2
x = []
for i in range(4):
    k = i
    x.append(list(f(3)))
print(x)
--- closure
fs = []
for i in range(4):
    fs.append(lambda j=i: (i, j))
print([f() for f in fs])
--- error
for i in range(6):
    print(i)
    if i == 3:
        1 / 0
print('no')
--- error in a function
def f(i):
    return 1 / (3 - i)

for i in range(6):
    f(i)
--- error in the iterable
def g():
    yield 1
    yield 2
    raise KeyError

for i in g():
    print(i)
--- no iterable
x = 5
for i in x:
    pass
--- unknown
for i in nothing_of_that_name:
    pass
--- caught
for i in range(5):
    try:
        if i == 2: raise ValueError(i)
        print(i)
    except ValueError as error:
        print('caught', error)
    finally:
        print('f')
--- del
x = list(range(9))
y = 0
for i in range(4):
    del x[0]
    y += x[0]
del i
--- walrus
for i in (n := [3, 2, 1]):
    print(i, len(n))
--- enumerate zip reversed
a, b = [1, 2, 3, 4], 'abcd'
for n, (x, y) in enumerate(zip(reversed(a), b)):
    print(n, x, y)
--- dictionary
d = dict(a=1, b=2, c=3)
for k, v in d.items():
    print(k, v)
--- generator
data = list(range(9))
for b in (data[i : i + 2] for i in range(0, 9, 2)):
    print(b)
--- rows that change
rows = [{'n': i} for i in range(5)]
for row in rows:
    row['n'] *= 2
print(rows)
--- starred list
a = [1, 2]
for i in [*a, *range(3)]:
    print(i)
--- sorted set
s = set('kill')
for c in sorted(s):
    print(c)
for_all = len(s)
--- length of a set
s = {3, 4}
for i in range(len(s)):
    print(i)
--- random
import random
x = []
for i in random.sample(range(100), 6):
    x.append((i, random.random()))
print(x)
--- random of a function
import random
rng = random.Random(3)
def batches():
    order = list(range(8))
    rng.shuffle(order)
    yield from order
x = []
for i in batches():
    x.append((i, rng.random()))
print(x)
--- random in the line
import random
rng = random.Random(3)
for i in rng.sample(range(9), 5):
    print(i, rng.random())
--- random of an object
import random
class Loader:
    def __init__(self):
        self.generator = random.Random(3)
    def __len__(self):
        return 5
    def __iter__(self):
        return iter(self.generator.sample(range(99), 5))
loader = Loader()
for i in loader:
    print(i)
--- class in the loop
x = []
for i in range(3):
    class A:
        n = i
    x.append(A.n)
print(x)
--- return outside
for i in range(3):
    pass
return
--- global
for i in range(3):
    global z
    z = i
print(z)
--- import
for i in range(3):
    import math as m
    print(m.floor(i))
"""
CELLS = dict(re.findall(r"--- (.*)\n([^-](?:.|\n)*?)\n(?=---|\Z)", SOURCES))


def kill_and_go_on(source: str, kills: List[int]) -> Ended:
    """Run a cell whose kernel is killed at these turns, and return what the last came to."""
    image = None
    for turn in kills:
        kernel = Kernel(image, turn)
        try:
            return kernel.run(source)
        except Killed:
            image = kernel.image
    return Kernel(image).run(source)


@pytest.mark.parametrize("name", list(CELLS))
def test_a_cell_is_what_it_is_without(name: str) -> None:
    """Output, variables, error and the lines of its traceback are those of the plain cell."""
    source = CELLS[name]
    try:
        expected = plain(source)
    except SyntaxError as error:
        with pytest.raises(SyntaxError, match=str(error.msg)):
            Kernel().run(source)
        return
    assert Kernel().run(source) == expected


@pytest.mark.parametrize("name", [name for name in CELLS if name != "return outside"])
def test_a_cell_that_is_cut_goes_on(name: str) -> None:
    """Killed at each of its turns, and at three in turn, it ends with the same variables."""
    source = CELLS[name]
    expected = plain(source)
    for kills in ([0], [1], [2], [3], [4], [1, 2, 4], [0, 1, 1]):
        ended = kill_and_go_on(source, kills)
        assert ended._replace(printed="") == expected._replace(printed=""), kills
        assert expected.printed.endswith(ended.printed), kills


#: Cells that are refused before anything of them runs.
REFUSED = {
    "no-loop": ["x = 1", "def f():\n    return 1"],
    "while-loop": ["x = 3\nwhile x:\n    x -= 1"],
    "async-for": ["async for x in y:\n    pass"],
    "several-loops": [
        "for x in y:\n    pass\nfor x in y:\n    pass",
        "for x in y:\n    pass\nwhile x:\n    pass",
    ],
    "inner-loop": [
        "with open('x') as f:\n    for x in f:\n        pass",
        "if x:\n    for x in y:\n        pass",
        "try:\n    while x:\n        pass\nfinally:\n    pass",
        "def f():\n    for x in y:\n        pass",
    ],
    "future": ["from __future__ import annotations\nfor x in y:\n    pass"],
}


@pytest.mark.parametrize(("code", "source"), [(c, s) for c in REFUSED for s in REFUSED[c]])
def test_a_cell_without_such_a_loop_is_refused(code: str, source: str) -> None:
    """Each has its code, a line that says why and one that says what to write."""
    with pytest.raises(NotResumable) as refused:
        read_cell(ast.parse(source).body)
    assert refused.value.code == code
    assert refused.value.hint and "\n" not in refused.value.message + refused.value.hint


#: What a loop cannot go through again.
ONCE = {
    "iterator": [
        "it = iter([1, 2])\nfor x in it:\n    print(x)",
        "it = (x for x in 'ab')\nfor n, x in enumerate(it):\n    print(x)",
        "import itertools\nd = {'a': itertools.count()}\nfor x in zip('ab', d['a']):\n    print(x)",
        "it = map(str, 'ab')\nfor x in [*it]:\n    print(x)",
        "it = map(str, 'ab')\nfor x in (y for y in it):\n    print(x)",
    ],
    "set": [
        "s = {'a', 'b'}\nfor x in s:\n    print(x)",
        "for x in {'a', 'b'}:\n    print(x)",
        "for x in enumerate(set('ab')):\n    print(x)",
        "s = frozenset('ab')\nfor x in list(s):\n    print(x)",
        "s = {'a'}\nfor x in s | {'b'}:\n    print(x)",
        "s = {'a', 'b'}\nfor x in sorted(s, key=len):\n    print(x)",
    ],
    "changed-iterable": [
        "x = [1, 2]\nfor x in x:\n    print(x)",
        "d = {1: 2}\nfor k in list(d):\n    print(k)\n    del d[k]",
        "todo = [1, 2]\nfor x in todo:\n    print(x)\n    todo.remove(x)",
        "n = 3\nfor x in range(n):\n    print(x)\n    n -= 1",
        "d = [3]\ndef items():\n    yield from d\nfor x in items():\n    print(x)\n    d = []",
    ],
}


@pytest.mark.parametrize(("code", "source"), [(c, s) for c in ONCE for s in ONCE[c]])
def test_what_cannot_be_gone_through_again_is_refused(code: str, source: str) -> None:
    """Before the first turn: nothing was printed, and no iterator has lost an item."""
    kernel, printed = Kernel(), io.StringIO()
    tree = ast.parse(source)
    cell = read_cell(tree.body)
    kernel.namespace["LOOP"] = Loop(cell, kernel.namespace, None, kernel.save)
    tree.body = cell.statements(False, "LOOP")
    with pytest.raises(NotResumable) as refused, contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), kernel.namespace)
    assert (refused.value.code, printed.getvalue()) == (code, "")
    assert refused.value.hint and "\n" not in refused.value.message + refused.value.hint


@pytest.mark.parametrize(
    ("source", "change"),
    [
        ("x = [1, 2, 3]\nfor i in x:\n    pass", "x.pop()"),
        ("x = [1, 2, 3]\nfor i in x:\n    pass", "x[1] = 7"),
        ("x = [1, 2, 3]\nfor i in (y for y in x):\n    pass", "del x[1:]"),
    ],
)
def test_other_items_are_refused(source: str, change: str) -> None:
    """Where what was gone through is another now, no turn is run with it."""
    first = Kernel(kill=2)
    with pytest.raises(Killed):
        first.run(source)
    second = Kernel(first.image)
    exec(change, second.namespace)
    assert second.run(source).error is NotResumable


BODIES = st.lists(
    st.sampled_from(
        [
            "x += i",
            "y.append(x)",
            "if i % 2: continue",
            "if x > 9: break",
            "z = [k for k in y if k > i]",
            "for k in range(i): x += k",
            "x = x * 2 % 11",
            "y = y[-3:]",
            "w = random.random()",
            "y.append(w)",
            "print(i, x)",
            "d[i] = len(y)",
        ]
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(body=BODIES, kills=st.lists(st.integers(0, 6), max_size=3))
def test_any_body_is_cut_and_goes_on(body: List[str], kills: List[int]) -> None:
    """Loops of small statements end as the plain ones, wherever they were cut."""
    lines = "".join(f"    {line}\n" for line in body)
    source = f"import random\nx, y, w, d = 0, [], 0, {{}}\nfor i in range(7):\n{lines}"
    source += "else:\n    d['else'] = x\n"
    share, loop.SHARE = loop.SHARE, 1e9
    try:
        ended = kill_and_go_on(source, kills)
    finally:
        loop.SHARE = share
    expected = plain(source)
    assert ended._replace(printed="") == expected._replace(printed="")
    assert expected.printed.endswith(ended.printed)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = 1\nprint(x)", {"print"}),
        ("print(x)\nx = 1", {"print", "x"}),
        ("for i in y:\n    a = f(i)\n    g(a, b)\n    b = a", {"y", "f", "g", "b"}),
        ("for i in y:\n    if i:\n        a = 1\n    print(a)", {"y", "print", "a"}),
        ("x += 1", {"x"}),
        ("with open(p) as f:\n    d = f.read()\nd", {"open", "p"}),
        ("for i in y:\n    if i:\n        f = open(i)\n        f.read()", {"y", "open"}),
        ("d['k'] = v", {"d", "v"}),
        ("[i for i in x]", {"x"}),
        ("import a.b\na.b.c()", set()),
        ("def f():\n    return z\nf()", {"z"}),
    ],
)
def test_names_that_are_read_before_they_are_bound(source: str, names: set) -> None:
    """A name that each turn makes anew is not needed from the turn before."""
    assert read_names(ast.parse(source).body) == names


def cut_of(before: Dict[str, Any], missing: List[str] = []) -> Cut:  # noqa: B006
    cut = Cut.read(vars(Position("")), [x for x in before if x not in missing], missing, before)
    assert cut is not None
    return cut


@pytest.mark.parametrize(
    ("source", "missing", "later", "outcome"),
    [
        ("for i in x:\n    y.append(i)", [], {}, ""),
        ("for i in x:\n    y.append(i)", [], {"x": [1]}, "lost-variable"),
        ("y = []\nfor i in x:\n    y.append(i)", [], {"x": [1]}, "x was made again"),
        ("y = []\nfor i in x:\n    y.append(i)", [], {"n": 3, "unused": 1}, ""),
        ("y = []\nfor i in range(n):\n    y.append(i)", [], {"n": 3}, ""),
        ("y = []\nfor i in range(n):\n    y.append(i)", [], {"n": 4}, "n was made again"),
        ("y = []\nfor i in x:\n    y.append(i)", ["y"], {}, "y was not restored"),
        ("for i in x:\n    y.append(i)", ["y"], {"y": []}, "y was not restored"),
        ("for i in x:\n    y.append(i)", ["x"], {"x": [1]}, ""),
        ("for i in x:\n    t = i\n    print(t)", ["t"], {}, ""),
        ("for i in x:\n    other.append(i)", [], {"other": []}, "other is not in the checkpoint"),
        ("for i in x:\n    f(i)", [], {"f": lambda i: i}, ""),
    ],
)
def test_why_a_loop_begins_at_its_start(
    source: str, missing: List[str], later: Dict[str, Any], outcome: str
) -> None:
    """It goes on where each variable that it needs is as it was at the turn.

    Where it does not, and variables of other cells are as the turns have left them, it is refused.
    """
    namespace: Dict[str, Any] = {"x": [1, 2], "y": [], "n": 3, "f": print, "t": 1, "unused": 2}
    cut = cut_of(namespace, missing)
    for name in missing:
        del namespace[name]
    namespace.update(later)
    cell = read_cell(ast.parse(source).body)
    try:
        assert cut.find_reason(cell, namespace).startswith(outcome or "\0") or not outcome
    except NotResumable as error:
        assert error.code == outcome


def test_a_state_of_another_version_is_none() -> None:
    """A checkpoint with other fields is as one without a loop."""
    assert Cut.read({"turns": 3}, [], [], {}) is None


def test_a_fingerprint_is_of_what_no_loop_changes() -> None:
    """Numbers and texts differ; a list that was changed does not; arrays do where it is deep."""
    numpy = pytest.importorskip("numpy")
    a, b = numpy.arange(3), numpy.arange(3) * 2
    assert fingerprint((1, "a"), False) != fingerprint((1, "b"), False)
    assert fingerprint([1], False) == fingerprint([2], False)
    assert fingerprint(a, False) == fingerprint(b, False)
    assert fingerprint(a, True) != fingerprint(b, True) == fingerprint(a * 2, True)
    assert fingerprint(a[1], False) != fingerprint(b[1], False)


def test_the_iterable_ends_with_the_loop() -> None:
    """A generator is closed when the loop is left, as in Python, not when the next one begins."""
    source = "def g():\n    try:\n        yield 1\n        yield 2\n    finally:\n"
    source += "        print('closed')\nfor i in g():\n    break\nprint('after')"
    assert Kernel().run(source).printed == "closed\nafter\n" == plain(source).printed
