"""What is computed on after a restore is what would have been without it, or named as lost."""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Set, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.namespaces import go_on, read_cases, restore, save, variables

from colab_magics.checkpoint.namespace import (
    Mismatch,
    Stopped,
    dump,
    get_states,
    mismatches,
    set_states,
    user_names,
)
from colab_magics.core.redact import forget_secrets, register_secret


def test_going_on_is_the_same(tmp_path: Path) -> None:
    """Values, functions and classes of every kind, after changes that both processes make.

    What cannot come back is named, and takes nothing else with it.
    """
    cases = read_cases()
    acts = {name: case.act for name, case in cases.items() if case.act}
    before, after = go_on(tmp_path, [case.cells for case in cases.values()], acts)
    lost = {name for case in cases.values() for name in case.lost}
    assert set(before[0]) == set(after[0]) == lost
    assert not lost & set(after[1])
    assert {name: text for name, text in before[2].items() if "Error" in text} == {}
    pairs = {name: (before[2][name], after[2][name]) for name in acts}
    assert {name: pair for name, pair in pairs.items() if pair[0] != pair[1]} == {}


def test_a_module_that_is_gone(tmp_path: Path) -> None:
    """What needs it is lost by name; what only shares texts, types or libraries is there."""
    helper = tmp_path / "helper_of_mine.py"
    helper.write_text("class Thing:\n    def __init__(self): self.name = 'x'\n")
    cells = [
        "import numpy as np, collections",
        "import helper_of_mine\nthing = helper_of_mine.Thing()\nshared = [1]",
        "holds = [thing, 'name', shared, np.arange(3.), collections.Counter('a')]",
        "def uses(): return helper_of_mine",
        "array = np.arange(4.)\nname = {'name': 'x'}\ncounter = collections.Counter('b')",
        "class Own:\n    x = 1\nown = Own()",
    ]
    act = {"act": "array.sum(), name, counter, own.x, isinstance(own, Own), sorted(vars(Own))[-1]"}
    before = go_on(tmp_path, cells, act)[0]
    saved = tmp_path / "saved"
    kept = saved.read_bytes()
    helper.unlink()
    gone = "import sys\nsys.modules['helper_of_mine'] = None"
    _, after = go_on(tmp_path, cells[:1], {}, [gone])
    assert after[0] == []
    saved.write_bytes(kept)
    from support import namespaces

    lost, names, results = namespaces._run(
        sys.executable, namespaces._RESTORE, tmp_path, [str(saved), [gone], act]
    )
    assert results == before[2]
    assert set(lost) == {"helper_of_mine", "thing", "holds"}
    assert {"uses", "shared", "array", "name", "counter", "Own", "own"} <= {*names}


def test_names_that_are_there_already(tmp_path: Path) -> None:
    """An instance is one of the class that the process still has, which is not touched."""
    namespace: Dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    exec("class A:\n    n = 1\na = A()\nb = [a]", namespace)
    saved = save(namespace)
    kind = namespace["A"]
    kind.n, namespace["a"] = 2, None
    loaded = restore(saved, namespace, {"b"})
    assert loaded.names == ["b"]
    assert namespace["A"] is kind and kind.n == 2 and namespace["a"] is None
    assert type(namespace["b"][0]) is kind


def test_an_interrupt_leaves_the_namespace(tmp_path: Path) -> None:
    """Ctrl-C while it is being loaded: no name is there that was not, none is changed."""
    namespace: Dict[str, Any] = {"x": 1}
    saved = save({"x": 2, "y": [3], "stop": _Interrupt()})
    with pytest.raises(KeyboardInterrupt):
        restore(saved, namespace)
    assert namespace == {"x": 1}


class _Interrupt:
    def __reduce__(self) -> Any:
        return _interrupt, ()


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_it_stops_when_it_is_told() -> None:
    """At the next piece or buffer, also within a variable that handles all errors."""
    import numpy as np

    written: List[int] = []
    namespace = {"a": list(range(10**5)), "b": [np.zeros(10**4) for _ in range(100)]}

    def write(data: Any) -> None:
        written.append(len(data))

    with pytest.raises(Stopped):
        dump(namespace, namespace, {}, write, write, lambda: True)
    assert written == []
    with pytest.raises(Stopped):
        dump(namespace, namespace, {}, write, write, lambda: len(written) > 10)
    assert len(written) == 11


def test_a_registered_secret_is_not_saved() -> None:
    """Nor what has it within; the rest is."""
    register_secret("hunter2-hunter2")
    try:
        namespace = {"token": "hunter2-hunter2", "headers": {"a": b"x hunter2-hunter2"}, "ok": 1}
        done, stream, _ = save(namespace)
    finally:
        forget_secrets()
    assert [lost.name for lost in done.lost] == ["token", "headers"]
    assert [segment.name for segment in done.segments] == ["ok"]
    assert b"hunter2" not in stream


def test_the_packages_and_what_differs() -> None:
    """Distributions whose modules the pickles name; what is another version here is named."""
    import numpy as np

    done, _, _ = save({"a": np.arange(3), "n": 1})
    assert done.packages == {"numpy": np.__version__}
    state = variables(done)
    assert mismatches(state) == []
    older = state.__class__("2.7.1", (), (), (), {"numpy": "0.1", "no-such-package": "1"})
    here = ".".join(map(str, sys.version_info[:3]))
    assert mismatches(older) == [
        Mismatch("python", "2.7.1", here),
        Mismatch("numpy", "0.1", np.__version__),
        Mismatch("no-such-package", "1", ""),
    ]


def test_random_numbers_go_on() -> None:
    """The states of `random` and numpy, as states beside the variables."""
    import numpy as np

    saved = save({}, states=get_states())
    expected = random.random(), np.random.rand()
    loaded = restore(saved, {})
    assert set_states(loaded.states) == []
    assert (random.random(), np.random.rand()) == expected


def test_the_names_of_the_user() -> None:
    """What cells define, also with an underscore; not what IPython did."""
    shown = object()
    hidden = {"exit": 1, "get_ipython": 2, "open": shown}
    namespace = {**hidden, "_": 3, "_i4": "", "_12": 5, "In": [], "_helper": 6, "x": 7}
    assert user_names(namespace, hidden) == ["_helper", "x"]
    assert user_names({**namespace, "open": 8, "__annotations__": {}}, hidden) == [
        "open",
        "_helper",
        "x",
    ]


# ---------------------------------------------------------------------- any graph of objects
class Node:
    """An object of a graph."""


class Fails:
    """An object that cannot be loaded, or already not saved."""

    def __init__(self, at_load: bool) -> None:
        self.at_load = at_load

    def __reduce__(self) -> Any:
        if not self.at_load:
            raise TypeError("it cannot be saved")
        return _fail, ([],)


def _fail(_: Any) -> None:
    raise ValueError("it cannot be loaded")


def _cell(contents: Any) -> Any:
    return lambda: contents


KINDS = ("list", "dict", "tuple", "node", "function", "array", "view", "bytes", "fails", "unsaved")


def _make(kind: str, parts: List[Any], array: Any) -> Any:
    import numpy as np

    makers: Dict[str, Callable[[], Any]] = {
        "list": lambda: list(parts),
        "dict": lambda: dict(enumerate(parts)),
        "tuple": lambda: tuple(parts),
        "node": Node,
        "function": lambda: _cell(list(parts)),
        "array": lambda: np.arange(6.0),
        "view": lambda: array[1:4],
        "bytes": lambda: bytearray(3),
        "fails": lambda: Fails(True),
        "unsaved": lambda: Fails(False),
    }
    return makers[kind]()


@st.composite
def graphs(draw: Any) -> Dict[str, Any]:
    """Variables that lead to objects of a graph, which share them and have cycles."""
    import numpy as np

    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=12))
    nodes: List[Any] = []
    for kind in kinds:
        pick = st.sampled_from(nodes) if nodes else st.just(0)
        arrays = [node for node in nodes if isinstance(node, np.ndarray)] or [np.arange(6.0)]
        nodes.append(_make(kind, draw(st.lists(pick, max_size=3)), draw(st.sampled_from(arrays))))
    for node in nodes:  # edges back and forth
        if isinstance(node, list):
            node += draw(st.lists(st.sampled_from(nodes), max_size=2))
        elif isinstance(node, Node):
            node.edge = draw(st.sampled_from(nodes))  # type: ignore[attr-defined]
    names = st.lists(st.sampled_from(nodes), min_size=1, max_size=8)
    return {f"v{at}": node for at, node in enumerate(draw(names))}


def _parts(value: Any) -> List[Any]:
    import numpy as np

    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, Node):
        return list(vars(value).values())
    if callable(value):
        return [value.__closure__[0].cell_contents]
    return [value.base] if isinstance(value, np.ndarray) and value.base is not None else []


def _reached(value: Any, seen: Dict[int, Any]) -> Dict[int, Any]:
    if id(value) not in seen:
        seen[id(value)] = value
        for part in _parts(value):
            _reached(part, seen)
    return seen


def _same(pairs: List[Tuple[Any, Any]]) -> bool:
    """Whether graphs have the same form: an object of one stands for one of the other, always."""
    import numpy as np

    known: Dict[int, int] = {}
    back: Dict[int, int] = {}
    alive: List[Any] = []  # so that no two of them have the same id
    while pairs:
        a, b = pairs.pop()
        alive += [a, b]
        if type(a) is not type(b):
            return False
        if isinstance(a, (int, str)) or (isinstance(a, tuple) and not a):
            if a != b:
                return False
            continue
        seen = id(a) in known
        if known.setdefault(id(a), id(b)) != id(b) or back.setdefault(id(b), id(a)) != id(a):
            return False
        if seen:
            continue
        if isinstance(a, np.ndarray):
            if a.tolist() != b.tolist():
                return False
            continue
        x, y = _parts(a), _parts(b)
        if len(x) != len(y):
            return False
        pairs += zip(x, y)
    return True


def _shared_memory(values: List[Any]) -> Set[Tuple[int, int]]:
    import numpy as np

    arrays = [
        (at, item) for at, v in enumerate(values) for item in [v] if isinstance(item, np.ndarray)
    ]
    return {(i, j) for i, a in arrays for j, b in arrays if np.shares_memory(a, b)}


@pytest.mark.once
@settings(max_examples=400, deadline=None)
@given(graphs())
def test_any_graph_comes_back_or_is_named(values: Dict[str, Any]) -> None:
    """No variable is wrong: each is as it was, sharing what it shared, or is lost for a reason.

    Lost at saving is exactly what reaches an object that cannot be saved. Lost at loading is what
    reaches one that cannot be loaded, and what shares an object with that, never anything else.
    """
    saved = save(values)
    reached = {name: _reached(value, {}) for name, value in values.items()}
    kinds = {
        name: {item.at_load for item in items.values() if isinstance(item, Fails)}
        for name, items in reached.items()
    }
    unsaved = {name for name in values if False in kinds[name]}
    assert {lost.name for lost in saved[0].lost} == unsaved
    namespace: Dict[str, Any] = {}
    loaded = restore(saved, namespace)
    lost = {item.name for item in loaded.lost}
    failing = {name for name in values if kinds[name] == {True}}
    assert failing <= lost
    related = set(failing)
    while True:
        more = {
            name
            for name in set(values) - unsaved - related
            if any(reached[name].keys() & reached[other].keys() for other in related)
        }
        if not more:
            break
        related |= more
    assert lost <= related
    assert set(namespace) == set(loaded.names) == set(values) - unsaved - lost
    names = sorted(namespace)
    assert _same([(values[name], namespace[name]) for name in names])
    before, after = ([ns[name] for name in names] for ns in (values, namespace))
    assert _shared_memory(before) == _shared_memory(after)


def test_a_thread_with_a_small_stack() -> None:
    """Objects that are too deep to be pickled are lost; the process goes on."""
    deep: Any = None
    for _ in range(50_000):
        deep = Node.__new__(Node), deep
    results: List[Any] = []
    thread = threading.Thread(target=lambda: results.append(save({"deep": deep, "x": 1})))
    thread.start()
    thread.join()
    assert [lost.name for lost in results[0][0].lost] == ["deep"]
