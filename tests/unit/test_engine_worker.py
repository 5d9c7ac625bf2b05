"""What a worker does with its job, in this process; and what is read of its answer."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from doubles.index import make_wheel, serve

from colab_magics.core.host import Host
from colab_magics.core.redact import register_secret
from colab_magics.engines import worker
from colab_magics.engines.engine import Applied, Result
from colab_magics.engines.job import APPLY, Job, make_space, pack
from colab_magics.record.cell import parse
from colab_magics.setup.magic_check import Recorded
from colab_magics.setup.magic_recipe import make_recipe

pytestmark = pytest.mark.once

CANARY = "canary-3f9a2b71"


def make_job(text: str) -> Job:
    """The job of the lines of a setup cell."""
    job = Job(make_recipe("notebook", parse(text), Recorded(), Host(start=Path.cwd())))
    job.export()
    return job


def apply(text: str, **changes: Any) -> Any:
    """What a worker comes to that installs nothing, evaluated as it is sent."""
    data = make_job(text).data(installs=False, **changes)
    return eval(APPLY, make_space(data))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the worker; its variables are put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return tmp_path


def test_a_worker_needs_nothing_of_ours() -> None:
    """What it is sent runs where neither we nor any package can be imported."""
    space = make_space(make_job("%env_persist MODE=fast").data())
    code = f"import sys; print(eval({APPLY!r}, {space!r})['state'], 'colab_magics' in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["holds", "False"], "")


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("pytest", "holds"),
        ("pytest>=7", "holds"),
        ("pytest==0.1", "differs"),
        ("no-such-package-here", "differs"),
        ("no-such-package-here ; python_version < '3'", "holds"),
        ("jupyter-client[no-such-extra]", "holds"),
        ("pytest @ git+https://host.example/x/pytest@v1", "differs"),
    ],
)
def test_a_requirement_is_judged_like_an_installer_does(line: str, state: str) -> None:
    """By version, marker, extras and origin; nothing is started."""
    result = apply(f"%pin '{line}'")
    assert (result["state"], result["changed"]) == (state, [])
    assert result["code"] == ("" if state == "holds" else "not-installed")


def test_another_version_that_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that has imported another version than the installed one is to be restarted."""
    old = types.SimpleNamespace(__version__="0.1")
    monkeypatch.setitem(sys.modules, "pytest", old)  # type: ignore[arg-type]
    result = worker.apply(make_job("%pin pytest").data())
    assert (result["state"], result["code"]) == ("differs", "restart")


def test_files(folder: Path) -> None:
    """One that is missing is fetched and verified; one that is there is never replaced."""
    data = make_wheel(folder / "wheels", "tinypkg", "1.0").read_bytes()
    good, bad = hashlib.sha256(data).hexdigest(), "0" * 64
    with serve(folder / "wheels") as index:
        url = f"{index.replace('/simple/', '')}/files/tinypkg-1.0-py3-none-any.whl"
        wrong = apply(f"%fetch {url} a/x.whl --sha256 {bad}")
        assert (wrong["state"], wrong["code"], [*folder.glob("a/*")]) == ("failed", "hash", [])
        gone = apply(f"%fetch {url}.gone a/x.whl")
        assert (gone["state"], gone["code"], [*folder.glob("a/*")]) == ("failed", "download", [])
        done = apply(f"%fetch {url} a/x.whl --sha256 {good}")
        assert (done["state"], done["changed"]) == ("holds", ["a/x.whl"])
    assert apply(f"%fetch {url} a/x.whl --sha256 {good}")["changed"] == []
    (folder / "a" / "x.whl").write_text("mine")
    other = apply(f"%fetch {url} a/x.whl --sha256 {good}")
    assert (other["state"], other["code"]) == ("differs", "file")
    assert (folder / "a" / "x.whl").read_text() == "mine"


def test_secrets(folder: Path) -> None:
    """Set by name; the answer has no value; where they cannot be passed, the worker differs."""
    away = apply("%secret HF_TOKEN", secret_file=str(folder / "of another machine"))
    assert (away["state"], away["code"]) == ("differs", "secret")
    secrets = pack({"HF_TOKEN": CANARY})
    assert CANARY.encode() not in secrets
    done = apply("%secret HF_TOKEN", secrets=secrets)
    assert (done["state"], done["changed"], os.environ["HF_TOKEN"]) == (
        "holds",
        ["HF_TOKEN"],
        CANARY,
    )
    assert CANARY not in repr(done)


def test_gpus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's program names them; those that the process may not use do not count."""
    program = folder / "nvidia-smi"
    program.write_text('#!/bin/sh\necho Tesla T4\n[ -n "$3" ] || echo NVIDIA A100-SXM4-40GB\n')
    program.chmod(0o755)
    os.environ.update(PATH=f"{folder}{os.pathsep}{os.environ['PATH']}")
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    monkeypatch.setenv("PATH", os.environ["PATH"])
    assert apply("%gpu require A100")["gpu"] == "Tesla T4, NVIDIA A100-SXM4-40GB"
    assert apply("%gpu require --count 2")["state"] == "holds"
    assert apply("%gpu require H100")["code"] == "gpu"
    os.environ["CUDA_VISIBLE_DEVICES"] = "0"
    assert (apply("%gpu require A100")["code"], apply("")["gpu"]) == ("gpu", "Tesla T4")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    assert apply("%gpu require")["state"] == "differs"
    assert apply("%gpu require", all_gpus=True)["state"] == "holds"


def test_what_workers_are_not_given() -> None:
    """Each such line by its code; the others are in the job."""
    job = make_job("%pin -e ./mine\n%pin humanize --constraint c.txt\n%apt ffmpeg\n%pin numpy")
    assert [x.code for x in job.omissions] == ["folder", "option", "not-held"]
    assert [x["requirements"] for x in job.data()["pins"]] == [["numpy"]]


def test_an_answer_may_be_anything() -> None:
    """It is read strictly, without secrets and controls; what is no answer has failed."""
    for answer in (None, ValueError(CANARY), {"state": "fine"}, {"state": ["holds"]}, []):
        result = Result.read("w", answer)
        assert (result.state, result.code) == ("failed", "no-answer")
        assert CANARY not in repr(result)
    register_secret(CANARY)
    odd = Result.read("w\x1b[31m", {"state": "failed", "details": CANARY * 2, "changed": [CANARY]})
    assert CANARY not in repr(odd) and "\x1b" not in odd.worker
    states = [Result(x, x) for x in ("holds", "differs")]  # type: ignore[arg-type]
    error: Any = Applied("Dask", tuple(states)).error()
    assert (error.code, error.lines) == ("workers-differ", ("differs",))
