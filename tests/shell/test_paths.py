"""Typed paths count from where the kernel is; recorded ones mean the same on every run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

import pytest
from doubles import git_server
from doubles.files_server import Server
from support.cells import Cells

MARKER = "# colab_magics:setup v1"


@pytest.fixture
def drive(run: Cells, home: Path) -> Path:
    """The folder of a drive with a folder in it, in which the kernel is."""
    folder = home / "mnt" / "MyDrive" / "article"
    folder.mkdir(parents=True)
    run("%drive mount ~/mnt --provider folder\n%cd_persist drive:article")
    assert Path.cwd() == folder
    return folder


@pytest.fixture
def repositories(home: Path) -> Iterator[git_server.Server]:
    """A git server."""
    server = git_server.Server(home / "server")
    yield server
    server.close()


def restore(run: Cells) -> None:
    """Run what is recorded as a setup cell, as a new machine does, where the kernel started."""
    lines = run.steps()
    os.chdir(run.shell.starting_dir)
    run("\n".join([MARKER, *lines]))
    assert run.steps() == []


def test_fetch_puts_files_where_the_kernel_is(run: Cells, server: Server, drive: Path) -> None:
    """The message names the place, which is recorded; a second run changes nothing."""
    server.put("/a.csv", b"one")
    shown = run(f"%fetch {server.at}/a.csv data/")
    assert shown.startswith("drive:article/data/a.csv fetched")
    assert (drive / "data" / "a.csv").read_bytes() == b"one"
    (line,) = [line for line in run.steps() if "%fetch" in line]
    assert " drive:article/data/ " in line
    assert "already there" in run(f"%fetch {server.at}/a.csv data/")
    run(f"%fetch {server.at}/a.csv")
    assert (drive / "a.csv").exists()
    assert len([line for line in run.steps() if "%fetch" in line]) == 2


def test_other_magics_count_from_there_too(
    run: Cells, repositories: git_server.Server, drive: Path
) -> None:
    """A clone without a folder, files of requirements, folders of packages; a mount point."""
    url = repositories.make("model", README="hello")
    assert run(f"%github clone {url}").startswith("drive:article/model cloned")
    assert (drive / "model" / "README").exists()
    (drive / "r.txt").write_text("pip\n")
    run("%pin -r r.txt -f .")
    assert getattr(run.attempt("%drive mount here").error, "code", "") == "on-itself"
    steps = " ".join(run.steps())
    assert f"{url} drive:article/model --commit" in steps
    assert "-r drive:article/r.txt --find-links drive:article" in steps
    os.chdir(run.shell.starting_dir)
    Path("deep").mkdir()
    os.chdir("deep")
    run("%drive mount here --provider folder")
    assert "%drive mount deep/here --provider folder" in run.steps()


def test_run_again_after_its_setup_cell_a_notebook_changes_nothing(
    run: Cells, server: Server, repositories: git_server.Server
) -> None:
    """Its first cells then run where a later one had led; they mean what they meant."""
    server.put("/a.csv", b"one")
    url = repositories.make("model", README="hello", model__x="1")
    Path("r.txt").write_text("pip\n")
    Path("disk").mkdir()
    cells = [
        "%drive mount ~/mnt --from disk",
        f"%fetch {server.at}/a.csv data/",
        "%pin -r r.txt",
        "%env_persist --prepend FOLDERS=bin",
        f"%github clone {url}",
        "%cd_persist model",
        f"%fetch {server.at}/a.csv data/",
    ]
    for cell in cells:
        run(cell)
    files = sorted(Path(run.shell.starting_dir).rglob("*.csv"))
    assert len(files) == 2
    restore(run)
    assert Path.cwd().name == "model"
    for cell in cells:
        run(cell)
        assert run.steps() == [], cell
    assert sorted(Path(run.shell.starting_dir).rglob("*.csv")) == files


def test_what_a_person_types_after_a_restore_counts_from_there(run: Cells, server: Server) -> None:
    """Only a line that the setup cell has is read as it was recorded."""
    server.put("/a.csv", b"one")
    server.put("/b.csv", b"two")
    run(f"%fetch {server.at}/a.csv data/")
    run("%cd_persist deep --make")
    restore(run)
    run(f"%fetch {server.at}/b.csv data/")
    assert Path("data/b.csv").exists()
    run("%cd_persist deep")
    run(f"%fetch {server.at}/a.csv data/")
    assert Path("data/a.csv").exists()


def test_no_clone_is_made_inside_itself(run: Cells, repositories: git_server.Server) -> None:
    """The cell that cloned is run again from inside the clone."""
    url = repositories.make("model", README="hello")
    run(f"%github clone {url}")
    run("%cd_persist model")
    assert "already at" in run(f"%github clone {url}")
    assert not Path("model").exists()
    assert len([line for line in run.steps() if "clone" in line]) == 1
    run(f"%github clone {url} model")  # a folder that is named is what is meant
    assert Path("model/README").exists()


def test_a_persons_own_clone_is_not_taken_for_ours(
    run: Cells, repositories: git_server.Server
) -> None:
    """A notebook in a clone of the repository that it clones gets one of its own."""
    url = repositories.make("model", README="hello")
    git_server.git(Path.cwd(), "clone", "-q", url, "mine")
    os.chdir("mine")
    assert run(f"%github clone {url}").startswith("mine/model cloned")


def test_a_setup_cell_counts_from_where_the_kernel_started(run: Cells, server: Server) -> None:
    """Wherever the kernel is when it is run again."""
    server.put("/a.csv", b"one")
    Path("deep").mkdir()
    cell = f"{MARKER}\n%fetch {server.at}/a.csv data/\n%cd_persist deep"
    run(cell)
    assert "already there" in run(cell)
    assert Path.cwd().name == "deep" and not Path("data").exists()


def test_a_drive_that_is_a_link_has_its_name(run: Cells) -> None:
    """Where the kernel is on it, paths are recorded as ``drive:``; its own line stays as it is."""
    Path("disk/deep").mkdir(parents=True)
    lines = ["%drive mount ~/mnt --from disk", "%cd_persist drive:deep", "%cd_persist in --make"]
    for line in lines:
        run(line)
    assert run("%cd_persist") == "in drive:deep/in"
    assert run.steps() == [lines[0], "%cd_persist drive:deep/in --make"]
