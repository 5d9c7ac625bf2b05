"""All pins of a setup cell are applied together: one resolution, one restart, no code between."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Iterator, List

import pytest
import six
from doubles.index import make_wheel, serve
from support.colab_machine import as_colab
from support.front_end import Answer, Page, started
from support.machine import Machine
from support.notebooks import MARKER

#: Notes what each run of the installer is asked for.
WATCH = """\
from colab_magics.pin import install as module
runs, real = [], module.install
def watched(needs, *rest):
    runs.append(" ".join(needs.texts))
    return real(needs, *rest)
module.install = watched
ran = []
"""
LOADED = "import tinypkg, tinyother"


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Another index; its six is one that works: dateutil needs it, and with that the kernel."""
    folder = tmp_path_factory.mktemp("far")
    make_wheel(folder, "six", "99.0", files={"six.py": Path(six.__file__).read_text()})
    for version in ("1.0", "2.0"):
        make_wheel(folder, "tinyfar", version)
        make_wheel(folder, "tinyfar2", version, requires=[f"tinyfar=={version}"])
    with serve(folder) as url:
        yield url


def cell(*lines: str) -> str:
    """A setup cell; behind each line stands code."""
    code = (f"{line}\nran.append({at})" for at, line in enumerate(lines))
    return "\n".join([MARKER, "%reload_ext colab_magics", *code])


def runs(page: Page) -> List[str]:
    """What the installer was asked for since `WATCH`."""
    return list(filter(None, page.ok("print(*runs, sep='\\n')").text.split("\n")))


def outcome(page: Page, code: str) -> str:
    """Run a cell that ends with an error; the fields of that error."""
    answer: Answer = page.run(code)
    assert answer.reply["status"] == "error", answer.text
    shown = "e = sys.last_value; print(type(e).__name__, e.code, *sorted(e.packages), ran)"
    return page.ok(f"import sys; {shown}").text.strip()


def test_one_restart_for_all_pins(machine: Machine, folder: Path, far: str) -> None:
    """The first and the last are loaded: one run of the installer each place, and one restart.

    After it the cell runs through, and there is nothing to do.
    """
    machine = as_colab(machine)
    machine.install("tinypkg==1.0", "tinyother==1.0")
    text = cell(
        "%pin tinypkg==2.0",
        f"%pin tinyfar==1.0 --index-url {far}",
        f"%pin tinyfar2==1.0 --index-url {far} --build",
        "%pin tinyother==2.0",
    )
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(f"{LOADED}\n{WATCH}")
        assert outcome(page, text) == "RestartRequired restart-required tinyother tinypkg []"
        assert runs(page) == ["tinypkg==2.0 tinyother==2.0", "tinyfar==1.0 tinyfar2==1.0"]
    with started(machine, folder) as kernel:  # what a restart is
        page = kernel.page()
        page.ok(f"{LOADED}\n{WATCH}")
        page.ok(text)
        assert runs(page) == []
        assert page.ok("print(ran)").text.strip() == "[0, 1, 2, 3]"


def test_what_colab_has_loaded_takes_a_restart(machine: Machine, folder: Path, far: str) -> None:
    """No cell has imported it: the plan says so before anything is installed, and one restart with
    another pin of the cell is all that it takes.
    """
    machine = as_colab(machine)
    pin = f"%pin six==99.0 --index-url {far}"
    with started(machine, folder) as kernel:
        page = kernel.page()
        plan = page.ok(f"%load_ext colab_magics\n{pin} --dry-run").text
        assert "six" in plan and "restart" in plan.lower()
        assert "six-99.0.dist-info" not in machine.installed()
        page.ok(WATCH)
        text = cell("%pin tinypkg==2.0", pin)
        assert outcome(page, text) == "RestartRequired restart-required six []"
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(WATCH)
        page.ok(text)
        assert runs(page) == []
        assert page.ok("print(ran)").text.strip() == "[0, 1]"


def test_what_is_not_there_yet_waits_for_its_line(machine: Machine, folder: Path, far: str) -> None:
    """A file that code in between writes, and a secret that it sets, are not needed before."""
    text = cell(
        "%pin tinyother==2.0\nopen('more.txt', 'w').write('tinypkg==2.0\\n')",
        "%pin -r more.txt\n%env FAR=me:secret",
        f"%pin tinyfar==2.0 --index-url {far} --index-auth FAR",
    )
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(WATCH)
        page.ok(text)
        assert runs(page) == ["tinyother==2.0", "tinyother==2.0 tinypkg==2.0", "tinyfar==2.0"]
        assert set(machine.installed()) == {
            f"{name}-2.0.dist-info" for name in ("tinypkg", "tinyother", "tinyfar")
        }


def test_lines_that_contradict_each_other_are_applied_in_turn(
    machine: Machine, folder: Path, far: str
) -> None:
    """The later line wins, as where they were typed; the message says what it breaks."""
    text = cell(
        f"%pin tinyfar2==1.0 --index-url {far}",
        f"%pin tinyfar==2.0 --index-url {far}",
    )
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(WATCH)
        page.ok(text)
        assert runs(page)[-1] == "tinyfar==2.0"
        assert "tinyfar-2.0.dist-info" in machine.installed()


def test_another_python_stops_the_cell(machine: Machine, folder: Path) -> None:
    """A line for another Python is no line for this one: it says where to run the cell."""
    other = "3.9" if sys.version_info[:2] == (3, 8) else "3.8"
    text = cell("%pin tinyother==2.0", f"%pin tinypkg==1.0 --python {other}")
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(WATCH)
        answer = page.run(text, allow_stdin=False)
        assert [one["ename"] for one in answer.of("error")] == ["OtherPython"], answer.text
        assert runs(page) == ["tinyother==2.0"]
        assert page.ok("print(ran)").text.strip() == "[]"


def test_what_ipython_expands_is_as_expanded(machine: Machine, folder: Path) -> None:
    """The text in braces is not what is installed, neither with its own line nor with another."""
    make_wheel(folder, "tinypkg", "3.0")
    text = cell(
        "%pin tinyother==2.0",
        '%pin "tinypkg @ file://{wheels}/tinypkg-3.0-py3-none-any.whl"',
    )
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(f"{WATCH}\nimport os; wheels = os.getcwd()")
        page.ok(text)
        assert [line.split(" ")[0] for line in runs(page)] == ["tinyother==2.0", "tinypkg"]
        assert "tinypkg-3.0.dist-info" in machine.installed()


def test_the_options_of_a_file_count_for_its_requirements(
    machine: Machine, folder: Path, far: str
) -> None:
    """Another line is not resolved by the index that a file names."""
    (folder / "far.txt").write_text(f"--extra-index-url {far}\ntinyfar==2.0\n")
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(WATCH)
        page.ok(cell("%pin tinypkg==2.0", "%pin -r far.txt"))
        assert runs(page) == ["tinypkg==2.0", "tinyfar==2.0"]


def test_a_line_that_code_in_between_makes_good_stops_none_before_it(
    machine: Machine, folder: Path, far: str
) -> None:
    """An index that the cell itself names later is no reason for the first line to fail."""
    text = cell(
        f"%pin tinypkg==2.0\nimport os; os.environ['PIP_EXTRA_INDEX_URL'] = {far!r}",
        "%pin tinyfar==2.0",
    )
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(WATCH)
        page.ok(text)
        assert {"tinypkg-2.0.dist-info", "tinyfar-2.0.dist-info"} <= set(machine.installed())
