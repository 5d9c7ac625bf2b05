"""A notebook on disk is read for its magic lines, and never executed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import List

import pytest
from IPython.core.error import UsageError

from colab_magics import cli
from colab_magics.core.errors import NotebookError
from colab_magics.record.cell import parse
from colab_magics.run.console import Console
from colab_magics.run.runner import Options, run


def notebook(path: Path, *sources: str) -> Path:
    """A notebook with these code cells."""
    cells = [
        {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": one}
        for one in sources
    ]
    whole = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    path.write_text(json.dumps(whole, indent=1))
    return path


def steps(path: Path) -> List[str]:
    """The lines of the setup cell that are steps."""
    return [line.text for line in parse(cli.show(path)) if line.step]


def test_the_lines_of_its_own_cells_are_taken(tmp_path: Path) -> None:
    """What the cells of a notebook pin, mount and enter is put into a setup cell on top."""
    path = notebook(
        tmp_path / "x.ipynb", "import os\n%pin numpy==2.1.3", "%cd_persist x", "%pin a==1"
    )
    record = cli.write(path, [])
    assert record.state == "saved"
    assert steps(path) == ["%pin numpy==2.1.3 a==1", "%cd_persist x"]
    assert cli.write(path, []).state == "unchanged"


@pytest.mark.parametrize(
    "source",
    [
        "%%bash\n%pin a==1",
        "\n\n%%bash\n%pin a==1",
        "if x:\n    %pin a==1",
        '"""\n%pin a==1\n"""',
        "%pin --no-record a==1",
        "%pin --dry-run a==1",
        "%pin a=={version}",
        "%pin a==$version",
        "%pin a ==1",
        "%pin",
    ],
)
def test_what_is_no_line_to_remember_is_passed_over(tmp_path: Path, source: str) -> None:
    """Bodies of cell magics, code, tries and lines that IPython would expand are not taken."""
    path = notebook(tmp_path / "x.ipynb", source)
    before = path.read_bytes()
    with pytest.raises(NotebookError) as caught:
        cli.write(path, [])
    assert caught.value.code == "nothing-to-record"
    assert path.read_bytes() == before


def test_forgetting_all_gives_the_file_back(tmp_path: Path) -> None:
    """What was written is taken out again, to the byte."""
    path = notebook(tmp_path / "x.ipynb", "x = 1")
    before = path.read_bytes()
    cli.write(path, ["%pin numpy==2.1.3", "%drive mount"])
    assert steps(path) == ["%drive mount", "%pin numpy==2.1.3"]
    cli.forget(path, ["numpy"])
    assert steps(path) == ["%drive mount"]
    cli.forget(path, [])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "line", ["pin a==1", "%nosuch x", "%pin", "%pin 'a", "x = 1", "%pin a ==1"]
)
def test_a_line_that_cannot_be_remembered_is_refused(tmp_path: Path, line: str) -> None:
    """A bad line is one clear error, and the file is not touched."""
    path = notebook(tmp_path / "x.ipynb", "x = 1")
    before = path.read_bytes()
    with pytest.raises(UsageError):
        cli.write(path, ["%gpu", line])
    assert path.read_bytes() == before


def test_a_bare_name_takes_no_version_back(tmp_path: Path) -> None:
    """``%pin six`` in a cell, and an exact pin in the setup cell: the exact one stays."""
    path = notebook(tmp_path / "x.ipynb", "# colab_magics:setup v1\n%pin six==1.15.0", "%pin six")
    before = path.read_bytes()
    assert cli.write(path, []).changes == ()
    assert path.read_bytes() == before


def test_the_body_of_a_pin_cell_is_read(tmp_path: Path) -> None:
    """What ``%%pin`` asks for in its body is remembered, unless it was to leave no trace."""
    path = notebook(tmp_path / "x.ipynb", "\n%%pin six==1.15.0\nhumanize==4.9.0  # sizes")
    assert cli.write(path, []).changes == ("%pin six==1.15.0", "%pin humanize==4.9.0")
    path = notebook(tmp_path / "y.ipynb", "%%pin --dry-run\nsix==1.15.0", "%pin humanize==4.9.0")
    assert cli.write(path, []).changes == ("%pin humanize==4.9.0",)


def test_a_notebook_in_another_language_is_not_run_as_python(tmp_path: Path) -> None:
    """Without the name of its kernel a notebook in R is refused, and its outputs stay."""
    path = notebook(tmp_path / "r.ipynb", "x <- 1")
    book = json.loads(path.read_text())
    book["metadata"] = {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}
    path.write_text(json.dumps(book))
    before = path.read_bytes()
    with pytest.raises(NotebookError) as caught:
        run(path, None, Options(), Console(print))
    assert caught.value.code == "other-language"
    assert path.read_bytes() == before
