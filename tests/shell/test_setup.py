"""``%setup`` in a shell, where no notebook can be written by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
from IPython.core.error import UsageError
from support.cells import Cells

from colab_magics.core.errors import NotebookError, SetupDiffers
from colab_magics.extension.session import get_session
from colab_magics.record.cell import is_setup

MARKER = "# colab_magics:setup v1 - what is this?"


def notebook(path: Path, *sources: str) -> Path:
    """A notebook on disk with these code cells."""
    cells: List[Dict[str, Any]] = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"c{i}",
            "metadata": {},
            "outputs": [],
            "source": source.splitlines(keepends=True),
        }
        for i, source in enumerate(sources)
    ]
    text = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    path.write_text(text, encoding="utf-8")
    return path


def sources(path: Path) -> List[str]:
    """The texts of a notebook's cells."""
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]


@pytest.fixture
def data(home: Path) -> Path:
    """A folder to go to."""
    (home / "work" / "data").mkdir()
    return home / "work" / "data"


def test_bare_says_that_nothing_is_remembered(run: Cells) -> None:
    """Alone in a new notebook, it says that there is nothing, and what to type."""
    shown = run("%setup")
    assert "Nothing is remembered yet" in shown
    assert "%pin" in shown
    assert "%setup help" in shown


def test_bare_shows_each_line_and_the_next_command(run: Cells, data: Path, home: Path) -> None:
    """Alone, it shows how each line stands, that none is saved yet, and what to type next."""
    run("%cd_persist data")
    run("%drive mount --provider folder")
    run("%cd -q ~")
    lines = run("%setup").splitlines()
    assert lines[0] == "Not in the notebook yet:"
    assert any(x.startswith("ok ") and "%drive mount --provider folder" in x for x in lines)
    assert any(x.startswith("differs ") and "%cd_persist data" in x for x in lines)
    assert "%setup write" in lines[-1]
    assert run.steps() == ["%drive mount --provider folder", "%cd_persist data"]


def test_bare_after_the_setup_cell_has_run_shows_its_lines(run: Cells, data: Path) -> None:
    """Once the setup cell has run, its lines are shown, those of the user as cannot tell."""
    run(f"{MARKER}\n%reload_ext colab_magics\n%cd_persist data\nx = 1")
    shown = run("%setup")
    assert "Setup cell, as it was last run:" in shown
    assert "ok           %cd_persist data" in shown
    assert "cannot tell  x = 1" in shown
    assert run.steps() == []


def test_running_the_setup_cell_remembers_nothing_anew(run: Cells, data: Path) -> None:
    """What the setup cell does itself is not pending: it stands there already."""
    shown = run(f"{MARKER}\n%cd_persist data")
    assert Path.cwd() == data
    assert shown == "in data"
    assert run.steps() == []


def test_check_changes_nothing(run: Cells, data: Path, home: Path) -> None:
    """``%setup check`` says what differs, and puts nothing right."""
    run("%cd_persist data")
    run("%cd -q ~")
    assert "differs" in run("%setup check")
    assert Path.cwd() == home
    assert run.steps() == ["%cd_persist data"]


def test_strict_check_raises_where_a_line_differs(run: Cells, data: Path) -> None:
    """``--strict`` ends with `SetupDiffers` that names the line, and passes once it holds."""
    run("%cd_persist data")
    run("%setup check --strict")
    run("%cd -q ~")
    reply = run.attempt("%setup check --strict")
    assert isinstance(reply.error, SetupDiffers)
    assert "%cd_persist data" in str(reply.error)
    assert "Traceback" not in reply.shown
    run("%cd_persist data")
    run("%setup check --strict")


def test_strict_check_does_not_pass_what_it_cannot_tell(run: Cells) -> None:
    """A line that is none of our magics is not taken to hold."""
    run(f"{MARKER}\n%reload_ext colab_magics\nx = 1")
    assert isinstance(run.attempt("%setup check --strict").error, SetupDiffers)


@pytest.mark.parametrize(
    ("selector", "left"),
    [
        ("cd", ["%drive mount --provider folder"]),
        ("cd_persist", ["%drive mount --provider folder"]),
        ("drive", ["%cd_persist data"]),
        ("--all", []),
    ],
)
def test_forget_takes_out_what_is_named(
    run: Cells, data: Path, selector: str, left: List[str]
) -> None:
    """``%setup forget`` takes the named lines out, says which, and undoes nothing else."""
    run("%cd_persist data")
    run("%drive mount --provider folder")
    assert run(f"%setup forget {selector}").startswith("forgotten: %")
    assert run.steps() == left
    assert Path.cwd() == data


def test_forget_of_a_line_that_stands_in_the_notebook(run: Cells, data: Path) -> None:
    """Where the notebook cannot be written, forgetting says where to delete the line."""
    run(f"{MARKER}\n%cd_persist data")
    assert "delete its line" in run("%setup forget cd")


def test_auto_off_stops_remembering(run: Cells, data: Path) -> None:
    """After ``auto off`` steps still work and nothing more is remembered, until ``auto on``."""
    run("%setup auto off")
    shown = run("%cd_persist data")
    assert Path.cwd() == data
    assert "recording is off" in shown
    assert run.steps() == ["%setup auto off"]
    assert "on" in run("%setup auto on")
    assert run.steps() == []
    run("%cd_persist data")
    assert run.steps() == ["%cd_persist data"]


def test_auto_off_in_the_setup_cell_counts(run: Cells, data: Path) -> None:
    """``%setup auto off`` as a line of the notebook's setup cell stops remembering."""
    run(f"{MARKER}\n%setup auto off")
    assert "recording is off" in run("%cd_persist data")
    assert run.steps() == []


def test_help_names_every_command(run: Cells) -> None:
    """``%setup help`` has a line for each command, and Tab offers it."""
    shown = run("%setup help").splitlines()
    magic = run.shell.find_line_magic("setup").magic
    commands = magic.complete("%setup ", "")
    assert [line.split()[1] for line in shown[1:-1]] == commands
    assert magic.complete("%setup auto o", "o") == ["on", "off"]


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("chek", "unknown-command", "%setup has no command chek. Did you mean check?"),
        ("check --stict", "unknown-option", "%setup check has no option --stict. Did you mean"),
        ("auto", "usage", "%setup auto: the following arguments are required: on|off."),
        ("auto of", "unknown-choice", "%setup auto: there is no state of. Did you mean off?"),
        ("write a b", "usage", "%setup write: b is one argument too many."),
        ("write a", "no-lines", "%setup write: nothing to write."),
        ("forget", "usage", "%setup forget: which line?"),
        ("forget numpy", "no-line", "%setup forget: no line for numpy."),
    ],
)
def test_a_wrong_word_is_refused(run: Cells, line: str, code: str, text: str) -> None:
    """Each is a usage error with its code, which changes nothing."""
    error: Any = run.attempt(f"%setup {line}").error
    assert type(error) is UsageError
    assert error.code == code and text in str(error)
    assert run.steps() == []


def test_write_in_a_terminal_shows_the_cell(run: Cells, data: Path) -> None:
    """Where there is no notebook, ``%setup write`` shows the text to paste, which stays pending."""
    run("%cd_persist data")
    shown = run("%setup write")
    assert is_setup(shown)
    assert shown.endswith("%reload_ext colab_magics\n%cd_persist data")
    assert run.steps() == ["%cd_persist data"]


def test_the_shown_cell_runs(run: Cells, data: Path) -> None:
    """The text that ``%setup write`` shows brings the state back when it is run."""
    run("%cd_persist data")
    cell = run("%setup write")
    run("%cd -q ~")
    run(cell)
    assert Path.cwd() == data
    run("%setup check --strict")


def test_write_into_a_notebook_saves(run: Cells, data: Path, tmp_path: Path) -> None:
    """``%setup write PATH`` puts the cell on top, says that it is saved, and nothing is pending."""
    path = notebook(tmp_path / "n.ipynb", "print(1)")
    run("%cd_persist data")
    assert "saved in n.ipynb: %cd_persist data" in run(f"%setup write {path}")
    first, second = sources(path)
    assert is_setup(first)
    assert first.endswith("%cd_persist data")
    assert second == "print(1)"
    assert run.steps() == []


def test_write_merges_into_the_cell_that_is_there(run: Cells, data: Path, tmp_path: Path) -> None:
    """The user's own lines and comments stay where they are."""
    path = notebook(tmp_path / "n.ipynb", f"{MARKER}\n# mine\n%cd_persist elsewhere  # why\nx = 1")
    run("%cd_persist data")
    run(f"%setup write {path}")
    assert sources(path) == [f"{MARKER}\n# mine\n%cd_persist data  # why\nx = 1"]


def test_write_of_what_is_there_changes_no_byte(run: Cells, data: Path, tmp_path: Path) -> None:
    """Writing the same lines again says so and leaves the file as it was."""
    path = notebook(tmp_path / "n.ipynb")
    run("%cd_persist data")
    run(f"%setup write {path}")
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    run("%cd_persist data")
    assert "all of it was there already" in run(f"%setup write {path}")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_write_in_the_cell_that_did_it(run: Cells, data: Path, tmp_path: Path) -> None:
    """Steps and ``%setup write PATH`` in one cell: the steps are written."""
    path = notebook(tmp_path / "n.ipynb")
    run(f"%cd_persist data\n%setup write {path}")
    assert sources(path)[0].endswith("%cd_persist data")
    assert run.steps() == []


def test_write_respects_recording_off(run: Cells, data: Path, tmp_path: Path) -> None:
    """A notebook that holds ``auto off`` takes in nothing: refused, and the lines stay pending."""
    path = notebook(tmp_path / "n.ipynb", f"{MARKER}\n%setup auto off")
    before = path.read_bytes()
    run("%cd_persist data")
    reply = run.attempt(f"%setup write {path}")
    assert isinstance(reply.error, NotebookError)
    assert "Recording is off in n.ipynb" in reply.shown
    assert path.read_bytes() == before
    assert run.steps() == ["%cd_persist data"]


def test_nothing_to_write(run: Cells, tmp_path: Path) -> None:
    """With nothing remembered, a notebook is left alone."""
    path = notebook(tmp_path / "n.ipynb")
    before = path.read_bytes()
    assert type(run.attempt(f"%setup write {path}").error) is UsageError
    assert path.read_bytes() == before


def test_failed_steps_are_not_remembered(run: Cells, data: Path) -> None:
    """In a cell that fails half-way, only the steps before the failure are remembered."""
    reply = run.attempt("%cd_persist data\n%gpu require --memory 9000GB\n%drive mount")
    assert reply.error is not None
    assert run.steps() == ["%cd_persist data"]


def test_remembered_is_said_once(run: Cells, data: Path) -> None:
    """That lines are not in the notebook yet is said once per kernel."""
    assert "not in the notebook yet" in run("%cd_persist data")
    assert "not in the notebook yet" not in run("%drive mount --provider folder")


def test_an_interrupt_while_recording_loses_no_line(
    run: Cells, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the notebook is looked for leaves the line pending."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(get_session(run.shell), "writer", interrupted)
        run("%cd_persist data")
    assert run.steps() == ["%cd_persist data"]
