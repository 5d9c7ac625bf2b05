"""Notebooks of every kind, killed within a cell and gone on with by ``run --resume`` elsewhere.

Each is compared with a run that nobody cut: outputs, and all variables after the restore and at the
end. What came back, and how long it took beside running it again, is printed below the tests.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Set, Tuple

import pytest
from support import probe
from support.machine import Machine
from support.notebooks import notebook, whole

from .conftest import MakeMachine

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")

SETUP = """\
# colab_magics:setup v1
%reload_ext colab_magics
%drive mount ~/drive --from kept
%checkpoint --to drive:saved --every 1s"""
TABLE = Path(__file__).parents[1] / "cases" / "notebooks.txt"
#: Those that run in CI; what the others need beside is installed for them.
FEW = {"tables", "generators", "connections", "closures"}
#: Names whose values are others in each run.
UNSEEDED = {"<random>", "<numpy>", "child", "place", "handle"}
_STARTUP = f"""\
import importlib.util as _util
_spec = _util.spec_from_file_location("probe_of_tests", {probe.__file__!r})
_probe = _util.module_from_spec(_spec)
_spec.loader.exec_module(_probe)
_probe.install(get_ipython())
"""


class Case(NamedTuple):
    """A notebook of the table."""

    name: str
    needs: List[str]
    cells: List[str]


def read_cases() -> List[Case]:
    """The table."""
    cases: List[Case] = []
    for section in TABLE.read_text(encoding="utf-8").split("\n# notebook ")[1:]:
        head, _, body = section.partition("\n")
        name, *needs = head.split()
        cases.append(Case(name, needs, [x.strip() for x in body.split("# cell\n")]))
    return cases


CASES = read_cases()


class Ran(NamedTuple):
    """A run: its notebook, and by cell its seconds, and the variables at its end."""

    path: Path
    seconds: Dict[int, float]
    variables: Dict[int, Dict[str, Any]]
    #: The cells of the checkpoint that it began with, and the names that were lost.
    restored: Any

    @classmethod
    def read(cls, path: Path, record: Path) -> Ran:
        """Read the record of a run, of which each line is an event."""
        events = [json.loads(line) for line in record.read_text().splitlines()]
        begins, ends = (
            {x["cell"]: x["time"] for x in events if x["event"] == kind}
            for kind in ("begin", "end")
        )
        seconds = {cell: end - begins[cell] for cell, end in ends.items()}
        variables = {x["cell"]: x["variables"] for x in events if x["event"] == "end"}
        restored = next(x["restored"] for x in events if x["event"] == "end")
        return cls(path, seconds, variables, restored)


def probed(machine: Machine, record: Path, **cut: Any) -> Machine:
    """A machine whose kernels record their variables; with ``cut``, until they are killed."""
    startup = machine.home / ".ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text(_STARTUP)
    more = {probe.RECORD: str(record), **({probe.CUT: json.dumps(cut)} if cut else {})}
    return replace(machine, variables={**machine.variables, **more})


def run(machine: Machine, path: Path, record: Path, *options: str) -> Ran:
    """Run a notebook to its end."""
    done = probed(machine, record).cli("run", *options, path)
    assert done.returncode == 0, done.stdout + done.stderr
    return Ran.read(path, record)


def run_cut(machine: Machine, path: Path, record: Path, chance: random.Random) -> int:
    """Run a notebook until it is killed within a random cell; return that cell.

    Some cells before it, there was the time of a checkpoint.
    """
    count = len(whole(path)["cells"]) - 1
    cell = chance.randint(3, count)
    wait = max(2, cell - chance.choice((0, 0, 1, 2)))
    delay, store = chance.choice((0.0, 0.01, 0.3)), str(path.parent / "kept/saved")
    cut = probed(machine, record, cell=cell, wait=wait, delay=delay, store=store)
    command = [str(cut.python), "-m", "colab_magics", "run", str(path)]
    done = subprocess.run(command, env=cut.variables, cwd=path.parent, capture_output=True)
    assert done.returncode == -9, done.stdout + done.stderr
    return cell


def outputs(path: Path) -> List[Any]:
    """The outputs of each cell but the setup cell, without what counts its runs."""
    cells = [cell["outputs"] for cell in whole(path)["cells"][1:]]
    return [[{**x, "execution_count": None} for x in cell] for cell in cells]


class Figures(NamedTuple):
    """What there was and came back, and the seconds of all cells before the one that was cut, when
    it went on and when nobody cut it. The first is the setup cell, which restores.
    """

    name: str
    done: str
    variables: Tuple[int, int]
    bytes: Tuple[int, int]
    seconds: Tuple[float, ...]
    lost: List[str]


def compare(before: Dict[str, Any], after: Dict[str, Any], lost: Set[str]) -> Set[str]:
    """Return the names whose values, or what they share, are others; those lost may be missing."""
    others = set(after) - set(before)
    for name, (text, _, shares) in before.items():
        if name in after:
            is_same = (text, set(shares) - lost) == (after[name][0], set(after[name][2]) - lost)
        else:
            is_same = name in lost
        others |= set() if is_same else {name}
    return others


def go_on(case: Case, make_machine: MakeMachine, folder: Path) -> Figures:
    """Run a notebook whole, and another time cut and gone on with; compare."""
    places = [folder / name for name in ("whole", "cut")]
    for place in places:
        (place / "kept").mkdir(parents=True)
        notebook(place / "notebook.ipynb", SETUP, *case.cells)
    path, ahead = places[1] / "notebook.ipynb", places[0] / "notebook.ipynb"
    expected = run(make_machine(), ahead, folder / "whole.jsonl")
    cell = run_cut(make_machine(), path, folder / "cut.jsonl", random.Random(f"20{case.name}"))
    resumed = run(make_machine(), path, folder / "resumed.jsonl", "--resume")
    (at, names_lost), last = resumed.restored, max(expected.variables)
    lost = set(names_lost)
    before = Ran.read(path, folder / "cut.jsonl").variables[at]
    assert compare(before, resumed.variables[0], lost) == set()
    unseeded = compare(expected.variables[at], before, set())
    assert unseeded <= UNSEEDED
    assert outputs(path) == outputs(ahead)
    assert compare(expected.variables[last], resumed.variables[last], lost) <= unseeded
    names = [name for name in before if not name.startswith("<")]
    size = sum(before[name][1] for name in names)
    return Figures(
        case.name,
        f"{at}/{len(case.cells)}",
        (len(names), len(names) - len(lost & set(names))),
        (size, size - sum(before[name][1] for name in lost & set(names))),
        tuple(sum(x.seconds[at] for at in range(cell)) for x in (resumed, expected)),
        sorted(lost),
    )


@pytest.fixture(scope="module")
def extra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Path]]:
    """A folder with the packages that only long tests need, some gigabytes, while it is needed."""
    place = tmp_path_factory.mktemp("extra")

    @lru_cache(maxsize=None)
    def make() -> Path:
        from uv import find_uv_bin

        words = ["pip", "install", "-q", "--no-cache", "--python", sys.executable]
        words += ["--target", str(place)]
        subprocess.run([find_uv_bin(), *words, "torch", "matplotlib"], check=True)
        return place

    yield make
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize(
    "case",
    [pytest.param(x, marks=() if x.name in FEW else pytest.mark.long, id=x.name) for x in CASES],
)
def test_going_on_is_as_if_it_was_not_cut(
    case: Case,
    make_machine: MakeMachine,
    folder: Path,
    extra: Callable[[], Path],
    record_property: Callable[[str, object], None],
) -> None:
    """Outputs equal those of a run that nobody cut; each variable is equal, or named as lost."""
    missing = [need for need in case.needs if find_spec(need) is None]
    if missing and not set(missing) <= {"torch", "matplotlib"}:
        pytest.skip("elsewhere: this Python has no " + missing[0])

    def make() -> Machine:
        machine = make_machine()
        if missing:
            site = next(machine.python.parent.parent.rglob("site-packages"))
            (site / "extra.pth").write_text(f"{extra()}\n")
        return machine

    record_property("checkpoint", go_on(case, make, folder)._asdict())
