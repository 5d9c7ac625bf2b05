"""Names of environments, versions of Pythons, and what is said of them; nothing is made."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.error import UsageError
from support.setup_cells import pin

from colab_magics.core.host import Host
from colab_magics.pin.environments import interpreters, store
from colab_magics.pin.environments.store import Environment, name_of
from colab_magics.pin.step import parse
from colab_magics.record.cell import new_cell, render_step
from colab_magics.record.merge import merge


@given(st.text(min_size=1).filter(lambda t: not set(t) & {"/", "\0"} and t not in {".", ".."}))
def test_a_name_is_one_that_jupyter_takes(stem: str) -> None:
    """Letters, digits, dots and dashes (jupyter_client's rule), the same each time."""
    name = name_of(Path("/work", stem + ".ipynb"), "3.8")
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.") and name.endswith("-py3.8")
    assert name == name_of(Path("/work", stem + ".ipynb"), "3.8")


def test_other_notebooks_and_versions_have_others() -> None:
    """The folder, the name and the version each make another environment."""
    places = [Path("/a/n.ipynb"), Path("/b/n.ipynb"), Path("/a/m.ipynb")]
    names = {name_of(place, version) for place in places for version in ("3.8", "3.9")}
    assert len(names) == 6


@pytest.mark.parametrize(
    "text", ["3", "3.7", "2.7", "3.8.", "python3.8", "../3.8", ">=3.8", "3.8 "]
)
def test_what_is_no_version_is_refused(text: str) -> None:
    """Only X.Y and X.Y.Z from 3.8 on; nothing else reaches uv or a path."""
    with pytest.raises(UsageError):
        interpreters.version_of(text)


def test_only_what_is_ready_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``made.json``, or without an interpreter, there is no environment."""
    monkeypatch.setattr(store, "root", lambda: tmp_path)
    one = Environment("one", "3.8", "/n.ipynb", 1.0)
    one.interpreter.parent.mkdir(parents=True)
    one.interpreter.write_text("")
    assert store.find("one") is None and store.find_all() == []
    one.save()
    assert store.find("one") == one and store.find_all() == [one]
    (one.folder / "made.json").write_text("{")
    assert store.find("one") is None
    one.save()
    one.interpreter.unlink()
    assert store.find("one") is None
    assert store.remove("one") and not one.folder.exists()
    assert not store.remove("one") and not store.remove("") and not store.remove("../x")


def test_lines_of_another_python_stand_apart() -> None:
    """A pin for another Python does not join one without; a bare name keeps its line's."""
    lines, _ = merge(
        new_cell(), [(pin("a==1"), ""), (pin("b==1", "--python", "3.8"), ""), (pin("c==1"), "")]
    )
    texts = [line.text for line in lines if line.step]
    assert sorted(texts) == ["%pin a==1 c==1", "%pin b==1 --python 3.8"]
    step = parse(["torch==1.5", "--python", "3.8"])
    assert step is not None and render_step(step) == "%pin torch==1.5 --python 3.8"
    assert step.parts() == (step,)


def test_a_line_for_another_python_does_not_hold_here(tmp_path: Path) -> None:
    """It differs, whatever is installed; for this Python it is judged as ever."""
    from colab_magics.core.host import Host

    host = Host(None, tmp_path)
    assert pin("pytest", "--python", "3.99").check(host).state == "differs"
    assert pin("pytest", "--python", interpreters.platform()).check(host).state == "ok"


@pytest.mark.parametrize(
    ("version", "lists"), [("3.8", False), ("3.10.14", False), ("3.11", True), ("3.12.1", True)]
)
def test_on_colab_past_runtimes_are_named_for_what_they_have(version: str, lists: bool) -> None:
    """They go back to Python 3.11; what runs there with any Python is named in each case."""
    for vscode, menu in ((False, "Runtime version"), (True, "New Colab Server")):
        host = cast(Host, SimpleNamespace(vscode=vscode))
        advice = interpreters.on_colab(host, version)
        assert (menu in advice) == lists
        assert f"colab-magics run NOTEBOOK --python {version}" in advice
