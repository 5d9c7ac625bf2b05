"""What a kernel keeps of the cells that have run in it, for a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import pytest
from support.front_end import Page, started
from support.machine import Machine

from colab_magics.checkpoint.manifest import hash_source

#: Prints what a checkpoint that is made now would have; silent, so that it is no cell.
SNAPSHOT = """\
import json
from colab_magics.extension.session import get_session
from colab_magics.checkpoint.magic_cells import CellLog
print("SNAPSHOT " + json.dumps(get_session(get_ipython()).hooks.of(CellLog).snapshot()))
"""
LOAD = "# colab_magics:setup v1\n%load_ext colab_magics"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


@pytest.fixture
def page(machine: Machine, folder: Path) -> Iterator[Page]:
    """A notebook whose kernel has the extension loaded, by its setup cell."""
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(LOAD)
        yield page


def snapshot(page: Page) -> List[Dict[str, Any]]:
    """The cells that a checkpoint would have, with what is in their records."""
    text = page.run(SNAPSHOT, silent=True).text.split("SNAPSHOT ")[1]
    return [{"id": x[0], "hash": x[1], **json.loads(x[2])} for x in json.loads(text)[0]]


def outputs(page: Page, source: str) -> Optional[List[Dict[str, Any]]]:
    """The outputs that are kept of a cell which is run now."""
    page.ok(source)
    kept: Optional[List[Dict[str, Any]]] = snapshot(page)[-1]["outputs"]
    return kept


def stream(text: str, name: str = "stdout") -> Dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def display(text: str, kind: str = "display_data", **more: Any) -> Dict[str, Any]:
    return {"output_type": kind, "data": {"text/plain": text}, "metadata": {}, **more}


def test_a_cell_is_kept_with_its_id_and_the_hash_of_its_source(page: Page) -> None:
    """Cells in the order in which they ended; the setup cell and what is silent are none."""
    page.run("a = 1  \n", metadata={"cellId": "first"})
    page.run("print(a)", metadata={"colab": {"cell_id": "second"}})
    page.run("a", metadata={"cellId": "vscode-notebook-cell:/x.ipynb#W2s"})
    cells = snapshot(page)
    assert [cell["id"] for cell in cells] == ["first", "second", ""]
    assert [cell["hash"] for cell in cells] == [hash_source(x) for x in ("a = 1", "print(a)", "a")]
    assert {cell["state"] for cell in cells} == {"finished"}


def test_outputs_are_those_of_a_notebook_file(page: Page) -> None:
    """Streams in a row are one, results have their count, images their data."""
    source = f"""\
import sys, base64
from IPython.display import Image, display
print("a"); print("b"); sys.stdout.flush()
print("c", file=sys.stderr); sys.stderr.flush()
display(Image(base64.b64decode("{PNG}"), width=5))
!echo shell
6 * 7"""
    kept = outputs(page, source)
    assert kept is not None
    first, second, image, shell, result = kept
    assert (first, second) == (stream("a\nb\n"), stream("c\n", "stderr"))
    assert image["data"]["image/png"].strip() == PNG
    assert image["metadata"] == {"image/png": {"width": 5}}
    assert shell["text"].split() == ["shell"]
    count = result.pop("execution_count")
    assert isinstance(count, int)
    assert result == display("42", "execute_result")


def test_clearing_takes_away_what_was_there(page: Page) -> None:
    """``clear_output`` clears at once, or with the next output."""
    head = "from IPython.display import clear_output, display\nprint('old')\n"
    assert outputs(page, head + "clear_output()") == []
    assert outputs(page, head + "clear_output(wait=True)") == [stream("old\n")]
    assert outputs(page, head + "clear_output(wait=True); print('new')") == [stream("new\n")]


def test_a_display_is_kept_as_it_was_updated(page: Page) -> None:
    """Also by a later cell; what is changed after it was shown stays as it was shown."""
    page.ok("from IPython.display import display, publish_display_data")
    page.ok("shown = display({'text/plain': 'a'}, raw=True, display_id=True)")
    assert snapshot(page)[-1]["outputs"] == [display("a")]
    page.ok("shown.update({'text/plain': 'b'}, raw=True)")
    cells = snapshot(page)
    assert (cells[-2]["outputs"], cells[-1]["outputs"]) == ([display("b")], [])
    source = "data = {'text/plain': 'c'}; display(data, raw=True); data['text/plain'] = 'd'"
    assert outputs(page, source) == [display("c")]


def test_a_thread_prints_into_the_cell_that_began_it(page: Page) -> None:
    """As front ends show it, where the kernel tells them apart; else in the one that runs."""
    page.ok("import threading; go, done = threading.Event(), threading.Event()")
    page.ok(
        "def work():\n    go.wait(); print('late'); done.set()\n"
        "threading.Thread(target=work).start()"
    )
    answer = page.ok("go.set(); done.wait()")
    begun, waited = (cell["outputs"] for cell in snapshot(page)[-2:])
    is_shown_here = "late" in "".join(x["text"] for x in answer.of("stream"))
    assert (stream("late\n") in waited) is is_shown_here
    assert (stream("late\n") in begun) is not is_shown_here


def test_a_widget_is_kept_as_its_text(page: Page) -> None:
    """The kernel that can draw it is gone."""
    view = "application/vnd.jupyter.widget-view+json"
    data = {view: {"model_id": "0" * 32}, "text/plain": "Button()"}
    assert outputs(page, f"display({data!r}, raw=True)") == [display("Button()")]


def test_outputs_that_are_too_large_are_not_kept(page: Page) -> None:
    """The cell is finished all the same."""
    assert outputs(page, "for _ in range(11): print('x' * 10 ** 6)") is None
    assert snapshot(page)[-1]["state"] == "finished"


def test_a_cell_that_failed_is_not_finished(page: Page) -> None:
    """It is among them, since it may have changed variables; a cell in a cell is not."""
    page.run("a = 1; 1 / 0")
    page.ok("get_ipython().run_cell('print(1)')")
    assert [cell["state"] for cell in snapshot(page)] == ["failed", "finished"]


def test_cells_before_the_extension_was_loaded_are_known(machine: Machine, folder: Path) -> None:
    """By their source alone: they may have changed variables."""
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok("a = 1")
        page.ok("%load_ext colab_magics")
        page.ok("a")
        first, loading, last = snapshot(page)
    assert (first["hash"], first["state"]) == (hash_source("a = 1"), "unseen")
    assert [loading["state"], last["state"]] == ["finished", "finished"]


def test_unloading_leaves_the_kernel_as_it_was(page: Page) -> None:
    """Nothing of ours is called by what sends messages; loading again begins again."""
    page.ok("%unload_ext colab_magics")
    sends = "'send' in vars(get_ipython().kernel.session)"
    assert page.ok(sends).text == "False"
    page.ok(LOAD)
    assert page.ok(sends).text == "True"
