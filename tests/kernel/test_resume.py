"""Going on where Run All stood, in real kernels that are killed, with ``%checkpoint resume``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Tuple

import psutil
import pytest
from support.front_end import Answer, Page, started
from support.machine import Machine
from support.notebooks import notebook, shown

from .conftest import MakeMachine
from .test_checkpoint import until

SETUP = """\
# colab_magics:setup v1
%reload_ext colab_magics
%drive mount ~/drive --from kept
%checkpoint --to drive:saved"""
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
CELLS = (
    "import os\ntotal = 0; log = []; print('ran', file=open('ran.txt', 'a'))",
    "log.append(1); total += 1; print('one', total)",
    f"""\
import base64, sys
from IPython.display import Image, clear_output, display
print('gone'); clear_output()
display(Image(base64.b64decode('{PNG}')))
shown = display({{'text/plain': 'a'}}, raw=True, display_id=True)
shown.update({{'text/plain': 'b'}}, raw=True)
print('two', file=sys.stderr); total""",
    "log.append(2); total += 10; total, log",
    "log.append(3); total += 100; print(total, log)",
)


class Notebook:
    """A notebook that is open in a kernel of a machine."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page, self.path = page, path
        self.sources = ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]

    def run(self, *places: int) -> List[Answer]:
        """Run cells, as a front end that names them."""
        return [self.page.run(self.sources[at], metadata={"cellId": f"cell-{at}"}) for at in places]

    def type(self, source: str) -> Answer:
        """Run what is no cell of the notebook, in the place of its first."""
        return self.page.run(source, metadata={"cellId": "cell-0"})

    def kill(self) -> None:
        pid = int(self.page.run("import os; print(os.getpid())", silent=True).text)
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def path(folder: Path) -> Path:
    """A notebook with a drive beside it, which outlives the machines."""
    (folder / "kept").mkdir()
    return notebook(folder / "notebook.ipynb", SETUP, *CELLS)


def opened(machine: Machine, path: Path) -> Any:
    """A kernel whose notebook is that file, as JupyterLab says it."""
    variables = {**machine.variables, "JPY_SESSION_NAME": str(path)}
    return started(replace(machine, variables=variables), path.parent)


def outputs(answer: Answer) -> List[Tuple[str, Any]]:
    """What a front end has on its screen after a cell: kinds, with what they show."""
    shown: List[Dict[str, Any]] = []
    for message in answer.messages:
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "clear_output":
            shown = []
        elif kind == "update_display_data":
            same = content["transient"]["display_id"]
            for one in shown:
                if one.get("transient", {}).get("display_id") == same:
                    one["data"] = content["data"]
        elif kind == "stream" and shown and shown[-1].get("name") == content["name"]:
            shown[-1]["text"] += content["text"]
        elif kind in {"stream", "display_data", "execute_result"}:
            shown.append({**content, "kind": kind})
    return [(x["kind"], x.get("text") or x.get("data")) for x in shown]


def run_killed(make_machine: MakeMachine, path: Path, *places: int) -> List[Answer]:
    """Run cells on a machine that is killed after a checkpoint; return what they have shown."""
    with opened(make_machine(), path) as kernel:
        open_notebook = Notebook(kernel.page(), path)
        open_notebook.run(0)
        answers = open_notebook.run(*places)
        open_notebook.type("%checkpoint now")
        open_notebook.kill()
    return answers


def test_run_all_shows_what_was_done_and_runs_the_rest(
    make_machine: MakeMachine, path: Path
) -> None:
    """Outputs equal those of a run that nobody cut; no cell has its effect twice; a cell that ended
    after the checkpoint runs again, and the next checkpoint knows all cells.
    """
    with opened(make_machine(), path) as kernel:
        whole = Notebook(kernel.page(), path).run(*range(1, 6))
    run_killed(make_machine, path, 1, 2, 3)
    with opened(make_machine(), path) as kernel:
        again = Notebook(kernel.page(), path)
        (setup,) = again.run(0)
        assert "3 of 5 cells were done. Continue with cell 5" in setup.text
        again.type("%checkpoint resume")
        answers = again.run(*range(6))[1:]
        assert [outputs(x) for x in answers] == [outputs(x) for x in whole]
        assert answers[-1].text == "111 [1, 2, 3]\n"
        assert len((path.parent / "ran.txt").read_text().split()) == 2
        (repeated,) = again.run(2)  # from now on a cell runs
        assert repeated.text == "one 112\n"
        again.type("%checkpoint now")
        again.kill()
    with opened(make_machine(), path) as kernel:
        (setup,) = Notebook(kernel.page(), path).run(0)
        assert "5 of 5 cells were done." in setup.text


def test_a_cell_that_has_changed_runs_with_those_that_need_it(
    make_machine: MakeMachine, path: Path
) -> None:
    """Below the setup cell it is said which; a cell that was changed after that is refused."""
    first, last = "total += 10; print(total)", "total += 1; print(total)"
    notebook(path, SETUP, "total = 0", "print('alone')", first, last)
    run_killed(make_machine, path, 1, 2, 3)
    path.write_text(path.read_text().replace("10", "20"))
    with opened(make_machine(), path) as kernel:
        page = Notebook(kernel.page(), path)
        (setup,) = page.run(0)
        assert "1 of 4 cells were done; cell 2 first: cell 4 has changed" in setup.text
        page.type("%checkpoint resume")
        page.sources[3] += "  # other"
        *_, shown_again, refused = page.run(*range(4))
        assert shown_again.text == "alone\n"
        assert refused.reply["ename"] == "ColabMagicsError"
        page.sources[3] = page.sources[3][:-9]
        page.type("%checkpoint resume")
        assert page.run(*range(5))[-1].text == "21\n"


def test_a_variable_that_is_too_early_is_deleted(make_machine: MakeMachine, path: Path) -> None:
    """A cell that asks for it finds what it would in a run from the top; it is made later."""
    ask = "try: print(late)\nexcept NameError: print('none')"
    notebook(path, SETUP, "x = 1", ask, "late = 5", "print(x + late)")
    assert run_killed(make_machine, path, 1, 3, 2)[-1].text == "5\n"
    with opened(make_machine(), path) as kernel:
        page = Notebook(kernel.page(), path)
        page.run(0)
        assert page.type("print(late)").text == "5\n"
        page.type("%checkpoint resume")
        texts = [answer.text for answer in page.run(*range(5))]
    assert (texts[2], texts[4]) == ("none\n", "6\n")


def test_without_a_checkpoint_there_is_nothing_to_go_on_with(
    make_machine: MakeMachine, path: Path
) -> None:
    """It is one line, and cells run as ever."""
    with opened(make_machine(), path) as kernel:
        page = Notebook(kernel.page(), path)
        assert "cells were done" not in page.run(0)[0].text
        assert page.type("%checkpoint resume").reply["ename"] == "ColabMagicsError"
        assert page.run(1, 2)[-1].text == "one 1\n"


STEPS = (
    "def note(word):\n    with open('ran.txt', 'a') as file:\n        file.write(word + ' ')",
    "note('rows')\nrows = [1]\nprint(rows)",
    "note('more')\nrows.append(2)\nrows",
    "%checkpoint now",
    """\
import os, time
note('wait')
while not os.path.exists('go'): time.sleep(0.02)
rows.append(3); print(rows)""",
    "print(sum(rows))",
)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_run_goes_on_after_the_runner_and_the_kernel_were_killed(
    make_machine: MakeMachine, folder: Path
) -> None:
    """``run --resume``: what was done is shown and does not run, the rest runs, and the notebook
    has the outputs of a run that nobody cut.
    """
    (folder / "kept").mkdir()
    path, ran = notebook(folder / "notebook.ipynb", SETUP, *STEPS), folder / "ran.txt"
    first = make_machine()
    command = [str(first.python), "-m", "colab_magics", "run", str(path)]
    runner = subprocess.Popen(
        command,
        env=first.variables,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: ran.exists() and "wait" in ran.read_text())
    for process in [*psutil.Process(runner.pid).children(recursive=True), runner]:
        process.kill()
    runner.wait()
    assert ran.read_text() == "rows more wait "
    (folder / "go").touch()
    done = make_machine().cli("run", "--resume", path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done before") == 3, done.stdout
    assert ran.read_text() == "rows more wait wait "
    assert shown(path)[2:4] == ["[1]\n", "[1, 2]"]
    assert shown(path)[5:] == ["[1, 2, 3]\n", "6\n"]


def test_run_resumes_nothing_without_the_line(machine: Machine, folder: Path) -> None:
    """One line says which is missing; nothing has run."""
    path = notebook(folder / "notebook.ipynb", "# colab_magics:setup v1", "print(1)")
    done = machine.cli("run", "--resume", path)
    assert (done.returncode != 0, "%checkpoint" in done.stderr, shown(path)) == (
        True,
        True,
        ["", ""],
    )
