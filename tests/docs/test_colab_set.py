"""What ``pip install colab-magics`` adds to what Colab has, and that it changes nothing of it.

`tests/constraints-colab.txt` has Colab's versions, and ``tests/cases/colab_requires.json`` what
each of them asks for (from their metadata), for all that this package needs. Who adds a dependency
that Colab has adds a line to both.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import Dict, List

import pytest
from doubles.index import make_wheel, serve

from colab_magics.pin.uv import find_uv

pytestmark = pytest.mark.once

TESTS = Path(__file__).resolve().parent.parent
#: Colab leaves jedi out, which its ipython asks for; it has neither uv nor tomli-w.
ADDED = {"colab-magics": [], "jedi": ["parso>=0.8.6,<0.9.0"], "uv": [], "tomli-w": []}
#: What may change: jedi asks for it.
MAY_CHANGE = {"parso"}


@pytest.mark.parametrize("program", ["uv", "pip"])
def test_an_install_adds_little_and_changes_nothing(tmp_path: Path, program: str) -> None:
    """Of what is asked for jedi, uv and tomli-w are missing there; all else is as it was, though
    the index has something newer of each.
    """
    versions, shelf = colab_versions(), tmp_path / "shelf"
    python = make_stubs(tmp_path / "environment", versions)
    make_wheel(shelf, "colab-magics", "1.0", requires=dependencies())
    for name in versions:
        make_wheel(shelf, name, "99999.0")
    for name, requires in ADDED.items():
        if name != "colab-magics":
            make_wheel(shelf, name, "99999.0", requires=requires)
    plan = {"uv": plan_of_uv, "pip": plan_of_pip}[program]
    with serve(shelf) as index:
        planned = plan(python, index)
    assert planned - MAY_CHANGE == {*ADDED}


def colab_versions() -> Dict[str, str]:
    """What Colab has of all that is asked for, by name."""
    lines = (TESTS / "constraints-colab.txt").read_text("utf-8").splitlines()
    versions = dict(line.split("==") for line in lines if "==" in line)
    assert not {*ADDED} & versions.keys()
    return versions


def make_stubs(folder: Path, versions: Dict[str, str]) -> Path:
    """An environment in which those seem installed; return its interpreter."""
    venv.EnvBuilder(symlinks=os.name != "nt", with_pip=False).create(folder)
    site = next(folder.rglob("site-packages"))
    asked = json.loads((TESTS / "cases/colab_requires.json").read_text("utf-8"))
    for name, version in versions.items():
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {text}" for text in asked.get(name, ())]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
    return next(folder.glob("[Sb][ci][rn]*/python*"))


def dependencies() -> List[str]:
    """What the wheel asks for, as its project says."""
    import tomllib

    with open(TESTS.parent / "pyproject.toml", "rb") as file:
        found: List[str] = tomllib.load(file)["project"]["dependencies"]
    return found


def plan_of_uv(python: Path, index: str) -> set[str]:
    """The names of what uv would install or remove."""
    command = [str(find_uv()), "pip", "install", "--dry-run", "--no-cache", "--no-config"]
    command += ["--python", str(python), "--default-index", index, "colab-magics"]
    text = run(*command)
    return set(re.findall(r"(?m)^ [-+~] ([\w.-]+)==", text))


def plan_of_pip(python: Path, index: str) -> set[str]:
    """The names of what pip would install."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("pip is not installed here: python -m ensurepip")
    report = python.parent.parent / "report.json"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--isolated"]
    options = ["--dry-run", "--no-cache-dir", "--report", str(report), "--index-url", index]
    run(*pip, "install", *options, "colab-magics")
    items = json.loads(report.read_text("utf-8"))["install"]
    return {item["metadata"]["name"] for item in items}


def run(*command: str) -> str:
    """Run a command, which is to succeed; return all that it has printed."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
    done = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
