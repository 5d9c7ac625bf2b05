"""``%checkpoint`` in real kernels: killed at any moment, and restored on another machine."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Callable, List

import pytest
from support.front_end import Page, started
from support.machine import Machine
from support.notebooks import notebook, setup_text, shown
from support.serving import Ask, open_on, window
from support.waiting import until

from colab_magics.checkpoint.store import Store

from .conftest import MakeMachine

LOAD = "%load_ext colab_magics"
SETUP = """\
# colab_magics:setup v1
%reload_ext colab_magics
%drive mount ~/drive --from kept
%checkpoint --to drive:saved{more}"""


@pytest.fixture
def store(folder: Path) -> Store:
    """The checkpoints on the drive, which outlives the machines."""
    (folder / "kept").mkdir()
    return Store(folder / "kept/saved")


def kill(page: Page) -> None:
    """End a kernel as the system does that needs its memory."""
    pid = int(page.ok("import os; print(os.getpid())").text.split()[-1])
    os.kill(pid, signal.SIGKILL)


def test_after_a_kill_another_machine_has_the_variables(
    make_machine: MakeMachine, folder: Path, store: Store
) -> None:
    """With another home: functions see later changes, what is shared is shared, arrays can be
    written; a second run of the cell changes nothing.
    """
    first = make_machine()
    with started(first, folder) as kernel:
        page = kernel.page()
        assert "nothing to restore yet" in page.ok(SETUP.format(more="")).text
        page.ok("import numpy as np\narray = np.arange(10)\nsame = [array]\nscale = 2")
        page.ok("def times(x):\n    return x * scale")
        page.ok("file = open('notes', 'w')\nother = 1")
        text = page.ok("%checkpoint now").text
        assert "Not kept: file (_io.TextIOWrapper: file = open('notes', 'w'))" in text
        kill(page)
    with started(make_machine(), folder) as kernel:
        page = kernel.page()
        assert "variables of " in page.ok(SETUP.format(more="")).text
        page.ok("array[0] = 7\nscale = 3")
        assert page.ok("print(same[0][0], times(2), np.__name__)").text.split() == [
            "7",
            "6",
            "numpy",
        ]
        assert "variables are as the kernel has them" in page.ok(SETUP.format(more="")).text
        assert page.ok("print(array[0], scale)").text.split() == ["7", "3"]


def test_the_writer_outlives_the_kernel(
    make_machine: MakeMachine, folder: Path, store: Store
) -> None:
    """An orderly end makes one, though an earlier one still is being written; a restarted kernel
    waits until it is written, and has it.
    """
    machine = make_machine()
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(SETUP.format(more=" --every 1h"))
        page.ok("x = list(range(1000))")  # makes the first at once
        page.ok("x.append('last')")
        page.run("exit")
        until(lambda: len(store.names()) > 1)
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(SETUP.format(more=""))
        assert page.ok("print(len(x), x[-1])").text.split() == ["1001", "last"]


def test_kernels_killed_at_random_moments_leave_whole_checkpoints(
    make_machine: MakeMachine,
    folder: Path,
    store: Store,
    long: bool,
    held: Callable[[int, int], None],
) -> None:
    """Two variables that each cell changes together are never of two versions; none is lost that
    was said to be saved.
    """
    rounds, good, machine = (100 if long else 3), 0, make_machine()
    chance = random.Random(26)
    saved = 0
    for _ in range(rounds):
        with started(machine, folder) as kernel:
            page = kernel.page()
            page.ok(SETUP.format(more=" --every 1s"))
            page.ok(
                "import numpy as np\nn = globals().get('n', 0)\nok = True\nif n:\n"
                "    ok = bool((array == n).all()) and other == [n] * 1000"
            )
            state = page.ok("print(n, ok)").text.split()
            good += state[1] == "True" and int(state[0]) >= saved
            page.ok("n += 1\narray = np.full(3_000_000, n)\nother = [n] * 1000")
            if chance.random() < 0.3:
                page.ok("%checkpoint now")
                saved = int(state[0]) + 1
            pid = int(page.ok("import os; print(os.getpid())").text)
            time.sleep(chance.random() * 0.6)
            os.kill(pid, signal.SIGKILL)
    held(rounds, good)
    assert good == rounds


def test_a_headless_run_goes_on_with_what_the_last_one_kept(
    make_machine: MakeMachine, folder: Path, store: Store
) -> None:
    """``colab-magics run`` records the line, knows the notebook's name, and restores on the next
    machine; a notebook of the same name in another folder gets nothing of it.
    """
    path = notebook(
        folder / "analysis.ipynb",
        LOAD,
        "%drive mount ~/drive --from kept",
        "%checkpoint",
        "seen = globals().get('seen', 0) + 1\nprint(seen)",
        kernelspec={"name": "python3", "display_name": "Python 3"},
    )
    place = Store(folder / "kept/colab_magics/analysis")
    counts: List[str] = []
    for at in range(2):
        machine: Machine = make_machine()
        done = machine.cli("run", path)
        assert done.returncode == 0, done.stderr
        counts.append(shown(path)[-1])
        until(lambda at=at: len(place.names()) > at)
    assert counts == ["1\n", "2\n"]
    text = setup_text(path)
    assert text is not None and "%checkpoint" in text.split("\n")
    (folder / "elsewhere").mkdir()
    cells = (LOAD, "%drive mount ~/drive --from ../kept", "mine = 1", "print(2)", "%checkpoint")
    other = notebook(folder / "elsewhere/analysis.ipynb", *cells)
    done = make_machine().cli("run", other)
    assert done.returncode and "another notebook of this name" in done.stderr
    assert len(place.names()) == 2


def test_a_server_that_ends_the_kernel_lets_it_save(
    ask: Ask, machine: Machine, folder: Path, store: Store
) -> None:
    """The notebook's name is the server's; the kernel of a notebook that is shut down, and opened
    again, has what the last cell made.
    """
    notebook(folder / "mine.ipynb", LOAD)
    setup = SETUP.format(more="").replace(" --to drive:saved", "")
    session = open_on(ask, "mine.ipynb")
    with window(machine, session) as page:
        page.ok(setup)
        page.ok("x = 1\n%checkpoint now")
        page.ok("x = 2")
    ask("DELETE", f"/{session['id']}", None)
    with window(machine, open_on(ask, "mine.ipynb")) as page:
        page.ok(setup)
        assert page.ok("print(x)").text.split() == ["2"]
    assert len(Store(folder / "kept/colab_magics/mine").names()) == 2
