"""``setup check``: how lines stand, what has changed since it was recorded, and in which time."""

from __future__ import annotations

import hashlib
import json
import platform
import socket
import threading
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from doubles.git_server import Server
from support.notebooks import MARKER, notebook, state

from colab_magics.cli import check
from colab_magics.core.host import Host
from colab_magics.core.steps import Change, Verdict
from colab_magics.drive.step import DriveStep
from colab_magics.github import step as github
from colab_magics.notebook.made_on import MadeOn
from colab_magics.record.cell import parse
from colab_magics.setup import check as module
from colab_magics.setup.check import CheckedLine, Checkup, TimeBox, check_lines

pytestmark = pytest.mark.once

HERE = platform.python_version()
LOCK = """\
lock-version = "1.0"
environments = []
[tool.colab_magics]
python = "3.8.18"
platform = "linux x86_64"
made = "2025-08-22"
lines = []
"""


def _cell(*lines: str) -> str:
    return "\n".join((MARKER, "%reload_ext colab_magics", *lines))


def _packages(**versions: str) -> str:
    """The packages of a lock."""
    digits = "0" * 64
    return LOCK.replace("[tool", "packages = [\n{}]\n[tool").format(
        "".join(
            f'{{name = "{name}", version = "{version}", wheels = [{{url = "https://x/{name}.whl",'
            f' hashes = {{sha256 = "{digits}"}}}}]}},\n'
            for name, version in versions.items()
        )
    )


def _changes(path: Path) -> Dict[str, Change]:
    """What has changed, by kind, or by the name of a package."""
    return {x.name if x.kind == "package" else x.kind: x for x in check(path).changes}


@pytest.mark.parametrize(
    ("states", "worst", "code"),
    [
        ((), "ok", ""),
        (("ok", "ok"), "ok", ""),
        (("ok", "unknown"), "unknown", "setup-unknown"),
        (("unknown", "differs", "ok"), "differs", "setup-differs"),
    ],
)
def test_the_worst_line_counts(states: Any, worst: str, code: str) -> None:
    """``differs`` is worse than ``unknown``; the error has the lines of each as fields."""
    lines = tuple(CheckedLine(f"%line {at}", x, "") for at, x in enumerate(states))
    checkup = Checkup(lines, (Change.of("gpu", "GPU", "Tesla T4", "NVIDIA L4"),))
    error = checkup.error()
    assert (checkup.state, checkup.as_json()["state"]) == (worst, worst)
    assert (error.code if error else "") == code
    if error is not None:
        assert error.lines == tuple(x.line for x in lines if x.state == "differs")
        assert error.unknown == tuple(x.line for x in lines if x.state == "unknown")
        assert error.changes == ("GPU",)


def test_where_it_was_made_is_compared(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python by its minor version, image and GPU by name, each with both values."""
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-2")
    there = MadeOn("3.7.1", "Colab release-1", "Tesla T4")
    path = notebook(home / "a.ipynb", _cell(), colab_magics={"made_on": there.encode()})
    changes = _changes(path)
    assert {kind: (x.recorded, x.state) for kind, x in changes.items()} == {
        "python": ("3.7.1", "differs"),
        "image": ("Colab release-1", "differs"),
        "gpu": ("Tesla T4", "differs"),
    }
    assert changes["python"].now == HERE and changes["image"].now == "Colab release-2"
    same = MadeOn(HERE, "Colab release-2").encode()
    path = notebook(home / "a.ipynb", _cell(), colab_magics={"made_on": same})
    assert {x.state for x in _changes(path).values()} == {"same"}


def test_the_lock_and_the_file_tell_the_python(home: Path) -> None:
    """Where nothing says where it was made: the lock's Python, else that which saved the file."""
    language = {"name": "python", "version": "3.6.9"}
    path = notebook(home / "a.ipynb", _cell(), language_info=language)
    assert _changes(path)["python"].recorded == "3.6.9"
    ours = {"lock": _packages()}
    path = notebook(home / "a.ipynb", _cell(), language_info=language, colab_magics=ours)
    assert _changes(path)["python"].recorded == "3.8.18"
    ours = {"lock": _packages().replace("3.8.18", "evil")}  # which is no Python
    path = notebook(home / "a.ipynb", _cell(), colab_magics=ours)
    assert check(path).changes == ()


def test_packages_of_the_lock_that_differ(home: Path) -> None:
    """Each with both versions; of those that hold only a framework is named, always."""
    import packaging

    ours = {"lock": _packages(packaging="1.0", ipython="0.1", torch="2.4.1", absent="1.0")}
    path = notebook(home / "a.ipynb", _cell("%pin jax==0.4.1"), colab_magics=ours)
    found = [(x.kind, x.name, x.recorded, x.now) for x in check(path).changes]
    assert ("package", "packaging", "1.0", packaging.__version__) in found
    assert ("package", "absent", "1.0", "") in found
    assert ("framework", "torch", "2.4.1", "") in found
    assert ("framework", "jax", "0.4.1", "") in found
    broken = notebook(home / "b.ipynb", _cell(), colab_magics={"lock": "no lock"})
    (change,) = check(broken).changes
    assert (change.name, change.state) == ("lock", "unknown")


def test_the_gpu_of_a_comment(home: Path) -> None:
    """What a ``%gpu`` line was made on is compared with what is here, before the metadata's."""
    there = MadeOn(HERE, "", "NVIDIA L4").encode()
    ours = {"made_on": there}
    path = notebook(home / "a.ipynb", _cell("%gpu  # made on Card 9"), colab_magics=ours)
    assert [x.recorded for x in check(path).changes if x.kind == "gpu"] == ["Card 9"]


def test_the_hash_of_a_file(home: Path) -> None:
    """The file as it is now: the same, another, or none; nothing is fetched, nothing written."""
    folder = home / "work"
    recorded = hashlib.sha256(b"recorded").hexdigest()
    url = "http://127.0.0.1:9/data.csv"
    path = notebook(folder / "a.ipynb", _cell(f"%fetch {url} --sha256 {recorded}"))
    before = state(folder)
    assert (_changes(path)["file"].now, check(path).state) == ("", "differs")
    assert state(folder) == before
    (folder / "data.csv").write_bytes(b"recorded")
    assert (_changes(path)["file"].state, check(path).state) == ("same", "ok")
    (folder / "data.csv").write_bytes(b"other")
    change = _changes(path)["file"]
    assert change.state == "differs" and change.recorded == recorded
    assert change.now == hashlib.sha256(b"other").hexdigest()


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    """A git server."""
    found = Server(home / "server")
    yield found
    found.close()


def test_the_commit_of_a_branch_now(home: Path, server: Server) -> None:
    """The server is asked for the branch; a branch that is gone differs, a server is unknown."""
    url = server.make("model", README="1")
    old = server.commit("model", README="2")
    path = notebook(home / "a.ipynb", _cell(f"%github clone {url}@main --commit {old}"))
    assert _changes(path)["upstream"].state == "same"
    new = server.commit("model", README="3")
    change = _changes(path)["upstream"]
    assert (change.recorded, change.now, change.state) == (old, new, "differs")
    assert not (home / "model").exists()
    away = notebook(home / "b.ipynb", _cell(f"%github clone {url}@gone --commit {old}"))
    assert (_changes(away)["upstream"].now, _changes(away)["upstream"].state) == ("", "differs")
    server.close()
    assert _changes(path)["upstream"].state == "unknown"


def test_a_silent_server_is_unknown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs its time box, and the line is judged without it."""
    monkeypatch.setattr(github, "_REMOTE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x.git"
        path = notebook(home / "a.ipynb", _cell(f"%github clone {url} --commit {'1' * 40}"))
        change = _changes(path)["upstream"]
        assert (change.state, change.now) == ("unknown", "") and change.note
        assert check(path).state == "differs"


def test_a_check_logs_in_nowhere(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of a line may be a stranger's: it is not even asked."""
    monkeypatch.setenv("GH_TOKEN", "canary-canary")
    url = server.make("private", README="1")
    line = f"%github clone {url}@main --token GH_TOKEN --commit {'1' * 40}"
    path = notebook(home / "a.ipynb", _cell(line))
    server.asked.clear()
    assert _changes(path)["upstream"].state == "unknown"
    assert (server.asked, server.sent) == ([], [])
    monkeypatch.setenv("GIT_SSH_COMMAND", f"touch {home}/ran;")
    line = f"%github clone git@127.0.0.1:x/y.git@main --commit {'1' * 40}"
    assert _changes(notebook(home / "b.ipynb", _cell(line)))["upstream"].state == "unknown"
    assert not (home / "ran").exists(), "a key may tell who somebody is"


def test_the_time_for_all_is_limited(home: Path) -> None:
    """Once it is over, what is left is unknown: a check ends, however many lines hang."""
    checkup = check_lines(parse(_cell("%cd_persist .", "x = 1")), Host(start=home), TimeBox(-1))
    assert [line.state for line in checkup.lines] == ["unknown", "unknown"]


def test_a_line_that_hangs_is_unknown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead mount costs its time box, and the next lines are checked."""
    never = threading.Event()

    def hang(self: DriveStep, host: Host) -> Verdict:
        never.wait()
        return Verdict("ok", "")

    monkeypatch.setattr(DriveStep, "check", hang)
    monkeypatch.setattr(module, "LINE", 0.2)
    try:
        lines = parse(_cell("%drive mount", "%cd_persist ."))
        checkup = check_lines(lines, Host(start=home), TimeBox())
    finally:
        never.set()
    assert [line.state for line in checkup.lines] == ["unknown", "ok"]


def test_no_secret_is_shown(home: Path) -> None:
    """A login in a URL of the cell is in no table and in no object."""
    path = notebook(home / "a.ipynb", _cell("!pip install git+https://me:canary9@host/x"))
    checkup = check(path)
    for text in (str(checkup.table()), str(checkup.error()), json.dumps(checkup.as_json())):
        assert "canary9" not in text and "host/x" in text
