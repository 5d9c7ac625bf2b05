"""``setup doctor``: what it finds, what it hides, and that no probe ends it."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Dict

import pytest
from support.notebooks import MARKER, notebook, state

from colab_magics.cli import doctor
from colab_magics.core.errors import NotebookError
from colab_magics.setup import doctor as module
from colab_magics.setup.doctor import Diagnosis, Probe, diagnose, hide

pytestmark = pytest.mark.once

CANARY = "canary-0f9e8d7c"
#: A token of a form that services give out, in two parts so that no scanner takes it for one.
TOKEN = "hf_" + "a1B2" * 9


def _values(diagnosis: Diagnosis) -> Dict[str, str]:
    return {finding.name: finding.value for finding in diagnosis.findings}


def _shown(diagnosis: Diagnosis) -> str:
    report = diagnosis.report()
    return "\n".join((str(report), report.html(), json.dumps(diagnosis.as_json())))


def _fail() -> None:
    raise OSError(f"https://me:{CANARY}@host/simple is broken\nsecond line")


def test_a_probe_that_fails_shows_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """So does one that takes too long, or exits; those behind it are asked."""
    never = threading.Event()
    monkeypatch.setattr(module, "PROBE", 0.2)

    def leave() -> None:
        raise SystemExit(3)

    probes = [
        Probe("a", "fails", _fail),
        Probe("a", "hangs", never.wait),
        Probe("b", "exits", leave),
        Probe("b", "answers", lambda: 42),
        Probe("b", "has nothing", lambda: None),
    ]
    try:
        diagnosis = diagnose(probes)
    finally:
        never.set()
    states = [finding.state for finding in diagnosis.findings]
    assert states == ["failed", "failed", "failed", "ok", "ok"]
    values = _values(diagnosis)
    assert values["fails"].startswith("OSError: ") and "second" not in values["fails"]
    assert (values["answers"], values["has nothing"]) == ("42", "none")
    assert CANARY not in _shown(diagnosis)


@pytest.mark.parametrize(
    "name", ["MY_TOKEN", "AWS_SECRET_ACCESS_KEY", "UV_INDEX", "PIP_INDEX_URL", "https_proxy"]
)
def test_values_of_the_environment_are_hidden(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of secrets and of settings of indexes, wherever they turn up."""
    monkeypatch.setenv(name, f"https://host/{CANARY}")
    probe = Probe("a", "what", lambda: f"it said: https://host/{CANARY} is closed")
    diagnosis = diagnose([probe])
    assert _values(diagnosis)["what"] == "it said: **** is closed"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"https://me:{CANARY}@host/x", "https://****@host/x"),
        (f"the index says {CANARY}", "the index says ****"),
        (f"a token {TOKEN}", "**** (a token was in it)"),
        ("{home}/nb/.venv and {home}", "~/nb/.venv and ~"),
        ("{home}stead/x", "{home}stead/x"),
        ("two\nrows", "two rows"),
    ],
)
def test_what_is_hidden(text: str, shown: str, home: Path) -> None:
    """Logins, tokens and secrets; home is ``~``, where it is a whole folder; each in one row."""
    text, shown = (x.replace("{home}", str(home)) for x in (text, shown))
    assert hide(text, [CANARY]) == shown


def test_pip_s_settings_are_named_and_not_shown(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their names alone, from a file too."""
    config = home / "pip.conf"
    config.write_text(f"[global]\nextra-index-url = https://{CANARY}.example/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    diagnosis = doctor(None)
    assert "extra-index-url" in _values(diagnosis)["pip's settings"]
    assert CANARY not in _shown(diagnosis)


def test_a_notebook_on_disk(home: Path) -> None:
    """What a report needs of it, without its text and its name; nothing is changed."""
    lines = ("%pin six==1.0", "%pin a==1", f"x = '{CANARY}'", "%drive mount")
    cell = "\n".join((MARKER, "%reload_ext colab_magics", *lines))
    path = notebook(home / "private-name.ipynb", cell)
    before = state(home)
    diagnosis = doctor(path)
    assert state(home) == before
    assert _values(diagnosis)["lines"] == "pin 2, code 1, drive 1"
    text = _shown(diagnosis)
    assert CANARY not in text and "private-name" not in text and "six" not in text
    names = set(_values(diagnosis))
    assert {"colab_magics", "Python", "IPython", "ipykernel", "jupyterlab"} <= names
    assert {"host", "runs in", "uv", "pip", "rclone", "memory", "disk here", "GPU"} <= names
    (home / "broken.ipynb").write_text("{")
    assert {x.state for x in doctor(home / "broken.ipynb").findings} == {"ok", "failed"}
    with pytest.raises(NotebookError):
        doctor(home / "none.ipynb")


def test_no_code_of_this_folder_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's folder may have a module of any name."""
    folder = home / "theirs"
    folder.mkdir()
    for name in ("pip", "uv", "IPython", "jupyterlab"):
        (folder / f"{name}.py").write_text("open('ran', 'w').close()")
    monkeypatch.chdir(folder)
    doctor(None)
    assert not (folder / "ran").exists()
