"""``%setup export`` and ``%setup import`` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from support.cells import Cells
from support.notebooks import MARKER, notebook

from colab_magics.core.errors import NotebookError

pytestmark = pytest.mark.once

SETUP = f"{MARKER}\n%env_persist MODE=fast\n%secret HF_TOKEN"


@pytest.fixture
def setup(run: Cells, monkeypatch: pytest.MonkeyPatch) -> Cells:
    """A shell that has run a setup cell."""
    monkeypatch.setenv("HF_TOKEN", "canary-77aa1b")
    run(SETUP)
    return run


def test_a_format_is_shown(setup: Cells, home: Path) -> None:
    """With what it does not hold; nothing is written, and no value of a secret is in it."""
    shown = setup("%setup export environment.yml")
    assert '"MODE": "fast"' in shown and "%secret HF_TOKEN" in shown
    assert "canary" not in setup("%setup export shell")
    data = json.loads(setup("%setup export shell --json"))
    assert (data["schema"], data["files"][0]["path"]) == (1, "setup.sh")
    assert list((home / "work").iterdir()) == []


def test_a_file_is_written_from_where_the_kernel_is(setup: Cells, home: Path) -> None:
    """Its name is behind ``-o``; another's file stays unless ``--force`` is typed."""
    setup("%setup export dockerfile -o Dockerfile")
    path = home / "work" / "Dockerfile"
    assert 'ENV MODE="fast"' in path.read_text()
    path.write_text("mine")
    with pytest.raises(NotebookError) as refused:
        setup("%setup export dockerfile -o Dockerfile")
    assert (refused.value.code, path.read_text()) == ("exists", "mine")
    setup("%setup export dockerfile -o Dockerfile --force")
    assert "ENV" in path.read_text()


def test_a_slip_is_corrected(setup: Cells) -> None:
    """A format that is none; a format that takes a folder."""
    with pytest.raises(UsageError) as refused:
        setup("%setup export dockerfle")
    error: Any = refused.value
    assert (error.code, error.slip) == ("unknown-choice", ("dockerfle", "dockerfile"))
    with pytest.raises(UsageError) as refused:
        setup("%setup export wheelhouse")
    error = refused.value
    assert error.code == "no-path"


def test_import_shows_and_needs_a_notebook(setup: Cells, home: Path) -> None:
    """With ``--dry-run`` nothing changes; where no notebook can be written, nothing is done."""
    Path("requirements.txt").write_text("tinypkg==1.0\n--no-binary :all:\n")
    shown = setup("%setup import requirements.txt --dry-run")
    assert "%pin tinypkg==1.0" in shown and "--no-binary" in shown
    assert "tinypkg" not in setup("%setup")
    other = notebook(home / "work" / "none.ipynb", "x = 1")
    with pytest.raises(NotebookError) as refused:
        setup(f"%setup import {other.name}")
    assert refused.value.code == "no-setup-cell"
