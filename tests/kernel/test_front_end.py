"""A notebook that is open in a front end: what is remembered, and how it gets into the cell."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Iterator

import pytest
from support.front_end import Answer, Kernel, Page, started
from support.machine import Machine
from support.notebooks import MARKER, notebook, setup_text, state
from support.serving import Ask, open_on

from colab_magics.notebook import comm

LOAD = "%load_ext colab_magics"
REMEMBERED = "Setup cell: remembered, not in the notebook yet: type %setup write"


@pytest.fixture
def kernel(machine: Machine, folder: Path) -> Iterator[Kernel]:
    """A fresh kernel in the folder of the notebooks, which has two folders to go to."""
    for name in ("a", "b"):
        (folder / name).mkdir()
    with started(machine, folder) as running:
        yield running


@pytest.fixture
def page(kernel: Kernel) -> Page:
    """A notebook on that kernel, with the extension loaded."""
    page = kernel.page()
    page.ok(LOAD)
    return page


def _put(answer: Answer) -> str:
    """The text that the running cell is to be replaced by."""
    assert [(p["source"], p["replace"]) for p in answer.payload] == [("set_next_input", True)]
    text: str = answer.payload[0]["text"]
    return text


@pytest.mark.parametrize("above", ["", "print('mine')\n"], ids=["ours alone", "a line above"])
def test_the_note_of_pip_about_a_restart_is_hidden(kernel: Kernel, above: str) -> None:
    """What %pip printed while it installed this package is cleared, and nothing of a person's."""
    install = "%pip install -q ./not-there/colab_magics"
    answer = kernel.page().ok(f"{MARKER}\n{above}{install}\n%reload_ext colab_magics\n%gpu")
    kinds = [message["header"]["msg_type"] for message in answer.messages]
    assert "restart the kernel" in answer.text and "Setup ready" in answer.text
    if above:
        assert "clear_output" not in kinds
    else:
        assert kinds.index("stream") < kinds.index("clear_output") < kinds.index("display_data")
        assert answer.of("clear_output") == [{"wait": True}]


def test_lines_are_pending_and_that_is_said_once(page: Page, folder: Path) -> None:
    """Where nothing can be written the lines wait, and one notice says what to type."""
    before = state(folder)
    first = page.ok("%cd_persist a")
    second = page.ok("%pin tinypkg==1.0")
    assert first.text.count(REMEMBERED) == 1
    assert REMEMBERED not in second.text
    assert first.payload == second.payload == []
    shown = page.ok("%setup").text
    assert "Not in the notebook yet" in shown
    assert "%cd_persist a" in shown and "%pin tinypkg==1.0" in shown
    assert state(folder) == before


def test_an_extension_that_is_not_there_is_waited_for_and_then_no_more(
    machine: Machine, folder: Path
) -> None:
    """Without the extension the first cells wait for it, as long as they really do; later none."""
    with started(machine, folder, hurried=False) as kernel:
        page = kernel.page()
        page.ok(LOAD)
        taken = []
        for version in ("1.0", "2.0", "1.0", "2.0"):
            start = time.monotonic()
            answer = page.ok(f"%pin --no-deps tinypkg=={version}")
            taken.append(time.monotonic() - start)
            assert answer.payload == []
        assert taken[0] >= comm.PATIENCE > taken[-1]
        assert "Not in the notebook yet" in page.ok("%setup").text


def test_write_turns_the_cell_into_the_setup_cell(page: Page) -> None:
    """%setup write replaces its cell by one that holds every line; running that asks no more."""
    page.ok("%cd_persist a")
    page.ok("%pin tinypkg==1.0")
    text = _put(page.ok("%setup write"))
    assert MARKER in text
    assert text.split("\n")[-2:] == ["%pin tinypkg==1.0", "%cd_persist a"]
    again = page.ok(text)
    assert again.payload == []
    assert "already" in again.text
    assert "Not in the notebook yet" not in page.ok("%setup").text


def test_a_failed_or_tried_line_is_not_remembered(page: Page) -> None:
    """What raised, and what --no-record or --dry-run only tried, does not get into the cell."""
    page.ok("%cd_persist a")
    assert page.run("%cd_persist no-such-folder").reply["status"] == "error"
    assert page.run("%pin no-such-package==1.0").reply["status"] == "error"
    page.ok("%pin --no-record tinypkg==1.0")
    page.ok("%pin --dry-run tinyother==1.0")
    assert _put(page.ok("%setup write")).split("\n")[-1] == "%cd_persist a"


def test_a_setup_cell_takes_in_what_is_pending(page: Page) -> None:
    """Run with pending lines the setup cell is replaced by itself and them; its own lines stay."""
    mine = f"{MARKER}\n%reload_ext colab_magics\nmine = 1   # keep\n%cd_persist a\n"
    assert page.ok(mine).payload == []
    page.ok("%pin tinypkg==1.0")
    merged = _put(page.ok(mine))
    assert (
        merged == mine.replace("mine", "%pin tinypkg==1.0\nmine", 1)
        or merged.replace("%pin tinypkg==1.0\n", "") == mine
    )
    assert merged.count("%pin tinypkg==1.0") == 1
    assert page.ok(merged).payload == []


def test_a_setup_cell_that_raises_keeps_what_is_pending(page: Page) -> None:
    """An error in the setup cell loses neither its text nor a pending line."""
    page.ok("%pin tinypkg==1.0")
    broken = f"{MARKER}\n%reload_ext colab_magics\n%cd_persist no-such-folder"
    answer = page.run(broken)
    assert answer.reply["status"] == "error"
    assert not answer.payload, "a front end replaces no cell that failed"
    assert "%pin tinypkg==1.0" in _put(page.ok(f"{MARKER}\n%reload_ext colab_magics"))


def test_the_setup_cell_wins_over_what_was_typed_before_it_ran(page: Page) -> None:
    """A version typed before the setup cell is run gives way to the one that it has installed."""
    page.ok("%pin tinypkg==1.0")
    answer = page.ok(f"{MARKER}\n%reload_ext colab_magics\n%pin tinypkg==2.0")
    assert not answer.payload


def test_what_was_written_in_place_stays_until_it_has_run(page: Page) -> None:
    """A replaced cell that was undone can be written again: nothing is lost before it has run."""
    page.ok("%pin tinypkg==1.0")
    first = _put(page.ok("%setup write"))
    assert _put(page.ok("%setup write")) == first
    assert not page.ok(first).payload


def test_two_notebooks_on_one_kernel_do_not_mix(kernel: Kernel) -> None:
    """Each client's lines get into its own setup cell, and only there."""
    one, other = kernel.page(), kernel.page()
    one.ok(LOAD + "\n%cd_persist a")
    other.ok("%cd_persist ../b\n%pin tinypkg==1.0")
    written = _put(one.ok("%setup write"))
    assert "%cd_persist a" in written and "%cd_persist b" not in written
    assert "%pin" not in written.split("%reload_ext")[1]
    written = _put(other.ok("%setup write"))
    assert "%cd_persist b" in written and "%cd_persist a" not in written


def test_a_page_that_was_reloaded_finds_its_lines(kernel: Kernel) -> None:
    """A new client of the same kernel is told of the lines that wait there, and can have them."""
    kernel.page().ok(LOAD + "\n%cd_persist a")
    later = kernel.page()
    told = later.ok("%setup write")
    assert told.payload == [] and "%setup write --all" in told.text
    assert "%cd_persist a" in _put(later.ok("%setup write --all"))


@pytest.mark.parametrize("apart", [True, False], ids=["two cells", "one cell"])
def test_reloading_the_extension_loses_no_line(apart: bool, page: Page) -> None:
    """%reload_ext keeps what is pending, and records each later line once."""
    for cell in (
        ["%cd_persist a", "%reload_ext colab_magics"]
        if apart
        else ["%cd_persist a\n%reload_ext colab_magics"]
    ):
        page.ok(cell)
    page.ok("%pin tinypkg==1.0")
    text = _put(page.ok("%setup write"))
    assert text.split("\n")[-2:] == ["%pin tinypkg==1.0", "%cd_persist a"]


def test_a_fresh_kernel_adds_to_the_cell_on_disk(page: Page, folder: Path) -> None:
    """A kernel that never ran the setup cell adds its line to the one on disk, and loses none."""
    standing = f"#@title Mine\n{MARKER}\n%pin tinyother==2.0  # why\n# a note\n%cd_persist b"
    path = notebook(folder / "nb.ipynb", standing, "print('hello')")
    page.ok("%pin tinypkg==1.0")
    page.ok(f"%setup write {path}")
    found = (setup_text(path) or "").split("\n")
    assert found == [
        "#@title Mine",
        MARKER,
        "%pin tinyother==2.0 tinypkg==1.0  # why",
        "# a note",
        "%cd_persist b",
    ]
    assert "Not in the notebook yet" not in page.ok("%setup").text


def test_a_notebook_that_a_server_has_open_is_left_alone(
    ask: Ask, page: Page, folder: Path
) -> None:
    """%setup write PATH is refused while a session is on it; the lines wait, and go in later."""
    path = notebook(folder / "nb.ipynb", "print('hello')")
    session = open_on(ask, "nb.ipynb")
    page.ok("%pin tinypkg==1.0")
    before = state(folder)
    refused = page.run(f"%setup write {path}")
    assert refused.reply["ename"] == "NotebookError"
    assert "it is open at" in refused.text
    assert state(folder) == before
    ask("DELETE", "/" + session["id"], None)
    page.ok(f"%setup write {path}")
    assert "%pin tinypkg==1.0" in (setup_text(path) or "")


def test_a_display_is_updated_only_where_someone_looks(kernel: Kernel) -> None:
    """Live, progress turns into the outcome in place; for an executor there is one display."""
    page = kernel.page()
    page.ok(LOAD)
    live = page.ok("%pin tinypkg==1.0")
    started_as = [one for one in live.of("display_data") if one["transient"].get("display_id")]
    updates = live.of("update_display_data")
    assert len(started_as) == 1 and updates
    assert {one["transient"]["display_id"] for one in updates} == {
        started_as[0]["transient"]["display_id"]
    }
    assert updates[-1]["data"]["text/plain"] == "tinypkg 1.0 installed"

    for line, says in (
        ("%pin tinyother==1.0", "tinyother 1.0 installed"),
        ("%pin tinyother==1.0", "tinyother 1.0 is already installed"),
        ("%cd_persist a", "in a"),
    ):
        quiet = page.ok(line, allow_stdin=False)
        texts = [one["data"]["text/plain"] for one in quiet.of("display_data")]
        assert [text for text in texts if not text.startswith("Setup cell:")] == [says]
        assert quiet.of("update_display_data") == []


def test_the_plan_stands_there_while_it_is_carried_out(page: Page) -> None:
    """Live, the plan is a table above what is going on, until the outcome takes its place."""
    page.ok(LOAD)
    states = page.ok("%pin tinypkg==1.0 tinyother==1.0").of("update_display_data")
    plans = [one["data"] for one in states if "<table" in one["data"]["text/html"]]
    lines = plans[-1]["text/plain"].splitlines()
    assert lines[:2] == ["Installing 2 packages:", "package    installed  wanted"]
    assert states[-1]["data"]["text/plain"] == "tinypkg 1.0, tinyother 1.0 installed"


def test_a_restart_that_is_needed_is_a_clear_error_and_remembered(
    page: Page, machine: Machine
) -> None:
    """RestartRequired stops the cell after its line was remembered; other cells go on."""
    page.ok("%pin tinypkg==1.0\nimport tinypkg")
    answer = page.run("%pin tinypkg==2.0\nprint('not reached')")
    assert answer.reply["ename"] == "RestartRequired"
    assert "not reached" not in answer.text
    assert len(answer.of("error")[0]["traceback"]) == 1
    assert "tinypkg-2.0.dist-info" in machine.installed()
    assert "%pin tinypkg==2.0" in _put(page.ok("%setup write"))


def test_restart_without_anything_that_could_do_it_is_the_same_error(page: Page) -> None:
    """--restart where no extension is there says what to do by hand, and the kernel goes on."""
    page.ok("%pin tinypkg==1.0\nimport tinypkg")
    answer = page.run("%pin --restart tinypkg==2.0")
    assert answer.reply["ename"] == "RestartRequired"
    assert "Restart the kernel" in answer.text
    assert "alive" in page.ok("print('alive')").text
    assert "--restart" not in _put(page.ok("%setup write")), "how to run a line is not recorded"


def test_keep_going_says_it_and_goes_on(page: Page) -> None:
    """--keep-going runs the rest of the cell with the version that is loaded."""
    page.ok("%pin tinypkg==1.0\nimport tinypkg")
    answer = page.ok("%pin --keep-going tinypkg==2.0\nprint('reached')")
    assert "2.0 is installed; this kernel still uses 1.0" in answer.text
    assert "reached" in answer.text
