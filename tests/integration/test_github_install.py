"""``%github clone --install`` with the real installer, from git's own server on loopback."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Callable, Iterator, List

import pytest
from doubles.git_server import Server
from test_install import Notebook, index, make, notebook, serve, wheels
from test_pin_options import names, project

__all__ = ["index", "make", "notebook", "project", "serve", "wheels"]

#: What installers do is the same under every IPython; `test_install` runs in all versions.
pytestmark = pytest.mark.once


@pytest.fixture
def url(tmp_path: Path, project: Callable[[Path], None]) -> Iterator[str]:
    """A repository that can be installed, with nothing to download."""
    server = Server(tmp_path / "server")
    project(tmp_path / "project")
    texts = {path.name: path.read_text() for path in (tmp_path / "project").iterdir()}
    yield server.make("thing", **texts)
    server.close()


def commit(folder: Path) -> str:
    """What is checked out."""
    return (folder / ".git/refs/heads/main").read_text().strip()


def start(found: Notebook) -> Path:
    """The folder that a notebook's kernel started in."""
    return Path(found.child("import os; print(os.getcwd())").strip())


@pytest.mark.parametrize("host", ["", "COLAB_RELEASE_TAG"])
def test_cloned_and_installed(make: Callable[..., Notebook], url: str, host: str) -> None:
    """Both lines are kept, also where the machine is lent; a second time, and in the setup cell of
    another machine, the clone is what brings the folder.
    """
    found = make(**({host: "1"} if host else {}))
    answer = found.child.attempt(f"%github clone {url} --install")
    assert names(found) == {"tinylocal": "1.0"}, answer
    lines = [f"%github clone {url} --commit {commit(start(found) / 'thing')}", "%pin -e thing"]
    assert answer.steps == lines
    assert "already installed" in found.child(f"%github clone {url} --install")
    assert "already installed" in found.child("%pin -e ./thing")
    found.restart()
    shutil.rmtree(start(found) / "thing")
    setup = "\n".join(["# colab_magics:setup v1", *lines])
    assert "cloned" in found.child(setup) and names(found) == {"tinylocal": "1.0"}
    found.restart()
    shown = found.child(setup)
    assert "thing: already at" in shown and "already installed" in shown
    assert "already installed" in found.child("%pin -e thing")  # the setup cell has the clone


@pytest.mark.parametrize("spelled", ["{}/deep/er", "~/mine", "'sp ace'"])
def test_a_folder_of_any_spelling(
    notebook: Notebook, url: str, tmp_path: Path, spelled: str
) -> None:
    """An absolute one, one of home, one with a space: the pin names the same as the clone."""
    folder = spelled.format(tmp_path)
    answer = notebook.child.attempt(f"%github clone {url} {folder} --install")
    assert names(notebook) == {"tinylocal": "1.0"}, answer
    assert answer.steps[1:] == [f"%pin -e {folder}"]


def test_what_is_not_to_be_kept(notebook: Notebook, url: str) -> None:
    """``--no-record``: it need not come back, so that nothing keeps it from being installed; but
    no line is kept then that would want it.
    """
    answer = notebook.child.attempt(f"%github clone {url} --install --no-record")
    assert names(notebook) == {"tinylocal": "1.0"} and answer.steps == []
    answer = notebook.child.attempt("%pin -e thing")
    assert answer.error == "ColabMagicsError" and "Keep it on the drive" in answer.message
    steps: List[str] = notebook.child.attempt("x = 1").steps
    assert steps == []
