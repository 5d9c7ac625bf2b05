"""``%setup`` in a shell, where no notebook can be written by itself."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Optional
from unittest.mock import Mock

import pytest
from IPython.core.error import UsageError
from support.cells import Cells

from colab_magics.core.errors import NotebookError, SetupDiffers
from colab_magics.core.host import Host
from colab_magics.extension.session import Session, get_session
from colab_magics.notebook import writers
from colab_magics.notebook.locate import RunningCell, Site
from colab_magics.notebook.writers.base import Writer
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
    """Once the setup cell has run, its lines are shown, those of the user as unknown."""
    run(f"{MARKER}\n%reload_ext colab_magics\n%cd_persist data\nx = 1")
    shown = run("%setup")
    assert "Setup cell, as it was last run:" in shown
    assert re.search(r"ok +%cd_persist data", shown)
    assert "unknown  x = 1" in shown
    assert run.steps() == []


def test_running_the_setup_cell_remembers_nothing_anew(run: Cells, data: Path) -> None:
    """What the setup cell does itself is not pending: it stands there already."""
    shown = run(f"{MARKER}\n%cd_persist data")
    assert Path.cwd() == data
    assert shown.startswith("in data\nSetup ready: ")
    assert run.steps() == []


def test_a_setup_cell_that_has_run_ends_with_a_verdict(run: Cells, data: Path) -> None:
    """How many lines, how long, and which have changed something; nothing on a second run."""
    cell = f"{MARKER}\n%reload_ext colab_magics\n%env_persist A_B=1\n%cd_persist data"
    first, again = run(cell).splitlines()[-1], run(cell).splitlines()[-1]
    assert re.fullmatch(r"Setup ready: 2 lines, \d+\.\d s\. (.*)", first)
    assert "%env_persist, %cd_persist" in first
    assert again.startswith("Setup ready: 2 lines, 0.") and "%" not in again


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("%env_persist A_B=1\n%cd_persist nowhere", "stopped after 1 of 2 lines"),
        ("%cd_persist nowhere\n%env_persist A_B=1", "stopped after 0 of 2 lines"),
        ("%env_persist A_B=1\n1 / 0", "stopped after 1 of 1 lines"),
        ("%env_persist A_B=1\n!exit 3", "not ready"),
    ],
)
def test_a_setup_cell_that_failed_is_not_called_ready(
    run: Cells, lines: str, expected: str
) -> None:
    """Whichever line it was, also a command of a shell, which raises nothing."""
    shown = run.attempt(f"{MARKER}\n%reload_ext colab_magics\n{lines}").shown
    assert expected in shown.splitlines()[-1] and "Setup ready" not in shown


def test_a_cell_that_needs_a_restart_has_no_verdict(run: Cells) -> None:
    """What it raises says what to do, and is the last word."""
    cell = "from colab_magics.core.errors import RestartRequired\nraise RestartRequired('x')"
    assert "Setup" not in run.attempt(f"{MARKER}\n%env_persist A_B=1\n{cell}").shown


def test_a_cell_that_cannot_be_run_has_no_verdict(run: Cells) -> None:
    """It has to be edited, not run again."""
    assert "Setup" not in run.attempt(f"{MARKER}\n%env_persist A_B=1\nif:").shown


def test_a_command_before_the_setup_cell_does_not_count(run: Cells) -> None:
    """Its status is the user's own, and is there afterwards."""
    run("!exit 3")
    assert "Setup ready: 1 line," in run(f"{MARKER}\n%env_persist A_B=1\ntext = '''\n!ls\n'''")
    assert run("print(_exit_code)") == "3"


def test_a_line_in_a_loop_is_one_line(run: Cells) -> None:
    """The verdict counts what the cell has, not how often it was run."""
    loop = "for _ in range(3):\n    get_ipython().run_line_magic('env_persist', 'C_D=1')"
    assert "Setup ready: 1 line," in run(f"{MARKER}\n%env_persist A_B=1\n{loop}")


def test_other_cells_have_no_verdict(run: Cells) -> None:
    """Nor has a setup cell without a line of ours."""
    assert "Setup ready" not in run("%env_persist A_B=1")
    assert run(f"{MARKER}\n%reload_ext colab_magics") == ""


def test_loading_what_is_loaded_says_nothing(run: Cells) -> None:
    """IPython's two lines about a loaded extension stand below no cell; text stays as it is."""
    assert run("%load_ext colab_magics") == ""
    assert run("%load_ext colab_magics\nprint('a')") == "a"
    shown = run("print('''\n%load_ext colab_magics\n''')\n%load_ext colab_magics")
    assert shown.strip() == "%load_ext colab_magics"
    run("%unload_ext colab_magics\n%load_ext colab_magics")
    assert "Nothing is remembered" in run("%setup")


def test_the_body_of_a_cell_magic_keeps_its_load_line(run: Cells, home: Path) -> None:
    """It is a text like any other: what is written to a file has all of its lines."""
    run("%%writefile out.ipy\nx = 1\n%load_ext colab_magics\n")
    assert Path("out.ipy").read_text() == "x = 1\n%load_ext colab_magics\n"


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
    assert (reply.error.lines, reply.error.unknown) == (("%cd_persist data",), ())
    assert "%cd_persist data" in str(reply.error)
    assert "Traceback" not in reply.shown
    run("%cd_persist data")
    run("%setup check --strict")


def test_strict_check_does_not_pass_what_it_cannot_tell(run: Cells) -> None:
    """A line that is none of our magics is not taken to hold."""
    run(f"{MARKER}\n%reload_ext colab_magics\nx = 1")
    error = run.attempt("%setup check --strict").error
    assert isinstance(error, SetupDiffers)
    assert (error.code, error.lines, error.unknown) == ("setup-unknown", (), ("x = 1",))


def test_doctor_names_the_writer(run: Cells, data: Path) -> None:
    """In a shell: where it runs, the writer and why no other; the table says it may be shared."""
    rows = json.loads(run("%setup doctor --json"))["rows"]
    values = {row["name"]: row["value"] for row in rows}
    assert values["runs in"].startswith("terminal")
    assert "not run: not started by colab-magics run" in values["writer"]
    assert [row for row in rows if row["state"] == "failed"] == []
    assert "may be pasted into an issue" in run("%setup doctor")


def test_diff_with_another_notebook(run: Cells, data: Path) -> None:
    """What is pending counts too; Tab offers notebooks; the same set-up says so."""
    magic = run.shell.find_line_magic("setup").magic
    other = notebook(data / "other.ipynb", f"{MARKER}\n%reload_ext colab_magics\n%env_persist A=1")
    run("%cd_persist data")
    shown = run("%setup diff other.ipynb")
    assert "only in this notebook" in shown and "only in other.ipynb" in shown
    (first, second) = json.loads(run("%setup diff other.ipynb --json"))["lines"]
    assert (first["state"], second["state"]) == ("first", "second")
    assert magic.complete("%setup diff oth", "oth") == ["other.ipynb"]
    run(f"%setup write {other}")
    run(f"{MARKER}\n%reload_ext colab_magics\n%env_persist A=1\n%cd_persist data")
    assert json.loads(run("%setup diff other.ipynb --json"))["state"] == "same"
    assert run.attempt("%setup diff nothing.ipynb").error.code  # type: ignore[union-attr]


def test_check_as_one_object(run: Cells, data: Path) -> None:
    """``--json`` prints it, with what is pending too, and nothing else."""
    assert json.loads(run("%setup check --json"))["lines"] == []
    run("%cd_persist data")
    (line,) = json.loads(run("%setup check --json"))["lines"]
    assert (line["line"], line["state"]) == ("%cd_persist data", "ok")


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


def test_settings_of_the_editor_are_another_line(run: Cells) -> None:
    """``auto on`` leaves them, and ``forget editor`` takes them alone."""
    run("%setup editor --theme dark --record")
    run("%setup auto off")
    run("%setup auto on")
    assert run.steps() == ["%setup editor --theme dark"]
    run("%setup forget editor")
    assert run.steps() == []


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


def test_a_slip_in_what_is_to_be_forgotten(run: Cells, data: Path) -> None:
    """A package, or a kind of line, that is recorded and reads nearly so, is named."""
    cell = f"{MARKER}\n%reload_ext colab_magics\n%pin packaging\n%drive mount"
    get_session(run.shell).setup_texts[""] = cell  # as if it had run
    for word, meant in (("packagng", "packaging"), ("drve", "drive")):
        error: Any = run.attempt(f"%setup forget {word}").error
        assert (error.code, error.slip) == ("no-line", (word, meant))
        assert f"Type: %setup forget {meant}" in str(error)
    error = run.attempt("%setup forget something").error
    assert error.slip is None


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


class SetupFile(Writer):
    """A writer of somebody else, which keeps the setup cell in a file."""

    name = "setup file"
    target = "to setup.py"
    path = Path("setup.py")
    can_set_metadata = True
    state, saved = "saved", False

    def available(self, host: Host, site: Site, cell: RunningCell) -> Optional[str]:
        """See `Writer`."""
        return None

    def read(self) -> Optional[str]:
        """See `Writer`."""
        return self.path.read_text() if self.path.exists() else None

    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """See `Writer`."""
        self.path.write_text(text or "")
        return self.state


@pytest.fixture
def setup_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a `SetupFile` that is the notebook's only writer; it is not there yet."""
    monkeypatch.setitem(sys.modules, "setup_file", SimpleNamespace(SetupFile=SetupFile))  # type: ignore[arg-type]
    monkeypatch.setattr(writers, "WRITERS", ("setup_file:SetupFile",))
    monkeypatch.setattr(SetupFile, "path", home / "setup.py")
    return SetupFile.path


def test_forget_takes_out_what_is_gone_and_what_is_new(run: Cells, setup_file: Path) -> None:
    """A line of a deleted cell is not brought back once its kind is forgotten."""
    run("%env_persist A_B=1")
    setup_file.unlink()
    assert "gone" in run("%env_persist C_D=2")
    shown = run("%setup forget env_persist")
    assert "A_B=1" in shown and "C_D=2" in shown
    run("%setup write")
    assert not setup_file.exists()


@pytest.mark.parametrize("line", ["", "%env_persist A_B=1"])
def test_a_deleted_cell_with_lines_of_the_user_is_let_go(
    run: Cells, setup_file: Path, line: str
) -> None:
    """``%setup forget --all``, which the notice names, leaves a notebook without a setup cell."""
    setup_file.write_text(f"{MARKER}\nx = 1\n{line}")
    run(setup_file.read_text())
    setup_file.unlink()
    if line:
        assert "%setup forget --all" in run("%env_persist C_D=2")
    run("%setup forget --all")
    run("%env_persist E_F=3")
    text = setup_file.read_text()
    assert "E_F=3" in text and "x = 1" not in text and "A_B" not in text


def test_a_setup_cell_that_another_cell_runs_is_not_the_notebooks(
    run: Cells, setup_file: Path
) -> None:
    """Its lines are not missed in the notebook, and the next line is recorded."""
    run(f"get_ipython().run_cell({MARKER + chr(10) + '%env_persist A_B=1'!r})")
    run("%env_persist C_D=2")
    assert "C_D=2" in setup_file.read_text() and "A_B" not in setup_file.read_text()


def test_what_a_later_cell_has_saved_is_not_held(
    run: Cells, setup_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a line is not saved yet, and the next is saved with it, both are done with."""
    monkeypatch.setattr(SetupFile, "state", "written")
    run("%env_persist A_B=1")
    monkeypatch.setattr(SetupFile, "state", "saved")
    run("%env_persist C_D=2")
    assert run.steps() == [] and get_session(run.shell).pending.unsaved == []


@pytest.mark.parametrize("source", ["", "colab-magics~=0.1.0"])
def test_a_cell_that_cannot_install_us_is_said_when_it_is_made(
    run: Cells, setup_file: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next machine is the wrong place to learn it; where the cell can, nothing is said."""
    monkeypatch.setattr("colab_magics.record.cell.portable_source", lambda host: (source, None))
    assert ("On a new machine, install" in run("%env_persist A_B=1")) == (not source)
    assert "On a new machine" not in run("%env_persist C_D=2")


def test_a_line_deleted_before_it_was_saved_stays_deleted(
    run: Cells, setup_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the open notebook, and not in its file, is not written a second time."""
    monkeypatch.setattr(SetupFile, "state", "written")
    run("%env_persist A_B=1")
    run("%env_persist C_D=2")
    setup_file.write_text(setup_file.read_text().replace("%env_persist A_B=1 C_D=2", ""))
    run("%cd_persist .")
    text = setup_file.read_text()
    assert "%cd_persist" in text and "A_B" not in text and "C_D" not in text


def test_lines_of_another_page_make_no_second_setup_cell(
    run: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are left to the cell that is there; asked again, since it is gone, all is written."""
    monkeypatch.setattr(Session, "site", Site("vscode", "a test"))
    put = Mock()
    monkeypatch.setattr(run.shell, "set_next_input", put)
    monkeypatch.setattr(Host, "client", "other page")
    run("%env_persist C_D=2")
    monkeypatch.setattr(Host, "client", "this page")
    run(f"{MARKER}\n%env_persist A_B=1")
    assert "Run that one" in run("%setup write --all")
    put.assert_not_called()
    run("%setup write --all")
    text = put.call_args[0][0]
    assert "A_B=1" in text and "C_D=2" in text


def test_a_writer_names_where_the_cell_is(
    run: Cells, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is recorded through it goes there, the line says where, and ``%setup where`` too."""
    monkeypatch.setitem(sys.modules, "setup_file", SimpleNamespace(SetupFile=SetupFile))  # type: ignore[arg-type]
    monkeypatch.setattr(writers, "WRITERS", ("setup_file:SetupFile", *writers.WRITERS))
    monkeypatch.setattr(SetupFile, "path", data / "setup.py")
    shown = run("%cd_persist data")
    assert SetupFile.target in shown and "on top" not in shown
    assert "%cd_persist data" in SetupFile.path.read_text()
    assert SetupFile.target in run("%setup where")


def test_no_writer_is_asked_where_an_executor_runs(
    run: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An executor saves or compares the notebook itself: a writer that takes all is not asked."""
    monkeypatch.setitem(sys.modules, "setup_file", SimpleNamespace(SetupFile=SetupFile))  # type: ignore[arg-type]
    monkeypatch.setattr(writers, "WRITERS", ("setup_file:SetupFile",))
    cell = RunningCell("", True, is_setup)
    for kind, writes in (("executor", False), ("jupyter", True)):
        writer, reasons = writers.writer_for(Host(run.shell), Site(kind, "a test"), cell)
        assert (isinstance(writer, SetupFile), reasons) == (writes, ())
