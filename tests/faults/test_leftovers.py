"""Writers that are killed at any moment: no notebook is torn, and the next one clears up."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable, List

import pytest
from doubles.users import TEAM, as_user, root_only

import colab_magics
from colab_magics.core import files, folders

pytestmark = pytest.mark.skipif(os.name == "nt", reason="elsewhere: POSIX signals and links")
Held = Callable[[int, int], None]
OLD, NEW = b"old", b"new and longer"

#: For each line of its input a process that writes a notebook, which is large, until it is killed.
_WRITES = """
import os, sys
from itertools import count
from pathlib import Path
from colab_magics import cli
from colab_magics.core import files, folders
path = Path(sys.argv[1])
def work():
    for number in count():
        if sys.argv[2] == "create":
            path.with_name(f"x-{number % 5}.ipynb").unlink(missing_ok=True)
            files.create(path.with_name(f"x-{number % 5}.ipynb"), path.read_bytes())
        elif number % 2:
            cli.forget(path, ["secret"])
        else:
            cli.write(path, [f"%secret NAME{number}"])
print("ready", flush=True)
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        work()
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("gone", flush=True)
"""
#: Holds a folder of its own as long as it lives.
_HOLDS = """
import sys, time
from colab_magics.core import files, folders
for _ in range(3):
    folder = folders.scratch_folder(sys.argv[1])
    (folder / "secret").write_text("x")
print("ready", flush=True)
time.sleep(600)
"""


def _start(code: str, *words: object) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=str(Path(colab_magics.__file__).parent.parent),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def _kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def _book(path: Path, size: int) -> List[Any]:
    """A notebook whose setup cell has a line that stays; its other cells."""
    setup = "# colab_magics:setup v1\n%reload_ext colab_magics\n%cd_persist ."
    cells = [
        {"cell_type": "code", "source": text, "metadata": {}, "outputs": [], "execution_count": n}
        for n, text in enumerate((setup, "x = 1", f"y = '{'y' * size}'"))
    ]
    book = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    path.write_text(json.dumps(book))
    return cells[1:]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["write", "create", "other name"])
def test_a_killed_writer(tmp_path: Path, long: bool, held: Held, kind: str) -> None:
    """The notebook is old or new, all its cells are there; after the next write nothing is beside.

    One of several names is written in place: there the new bytes are whole beside it, at least.
    """
    path, chance, good = tmp_path / "x.ipynb", random.Random(7), 0
    rounds = 420 if long else 12
    cells = _book(path, 2_000_000)
    if kind == "other name":
        os.link(path, tmp_path / "y")
    process = _start(_WRITES, path, kind)
    assert process.stdin is not None and process.stdout is not None
    for _ in range(rounds):
        print(file=process.stdin, flush=True)
        pid = int(process.stdout.readline())
        time.sleep(chance.uniform(0, 0.15))  # the moment itself is what is tested
        os.kill(pid, signal.SIGKILL)
        assert process.stdout.readline() == "gone\n"
        left = [one for one in tmp_path.glob("*.ipynb") if one.stat().st_size]
        if kind == "other name":
            left += tmp_path.glob(".~*")
        whole = 0
        for one in left:
            try:
                whole += json.loads(one.read_bytes())["cells"][1:] == cells
            except ValueError:
                continue
        if whole < len(left) and kind == "other name":
            _book(path, 2_000_000)
        before = {one.name for one in tmp_path.iterdir() if not one.name.startswith(".~")}
        data = path.read_bytes()
        files.replace(path, data + b" ", data)
        files.replace(path, data, data + b" ")
        for one in [path.with_name(f"x-{number}.ipynb") for number in range(5)]:
            one.unlink(missing_ok=True)
            files.create(one, b"x")
            one.unlink()
        after = {one.name for one in tmp_path.iterdir()}
        torn = len(left) - whole
        good += (torn == 0 or (kind == "other name" and whole > 0)) and not {
            name for name in after if name.startswith(".~") or name not in before
        }
    _kill(process)
    held(rounds, good)
    assert good == rounds


def test_what_lives_or_is_not_ours_stays(tmp_path: Path) -> None:
    """The file of a writer at work, and files that only look like ours, are left where they are."""
    path = tmp_path / "x.ipynb"
    path.write_bytes(OLD)
    mine = [".~x.ipynb", ".~x.ipynb-mine.tmp", ".~y.ipynb-0123456789abcdef.tmp", ".~abcdefgh.tmp"]
    for name in mine:
        path.with_name(name).write_text("mine")
    os.mkfifo(tmp_path / ".~x.ipynb-0123456789abcdef.tmp")
    (tmp_path / ".~x.ipynb-0123456789abcde0.tmp").symlink_to(mine[1])
    (tmp_path / ".~x.ipynb-0123456789abcde1.tmp").mkdir()
    living = tmp_path / ".~x.ipynb-0123456789abcde2.tmp"
    living.write_text("living")
    dead = tmp_path / ".~x.ipynb-0123456789abcde3.tmp"
    dead.write_text("dead")
    before = {*os.listdir(tmp_path)} - {dead.name}
    with living.open() as stream:
        files.try_lock(stream.fileno())
        files.replace(path, NEW, OLD)
    assert {*os.listdir(tmp_path)} == before and path.read_bytes() == NEW


@pytest.mark.parametrize("prefix", ["colab-magics-run-", "colab-magics-pin-"])
def test_folders_of_the_dead(tmp_path: Path, monkeypatch: Any, prefix: str) -> None:
    """The next one takes away those of a killed process; of a living one, and others, none."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, living = _start(_HOLDS, prefix), _start(_HOLDS, prefix)
    try:
        others = {f"{prefix}results1", f"{prefix}mybackup.scratch", f"{prefix}abcd", "mine"}
        for name in others:
            (tmp_path / name).mkdir(mode=0o755)
        of_living = {one.name for one in tmp_path.iterdir() if str(living.pid) in _holders(one)}
        assert len(of_living) == 3
        assert len(os.listdir(tmp_path)) == 6 + len(others)
        _kill(dead)
        one, two = folders.scratch_folder(prefix), folders.scratch_folder(prefix)
        assert {*os.listdir(tmp_path)} == of_living | others | {one.name, two.name}
        os.rmdir(one)
        assert folders.scratch_folder(prefix).exists() and one not in folders._SCRATCH
    finally:
        _kill(living)


def test_a_killed_run(tmp_path: Path, monkeypatch: Any) -> None:
    """After kill -9 of ``colab-magics run`` the notebook is as it was; the next one clears up."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    path, began = tmp_path / "x.ipynb", tmp_path / "began"
    _book(path, 10)
    book = json.loads(path.read_text())
    code = f"import os, time; began = os.path.exists({str(began)!r}); open({str(began)!r}, 'w')"
    book["cells"][0]["source"] = f"{code}\nif not began: time.sleep(600)"
    path.write_text(json.dumps(book))
    before = path.read_bytes()
    command = [sys.executable, "-m", "colab_magics", "run", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not began.exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert path.read_bytes() == before
    assert len([*(tmp_path / "tmp").glob("colab-magics-run-*")]) == 1
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0
    assert [*(tmp_path / "tmp").glob("colab-magics-run-*")] == []
    assert [one for one in os.listdir(tmp_path) if one.startswith(".~")] == []


def _holders(folder: Path) -> List[str]:
    """The processes that have a folder open."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(one) == str(folder) for one in (process / "fd").iterdir()):
                found.append(process.name)
        except OSError:
            continue
    return found


def test_many_at_once(tmp_path: Path, monkeypatch: Any, long: bool) -> None:
    """None takes a folder of another away that has only just been made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    bad: List[Path] = []

    def work() -> None:
        for _ in range(300 if long else 60):
            folder = folders.scratch_folder("colab-magics-run-")
            if not folder.is_dir():
                bad.append(folder)
            folder.rmdir()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert bad == [] and os.listdir(tmp_path) == []


# ---------------------------------------------------------------------- what is kept beside bytes
def test_other_names_stay(tmp_path: Path) -> None:
    """A notebook that has two names has them after a write, with the new bytes under both."""
    path, other = tmp_path / "x.ipynb", tmp_path / "y"
    path.write_bytes(OLD)
    os.link(path, other)
    for old, new in ((OLD, NEW), (NEW, b"n")):
        files.replace(path, new, old)
        assert path.samefile(other) and other.read_bytes() == new
    assert sorted(os.listdir(tmp_path)) == ["x.ipynb", "y"]


def test_in_place_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file of several names cannot be written to its end, it holds what it held."""
    path = tmp_path / "x.ipynb"
    path.write_bytes(OLD)
    os.link(path, tmp_path / "y")
    plain, failed = os.fsync, []

    def full(handle: int) -> None:
        if os.fstat(handle).st_nlink == 2 and not failed:
            failed.append(handle)
            raise OSError(28, "No space left on device")
        plain(handle)

    monkeypatch.setattr(os, "fsync", full)
    for new in (NEW, b"n"):
        failed.clear()
        with pytest.raises(files.NotebookError) as caught:
            files.replace(path, new, OLD)
        assert caught.value.code == "no-space"
        assert path.read_bytes() == OLD and sorted(os.listdir(tmp_path)) == ["x.ipynb", "y"]


@root_only
@pytest.mark.parametrize("owner", [0, 12345])
def test_attributes_and_access_lists_stay(owner: int) -> None:
    """Extended attributes and access lists are those that it had: no fewer, and no more."""
    with tempfile.TemporaryDirectory() as top:
        path = Path(top, "x.ipynb")
        path.write_bytes(OLD)
        os.chown(path, owner, owner)
        path.chmod(0o640)
        plain, listed = Path(top, "plain"), Path(top, "listed")
        plain.write_bytes(OLD)
        try:
            os.setxattr(path, "user.colour", b"red")
            os.setxattr(path, "user.empty", b"")
        except OSError:
            pytest.skip("elsewhere: this file system has no attributes")
        subprocess.run(["setfacl", "-m", "u:54321:rw", str(path)], check=True)
        os.chmod(top, 0o755)
        subprocess.run(["setfacl", "-d", "-m", "u:54329:rwx", top], check=True)
        listed.write_bytes(OLD)  # it gets what the folder gives
        for one in (path, plain, listed):
            before = _beside_bytes(one)
            files.replace(one, NEW, OLD)
            assert _beside_bytes(one) == before and one.read_bytes() == NEW
        assert len(os.listdir(top)) == 3


@root_only
def test_attributes_of_one_that_a_group_writes() -> None:
    """Who may write another one's file and cannot make one like it keeps all of it too."""
    with tempfile.TemporaryDirectory() as top:
        os.chown(top, 0, TEAM)
        os.chmod(top, 0o2775)
        path = Path(top, "x.ipynb")
        path.write_bytes(OLD)
        os.chown(path, 12345, TEAM)
        path.chmod(0o664)
        try:
            os.setxattr(path, "user.colour", b"red")
        except OSError:
            pytest.skip("elsewhere: this file system has no attributes")
        before = _beside_bytes(path)
        as_user(65534, f"files.replace(where, {NEW!r}, {OLD!r})", path, TEAM)
        assert _beside_bytes(path) == before and path.read_bytes() == NEW


def _beside_bytes(path: Path) -> Any:
    found = path.stat()
    attributes = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    return found.st_uid, found.st_gid, found.st_mode, found.st_nlink, attributes
