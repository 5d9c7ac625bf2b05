"""Names that are typed or planted: only what our own listing shows is taken away, ended or read."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from doubles.users import NOBODY, root_only
from support.cells import Cells, new_shell

from colab_magics.core.errors import NotOwn
from colab_magics.extension.session import get_session
from colab_magics.jobs import store as jobs
from colab_magics.jobs.job import find_job, list_jobs
from colab_magics.jobs.store import FACTS, folder, list_names
from colab_magics.pin.environments import store
from colab_magics.shell.interpolation import expand, visible_names

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere: Linux")

Held = Callable[[int, int], None]

#: What leads out of a folder, or to all of it.
PATHS = ("..", ".", "", "../..", "../../x", "x/..", "/", "~", "one/", "./one", "one/../one", "*")


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cells]:
    """A fresh shell with the extension; nobody is at its standard input."""
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    with open(os.devnull) as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        cells = Cells(new_shell())
        cells("%load_ext colab_magics")
        yield cells
    InteractiveShell.clear_instance()


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this user's in a session of its own, which nobody is to end."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process
        process.kill()


def listing(place: Path) -> List[str]:
    """All that is below a folder."""
    return sorted(str(path) for path in place.rglob("*"))


def facts_of(victim: subprocess.Popen[bytes], **other: Any) -> Dict[str, Any]:
    """What would stand in the record of a job that this process is."""
    start = jobs.process_start(victim.pid)
    known = {
        "session": victim.pid,
        "start": start,
        "supervisor": victim.pid,
        "supervisor_start": start,
    }
    said = {"command": "x", "copy": "", "mark": "0" * 32, "started": time.time()}
    return {**known, **said, "boot": jobs.boot_id(), "host": jobs.host_name(), **other}


def plant(place: Path, facts: Any) -> Path:
    """A folder as of a job that was started once."""
    (place / "1").mkdir(parents=True)
    (place / "1" / FACTS).write_text(json.dumps(facts))
    for path in (place, place / "1", place / "1" / FACTS):
        path.chmod(0o700)  # whatever the umask of who runs this
    return place


# ---------------------------------------------------------------------- environments
def ready(folder: str, **record: Any) -> Path:
    """An environment that is ready, with other fields in its record."""
    place = store.root() / folder
    store.interpreter_in(place).parent.mkdir(parents=True)
    store.interpreter_in(place).touch()
    known = {"name": folder, "python": "3.8", "notebook": "/n.ipynb", "made": 1.0, "version": "1.0"}
    (place / "made.json").write_text(json.dumps({**known, **record}))
    return place


def test_only_a_listed_environment_is_removed(run: Cells, held: Held, home: Path) -> None:
    """No path takes away anything; the name of one takes away that one."""
    ready("one")
    (store.root().parent / "mine").write_text("mine")
    before, good = listing(home / "data"), 0
    for name in PATHS:
        reply = run.attempt(f"%pin environments remove '{name}'")
        good += reply.error is not None and listing(home / "data") == before
    held(len(PATHS), good)
    assert good == len(PATHS)
    run("%pin environments remove one")
    assert not (store.root() / "one").exists() and (store.root().parent / "mine").exists()


def test_a_linked_environment_is_left_alone(run: Cells, home: Path) -> None:
    """A link among them leads elsewhere: it is neither listed nor removed."""
    other = ready("one").rename(home / "other")
    (store.root() / "one").symlink_to(other)
    assert store.find_all() == [] and store.find("one") is None
    assert run.attempt("%pin environments remove one").error is not None
    assert (other / "made.json").exists()


@pytest.mark.parametrize(
    "record",
    [
        {"name": "../other"},
        {"name": "two"},
        {"name": 5},
        {"version": "x; y"},
        {"version": None},
        {"made": "soon"},
        {"notebook": ["/n"]},
        {"python": 3.8},
        {"more": 1},
    ],
    ids=str,
)
def test_a_record_that_is_not_ours_is_no_environment(run: Cells, record: Dict[str, Any]) -> None:
    """Each field is what we write, and the name that of the folder: nothing else is ready."""
    ready("one", **record)
    assert store.find("one") is None and store.find_all() == []
    assert "There is no other Python here" in run("%pin environments")


# ---------------------------------------------------------------------- jobs
VERBS = ("remove", "stop", "log", "follow --timeout 1", "wait --timeout 1", "")


def test_only_a_listed_job_is_touched(
    run: Cells, held: Held, home: Path, victim: subprocess.Popen[bytes]
) -> None:
    """No path to a planted record has anything ended, shown or deleted."""
    folder().mkdir(parents=True)
    places = {
        "../../../work/x": home / "work" / "x",
        "..": folder().parent,
        "a/b": folder() / "a/b",
    }
    for place in places.values():
        plant(place, facts_of(victim))
    before, good = listing(home), 0
    cases = [f"%jobs {verb} {name}" for verb in VERBS for name in (*places, str(home / "work/x"))]
    for line in cases:
        reply = run.attempt(line)
        good += type(reply.error).__name__ == "UsageError" and listing(home) == before
    held(len(cases), good)
    assert good == len(cases) and victim.poll() is None


def test_a_linked_folder_is_no_job(run: Cells, home: Path) -> None:
    """A link in the store leads elsewhere: it is no job, and none is started through it."""
    place = plant(home / "data", {})
    for number in "23":
        (place / number).mkdir()
    folder().mkdir(parents=True)
    (folder() / "one").symlink_to(place)
    before = listing(place)
    assert list_names() == [] and run.attempt("%jobs remove one").error is not None
    assert run.attempt("%shell --background one true").error is not None
    assert listing(place) == before


@pytest.mark.parametrize(
    "other",
    [
        {"session": True},
        {"session": 0},
        {"session": 1},
        {"session": -1},
        {"session": 2**40},
        {"session": 7.5},
        {"supervisor": 0},
        {"mark": ""},
        {"mark": "../" + "0" * 29},
        {"mark": ["0" * 32]},
        {"start": ""},
        {"start": "12\n13"},
        {"supervisor_start": None},
        {"started": float("nan")},
        {"started": float("inf")},
        {"started": "now"},
        {"boot": 5},
    ],
    ids=str,
)
def test_a_record_that_is_not_ours_is_no_job(
    run: Cells, victim: subprocess.Popen[bytes], other: Dict[str, Any]
) -> None:
    """Each field of a record is what a supervisor writes there; with any other there is no job."""
    plant(folder() / "one", facts_of(victim, **other))
    assert find_job("one") is None and list_jobs() == []
    assert run.attempt("%jobs stop one").error is not None and victim.poll() is None
    assert "No jobs" in run("%jobs")


def test_what_is_no_record_is_not_read(run: Cells, victim: subprocess.Popen[bytes]) -> None:
    """A pipe, a link, a folder, deep JSON and a file of another user's in its place: no job."""
    places = {name: folder() / name for name in ("pipe", "link", "folder", "deep", "other", "dir")}
    for place in places.values():
        (plant(place, facts_of(victim)) / "1" / FACTS).rename(place / FACTS)
    os.mkfifo(places["pipe"] / "1" / FACTS)
    (places["link"] / "1" / FACTS).symlink_to(places["link"] / FACTS)
    (places["folder"] / "1" / FACTS).mkdir()
    (places["deep"] / "1" / FACTS).write_text("[" * 200_000)
    for name in ("other", "dir") if os.getuid() == 0 else ():
        (places[name] / FACTS).rename(places[name] / "1" / FACTS)
        os.chown(places[name] / "1" / (FACTS if name == "other" else "."), 65534, 65534)
    assert list_jobs() == []
    for name in places:
        assert run.attempt(f"%jobs stop {name}").error is not None
    assert victim.poll() is None


@root_only
@pytest.mark.parametrize("first", range(5), ids=["above", "jobs", "name", "start", "record"])
def test_a_job_of_another_user_is_none(
    run: Cells, home: Path, victim: subprocess.Popen[bytes], first: int
) -> None:
    """What is theirs, from the folder of all jobs down to the record, ends and deletes nothing.

    Where the folder of all jobs is, that is the error, and no job is started there.
    """
    place = plant(folder() / "one", facts_of(victim))
    above = place.parent
    for path in (above.parent, above, place, place / "1", place / "1" / FACTS)[first:]:
        os.chown(path, NOBODY, NOBODY)
    before = listing(home)
    replies = [run.attempt(f"%jobs {verb} one") for verb in ("stop", *VERBS)]
    assert victim.poll() is None and all(reply.error is not None for reply in replies)
    if first < 2:
        replies += [run.attempt("%jobs"), run.attempt("%shell --background two true")]
        assert all(type(reply.error) is NotOwn for reply in replies)
    assert listing(home) == before


@pytest.mark.parametrize("open_one", range(4), ids=["jobs", "name", "start", "record"])
def test_what_others_may_write_is_no_job(
    run: Cells, victim: subprocess.Popen[bytes], open_one: int
) -> None:
    """Anybody may have written a record that stands there; the folder of all jobs is closed."""
    place = plant(folder() / "one", facts_of(victim))
    path = (folder(), place, place / "1", place / "1" / FACTS)[open_one]
    path.chmod(0o777)
    found = list_jobs()
    assert len(found) == (0 if open_one else 1)
    assert open_one or not folder().stat().st_mode & 0o022


# ---------------------------------------------------------------------- braces
#: Texts of bash, awk and others with names that IPython has put among the user's.
SHELLS = (
    "awk '{exit}' f",
    "awk '{quit}' f",
    "echo {open}",
    "echo ${In} ${Out} {In} {Out}",
    "echo {get_ipython}",
    "echo {_} {__} {___} {_i} {_ii} {_iii} {_oh} {_dh} {_ih} {_1} {_i1}",
    "echo {__builtins__} {__name__} {__builtin__} {__doc__}",
    "awk '{exit()}' f",
    "awk '{quit(1)}' f",
    "echo {In[0]} {Out[1]} {_[0]} {_i1.x} {[exit(), 1]}",
)


@pytest.mark.parametrize("text", SHELLS)
def test_names_of_ipython_are_left_to_the_shell(run: Cells, text: str) -> None:
    """What only IPython has named is no variable of the user's; nothing of it is evaluated."""
    run("x = 5")
    run("1 + 1")
    assert expand(text, visible_names(run.shell.user_ns, run.shell.user_ns_hidden)) == text


def test_a_name_of_the_user_s_own_is_python(run: Cells) -> None:
    """Also where IPython had one like it before."""
    run("open = 'a'; In = ['b']; _mine = 8; exit = 7")
    text = "{exit} {open} {In[0]} {_mine} {len(In)}"
    assert expand(text, visible_names(run.shell.user_ns, run.shell.user_ns_hidden)) == "7 a b 8 1"


# ---------------------------------------------------------------------- what a session holds
def test_a_session_goes_with_its_shell() -> None:
    """A shell that nobody holds any more is free, with its variables: no table of ours holds it."""

    class Shell:
        user_ns: Dict[str, Any] = {}

    shell = Shell()
    assert get_session(shell) is get_session(shell) and get_session(Shell()) is not get_session(
        shell
    )
    gone = weakref.ref(shell)
    del shell
    gc.collect()
    assert gone() is None
