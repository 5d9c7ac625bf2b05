"""Bad input: one clear line, one hint, nothing changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Tuple, Union

import pytest
from IPython.core.error import UsageError
from support.cells import Cells

from colab_magics.core.errors import ColabMagicsError

from .conftest import Distribution
from .test_setup import MARKER, notebook

#: The cell, and a word of the one line that says what is wrong.
BAD = [
    ("%pin numpy=*", "numpy=*"),
    ("%pin numpy ==1.0", "==1.0"),
    ("%pin 'numpy", "quote"),
    ("%pin --nosuch numpy", "--nosuch"),
    ("%pin -r", "-r"),
    ("%pin -r nofile.txt", "nofile.txt"),
    ("%pin -r bad.txt", "Entry 1"),
    ("%pin https://127.0.0.1/x.whl", "https://127.0.0.1/x.whl"),
    ("%%pin\n--index-url https://127.0.0.1/", "no package"),
    ("%pin --pre", "no package"),
    ("%pin --torch-backend", "--torch-backend"),
    ("%%pin\n# nothing\n", "no requirement"),
    ("%cd_persist nowhere", "nowhere"),
    ("%cd_persist bad.txt", "Not a directory"),
    ("%cd_persist 'a", "quote"),
    ("%cd_persist one two", "two"),
    ("%cd_persist drive:project", "no drive"),
    ("%cd_persist ~nosuchuser/x", "no such user"),
    ("%%cd_persist\nx", "no body"),
    ("%drive mount --provider nosuch", "nosuch"),
    ("%drive mount --provider colab", "not a Colab machine"),
    ("%drive mount --from nowhere", "nowhere"),
    ("%drive mount drive:x", "itself"),
    ("%drive mount one two", "two"),
    ("%drive unmount", "no drive is mounted"),
    ("%drive frobnicate", "frobnicate"),
    ("%gpu require --memory blue", "blue"),
    ("%gpu require --memory", "--memory"),
    ("%gpu frobnicate", "frobnicate"),
    ("%gpu require T9000", "T9000"),
    ("%drive unmount --dry-run", "--dry-run"),
    ("%pin environments remove x --dry-run", "--dry-run"),
    ("%session end --dry-run", "--dry-run"),
    ("%secret delete x --dry-run", "--dry-run"),
    ("%setup frobnicate", "frobnicate"),
    ("%setup forget --all --dry-run", "--dry-run"),
    ("%setup auto maybe", "maybe"),
    ("%setup forget", "which line"),
    ("%setup forget numpy", "numpy"),
    ("%setup forget numpy --all", "which line"),
    ("%setup write one two", "two"),
    ("%setup write fine.ipynb", "nothing to write"),
    ("%setup check --nosuch", "--nosuch"),
]

#: What is wrong with a notebook's file, and a word of the line that says so.
BAD_NOTEBOOKS = [
    ("hello", "not JSON"),
    ("", "not JSON"),
    ("[]", "format 4"),
    ('{"nbformat": 3, "worksheets": [{"cells": []}]}', "format 4"),
    ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "format 4"),
    ([MARKER + "\n%gpu", "x = 1", MARKER + "\n%gpu"], "Cells 1 and 3"),
    ([MARKER.replace("v1", "v2") + "\n%gpu"], "format v2"),
]


@pytest.fixture
def files(home: Path) -> Path:
    """The directory that the shell starts in, with something in it."""
    work = home / "work"
    (work / "bad.txt").write_text("numpy=*\n")
    (work / "data").mkdir()
    notebook(work / "fine.ipynb")
    return work


def on_disk(folder: Path) -> Dict[str, Tuple[int, bytes]]:
    """All files and folders below a folder, except IPython's own and caches, where locks are."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
        if not {".ipython", ".cache"} & set(path.parts)
    }


def refused(run: Cells, cell: str) -> Any:
    """The error of a cell: shown as one line of what is wrong and one of what to do."""
    reply = run.attempt(cell)
    error = reply.error
    assert type(error) is UsageError or isinstance(error, ColabMagicsError), reply
    name = type(error).__name__
    if isinstance(error, ColabMagicsError):
        assert error._render_traceback_() == [f"{name}: {error}"]
    lines = reply.shown.splitlines()
    assert len(lines) == 2 and all(lines), reply.shown
    assert reply.shown == f"{name}: {error}"
    assert len(lines[0]) < 160
    assert error.code  # type: ignore[union-attr]
    return error


@pytest.mark.parametrize(("cell", "word"), BAD, ids=[cell for cell, _ in BAD])
def test_bad_input(run: Cells, files: Path, home: Path, cell: str, word: str) -> None:
    """Each bad line gives one clear line and one hint, changes nothing and remembers nothing."""
    before = on_disk(home)
    assert word in str(refused(run, cell)).splitlines()[0]
    assert on_disk(home) == before
    assert run.steps() == []
    assert Path.cwd() == files


@pytest.mark.parametrize(("content", "word"), BAD_NOTEBOOKS, ids=[w for _, w in BAD_NOTEBOOKS])
def test_bad_notebook(
    run: Cells,
    files: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: Union[str, List[str]],
    word: str,
) -> None:
    """A notebook that cannot be written safely is left alone, and the lines stay pending."""
    monkeypatch.setattr("colab_magics.core.files.PATIENCE", 0)
    path = files / "n.ipynb"
    notebook(path, *content) if isinstance(content, list) else path.write_text(content)
    run("%cd_persist data")
    before = on_disk(home)
    assert word in str(refused(run, f"%setup write {path}")).splitlines()[0]
    assert on_disk(home) == before
    assert run.steps() == ["%cd_persist data"]


def test_read_only_notebook(run: Cells, files: Path, home: Path) -> None:
    """A read-only notebook is not written, not even by root, and the lines stay pending."""
    (files / "fine.ipynb").chmod(0o444)
    run("%cd_persist data")
    before = on_disk(home)
    assert refused(run, f"%setup write {files}/fine.ipynb").code == "read-only"
    assert on_disk(home) == before
    assert run.steps() == ["%cd_persist data"]


@pytest.mark.parametrize(("name", "code"), [("missing.ipynb", "not-found"), ("data", "not-a-file")])
def test_no_such_notebook(run: Cells, files: Path, home: Path, name: str, code: str) -> None:
    """A notebook that is not there, or is a folder, is refused and not made."""
    run("%cd_persist data")
    before = on_disk(home)
    assert refused(run, f"%setup write {files}/{name}").code == code
    assert on_disk(home) == before
    assert run.steps() == ["%cd_persist data"]


def test_notebook_of_a_running_server(
    run: Cells, files: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is alive and does not say what it has open is taken to hold the notebook."""
    import os

    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(home))
    server = {"pid": os.getpid(), "url": "http://127.0.0.1:9/", "token": "s3cret"}
    (home / "jpserver-1.json").write_text(json.dumps(server))
    run("%cd_persist data")
    before = on_disk(home)
    error = refused(run, f"%setup write {files}/fine.ipynb")
    assert "fine.ipynb was not written" in error.message
    assert "s3cret" not in str(error)
    assert on_disk(home) == before
    assert run.steps() == ["%cd_persist data"]


def test_a_newer_setup_cell_is_not_guessed_at(run: Cells, files: Path, home: Path) -> None:
    """A setup cell of a newer format is refused when it runs; what it did itself stays done."""
    shown = run(MARKER.replace("v1", "v2") + "\n%cd_persist data")
    assert "Traceback" not in shown and "format v2" in shown
    before = on_disk(home)
    assert "Nothing is remembered yet" in run("%setup")
    run("%cd_persist data")
    assert run.steps() == ["%cd_persist data"], "what is typed later is not lost"
    assert on_disk(home) == before


@pytest.mark.parametrize(
    "cell",
    [
        "%pin https://me:hunter2@127.0.0.1/x.whl",
        "%pin 'demo @ https://me:hunter2@127.0.0.1/x.whl",
        "%pin --index-url=https://me:hunter2@127.0.0.1/ demo",
        "%pin demo --extra-index-url https://me:hunter2@127.0.0.1/",
        "%pin -r https://me:hunter2@127.0.0.1/r.txt",
        "%%pin\n--index-url https://me:hunter2@127.0.0.1/\ndemo",
        "%setup frobnicate://me:hunter2@127.0.0.1",
        "%cd_persist https://me:hunter2@127.0.0.1/x",
    ],
)
def test_no_password_in_errors(
    run: Cells, distribution: Distribution, monkeypatch: pytest.MonkeyPatch, cell: str
) -> None:
    """A password that was typed into a line that is refused does not stand in the error."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")  # else seconds go by where nobody listens
    reply = run.attempt(cell)
    assert reply.error is not None
    assert "hunter2" not in reply.shown + str(reply.error) + repr(reply.error)
    assert run.steps() == []
