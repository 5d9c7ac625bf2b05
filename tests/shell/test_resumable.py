"""``%%resumable`` in real shells: any cell runs as without it; one that was killed goes on."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from support.cells import Cells, Child

from colab_magics.checkpoint.store import Store

Start = Callable[[], Child]


@pytest.fixture
def keeping(run: Cells, home: Path) -> Cells:
    """A shell that keeps checkpoints."""
    run(f"%checkpoint --to {home / 'saved'} --every 1h")
    return run


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("for i in range(3): pass\n'last', i", "('last', 2)"),
        ("for i in range(2):\n    i\nprint(i)", "1"),
        (
            "import asyncio\nfor i in range(2):\n    await asyncio.sleep(0)\nprint('waited')",
            "waited",
        ),
        ("async def f():\n    return [1, 2]\nfor i in await f():\n    print(i)", "1\n2"),
        ("for i in range(2):\n    %env_persist\n    !echo $i", None),
        ("for i in range(2):\n    if i: break\nelse:\n    print('else')\nprint(i);", "1"),
    ],
)
def test_a_cell_runs_as_without_it(keeping: Cells, cell: str, shown: Any) -> None:
    """Its last value, ``await`` and magics are the cell's; no name of ours is among the user's."""
    plain = keeping(cell)
    names = set(keeping.shell.user_ns)
    assert keeping(f"%%resumable\n{cell}") == plain
    assert shown is None or plain.endswith(shown)
    new = set(keeping.shell.user_ns) - names
    assert {name for name in new if not name.startswith("_")} == set()


@pytest.mark.parametrize(
    "cell", ["%%gpu -q\n%%resumable\n", "%%capture out\n%%resumable\n", "%%time\n%%resumable\n"]
)
def test_other_cell_magics_stand_above_it(keeping: Cells, cell: str) -> None:
    """The loop runs once below each of them, in the user's namespace."""
    keeping("seen = []")
    keeping(f"{cell}for i in range(3):\n    seen.append(i)")
    assert keeping("print(seen)") == "[0, 1, 2]"


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        ("x = 1\n\nfor i in range(3):\n    1 / (1 - i)", "ZeroDivisionError"),
        ("for i in range(3):\n    raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("def f():\n    yield 1\n    raise KeyError(2)\n\nfor i in f():\n    pass", "KeyError"),
        ("for i in 5:\n    pass", "TypeError"),
        ("for i in range(3):\n    pass\nreturn i", "SyntaxError"),
        ("for i in range(3):\n  x = = 1", "SyntaxError"),
    ],
)
def test_an_error_is_the_cells(keeping: Cells, cell: str, error: str) -> None:
    """Its lines are those of the cell, and none of ours is between them."""
    reply = keeping.attempt(f"%%resumable\n{cell}")
    plain = keeping.attempt(f"#\n{cell}")
    assert type(reply.error).__name__ == type(plain.error).__name__ == error
    texts = [re.sub(r"<ipython-input.*?>", "", str(x.error)) for x in (reply, plain)]
    assert texts[0] == texts[1]
    lines = [line for line in plain.shown.splitlines() if line.lstrip().startswith("-")]
    assert [x for x in reply.shown.splitlines() if x.lstrip().startswith("-")] == lines
    assert "checkpoint" not in reply.shown


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("print('ran')\nwhile True:\n    break", "while-loop"),
        ("print('ran')\nfor i in x:\n    pass\nfor i in x:\n    pass", "several-loops"),
        ("print('ran')\nwith x:\n    for i in x:\n        pass", "inner-loop"),
        ("print('ran')\nasync for i in x:\n    pass", "async-for"),
        ("print('ran')", "no-loop"),
    ],
)
def test_a_refused_cell_has_not_run(keeping: Cells, cell: str, code: str) -> None:
    """It ends with one error of two lines, and nothing of it was printed."""
    reply = keeping.attempt(f"%%resumable\n{cell}")
    assert getattr(reply.error, "code", "") == code
    assert (
        "ran" not in reply.shown.replace("ran again", "") and len(str(reply.error).split("\n")) == 2
    )
    assert keeping("print('next')") == "next"


def test_without_checkpoints_it_is_refused(run: Cells) -> None:
    """There is no place to save to; the line to type is named."""
    reply = run.attempt("%%resumable\nfor i in range(3):\n    print('ran')")
    assert getattr(reply.error, "code", "") == "no-checkpoints" and "ran" not in reply.shown
    assert "%checkpoint" in str(reply.error)


@pytest.mark.parametrize("line", ["%resumable", "%%resumable --every", "%%resumable --every x\n1"])
def test_a_line_without_sense_is_refused(keeping: Cells, line: str) -> None:
    """As a usage error."""
    assert type(keeping.attempt(line).error).__name__ == "UsageError"


def test_it_goes_with_the_extension(keeping: Cells) -> None:
    """Unloaded, IPython's syntax trees are as before; loaded again, it works."""
    before = list(keeping.shell.ast_transformers)
    keeping("%%resumable\nfor i in range(3): pass")
    keeping("%unload_ext colab_magics")
    assert [x for x in keeping.shell.ast_transformers if x in before] == before == []
    keeping("%load_ext colab_magics")
    keeping("%checkpoint --to ~/saved")
    keeping("%%resumable\nfor i in range(4): pass")
    assert keeping("print(i)") == "3"


# ---------------------------------------------------------------------- killed
@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Start a shell on a home that outlives it; a cell of it restores what was kept."""
    started: List[Child] = []

    def begin() -> Child:
        variables = {**os.environ, "HOME": str(home), "IPYTHONDIR": str(home / "ipython")}
        child = Child(variables)
        started.append(child)
        child("# colab_magics:setup v1\n%checkpoint --to ~/saved --every 1h")
        return child

    yield begin
    for child in started:
        child.process.kill()
        child.process.communicate()


WAIT = """\
import os, time
from pathlib import Path
def wait_at(turn, now):
    \"\"\"Wait at a turn to be killed; only where that is to be.\"\"\"
    while now == turn and (Path.home() / "kill").exists():
        time.sleep(0.01)
"""
LOOP = "%%resumable --every 0.001s\nseen = []\nprint('begins')\nfor i in range(8):\n"
LOOP += "    seen.append(i)\n    time.sleep(0.05)\n    wait_at(5, i)\nprint(seen)"


def loops(home: Path) -> List[float]:
    """The times of the checkpoints that have a loop, while a writer may add and remove some."""
    manifests = [(each.time, each.variables) for each in Store(home / "saved").known()]
    return [time for time, kept in manifests if kept and "loop" in [x.name for x in kept.segments]]


def cut(start: Start, home: Path, *cells: str) -> None:
    """Run cells; in the last the shell is killed, once a checkpoint of its loop is there."""
    (home / "kill").touch()
    child, known = start(), loops(home)
    for cell in (WAIT, *cells[:-1], "%checkpoint now"):  # none is being written any more
        child(cell)
    child.ask(cells[-1])
    end = time.monotonic() + 60
    while not {*loops(home)} - {*known}:
        assert time.monotonic() < end
        time.sleep(0.02)
    child.process.kill()
    child.process.wait()
    (home / "kill").unlink()


ALL = "[0, 1, 2, 3, 4, 5, 6, 7]"


def test_it_goes_on_once(start: Start, home: Path) -> None:
    """With the turn that was cut; run again, it begins at its start, as a loop that has ended."""
    cut(start, home, LOOP)
    child = start()
    *shown, line = child(LOOP).splitlines()
    assert "goes on with turn" in line and shown == [ALL]
    assert child(LOOP).splitlines() == ["begins", ALL]


def test_another_cell_or_a_changed_one_begins_at_its_start(start: Start, home: Path) -> None:
    """Which is said; a comment is no change."""
    cut(start, home, LOOP)
    child = start()
    *shown, line = child(LOOP.replace("range(8)", "range(9)")).splitlines()
    assert "first turn" in line and shown == ["begins", ALL[:-1] + ", 8]"]
    cut(start, home, LOOP)
    assert "goes on with turn" in start()(LOOP.replace("seen = []", "seen  =  []  # turns"))


def test_variables_that_were_made_again(start: Start, home: Path) -> None:
    """After Run All from the top the loop begins at its start: nothing is mixed."""
    cells = ["data = [0] * 8", LOOP.replace("range(8)", "range(len(data))")]
    cut(start, home, *cells)
    child = start()
    child(cells[0])
    *shown, line = child(cells[1]).splitlines()
    assert "data was made again" in line and shown == ["begins", ALL]


def test_a_variable_that_was_lost(start: Start, home: Path) -> None:
    """It begins at its start; where that is no start any more, it stops and names the cells."""
    cell = LOOP.replace("seen = []", "seen = []; log = open(os.devnull, 'w')")
    cell = cell.replace("wait_at", "log.write('x'); wait_at")
    cut(start, home, cell)
    *shown, line = start()(cell).splitlines()
    assert "log was not restored" in line and shown == ["begins", ALL]

    outer = ["sums = []", cell.replace("seen.append(i)", "seen.append(i); sums.append(i)")]
    cut(start, home, *outer)
    child = start()
    answer = child.attempt(outer[1])
    assert answer.code == "lost-variable" and "sums" in answer.message
    assert "begins" not in answer.shown
    child(outer[0])
    assert child(outer[1]).splitlines() == ["begins", ALL]
    assert child("print(sums)") == ALL


def test_a_drive_that_fails_does_not_stop_the_loop(keeping: Cells, home: Path) -> None:
    """It is said once; the loop ends as ever."""
    from colab_magics.checkpoint.hooks import Checkpoints
    from colab_magics.core.errors import ColabMagicsError
    from colab_magics.extension.session import get_session

    checkpoints = get_session(keeping.shell).hooks.of(Checkpoints)
    calls: List[Dict[str, Any]] = []

    def fail(states: Dict[str, Any]) -> float:
        calls.append(states)
        raise ColabMagicsError("The drive is full.", "Make room.")

    checkpoints.save = fail  # type: ignore[method-assign, assignment]
    keeping.shell.user_ns["is_tried"] = lambda: len(calls) > 1
    loop = "for i in range(10_000):\n    time.sleep(0.001)\n    if is_tried(): break"
    shown = keeping(f"%%resumable --every 0.001s\nimport time\n{loop}\nprint('ended')")
    assert len(calls) > 1 and shown.count("The drive is full.") == 1
    assert "ended" in shown.split()
    assert set(calls[0]) == {"loop"}
