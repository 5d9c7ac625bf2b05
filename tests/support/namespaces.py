"""Save the variables of one process, and go on in another one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from colab_magics.checkpoint.manifest import Variables
from colab_magics.checkpoint.namespace import Dumped, Loaded, dump, load, user_names

ROOT = Path(__file__).resolve().parents[2]

Saved = Tuple[Dumped, bytes, List[bytearray]]


def save(
    namespace: Dict[str, Any],
    names: Optional[Iterable[str]] = None,
    states: Optional[Mapping[str, Any]] = None,
) -> Saved:
    """Dump variables into memory."""
    stream, buffers = bytearray(), []
    chosen = user_names(namespace, {}) if names is None else names
    done = dump(
        namespace, chosen, states or {}, stream.extend, lambda data: buffers.append(bytearray(data))
    )
    assert [len(buffer) for buffer in buffers] == list(done.buffer_sizes)
    assert len(stream) == sum(segment.size for segment in done.segments)
    return done, bytes(stream), buffers


def variables(done: Dumped) -> Variables:
    """What a manifest has of them."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Variables(version, (), tuple(done.segments), (), done.packages, tuple(done.lost))


def restore(saved: Saved, namespace: Dict[str, Any], names: Any = None) -> Loaded:
    """Load what `save` has returned."""
    done, stream, buffers = saved
    return load(variables(done), stream, buffers, namespace, names)


#: Cells, and what is done after them.
TABLE = ROOT / "tests" / "cases" / "variables.txt"


class Case(NamedTuple):
    """Code of cells, what is done afterwards in both processes, and what is lost by then."""

    cells: str
    act: str
    lost: List[str]


class Tensors(NamedTuple):
    """Cells with tensors, what is done afterwards, and the result in every torch."""

    cells: str
    act: str
    result: str


TENSORS = Tensors(
    """\
import torch
numbers = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], dtype=torch.float64)
part, turned = numbers[2:4], numbers.view(2, 3).T
weight = torch.nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64))
weight.grad = torch.tensor([0.5, 0.25], dtype=torch.float64)
grad, held = weight.grad, {"weight": weight, "raw": numbers.untyped_storage()}
loss = weight * 3.0
leaf = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64).requires_grad_()
empty = torch.tensor([], dtype=torch.float64)
""",
    """\
numbers[3] = 99.0
grad[0] = 7.0
(part.tolist(), turned.tolist(), held["weight"] is weight, weight.grad.tolist(), loss.tolist(), \
 leaf.requires_grad, weight.requires_grad, type(weight).__name__, empty.tolist(), \
 held["raw"].nbytes(), part.untyped_storage().data_ptr() == held["raw"].data_ptr())""",
    "([2.0, 99.0], [[0.0, 99.0], [1.0, 4.0], [2.0, 5.0]], True, [7.0, 0.25], [3.0, 6.0], "
    "True, True, 'Parameter', [], 48, True)",
)


def read_cases() -> Dict[str, Case]:
    """The table, as far as this Python and what is installed have it."""
    cases: Dict[str, Case] = {}
    for section in TABLE.read_text(encoding="utf-8").split("\n# case ")[1:]:
        head, _, body = section.partition("\n")
        name, *needs = head.split()
        cells, _, act = body.partition("# then\n")
        cells, _, lost = cells.partition("# lost ")
        if all(map(_is_there, needs)):
            cases[name] = Case(cells, act, lost.split())
    return cases


def _is_there(need: str) -> bool:
    if need.startswith("python"):
        return sys.version_info >= tuple(map(int, need[len("python") :].split(".")))
    return find_spec(need) is not None


#: A kernel's main module is the namespace of its cells, and a thread reads its variables.
_BEGIN = """
import builtins, json, pickle, sys, threading, types
def main():
    namespace = types.ModuleType("__main__")
    sys.modules["__main__"] = namespace
    namespace.__builtins__ = builtins  # as in a kernel
    return vars(namespace)
def act(namespace, acts):
    results = {}
    for name, text in acts.items():
        try:
            *before, last = text.rstrip().split("\\n")
            exec(compile("\\n".join(before), "cell", "exec"), namespace)
            results[name] = repr(eval(last, namespace))
        except Exception as error:
            results[name] = f"{type(error).__name__}: {error}"
    return results
"""
_SAVE = (
    _BEGIN
    + """
def run(file, cells, acts):
    from support.namespaces import save
    namespace, saved = main(), []
    for cell in cells:
        exec(compile(cell, "cell", "exec"), namespace)
    thread = threading.Thread(target=lambda: saved.append(save(namespace)))
    thread.start(), thread.join()
    with open(file, "wb") as stream:
        pickle.dump(saved[0], stream)
    return [[x.name for x in saved[0][0].lost], [], act(namespace, acts)]
print(json.dumps(run(*json.load(sys.stdin))))
"""
)
_RESTORE = (
    _BEGIN
    + """
def run(file, before, acts):
    from support.namespaces import restore
    namespace = main()
    for cell in before:
        exec(compile(cell, "cell", "exec"), namespace)
    with open(file, "rb") as stream:
        saved = pickle.load(stream)
    loaded = restore(saved, namespace)
    lost = [x.name for x in [*saved[0].lost, *loaded.lost]]
    return [lost, sorted(loaded.names), act(namespace, acts)]
print(json.dumps(run(*json.load(sys.stdin))))
"""
)

#: Names that are lost, those that were loaded, and results by name.
Outcome = Tuple[List[str], List[str], Dict[str, str]]


def go_on(
    folder: Path,
    cells: Sequence[str],
    acts: Mapping[str, str],
    before: Sequence[str] = (),
    python: str = sys.executable,
) -> Tuple[Outcome, Outcome]:
    """Run cells, save, and run ``acts`` there; and after a restore in a fresh process.

    The last line of each act is an expression, whose repr is its result.
    """
    file = str(folder / "saved")
    first = _run(python, _SAVE, folder, [file, list(cells), dict(acts)])
    return first, _run(python, _RESTORE, folder, [file, list(before), dict(acts)])


def _run(python: str, program: str, folder: Path, words: Any) -> Outcome:
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{folder}"}
    if not os.environ.get("COLAB_MAGICS_WHEEL"):
        env["PYTHONPATH"] += f"{os.pathsep}{ROOT}"
    done = subprocess.run(
        [python, "-c", program],
        input=json.dumps(words),
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lost, names, results = json.loads(done.stdout.splitlines()[-1])
    return lost, names, results
