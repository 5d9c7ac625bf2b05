"""``%session`` in a shell without a server: what it shows, and what it refuses."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any, Dict

import doubles
import pytest
from support.cells import Cells


def rows(text: str) -> Dict[str, str]:
    """What is shown, by its first column."""
    lines = (line.split("  ", 1) for line in text.split("\n"))
    return {line[0].strip(): line[1].strip() for line in lines if len(line) == 2}


def test_it_shows_the_machine_and_the_kernel(run: Cells) -> None:
    """Host, front end, Python, times, memory and disk are there; no limit where there is none."""
    state = rows(run("%session"))
    assert state["front end"] == "none: IPython in a terminal"
    assert state["Python"] == platform.python_version()
    assert state["kernel"].startswith("up for ") and state["machine"].startswith("up for ")
    assert "used" in state["memory"] and "used" in state["disk here"]
    assert "time left" not in state


def test_as_json_it_has_units(run: Cells) -> None:
    """Seconds and bytes, in agreement with the system."""
    import psutil

    before = time.time()
    state = json.loads(run("%session --json"))
    for name, pid in (("kernel_seconds", os.getpid()), ("machine_seconds", 1)):
        born = psutil.Process(pid).create_time()
        assert before - born - 1 < state[name] < time.time() - born + 1
    assert 0 < state["kernel_memory"] < state["memory"]["total"] <= psutil.virtual_memory().total
    assert state["disks"][0]["total"] == psutil.disk_usage(os.getcwd()).total
    assert state["limit_seconds"] is state["left_seconds"] is None
    returned = run("state = %session -q -o\nprint(state['host'])")
    assert returned == state["host"]


def test_what_is_left_is_a_bar(run: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit its rest is shown, as text and as a bar; over is said as such."""
    monkeypatch.setenv("COLAB_MAGICS_SESSION_HOURS", "1e6")
    assert "[##########]" in rows(run("%session"))["time left"]
    monkeypatch.setenv("COLAB_MAGICS_SESSION_HOURS", "0.001")
    assert rows(run("%session"))["time left"].endswith("are over")


def test_a_host_is_known_by_its_variables(run: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Colab it says so, with its 12 hours."""
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    state = rows(run("%session"))
    assert state["host"] == "Colab"
    assert "of 12 h" in state["time left"] or state["time left"].endswith("12 h are over")


NO_SERVER = "%session: no Jupyter server of this machine started this kernel."
WHICH = "%session stop: which kernels?"


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("list", "no-server", NO_SERVER),
        ("stop nb.ipynb", "no-server", NO_SERVER),
        ("stop", "no-kernels", WHICH),
        ("stop nb.ipynb --idle 2h", "no-kernels", WHICH),
        ("stop --idle soon", "not-a-time", "soon is not a time."),
        (
            "restart",
            "no-server",
            "%session restart: no Jupyter server started this kernel.",
        ),
        ("end", "not-colab", "%session end: only a machine of Colab can be given back."),
        (
            "lst",
            "unknown-command",
            "%session has no command lst. Did you mean list?",
        ),
        (
            "stop --idel 2h",
            "unknown-option",
            "%session stop has no option --idel. Did you mean --idle?",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(
    run: Cells, nothing_starts: None, line: str, code: str, text: str
) -> None:
    """One line has the state, one the next action; nothing is done."""
    error = refusal(run, line)
    assert error.code == code
    assert str(error).split("\n")[0] == text and len(str(error).split("\n")) == 2


def refusal(run: Cells, line: str) -> Any:
    """The ``UsageError`` of a line."""
    error = run.attempt(f"%session {line}").error
    assert type(error).__name__ == "UsageError"
    return error


def test_a_limit_that_is_none_is_said(run: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is named; other cells run as if there were none."""
    monkeypatch.setenv("COLAB_MAGICS_SESSION_HOURS", "often")
    assert "COLAB_MAGICS_SESSION_HOURS=often" in run.attempt("%session").shown
    assert run("1 + 1\nprint('fine')") == "fine"


@pytest.fixture
def colab(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of Colab."""
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    monkeypatch.syspath_prepend(str(Path(doubles.__file__).parent / "google_colab"))
    for name in [name for name in sys.modules if name.split(".")[0] == "google"]:
        monkeypatch.delitem(sys.modules, name)


def test_a_machine_of_colab_is_given_back_when_it_is_said(run: Cells, colab: None) -> None:
    """Nobody is here to be asked, so that only ``--yes`` does it."""
    assert refusal(run, "end").code == "no-yes"
    from google.colab import runtime  # type: ignore[attr-defined]

    assert runtime.CALLS == []
    assert run("%session end --yes") == "The machine is given back"
    assert runtime.CALLS == ["unassign"]


def test_a_machine_that_is_not_given_back_is_said(
    run: Cells, colab: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Colab refuses, one line says so with its reason, and none that it was done."""
    from google.colab import runtime  # type: ignore[attr-defined]

    def refuse() -> None:
        raise RuntimeError("no such assignment")

    monkeypatch.setattr(runtime, "unassign", refuse)
    reply = run.attempt("%session end --yes")
    assert "was not given back: no such assignment" in reply.shown
    assert "is given back" not in reply.shown and "Disconnect and delete" in reply.shown


def test_another_python_on_colab_cannot_give_the_machine_back(
    run: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where google.colab cannot be imported, the menu is named, and nobody is asked before."""
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    monkeypatch.setitem(sys.modules, "google.colab", None)
    error = refusal(run, "end")
    assert error.code == "no-colab"
    assert "Runtime > Disconnect and delete runtime" in str(error)


def test_nothing_is_recorded(run: Cells) -> None:
    """It is no step of the setup cell."""
    run("%session")
    assert run.steps() == []
