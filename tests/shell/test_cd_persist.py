"""``%cd_persist`` in a shell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from IPython.core.error import UsageError
from support.cells import Cells


@pytest.fixture
def work(home: Path) -> Path:
    """The directory that the shell starts in, with folders below it."""
    (home / "work" / "data" / "inner").mkdir(parents=True)
    return home / "work"


def test_changes_the_directory_and_remembers_it(run: Cells, work: Path) -> None:
    """The directory changes, one line says so, and the line is remembered as typed."""
    shown = run("%cd_persist data")
    assert shown.splitlines()[0] == "in data"
    assert Path.cwd() == work / "data"
    assert run.steps() == ["%cd_persist data"]


def test_second_time_changes_nothing(run: Cells, work: Path) -> None:
    """Run twice, as cells are, it stays where it is and says so."""
    run("%cd_persist data")
    assert run("%cd_persist data") == "already in data"
    assert Path.cwd() == work / "data"
    assert run.steps() == ["%cd_persist data"]


def test_a_later_one_takes_the_place_of_an_earlier(run: Cells, work: Path) -> None:
    """A notebook works in one directory: the last one is remembered."""
    run("%cd_persist data")
    run("%cd_persist inner")
    assert run.steps() == ["%cd_persist data/inner"]


def test_counts_from_where_the_kernel_is(run: Cells, work: Path) -> None:
    """As in any shell; what is recorded counts from the start directory."""
    run("%cd_persist data")
    assert run("%cd_persist inner").splitlines()[0] == "in data/inner"
    assert Path.cwd() == work / "data" / "inner"
    assert run.steps() == ["%cd_persist data/inner"]
    run("%cd_persist ../..")
    assert Path.cwd() == work and run.steps() == ["%cd_persist ."]


def test_lines_of_one_notebook_run_again_lead_where_they_led(run: Cells, work: Path) -> None:
    """One that is not below the current directory is the one below the start directory."""
    for _ in range(2):
        run("%cd_persist data")
        run("%cd_persist inner")
        assert Path.cwd() == work / "data" / "inner"
        assert run.steps() == ["%cd_persist data/inner"]


def test_a_line_that_never_led_elsewhere_counts_from_here(run: Cells, work: Path) -> None:
    """A folder of that name where the kernel started is another one, with and without --make."""
    (work / "sub").mkdir()
    run("%cd_persist sub")
    assert getattr(run.attempt("%cd_persist data").error, "code", "") == "no-folder"
    assert Path.cwd() == work / "sub"
    run("%cd_persist data --make")
    assert Path.cwd() == work / "sub" / "data"
    assert run.steps() == ["%cd_persist sub/data --make"]


def test_a_folder_of_the_same_name_in_it(run: Cells, work: Path) -> None:
    """The line that is run again stays; how to go in is said, and works."""
    (work / "data" / "data").mkdir()
    run("%cd_persist data")
    shown = run("%cd_persist data")
    assert Path.cwd() == work / "data"
    run(shown.partition("the one in it: ")[2])
    assert Path.cwd() == work / "data" / "data"
    assert run.steps() == ["%cd_persist data/data"]


@pytest.mark.parametrize("place", ["out/deep", "drive:out"])
def test_what_is_missing_is_made_with_make(run: Cells, work: Path, place: str) -> None:
    """Only then; the error says how, and the option is recorded, for the next machine."""
    run("%drive mount ~/mnt --provider folder")
    reply = run.attempt(f"%cd_persist {place}")
    assert getattr(reply.error, "code", "") == "no-folder"
    assert not (work / "out").exists() and Path.cwd() == work
    line = str(reply.error).partition("To make it: ")[2]
    shown = run(line)
    assert shown.splitlines()[0] == f"in {place}, created"
    assert run.steps()[-1] == line == f"%cd_persist {place} --make"
    assert run(f"%cd_persist {place}") == f"already in {place}"
    assert run.steps()[-1] == line


def test_bare_shows_and_changes_nothing(run: Cells, work: Path) -> None:
    """Alone it shows the directory, remembers nothing and does not move."""
    os.chdir("data")
    assert run("%cd_persist") == "in data"
    assert Path.cwd() == work / "data"
    assert run.steps() == []


@pytest.mark.parametrize(
    ("typed", "recorded"),
    [
        ("~/project", "~/project"),
        ("{home}/project", "~/project"),
        ("/usr", "/usr"),
        ("'with space'", "'with space'"),
        ("./data/../data", "data"),
        ("data   # why", "data"),
    ],
)
def test_is_remembered_so_that_it_means_the_same(
    run: Cells, work: Path, home: Path, typed: str, recorded: str
) -> None:
    """Under home, absolute, with spaces: the line reads back as the same folder."""
    (home / "project").mkdir()
    (work / "with space").mkdir()
    run("%cd_persist " + typed.format(home=home))
    assert run.steps() == ["%cd_persist " + recorded.format(home=home)]


def test_under_the_drive_is_remembered_by_its_name(run: Cells, home: Path) -> None:
    """An absolute path under the mounted drive is remembered as ``drive:``."""
    run("%drive mount ~/mnt --provider folder")
    (home / "mnt" / "MyDrive" / "project").mkdir()
    run(f"%cd_persist {home}/mnt/MyDrive/project")
    assert run.steps()[-1] == "%cd_persist drive:project"
    assert run("%cd_persist drive:project") == "already in drive:project"
    assert Path.cwd() == home / "mnt" / "MyDrive" / "project"


def test_goes_back(run: Cells, work: Path) -> None:
    """``%cd_persist -`` goes back, to where IPython's own ``%cd`` would, and remembers that."""
    run("%cd_persist data")
    run("%cd_persist inner")
    assert "in data" in run("%cd_persist -")
    assert Path.cwd() == work / "data"
    assert run.steps() == ["%cd_persist data"]


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("nowhere", "no-folder", "nowhere: No such file or directory."),
        ("file.txt", "no-folder", "file.txt: Not a directory."),
        ("data other", "usage", "other is one argument too many"),
        ("--dataa", "unknown-option", "%cd_persist has no option --dataa."),
        ("-", "no-previous", "there is no directory to go back to"),
    ],
)
def test_bad_lines(run: Cells, work: Path, line: str, code: str, text: str) -> None:
    """A line that leads nowhere is refused, and nothing changes."""
    (work / "file.txt").touch()
    run.shell.user_ns["_dh"] = [os.getcwd()]
    error = run.attempt(f"%cd_persist {line}").error
    assert type(error) is UsageError and getattr(error, "code", "") == code
    assert text in str(error)
    assert Path.cwd() == work and run.steps() == []


def test_ipythons_history_of_directories_stays_true(run: Cells, work: Path) -> None:
    """After ``%cd_persist``, IPython's own ``%cd -`` goes back to where we were."""
    run("%cd_persist data")
    run("%cd -q inner")
    run("%cd -q -")
    assert Path.cwd() == work / "data"


def test_a_directory_that_vanished_can_be_left(run: Cells, work: Path) -> None:
    """A current directory that is gone is said, and can be left."""
    (work / "gone").mkdir()
    os.chdir("gone")
    (work / "gone").rmdir()
    assert "was deleted" in run("%cd_persist")
    run("%cd_persist data")
    assert Path.cwd() == work / "data"


@pytest.mark.parametrize(
    ("options", "shown", "remembered"),
    [
        ("-q", False, True),
        ("--quiet", False, True),
        ("--no-record", True, False),
        ("-q --no-record", False, False),
    ],
)
def test_options(run: Cells, work: Path, options: str, shown: bool, remembered: bool) -> None:
    """``-q`` says nothing of the step, ``--no-record`` remembers nothing; both change directory."""
    assert ("in data" in run(f"%cd_persist {options} data")) is shown
    assert run.steps() == (["%cd_persist data"] if remembered else [])
    assert Path.cwd() == work / "data"


def test_dry_run_changes_nothing(run: Cells, work: Path) -> None:
    """``--dry-run`` says what differs, and neither moves nor remembers."""
    assert run("%cd_persist --dry-run data").startswith("Nothing was changed. ")
    assert Path.cwd() == work
    assert run.steps() == []


def test_output_is_returned(run: Cells, work: Path) -> None:
    """``-o`` returns the outcome; without it nothing is returned."""
    run("out = %cd_persist -o data")
    assert run.shell.user_ns["out"].status == "applied"
    run("out = %cd_persist data")
    assert run.shell.user_ns["out"] is None


def test_expanded_variables_are_remembered_expanded(run: Cells, work: Path) -> None:
    """A ``{name}`` that IPython expanded is remembered by its value, without braces."""
    run("folder = 'data'")
    run("%cd_persist {folder}/inner")
    assert run.steps() == ["%cd_persist data/inner"]
