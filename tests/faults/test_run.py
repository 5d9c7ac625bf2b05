"""``colab-magics run`` on large notebooks, long cells, and when it is killed."""

from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path
from typing import Dict, List

import pytest
from support.notebooks import notebook, shown, whole
from support.runs import Started

from colab_magics.notebook.document import Document
from colab_magics.run.execution import SHARE, _Saves

#: As if a minute and a long cell were short.
OFTEN = "execution.EVERY = 0.2"
LONG_CELLS = "execution.LONG = 0.0"


def _filled(cells: int, size: int) -> bytes:
    """A notebook whose cells have put out so many bytes each."""
    output = {"name": "stdout", "output_type": "stream", "text": ["x" * size]}
    cell = {"cell_type": "code", "execution_count": 1, "metadata": {}, "source": ["x=1"]}
    made = {"cells": [{**cell, "outputs": [output]}] * cells, "metadata": {}, "nbformat": 4}
    return json.dumps({**made, "nbformat_minor": 4}, indent=1).encode()


def _edit(data: bytes) -> bytes:
    """Give each cell another output, and the notebook a setup cell and a lock."""
    document = Document.parse(data, "x.ipynb")
    outputs: List[Dict[str, object]] = [{"name": "stdout", "output_type": "stream", "text": ["y"]}]
    new = ((at, {**document.cell(at), "outputs": outputs}) for at in range(len(document.heads)))
    done = document.with_cells(new).with_setup("# one", lambda text: text.startswith("# "))
    return done.with_stored("lock", "text").encode()


def test_a_run_of_four_times_the_cells_is_no_more_than_eight_times_the_work() -> None:
    """What is done at the end of a run grows with the notebook, not with its square."""

    def seconds(cells: int) -> float:
        data = _filled(cells, 2000)
        times = []
        for _ in range(3):
            started = time.process_time()
            _edit(data)
            times.append(time.process_time() - started)
        return min(times)

    assert seconds(2000) < 8 * seconds(500)


def test_an_edit_needs_little_more_than_the_notebook_itself() -> None:
    """Reading and changing a large notebook takes a few times its size, at the most."""
    data = _filled(50, 200_000)
    tracemalloc.start()
    try:
        document = Document.parse(data, "x.ipynb")
        document.with_setup("# one", lambda text: False).with_stored("lock", "text").encode()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * len(data)


@pytest.mark.parametrize("when", [OFTEN, LONG_CELLS])
def test_a_run_that_is_killed_has_been_saved(when: str, tmp_path: Path) -> None:
    """SIGKILL of the run loses what came since the last minute, or the last long cell."""
    cell = "import threading; print('so far', flush=True); threading.Event().wait()"
    path = notebook(tmp_path / "notebooks" / "nb.ipynb", "print('first')", cell)
    run = Started(path, prelude=when)
    expected = ["first\n", "so far\n"] if when == OFTEN else ["first\n"]
    until = time.monotonic() + 60
    while shown(path)[: len(expected)] != expected and time.monotonic() < until:
        time.sleep(0.05)
    run.process.kill()
    run.ended()
    assert shown(path)[: len(expected)] == expected
    _end_kernels(run)


def _end_kernels(run: Started) -> None:
    """A kernel ends when the process that has started it is gone, which it looks for."""
    until = time.monotonic() + 30
    while run.kernels() and time.monotonic() < until:
        time.sleep(0.1)
    assert run.kernels() == []


@pytest.mark.parametrize("output", [False, True])
def test_a_file_that_others_change_meanwhile_is_left_alone(output: bool, tmp_path: Path) -> None:
    """The run ends, and is put beside it."""
    folder = tmp_path / "notebooks"
    theirs, beside = folder / "nb.ipynb", folder / "nb-run.ipynb"
    words = []
    if output:
        theirs, beside = folder / "out.ipynb", folder / "out-run.ipynb"
        words = ["--output", str(theirs)]
    wait = "import time\nwhile not {}: time.sleep(0.05)"
    path = notebook(
        folder / "nb.ipynb",
        "print('ours')",
        "import os, json",
        # Saved once: then somebody else writes it.
        wait.format(f"os.path.exists({str(theirs)!r}) and 'ours' in open({str(theirs)!r}).read()"),
        f"open({str(theirs)!r}, 'w').write('theirs')",
        "print('the end')",
    )
    run = Started(path, *words, prelude=OFTEN)
    ended = run.ended()
    assert ended.status == 1
    assert ended.errors.splitlines()[-1] == f"The run was saved as {beside.name}."
    assert theirs.read_text() == "theirs"
    assert shown(beside)[0] == "ours\n" and shown(beside)[-1] == "the end\n"
    names = {"nb.ipynb", theirs.name, beside.name}
    assert {one.name for one in folder.iterdir()} == names


def test_saving_in_between_takes_a_bounded_part_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a slow save, and after a long cell, the next one waits ten times as long."""
    saves = _Saves(lambda ran: time.sleep(0.05))
    started = time.monotonic()
    saves._timed({})
    saves.cell_ended(3600)
    assert not saves.due()
    while not saves.due():
        time.sleep(0.01)
    assert time.monotonic() - started >= 0.05 / SHARE


def test_outputs_stand_as_the_format_has_them(tmp_path: Path) -> None:
    """Texts by lines, keys in order, other cells byte by byte: as nbformat itself writes them."""
    import nbformat

    show = "from IPython.display import display, JSON\nprint('é\\nb')\n"
    path = notebook(
        tmp_path / "notebooks" / "nb.ipynb",
        show + "h = display({'text/plain': 'x\\ny', 'a/b': 'z'}, raw=True, display_id=True)",
        "h.update({'text/plain': 'new\\nlines'}, raw=True); display(JSON({'b': [1], 'a': 'c\\n'}))",
        "1/0",
        "print('never')",
    )
    source = whole(path)["cells"]
    run = Started(path)
    assert run.ended().status == 1
    text = path.read_text(encoding="utf-8")
    assert text == nbformat.writes(nbformat.read(str(path), 4)) + "\n"
    assert whole(path)["cells"][3] == source[3]
    assert whole(path)["cells"][0]["outputs"][1]["data"]["text/plain"] == ["new\n", "lines"]
