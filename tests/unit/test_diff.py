"""``setup diff``: what differs between the set-ups of two notebooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from support.notebooks import MARKER, notebook, state

from colab_magics.cli import diff
from colab_magics.core.errors import NotebookError

pytestmark = pytest.mark.once

LOCK = """\
lock-version = "1.0"
environments = []
packages = [{packages}]
[tool.colab_magics]
python = "3.8.18"
platform = "linux x86_64"
made = "2025-08-22"
lines = []
"""


def _lock(**versions: str) -> Dict[str, str]:
    """Metadata of ours with a lock of these packages."""
    texts = (
        f'{{name = "{name}", version = "{version}", wheels = [{{url = "https://x/{name}.whl",'
        f' hashes = {{sha256 = "{"0" * 64}"}}}}]}}'
        for name, version in versions.items()
    )
    return {"lock": LOCK.format(packages=",\n".join(texts))}


def _make(path: Path, *lines: str, **metadata: Any) -> Path:
    return notebook(path, "\n".join((MARKER, "%reload_ext colab_magics", *lines)), **metadata)


def _lines(first: Path, second: Path) -> List[Tuple[str, str, str]]:
    return [(line.state, line.first, line.second) for line in diff(first, second).lines]


def test_lines_are_compared_by_their_keys(home: Path) -> None:
    """A package by its name, a drive by its mount point, code as it reads; nothing is written."""
    first = _make(home / "a.ipynb", "%gpu  # made on T4", "%pin numpy==1.0 six==1.0", "x = 1")
    second = _make(home / "b.ipynb", "%pin six==1.0", "%pin numpy==2.0", "%drive mount", "%gpu")
    before = state(home)
    assert _lines(first, second) == [
        ("both", "%pin numpy==1.0", "%pin numpy==2.0"),
        ("first", "x = 1", ""),
        ("second", "", "%drive mount"),
    ]
    assert [line.key for line in diff(first, second).lines] == ["numpy", "x = 1", "default"]
    assert state(home) == before


def test_the_order_and_the_comments_do_not_count(home: Path) -> None:
    """The same lines in another order, with other flags and comments, are the same set-up."""
    first = _make(home / "a.ipynb", "%pin a==1 b==1", "%drive mount  # ours")
    second = _make(home / "b.ipynb", "%drive mount -q", "%pin b==1", "%pin a==1")
    assert diff(first, second).same
    assert diff(first, second).as_json()["state"] == "same"


def test_packages_are_compared_by_the_locks(home: Path) -> None:
    """Those of another version, and those that one lacks; not at all without two locks."""
    first = _make(home / "a.ipynb", colab_magics=_lock(a="1.0", b="1.0", c="1.0"))
    second = _make(home / "b.ipynb", colab_magics=_lock(a="1.0", b="2.0"))
    found = diff(first, second)
    assert not found.same and not found.lines
    assert [(x.name, x.first, x.second) for x in found.packages or ()] == [
        ("b", "1.0", "2.0"),
        ("c", "1.0", ""),
    ]
    for other in (_make(home / "c.ipynb"), _make(home / "d.ipynb", colab_magics={"lock": "x"})):
        assert diff(first, other).packages is None
        assert diff(first, other).same
        assert diff(first, other).as_json()["packages"] is None


def test_no_login_is_shown(home: Path) -> None:
    """In no table and in no object, whichever notebook has it."""
    first = _make(home / "a.ipynb", "!pip install git+https://me:canary9@host/x")
    second = _make(home / "b.ipynb", "%drive mount")
    for found in (diff(first, second), diff(second, first)):
        text = "\n".join(map(str, found.reports())) + json.dumps(found.as_json())
        assert "canary9" not in text and "host/x" in text


def test_notebooks_of_one_name_are_told_apart(home: Path) -> None:
    """By the paths that were typed."""
    first, second = _make(home / "a" / "nb.ipynb"), _make(home / "b" / "nb.ipynb", "x = 1")
    assert diff(first, second).names == (str(first), str(second))
    assert diff(_make(home / "a.ipynb"), second).names == ("a.ipynb", "nb.ipynb")


def test_a_notebook_without_a_setup_cell_is_refused(home: Path) -> None:
    """It has nothing to compare."""
    with pytest.raises(NotebookError) as caught:
        diff(_make(home / "a.ipynb"), notebook(home / "b.ipynb", "x = 1"))
    assert caught.value.code == "no-setup-cell"
