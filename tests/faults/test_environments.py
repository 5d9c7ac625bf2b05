"""The command line and the magics where the machine is not as anyone expects."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, NamedTuple, Sequence, Tuple

import pytest
from doubles import far
from support.cells import PACKAGE, Cells, new_shell
from support.notebooks import notebook

from colab_magics.core import system_errors
from colab_magics.core.errors import ColabMagicsError, NotebookError, input_errors
from colab_magics.core.system_errors import explain_system_errors

SETUP = "# colab_magics:setup v1\n%reload_ext colab_magics\n%cd_persist data"
SHOW, CHECK = ("setup", "show"), ("setup", "check")
WRITE, FORGET = ("setup", "write"), ("setup", "forget", "--all")
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


class Place(NamedTuple):
    """Where a command runs: the notebook's name, variables, and what the commands end with."""

    name: str = "x.ipynb"
    variables: Dict[str, str] = {}
    without: Tuple[str, ...] = ()
    fails: bool = False


HERE = Place()
PLACES: Dict[str, Place] = {
    "no home": Place(without=("HOME",)),
    "a home that is a file": Place(variables={"HOME": "/dev/null"}),
    "an ASCII locale": Place("数据 é.ipynb", ASCII),
    "an ASCII locale and a plain name": Place(variables=ASCII),
    "a Latin-1 name": Place("caf\udce9.ipynb"),
    "a Latin-1 name, ASCII": Place("caf\udce9.ipynb", ASCII),
    "emoji": Place("😀 数据/日本.ipynb"),
    "300 characters": Place("/".join(["d" * 100] * 3) + "/x.ipynb"),
    "line ends in the name": Place("a\n\x1b[31mb.ipynb"),
    "braces": Place("{x} $HOME '\".ipynb"),
    "no PATH": Place(without=("PATH",)),
    "no folder for temporary files": Place(variables={"TMPDIR": "/nonexistent"}),
    "a name too long": Place("n" * 260 + ".ipynb", fails=True),
}


def command(
    words: Sequence[str], path: Path, cwd: Path, place: Place = HERE
) -> subprocess.CompletedProcess[bytes]:
    """Run ``colab-magics`` in a place."""
    variables = {**os.environ, **place.variables}
    if PACKAGE.name != "site-packages":
        variables["PYTHONPATH"] = str(PACKAGE)
    for name in place.without:
        variables.pop(name, None)
    line = [os.fsencode(word) for word in (sys.executable, "-m", "colab_magics", *words, str(path))]
    return subprocess.run(line, cwd=cwd, env=variables, capture_output=True, timeout=120)


def read_well(done: subprocess.CompletedProcess[bytes], fails: bool) -> bool:
    """Whether a command ended as it is to, and said so without a traceback."""
    text = (done.stdout + done.stderr).decode("utf-8", "surrogateescape")
    lines = done.stderr.splitlines()
    if fails:
        return done.returncode == 1 and lines[0].startswith(b"error: ") and len(lines) <= 3
    return done.returncode == 0 and "Traceback" not in text and not lines


@pytest.mark.parametrize("name", PLACES)
def test_the_command_line_works_or_says_why(
    name: str, home: Path, long: bool, held: Callable[[int, int], None]
) -> None:
    """Each command does its work there, or ends with 1 and says in lines what is wrong."""
    place = PLACES[name]
    path = home / "work" / place.name
    if not place.fails:
        notebook(path, SETUP, "%cd_persist data\nx = 1")
        (path.parent / "data").mkdir()
    runs = [("run",)] if place.fails or long or "Latin-1 name" in name else []
    tried = [SHOW, CHECK, WRITE, *runs, FORGET]
    done = [(words, command(words, Path(place.name), home / "work", place)) for words in tried]
    bad = [(words, one) for words, one in done if not read_well(one, place.fails)]
    held(len(tried), len(tried) - len(bad))
    assert not bad


def test_the_command_line_in_a_folder_that_is_gone(home: Path) -> None:
    """A notebook that is named in full is read there; a relative name is said not to be there."""
    path = notebook(home / "x.ipynb", SETUP)
    for words in (SHOW, CHECK, WRITE):
        for named in (path, Path("x.ipynb")):
            gone = home / "gone"
            gone.mkdir()
            line = f"import os, sys; os.rmdir({str(gone)!r}); " + (
                f"from colab_magics.__main__ import main; sys.exit(main({[*words, str(named)]!r}))"
            )
            variables = {**os.environ, "PYTHONPATH": str(PACKAGE)}
            done = subprocess.run(
                [sys.executable, *(["-P"] if sys.version_info >= (3, 11) else []), "-c", line],
                cwd=gone,
                env=variables,
                capture_output=True,
            )
            assert b"Traceback" not in done.stderr, done.stderr
            assert done.returncode in (0, 1, 3) and len(done.stderr.splitlines()) <= 2, done.stderr
            assert done.returncode == 1 or named == path


@pytest.fixture
def cells(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cells]:
    """A shell with the extension loaded; nobody is at its standard input."""
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    with open(os.devnull) as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        made = Cells(new_shell())
        made("%load_ext colab_magics")
        yield made
    InteractiveShell.clear_instance()


@pytest.fixture
def dead(home: Path) -> Iterator[Path]:
    """A folder on a drive whose program was killed: each access is ENOTCONN."""
    if far.missing():
        pytest.skip(far.missing())
    source, mounted = home / "source", home / "mounted"
    mounted.mkdir()
    notebook(source / "x.ipynb", SETUP, "%cd_persist data")
    program = shutil.which("rclone") or ""
    process = subprocess.Popen(
        [program, "mount", "--config", os.devnull, str(source), str(mounted)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        while not (mounted / "x.ipynb").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        yield mounted
    finally:
        process.kill()
        subprocess.run(["fusermount3", "-uz", str(mounted)], capture_output=True)


def test_a_drive_that_is_dead(dead: Path, home: Path, held: Callable[[int, int], None]) -> None:
    """Each command says in lines that the notebook on it cannot be read."""
    work = home / "work"
    tried = [SHOW, CHECK, WRITE, ("run",), FORGET]
    done = [command(words, dead / "x.ipynb", work) for words in tried]
    alive = notebook(work / "y.ipynb", SETUP)
    done.append(command(("run", "--output", str(dead / "z.ipynb")), alive, work))
    good = [read_well(one, fails=True) for one in done]
    held(len(good), sum(good))
    assert all(good), [one.stderr for one, fine in zip(done, good) if not fine]


@pytest.mark.parametrize(
    "line",
    [
        "%cd_persist {dead}",
        "%cd_persist {dead}/x",
        "%setup write {dead}/x.ipynb",
        "%env_persist --prepend PATH={dead}",
        "%pin -r {dead}/requirements.txt",
        "%drive mount {dead}",
        "%github clone owner/name {dead}/name",
        "%fetch http://127.0.0.1:9/x {dead}/",
        "%shell --log {dead}/log true",
        "%shell cd {dead}",
    ],
)
def test_a_magic_on_a_drive_that_is_dead(cells: Cells, dead: Path, line: str) -> None:
    """It says so in a line, or does without."""
    reply = cells.attempt(line.replace("{dead}", str(dead)))
    assert reply.error is None or isinstance(reply.error, input_errors()), reply
    assert "Error in callback" not in reply.shown


@pytest.mark.parametrize(
    "line",
    [
        "%cd_persist {}",
        "%env_persist A={}",
        "%env_persist --prepend PATH={}",
        "%secret {}",
        "%drive mount {}",
        "%github clone owner/name {}",
        "%jobs {}",
        "%jobs log {}",
        "%setup write {}.ipynb",
        "%fetch http://127.0.0.1:9/x {}",
        "%pin -r {}",
        "%apt {}",
        "%shell --background x{} true",
    ],
)
@pytest.mark.parametrize(
    "name",
    ["n" * 300, "n/" * 3000, "a\0b", "a\ud800b", "a\udce9b"],
    ids=["long", "deep", "zero byte", "half a character", "Latin-1"],
)
def test_a_name_that_cannot_be(cells: Cells, line: str, name: str) -> None:
    """It is refused in a line, or taken for what it is; never a traceback."""
    word, _, rest = line[1:].partition(" ")
    reply = cells.attempt(f"get_ipython().run_line_magic({word!r}, {rest.format(name)!a});")
    assert reply.error is None or isinstance(reply.error, input_errors()), reply
    assert "Error in callback" not in reply.shown


def test_a_bug_of_ours_is_seen_as_one() -> None:
    """An error that the machine did not cause passes as it is."""
    for error in (KeyError("x"), ValueError("x"), OSError("x"), FileNotFoundError(2, "x", "y")):
        with pytest.raises(type(error)), explain_system_errors():
            raise error
    with pytest.raises(NotebookError), explain_system_errors():
        raise NotebookError("x")


@pytest.mark.parametrize(
    "number", [n for numbers in system_errors._HINTS.values() for n in numbers]
)
def test_what_the_system_refuses_is_said(number: int) -> None:
    """The error names what it is about, without its folder, and says what to do."""
    with pytest.raises(ColabMagicsError) as caught, explain_system_errors():
        raise OSError(number, os.strerror(number), "/home/somebody/" + "n" * 300)
    assert caught.value.message.startswith("nnn") and caught.value.hint.endswith(".")
    assert len(caught.value.message) < 200 and "somebody" not in str(caught.value)
