"""Very many of something: the time grows as they do, and what has a limit is met."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable, Tuple

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from support.cells import Cells

from colab_magics.record.cell import new_cell, parse, render
from colab_magics.record.merge import merge

HEAD = render(new_cell()[:3])
#: A line of each kind of which there may be many.
LINES = {
    "pin": "%pin pkg-{}==1.0",
    "env_persist": "%env_persist A{}=1",
    "apt": "%apt pkg{}",
    "fetch": "%fetch https://host/a{} data/",
    "secret": "%secret A_{}",
    "drive": "%drive mount ~/d{}",
}


def growth(work: Callable[[int], object], size: int) -> float:
    """How many times as long four times as many take, the best of three tries."""

    def best(count: int) -> float:
        times = []
        for _ in range(3):
            begun = time.process_time()
            work(count)
            times.append(time.process_time() - begun)
        return min(times)

    work(8)
    return best(4 * size) / best(size)


def texts(line: str, count: int) -> str:
    """A cell of so many lines."""
    return "\n".join(line.format(at) for at in range(count))


@pytest.mark.parametrize("word", LINES)
def test_lines_are_read_and_merged(word: str, long: bool) -> None:
    """Four times the lines take less than eight times the time to be read and merged."""

    def work(count: int) -> None:
        entries = [(x.step, "") for x in parse(texts(LINES[word], count)) if x.step]
        lines, changes = merge(new_cell(), entries)
        assert len(changes) == count and merge(lines, entries) == (lines, ())

    assert growth(work, 400 if long else 100) < 8


def test_pins_that_hold(
    run: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    """A line of four times the pins that all hold takes less than eight times the time."""
    most = 2000 if long else 600
    for at in range(most):
        folder = tmp_path / f"pkg_{at}-1.0.dist-info"
        folder.mkdir()
        head = f"Metadata-Version: 2.1\nName: pkg-{at}\nVersion: 1.0\n"
        (folder / "METADATA").write_text(head)
    monkeypatch.syspath_prepend(str(tmp_path))

    def work(count: int) -> None:
        shown = run("%pin " + " ".join(f"pkg-{at}==1.0" for at in range(count)))
        assert f"{count} packages are already installed" in shown

    assert growth(work, most // 4) < 8


def test_a_setup_cell_of_two_thousand_lines_runs(run: Cells, long: bool) -> None:
    """IPython alone gives up behind 500 magics; with the extension loaded, each line is run."""
    cell = f"{HEAD}\n{texts('%env_persist --no-record -q A{}=1', 2000)}\nimport os\n"
    if long:
        with pytest.raises(RuntimeError, match="500 iterations"):
            TransformerManager().transform_cell(cell)
    run(cell)
    assert run.shell.user_ns["os"].environ["A1999"] == "1"

    def work(count: int) -> None:
        run.shell.transform_cell(f"{HEAD}\n{texts(LINES['fetch'], count)}")

    assert growth(work, 200) < 8


@pytest.mark.parametrize("word", LINES)
def test_a_setup_cell_of_many_lines_runs_anywhere(word: str, long: bool) -> None:
    """What is written by us is read by IPython alone, and is read back as it was meant."""
    steps = [x.step for x in parse(texts(LINES[word], 2000 if long else 600)) if x.step]
    lines, _ = merge(new_cell(), [(step, "a note") for step in steps])
    cell = render(lines)
    assert TransformerManager().transform_cell(cell).count("run_line_magic") >= len(lines) - 6
    assert parse(cell) == lines
    parts = [part for line in lines if line.step for part in line.step.parts()]
    assert parts == [part for step in steps for part in step.parts()]


def test_a_line_in_plain_python_stays_one(run: Cells) -> None:
    """A later step takes its place; between brackets and in a string it is none."""
    call = "get_ipython().run_line_magic('pin', 'a==1')"
    (line,) = parse(f"{call}  # why")
    assert line.step is not None and line.comment == "  # why"
    (other,) = parse("%pin a==2")
    assert other.step is not None
    changed, _ = merge([line], [(other.step, "")])
    assert render(changed) == "get_ipython().run_line_magic('pin', 'a==2')  # why"
    for text in (f"f(\n{call}\n)", f'x = """\n{call}\n"""', f"if x:\n    {call}", call + "; f()"):
        assert not any(line.step for line in parse(text))


#: What may stand between many lines.
BETWEEN: Tuple[str, ...] = (
    "x = 1",
    "%pin a==1 \\\n    b==2",
    'x = """\n%pin a==1\n"""',
    "f(\n%pin\n)",
    "x = 1 \\\n%pin",
    "x = %pin a",
    "x = !ls",
    "!ls \\\n  -l",
    "%pin?",
    "%env_persist A=b?",
    "if x:\n    %pin a==1\n    y = 1",
    "%time f(",
    "%cd 'my",
    "# %pin a==1 it's",
    "  ",
    "f?",
    "%pin a\u2028%gpu",
)


@pytest.mark.parametrize("between", BETWEEN)
def test_a_cell_of_many_lines_means_what_it_did(between: str, run: Cells) -> None:
    """With many magics in it a setup cell becomes the very code that IPython makes of it."""
    magics = texts("%pin p{}==1  # it's", 30)
    cell = f"{HEAD}\n{magics}\n{between}\n{magics}\n{between}\n"
    assert run.shell.transform_cell(cell) == TransformerManager().transform_cell(cell)


def test_unloading_takes_the_transform_away(run: Cells) -> None:
    """Afterwards IPython reads cells alone, as before."""
    run("%unload_ext colab_magics")
    assert not [
        one for one in run.shell.input_transformers_cleanup if "transform_magics" in repr(one)
    ]
