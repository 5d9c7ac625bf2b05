"""``setup lint`` and the hook for pre-commit: what is wrong before a notebook is committed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import pytest
from support.notebooks import MARKER, code, notebook, whole

from colab_magics.__main__ import main
from colab_magics.pin.uv import find_uv
from colab_magics.setup.magic_lint import lint

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
HEAD = f"{MARKER}\n%reload_ext colab_magics\n"
TOKEN = "ghp_" + "a1B2" * 9


def codes(path: Path) -> List[str]:
    """The codes of what is wrong."""
    return [problem.code for problem in lint(path)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("%drive mount\n%pin numpy==2.1.3\nmine = 1\n%cd_persist drive:work", []),
        ("%pin numpy==2.1.3\n%pin ==", ["bad-line"]),
        ("%pin numpy==2.1.3 pandas\n%pin NumPy==1.0", ["twice"]),
        ("%cd_persist a\n%cd_persist b", ["twice"]),
        ("%cd_persist drive:work", ["no-drive"]),
        ("%cd_persist drive:work\n%drive mount", ["no-drive"]),
    ],
)
def test_lines_hold_together(lines: str, expected: List[str], tmp_path: Path) -> None:
    """Each can be read, no two decide the same, and a drive is mounted before it is read."""
    assert codes(notebook(tmp_path / "nb.ipynb", HEAD + lines, "1")) == expected


def test_what_cannot_be_checked_is_wrong(tmp_path: Path) -> None:
    """Two setup cells, and a file that is no notebook; a notebook without a setup cell is fine."""
    assert codes(notebook(tmp_path / "bare.ipynb", "1")) == []
    assert len(codes(notebook(tmp_path / "two.ipynb", HEAD, HEAD))) == 1
    (tmp_path / "no.ipynb").write_text("{")
    assert len(codes(tmp_path / "no.ipynb")) == 1


def test_a_secret_in_an_output_is_named_and_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its cell; the status is 1, and the object has the code."""
    path = _with_secret(tmp_path / "nb.ipynb")
    assert codes(path) == ["secret"]
    assert main(["setup", "lint", str(path), "--json"]) == 1
    shown = capsys.readouterr().out
    assert json.loads(shown)["problems"][0]["code"] == "secret" and TOKEN not in shown
    assert main(["setup", "lint", str(notebook(tmp_path / "good.ipynb", HEAD))]) == 0


def _with_secret(path: Path) -> Path:
    cell: Any = code("print(token)")
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [TOKEN]}]
    notebook(path)
    path.write_text(json.dumps({**whole(path), "cells": [cell]}))
    return path


@pytest.mark.long
def test_the_real_pre_commit_runs_the_hook(tmp_path: Path) -> None:
    """From a local repository of this project: a good notebook passes, a secret stops it."""
    uv = find_uv()
    assert uv is not None
    project, work = tmp_path / "project", tmp_path / "work"
    files = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT)
    for name in files.decode().splitlines():
        if name.startswith(("colab_magics/", "pyproject", "README.md", "LICENSE", ".pre-commit")):
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_bytes((ROOT / name).read_bytes())
    for folder in (project, work):
        folder.mkdir(exist_ok=True)
        _git(folder, "init", "-q")
    _git(project, "add", "-A")
    _git(project, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x")
    head = _git(project, "rev-parse", "HEAD").strip()
    repository = {"repo": project.as_uri(), "rev": head, "hooks": [{"id": "colab-magics"}]}
    (work / ".pre-commit-config.yaml").write_text(json.dumps({"repos": [repository]}))
    path = notebook(work / "nb.ipynb", HEAD + "%pin numpy==2.1.3")
    command = [uv, "tool", "run", "--python", sys.executable, "pre-commit", "run", "--all-files"]
    for expected in (0, 1):
        _git(work, "add", "-A")
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=280)
        assert done.returncode == expected, done.stdout + done.stderr
        assert TOKEN not in done.stdout
        _with_secret(path)
    assert "nb.ipynb: secret: cell 1" in done.stdout


def _git(folder: Path, *words: str) -> str:
    variables = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.check_output(["git", *words], cwd=folder, env=variables, text=True)
