"""``%drive push|pull|rm|du`` over the stand-in, in a notebook and from a terminal."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Dict, List

import pytest
from support.cells import Cells

from colab_magics.__main__ import main

pytestmark = pytest.mark.once


@pytest.fixture
def drive(run: Cells, home: Path) -> Path:
    """The files of the stand-in, which is mounted."""
    run("%drive mount ~/d")
    return home / "d" / "MyDrive"


def write(path: str, text: str = "x") -> None:
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def tree(folder: Path) -> Dict[str, str]:
    """The files below a folder, hidden ones too."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def code(error: object) -> str:
    return str(getattr(error, "code", ""))


# ---------------------------------------------------------------------- push and pull
def test_push_and_pull_are_not_recorded_and_move_nothing_twice(run: Cells, drive: Path) -> None:
    """The first line says what the drive is; the second run says that all is there."""
    write("data/a", "1")
    write("data/b/c", "2")
    write("data/b/.hidden", "3")
    steps = run.steps()
    first = run("%drive push data drive:x")
    assert "Not Google Drive" in first.splitlines()[0]
    assert "3 files copied" in first.splitlines()[1]
    assert tree(drive) == {f"x/data/{name}": text for name, text in tree(Path("data")).items()}
    assert "3 files are already there" in run("%drive push data drive:x")
    run("%drive pull drive:x/data/ back")
    assert tree(Path("back")) == tree(Path("data"))
    assert "3 files are already there" in run("%drive pull drive:x/data/ back")
    assert run.steps() == steps


@pytest.mark.parametrize(
    ("line", "places"),
    [
        ("push a drive:", ["a"]),
        ("push a drive:new", ["new"]),
        ("push a drive:new/", ["new/a"]),
        ("push a drive:there", ["there/a"]),
        ("push a folder/b drive:new", ["new/a", "new/b"]),
        ("push folder drive:", ["folder/b"]),
        ("push folder drive:new", ["new/folder/b"]),
        ("push folder/ drive:new", ["new/b"]),
        ("push folder/. drive:new", ["new/b"]),
        ("push ~/work/a drive:./x/../y", ["y"]),
        ("push a drive:/y", ["y"]),
    ],
)
def test_where_things_go(run: Cells, drive: Path, line: str, places: object) -> None:
    """As rsync has it: a slash behind a folder means what is in it; the target may be a name."""
    write("a")
    write("folder/b")
    (drive / "there").mkdir()
    run(f"%drive {line}")
    assert sorted(tree(drive)) == places
    assert "already there" in run(f"%drive {line}")


def test_between_folders_without_any_drive(run: Cells) -> None:
    """The same lines work on paths of this machine, with nothing mounted."""
    write("data/a")
    run("%drive push data /tmp/../$HOME/else".replace("$HOME", os.environ["HOME"]))
    run("%drive pull ~/else/data/ back")
    assert tree(Path("back")) == {"a": "x"}


def test_what_is_no_file_is_passed_over_and_named(run: Cells, drive: Path) -> None:
    """Links and pipes; an empty folder is made."""
    write("data/a")
    os.symlink("/etc", "data/link")
    os.mkfifo("data/pipe")
    os.mkdir("data/empty")
    shown = run("%drive push data drive:")
    assert {*tree(drive)} == {"data/a"}
    assert (drive / "data/empty").is_dir()
    assert "data/link" in shown and "data/pipe" in shown


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("push a", "no-target"),
        ("push drive:a b", "wrong-way"),
        ("pull a drive:b", "wrong-way"),
        ("push nothing drive:", "absent"),
        ("push a drive:../out", "outside"),
        ("push a/ drive:", "not-a-folder"),
        ("push a drive:file/in", "in-the-way"),
        ("push folder drive:file", "in-the-way"),
        ("push a folder/a drive:new", "same-place"),
        ("pull drive:nothing .", "absent"),
        ("push a drive: --jobs 0", "usage"),
        ("push a drive: --dry-run", "unknown-option"),
        ("rm a", "not-drive"),
        ("rm drive:", "all"),
        ("rm drive:nothing", "absent"),
        ("rm drive:folder", "is-a-folder"),
        ("rm drive:../out", "outside"),
        ("du drive:nothing", "absent"),
        ("pull drive:folder . --unpack", "no-archive"),
        ("pull drive:file . --unpack", "archive-unknown"),
    ],
)
def test_a_wrong_line_changes_nothing(run: Cells, drive: Path, line: str, expected: str) -> None:
    """It has one clear error; neither side is touched."""
    write("a")
    write("folder/a", "y")
    (drive / "folder").mkdir()
    (drive / "file").write_text("there")
    (drive.parent / "out").write_text("out")
    before = tree(Path.home() / "d")
    reply = run.attempt(f"%drive {line}")
    assert code(reply.error) == expected
    if expected != "same-place":
        assert tree(Path.home() / "d") == before
    assert sorted(tree(Path())) == ["a", "folder/a"]


def test_without_a_drive_it_says_how_to_have_one(run: Cells) -> None:
    """Nothing is mounted, and nobody is logged in."""
    write("a")
    assert code(run.attempt("%drive push a drive:").error) == "no-drive"


# ---------------------------------------------------------------------- packed
def test_a_packed_folder_comes_back_unpacked(run: Cells, drive: Path) -> None:
    """One file on the drive; a second pull, or push, changes nothing."""
    write("data/a", "1")
    write("data/b/c", "2")
    os.chmod("data/a", 0o700)
    run("%drive push data drive:backup --pack")
    assert [path.name for path in (drive / "backup").iterdir()] == ["data.tar"]
    assert "already there" in run("%drive push data drive:backup --pack")
    run("%drive pull drive:backup/data.tar back --unpack")
    assert tree(Path("back/data")) == tree(Path("data"))
    assert Path("back/data/a").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in Path("back").iterdir()] == ["data"]
    inode = Path("back/data/a").stat().st_ino
    assert "already there" in run("%drive pull drive:backup/data.tar back --unpack")
    assert Path("back/data/a").stat().st_ino == inode
    Path("back/data/a").unlink()
    run("%drive pull drive:backup/data.tar back --unpack")
    assert tree(Path("back/data")) == tree(Path("data"))


def test_an_archive_that_leads_out_is_refused(run: Cells, drive: Path) -> None:
    """By the same rules as ``%fetch --unpack``; nothing of it is kept."""
    with tarfile.open(drive / "evil.tar", "w") as archive:
        info = tarfile.TarInfo("../../out")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    reply = run.attempt("%drive pull drive:evil.tar in --unpack")
    assert code(reply.error) == "archive-unsafe"
    assert not list(Path.home().rglob("out"))


# ---------------------------------------------------------------------- sync
def test_sync_makes_both_sides_the_same(run: Cells, drive: Path) -> None:
    """It says what it did, and a second time that there is nothing to do; not recorded."""
    write("notes/a", "1")
    (drive / "notes").mkdir()
    (drive / "notes/b").write_text("2")
    steps = run.steps()
    shown = run("%drive sync notes drive:notes --dry-run")
    assert "Not Google Drive" in shown.splitlines()[0]
    assert "Nothing was changed" in shown
    assert {line.split()[0] for line in shown.splitlines()[3:]} == {"send", "receive"}
    assert [*tree(Path("notes"))] == ["a"]
    assert "1 file sent, 1 file received" in run("%drive sync drive:notes/ notes")
    assert tree(Path("notes")) == tree(drive / "notes") == {"a": "1", "b": "2"}
    shown = run("%drive sync notes drive:notes")
    assert shown.splitlines()[1] == "Nothing to do: 2 files are the same on both sides"
    Path("notes/a").unlink()
    shown = run("%drive sync notes drive:notes")
    assert "deleted in notes, still in drive:notes: a. " in shown and "--delete" in shown
    assert "1 file deleted" in run("%drive sync notes drive:notes --delete")
    assert tree(drive / "notes") == {"b": "2"}
    assert run.steps() == steps


def test_sync_deletes_no_more_than_a_share(run: Cells, drive: Path) -> None:
    """The rest of the line is done; a higher share lets it."""
    for at in range(20):
        write(f"notes/{at}", str(at))
    run("%drive sync notes drive:notes")
    for at in range(11):
        Path(f"notes/{at}").unlink()
    write("notes/new")
    shown = run("%drive sync notes drive:notes --delete")
    assert "1 file sent" in shown and "11 files (--max-delete)" in shown
    assert len(tree(drive / "notes")) == 21
    assert "11 files deleted" in run("%drive sync notes drive:notes --delete --max-delete 60%")
    assert tree(drive / "notes") == tree(Path("notes"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sync a", "no-target"),
        ("sync drive:a drive:b", "both-on-drive"),
        ("sync a drive:../x", "outside"),
        ("sync a drive:", "not-a-folder"),
        ("sync nothing drive:nothing", "absent"),
        ("sync ~/d/MyDrive/x drive:x", "nested"),
        ("sync ~/d drive:x", "nested"),
        ("sync folder folder/a", "nested"),
        ("sync folder drive: --max-delete 5", "usage"),
        ("sync folder drive: --max-delete 101%", "usage"),
    ],
)
def test_a_wrong_sync_changes_nothing(run: Cells, drive: Path, line: str, expected: str) -> None:
    """It has one clear error; neither side is touched."""
    write("a")
    write("folder/a", "y")
    before = tree(Path.home() / "d")
    assert code(run.attempt(f"%drive {line}").error) == expected
    assert tree(Path.home() / "d") == before
    assert sorted(tree(Path())) == ["a", "folder/a"]


# ---------------------------------------------------------------------- rm and du
def test_rm_deletes_and_du_counts(run: Cells, drive: Path) -> None:
    """A folder only with ``-r``; of a link that is named, the link alone."""
    (drive / "f/sub").mkdir(parents=True)
    (drive / "f/sub/a").write_bytes(b"x" * 1000)
    (drive / "b").write_bytes(b"x" * 500)
    shown = run("%drive du")
    assert "1.5 kB in 2 files" in shown
    assert shown.index("f/") < shown.index("b")
    run("%drive rm drive:b")
    (drive / "link").symlink_to(Path.home())
    run("%drive rm -r drive:link")
    run("%drive rm -r drive:f")
    assert [*drive.iterdir()] == []


def test_tab_offers_paths_of_both_sides(run: Cells, drive: Path) -> None:
    """Folders and files, here and on the drive that is mounted."""
    write("data/a")
    (drive / "project").mkdir()
    (drive / "project/table.csv").write_text("x")

    magic = run.shell.magics_manager.magics["line"]["drive"]

    def offered(line: str) -> List[str]:
        return [text for text, _ in magic.candidates(line, line.rpartition(" ")[2])]

    assert offered("%drive push da") == ["data/"]
    assert "drive:project/" in offered("%drive pull drive:pro")
    assert offered("%drive pull drive:project/t") == ["drive:project/table.csv"]
    assert "--pack" in offered("%drive push --p")
    assert offered("%drive sync da") == ["data/"]
    assert "--watch" in offered("%drive sync --w")


# ---------------------------------------------------------------------- from a terminal
@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("push a drive:", 0),
        ("push a drive: -q", 0),
        ("du", 0),
        ("push nothing drive:", 1),
        ("push a", 2),
        ("pushh a drive:", 2),
        ("mount", 2),
        ("push drive:a b", 2),
        ("push a drive: --nosuch", 2),
        ("push a drive: --dry-run", 2),
        ("sync a drive: --max-delete 5", 2),
        ("sync . drive:x --dry-run", 0),
        ("", 2),
        ("--help", 0),
    ],
)
def test_the_command_line_has_the_same_commands(
    home: Path, capsys: pytest.CaptureFixture[str], words: str, status: int
) -> None:
    """With the statuses of a shell: 1 for what failed, 2 for a wrong line; one error on stderr."""
    (home / "drive" / "MyDrive").mkdir(parents=True)
    write("a")
    assert main(["drive", *words.split()]) == status
    out, error = capsys.readouterr()
    if "--dry-run" in words:
        assert [*(home / "drive/MyDrive").iterdir()] == []
    assert bool(error) == (status == 1 or (status == 2 and bool(words)))
    if words == "push a drive:":
        assert (home / "drive/MyDrive/a").read_text() == "x"
        assert len(out.splitlines()) == 2


# ---------------------------------------------------------------------- as a job
def test_in_the_background(run: Cells, drive: Path) -> None:
    """The job means what the line means here: this folder, this mount; its log has the outcome."""
    write("data/a", "1")
    write("data/b/c", "2")
    shown = run("%drive push data/ drive:x --background up --jobs 2")
    assert "%jobs follow up" in shown
    run("%jobs wait up")
    assert tree(drive) == {"x/a": "1", "x/b/c": "2"}
    assert "2 files copied" in run("%jobs log up")
    run("%drive pull drive:x/. back --background down --export-as pdf,csv")
    run("%jobs wait down")
    assert tree(Path("back")) == {"a": "1", "b/c": "2"}
    assert all("--background" not in step for step in run.steps())


def test_what_is_wrong_in_the_background(run: Cells, drive: Path) -> None:
    """A wrong line starts nothing; a job that fails says why in its log."""
    for line, expected in (
        ("push a --background up", "no-target"),
        ("push drive:a b --background up", "wrong-way"),
        ("push a drive: --background log", "job-name"),
    ):
        error = run.attempt(f"%drive {line}").error
        assert code(error) == expected
    assert "No jobs" in run("%jobs")
    run("%drive push nothing drive: --background up")
    assert run.attempt("%jobs wait up").error is not None
    assert "There is no " in run("%jobs log up")


def test_no_background_from_a_terminal(drive: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A shell has its own."""
    write("a")
    assert main(["drive", "push", "a", "drive:", "--background", "up"]) == 2
    assert "--background" in capfd.readouterr().err and tree(drive) == {}
