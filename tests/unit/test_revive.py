"""What `%setup revive` reads from a notebook: imports, packages, its day and its Python."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from colab_magics.core.errors import NotebookError
from colab_magics.notebook.document import Document
from colab_magics.setup.imports import read_imports
from colab_magics.setup.packages import find_packages
from colab_magics.setup.revive import Proposal, find_day, propose

pytestmark = pytest.mark.once

DAY = "2020-07-11"


def document(*cells: Any, **metadata: Any) -> Document:
    """A notebook of these cells: sources, or whole cells."""
    whole = [
        cell if isinstance(cell, dict) else {"cell_type": "code", "source": cell} for cell in cells
    ]
    for cell in whole:
        cell.setdefault("metadata", {})
    data = {"cells": whole, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return Document.parse(json.dumps(data).encode(), "old.ipynb")


def read(*cells: Any, folder: Optional[Path] = None, as_of: str = DAY, **metadata: Any) -> Proposal:
    """The proposal for a notebook of these cells."""
    path = folder / "old.ipynb" if folder else None
    return propose(document(*cells, **metadata), path, "old.ipynb", as_of)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import numpy as np, pandas.io.sql", ["numpy", "pandas"]),
        ("from sklearn.svm import SVC\nfrom . import mine", ["sklearn"]),
        ("!pip install x\n%matplotlib inline\nimport torch", ["torch"]),
        ("try:\n    import cv2\nexcept ImportError:\n    !pip install opencv-python", ["cv2"]),
        ("%%time\nimport scipy", ["scipy"]),
        ("%%capture out\n%%time\nimport scipy", ["scipy"]),
        ("%%bash\nimport nothing", []),
        ("x = 'import nothing'  # import nothing", []),
        ("from google.colab import drive", ["google.colab"]),
        ("from google import colab", ["google.colab"]),
        ("import seaborn?", []),
    ],
)
def test_what_a_cell_imports(source: str, names: List[str]) -> None:
    """Statements count, with IPython's own syntax around them; texts and shells do not."""
    assert list(read_imports([(1, source)]).cells) == names


@pytest.mark.parametrize(
    "source",
    [
        "print 'Python 2'",
        "import numpy\x00",
        "(" * 5000,
        "-" * 200_000 + "1",
        "import a\n" * 300_000,
        "%%time\n" * 50 + "import numpy",
    ],
    ids=["python 2", "null", "brackets", "operators", "long", "nested"],
)
def test_a_cell_that_cannot_be_read_is_named(source: str) -> None:
    """Whatever it holds, within a second: it is named, and the others are read."""
    began = time.monotonic()
    found = read_imports([(1, "import numpy"), (2, source), (3, "import scipy")])
    assert time.monotonic() - began < 10
    assert list(found.cells) == ["numpy", "scipy"]
    assert found.unread == (2,)


def test_many_lines_are_read_at_once() -> None:
    """Ten thousand lines within a second."""
    began = time.monotonic()
    source = "import numpy\n" + "x = 1\n" * 10_000
    assert list(read_imports([(1, source)]).cells) == ["numpy"]
    assert time.monotonic() - began < 10


def test_where_modules_come_from(tmp_path: Path) -> None:
    """Known ones by the table or what is installed; others are named, and never guessed."""
    (tmp_path / "helpers.py").touch()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net.py").touch()
    modules = ["os", "imp", "PIL", "sklearn", "helpers", "models", "zzz_nobodys", "google.colab"]
    found = find_packages([*modules, "IPython", "pytest_timeout", "numpy"], tmp_path)
    assert found.packages == ("pillow", "scikit-learn", "pytest-timeout", "numpy")
    assert found.unknown == ("zzz_nobodys",)
    assert found.local == ("helpers", "models")


CELLS: Dict[str, Dict[str, Any]] = {
    "JupyterLab": {"execution": {"iopub.execute_input": f"{DAY}T10:00:00.000000Z"}},
    "ExecuteTime": {"ExecuteTime": {"start_time": f"{DAY}T10:00:00.0Z"}},
    "papermill": {"papermill": {"start_time": f"{DAY}T10:00:00.000000"}},
    "Colab": {"executionInfo": {"timestamp": 1594461600000, "user_tz": -120}},
}


@pytest.mark.parametrize("front_end", list(CELLS))
def test_the_day_when_the_cells_ran(front_end: str) -> None:
    """As each front end notes it; one cell that was run again today does not count."""
    cell = {"cell_type": "code", "source": "1", "metadata": CELLS[front_end]}
    today = {"execution": {"iopub.execute_input": time.strftime("%Y-%m-%dT00:00:00Z")}}
    again = {"cell_type": "code", "source": "1", "metadata": today}
    day = find_day(document(cell, {**cell}, again), None, "")
    assert day is not None and (day.day, day.evidence) == (DAY, "cells")


@pytest.mark.parametrize(
    "metadata",
    [
        {"executionInfo": {"timestamp": 1e300}},
        {"executionInfo": {"timestamp": float("nan")}},
        {"executionInfo": {"timestamp": True}},
        {"executionInfo": [1]},
        {"execution": {"iopub.execute_input": "2020-99-99T1"}},
        {"execution": {"iopub.execute_input": "2999-01-01T1"}},
        {"execution": {"iopub.execute_input": ["2020"]}},
        [],
    ],
)
def test_no_day_in_what_anybody_wrote(metadata: Any) -> None:
    """Metadata of another form say nothing, and a notebook of which nothing says it is refused."""
    cell = {"cell_type": "code", "source": "1", "metadata": metadata or {}}
    with pytest.raises(NotebookError) as caught:
        read(cell, as_of="")
    assert caught.value.code == "no-day"


def commit(folder: Path, day: str) -> None:
    """Commit what is in a folder, on a day."""
    moment = f"{day}T12:00:00Z"
    variables = {**os.environ, "GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", day]):
        subprocess.run(["git", "-C", str(folder), *words], env=variables, check=True)


def test_the_day_of_the_last_commit_of_the_file(tmp_path: Path) -> None:
    """Of that file, not of the repository; what is typed, or what the cells say, wins."""
    (tmp_path / "old.ipynb").write_text("{}")
    commit(tmp_path, DAY)
    (tmp_path / "other.ipynb").write_text("{}")
    commit(tmp_path, "2024-01-01")
    found = read("import numpy", folder=tmp_path, as_of="")
    assert (found.made, found.evidence) == (DAY, "git")
    found = read("import numpy", folder=tmp_path, as_of="2021-01-01")
    assert (found.made, found.evidence) == ("2021-01-01", "typed")


def test_a_strangers_repository_runs_nothing(tmp_path: Path) -> None:
    """Programs that its settings name are not started to read its history."""
    (tmp_path / "old.ipynb").write_text("{}")
    commit(tmp_path, DAY)
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    evil.chmod(0o755)
    with (tmp_path / ".git" / "config").open("a") as stream:
        stream.write(f"[core]\nfsmonitor = {evil}\npager = {evil}\nhooksPath = {tmp_path}\n")
        stream.write(f"[log]\nshowSignature = true\n[gpg]\nprogram = {evil}\n")
        stream.write(f"[diff]\nexternal = {evil}\n")
    assert read("import numpy", folder=tmp_path, as_of="").made == DAY
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("said", "day", "python", "pinned"),
    [
        ("3.6.9", DAY, "3.8", DAY),
        ("3.6.9", "2018-01-01", "3.8", "2020-04-11"),
        ("3.7.3", "2021-06-01", "3.8", "2021-06-01"),
        ("3.10.2", "2022-06-01", "3.10", "2022-06-01"),
        ("3.13.1", DAY, "3.8", DAY),
        ("", "2021-06-01", "3.9", "2021-06-01"),
        ("3.13.1", "2025-06-01", "3.13", "2025-06-01"),
        ("3.99.1", "2025-06-01", "3.14", "2026-04-05"),
    ],
)
def test_the_nearest_python(said: str, day: str, python: str, pinned: str) -> None:
    """That of the notebook or of its day, at least 3.8; then packages of when it had builds."""
    info = {"language_info": {"name": "python", "version": said}} if said else {}
    found = read("import numpy", as_of=day, **info)
    assert (found.python, found.day, found.made) == (python, pinned, day)
    assert found.words == ["numpy", "--as-of", pinned, "--python", python]


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({"language_info": {"name": "python", "version": "2.7.18"}}, "python-2"),
        ({"kernelspec": {"name": "python2", "language": "python"}}, "python-2"),
        ({"language_info": {"name": "R", "version": "4.0"}}, "other-language"),
    ],
)
def test_another_language_is_refused(metadata: Dict[str, Any], code: str) -> None:
    """There is no line that would run it."""
    with pytest.raises(NotebookError) as caught:
        read("x = 1", **metadata)
    assert caught.value.code == code


def test_no_package_no_line() -> None:
    """Where nothing known is imported there is nothing to write, and the unknown is named."""
    found = read("import zzz_nobodys, os")
    assert (found.words, found.unknown) == ([], ("zzz_nobodys",))
