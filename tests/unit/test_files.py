"""A file is replaced whole or not at all, and never over somebody else's change."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import pytest
from doubles.small_disk import fill, mounted
from hypothesis import given
from hypothesis import strategies as st

from colab_magics.core import files, folders
from colab_magics.core.errors import NotebookError

posix = pytest.mark.skipif(os.name == "nt", reason="elsewhere: POSIX modes, links and signals")
OLD, NEW = b"old\r\n\xff", b"new\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file alone in its folder."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x.ipynb").write_bytes(OLD)
    return folder / "x.ipynb"


@contextmanager
def refused(code: str) -> Iterator[Any]:
    """What is done in here is refused with this code."""
    with pytest.raises(NotebookError) as caught:
        yield caught
    assert caught.value.code == code


def left_alone(path: Path, data: bytes = OLD) -> bool:
    """Whether the file holds what it held, and nothing was left beside it."""
    return path.read_bytes() == data and os.listdir(path.parent) == [path.name]


@given(st.binary(min_size=1), st.binary(min_size=1))
def test_what_is_written_is_what_is_read(old: bytes, new: bytes) -> None:
    """Any bytes take the place of any others; True says that the file was changed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.ipynb")
        path.write_bytes(old)
        assert files.replace(path, new, expected=old) is (old != new)
        assert left_alone(path, new)


@posix
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o755])
def test_the_mode_is_kept(path: Path, mode: int) -> None:
    """A file that only its owner may read, or that a group may write, stays so."""
    path.chmod(mode)
    files.replace(path, NEW, expected=OLD)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert left_alone(path, NEW)


@posix
def test_a_symbolic_link_stays_one(path: Path, tmp_path: Path) -> None:
    """A notebook that is a link is written where it points to; the link is not replaced."""
    link = tmp_path / "elsewhere" / "link.ipynb"
    link.parent.mkdir()
    link.symlink_to(Path("..", "folder", path.name))
    files.replace(link, NEW, expected=OLD)
    assert os.readlink(str(link)) == os.path.join("..", "folder", path.name)
    assert left_alone(path, NEW)
    assert os.listdir(link.parent) == [link.name]


def test_a_read_only_file_is_refused(path: Path) -> None:
    """Who has made a file read-only means it, even where renaming over it would work."""
    path.chmod(0o444)
    with refused("read-only"):
        files.replace(path, NEW, expected=OLD)
    assert left_alone(path)


@posix
def test_a_folder_that_may_not_be_written_is_refused(path: Path) -> None:
    """Where no file can be put beside it, the error is one line, and nothing is changed."""
    with tempfile.TemporaryDirectory() as shared:  # pytest's own only its owner may enter
        path = Path(shared, path.name)
        path.write_bytes(OLD)
        path.chmod(0o666)
        path.parent.chmod(0o555)
        done = run(_AS_NOBODY, path)
        assert done.stdout.strip() == "read-only"
        assert left_alone(path)
        path.parent.chmod(0o755)


@posix
def test_the_owner_is_kept(path: Path) -> None:
    """A notebook that root saves for somebody still belongs to that somebody."""
    if os.geteuid() != 0:
        pytest.skip("elsewhere: only root can give a file away")
    os.chown(str(path), 65534, 65534)
    files.replace(path, NEW, expected=OLD)
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


def test_a_file_that_was_changed_meanwhile_is_refused(path: Path) -> None:
    """What somebody else saved since it was read is not overwritten, and nothing is left behind."""
    path.write_bytes(b"theirs")
    with refused("conflict"):
        files.replace(path, NEW, expected=OLD)
    assert left_alone(path, b"theirs")


def test_the_same_bytes_are_not_written(path: Path) -> None:
    """Where it is there already, nothing is touched: not even the time of change."""
    os.utime(path, ns=(1, 1))
    path.chmod(0o444)
    assert files.replace(path, OLD, expected=OLD) is False
    assert path.stat().st_mtime_ns == 1
    assert left_alone(path)


def test_the_same_bytes_do_not_hide_a_change(path: Path) -> None:
    """No change is claimed to be there already where the file holds something else by now."""
    path.write_bytes(b"theirs")
    with refused("conflict"):
        files.replace(path, OLD, expected=OLD)
    assert left_alone(path, b"theirs")


def run(script: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in another process that knows this package."""
    root = Path(files.__file__).parent.parent
    return subprocess.run(
        [sys.executable, "-c", script, str(path)],
        cwd=str(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


_AS_NOBODY = f"""
import os, sys
from pathlib import Path
from colab_magics.core import files, folders
from colab_magics.core.errors import NotebookError
import platformdirs
platformdirs.user_cache_dir()
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    files.replace(Path(sys.argv[1]), {NEW!r}, expected={OLD!r})
except NotebookError as error:
    print(error.code)
"""

_LIMITED = f"""
import resource, signal, sys
from pathlib import Path
from colab_magics.core import files, folders
signal.signal(signal.SIGXFSZ, signal.{{handler}})
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
files.replace(Path(sys.argv[1]), b"x" * 100000, expected={OLD!r})
"""


@pytest.fixture
def limits() -> Iterator[None]:
    """Skip where a process cannot be given a limit."""
    pytest.importorskip("resource", reason="elsewhere: resource limits of POSIX")
    yield


def test_a_disk_that_is_full_leaves_the_old_file(path: Path, limits: None) -> None:
    """When writing fails half way, the old file is whole and the half is taken away."""
    done = run(_LIMITED.format(handler="SIG_IGN"), path)
    assert "NotebookError: x.ipynb could not be written: File too large" in done.stdout
    assert left_alone(path)
    with mounted(path.parent, "size=32k"):
        path.write_bytes(OLD)
        fill(path.parent)
        for write in (files.create, lambda path, data: files.replace(path, data, expected=OLD)):
            target = path if write is not files.create else path.with_name("new")
            with refused("no-space") as caught:
                write(target, b"x" * 100_000)
            left = "nothing was made." if write is files.create else "it is as it was."
            assert caught.value.message.endswith(left)
            assert caught.value.hint.startswith("Make space, or ")
            assert path.read_bytes() == OLD
            assert sorted(os.listdir(path.parent)) == ["fill", "x.ipynb"]


def test_a_kill_in_the_middle_leaves_the_old_file(path: Path, limits: None) -> None:
    """When the process is killed while it writes, the old file is whole."""
    assert run(_LIMITED.format(handler="SIG_DFL"), path).returncode == -signal.SIGXFSZ
    assert path.read_bytes() == OLD


@pytest.mark.parametrize(
    ("name", "code"), [("nothing", "not-found"), (".", "not-a-file"), ("\0", "not-found")]
)
def test_what_cannot_be_read_is_said(path: Path, name: str, code: str) -> None:
    """A path that is nothing, or a folder, is a `NotebookError` of one line."""
    with refused(code):
        files.read(path.parent / name)


def test_a_scratch_folder_is_private(tmp_path: Path) -> None:
    """A folder for secrets can be entered by its owner only."""
    folder = folders.scratch_folder("colab-magics-test-", tmp_path)
    try:
        assert folder.is_dir() and not list(folder.iterdir())
        assert os.name == "nt" or stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        folder.rmdir()


def test_a_new_file_takes_no_place(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there stays; the same is said to be there; where it fails nothing is left."""
    assert files.create(path.with_name("y"), NEW) and path.with_name("y").read_bytes() == NEW
    assert files.create(path.with_name("y"), NEW) is False
    path.with_name("y").unlink()
    with refused("exists"):
        files.create(path, NEW)
    assert left_alone(path)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with refused("no-space"):
        files.create(path.with_name("y"), NEW)
    assert left_alone(path)


def test_where_there_is_space(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files are put among temporary files, else in memory, where they fit."""
    disk, memory = path.parent / "disk", path.parent / "memory"
    for folder in (disk, memory):
        folder.mkdir()
    with mounted(disk, "size=2m"), mounted(memory, "size=8m"):
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        monkeypatch.setattr(folders, "MEMORY", memory)
        assert folders.find_room(10) == disk
        assert folders.find_room(4_000_000) == memory
        filling = fill(disk)
        assert folders.find_room(10) == memory
        filling.unlink()
        fill(memory)
        assert folders.find_room(10) == disk
        assert folders.find_room(4_000_000) is None
    with mounted(disk, "nr_inodes=8"), mounted(memory, "nr_inodes=20"):
        assert folders.find_room(10) == memory, "no bytes are missing, but files"
