"""``colab-magics verify``: setup cells in fresh environments, made by the real uv."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List
from xml.etree import ElementTree

import pytest
from doubles.index import make_wheel, serve
from support.machine import Machine
from support.notebooks import MARKER, notebook, state

from colab_magics.run.verification import Stage, Verified, junit, make_badge, status_of_all

pytestmark = pytest.mark.once

HEAD = f"{MARKER}\n%reload_ext colab_magics\n"
GOOD = HEAD + "%pin tinypkg==1.0\n%env_persist GREETING=hello\n%cd_persist work --make"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An index with a tiny package, beside the one that the kernel comes from."""
    folder = tmp_path_factory.mktemp("wheels")
    make_wheel(folder, "tinypkg", "1.0")
    with serve(folder) as url:
        yield url


@pytest.fixture
def machine(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, index: str) -> Machine:
    """A machine whose installers know both."""
    made = Machine.make(tmp_path / "environment", tmp_path / "home", index)
    made.variables.update(PIP_EXTRA_INDEX_URL=made.variables.pop("PIP_INDEX_URL"))
    made.variables["UV_CACHE_DIR"] = str(tmp_path_factory.getbasetemp() / "uv")
    return made


def stages(result: Dict[str, Any]) -> List[str]:
    """The state of each stage: environment, setup, check, again, run."""
    return [stage["state"] for stage in result["stages"]]


def test_what_comes_back_and_what_does_not(machine: Machine, tmp_path: Path) -> None:
    """Each by its stage and code, several at once, in their order; the notebooks keep their bytes.

    Nothing of the environments is left, and the machine's own has none of the packages.
    """
    folder = tmp_path / "notebooks"
    good = notebook(folder / "good.ipynb", GOOD, "import tinypkg; assert tinypkg.__version__")
    missing = notebook(folder / "missing.ipynb", HEAD + "%pin tinypkg==3.0")
    bare = notebook(folder / "bare.ipynb", "1")
    before, installed = state(folder), machine.installed()
    xml, badge = folder.parent / "result.xml", folder.parent / "badge.json"
    done = machine.cli(
        *("verify", "--run", "--json", "-j", "2", "--junit", xml, "--badge", badge),
        *(good, missing, bare),
        cwd=folder.parent,
    )
    assert done.returncode == 1, done.stderr + done.stdout
    found = json.loads(done.stdout)
    assert (found["schema"], found["status"]) == (1, 1)
    first, second, third = found["notebooks"]
    assert [x["notebook"] for x in (first, second, third)] == [str(good), str(missing), str(bare)]
    assert stages(first) == ["ok"] * 5 and first["status"] == 0, first
    assert stages(second) == ["ok", "failed", "skipped", "skipped", "skipped"]
    assert second["stages"][1]["code"] == "no-such-version"
    assert third["stages"][0]["code"] == "no-setup-cell"
    assert state(folder) == before and machine.installed() == installed
    assert list((machine.home / "tmp").glob("colab-magics-*")) == []
    cases = ElementTree.parse(xml).getroot().findall("testsuite/testcase")
    assert (
        len(cases) == 15 and len([case for case in cases if case.find("failure") is not None]) == 2
    )
    assert json.loads(badge.read_text())["color"] == "red"


@pytest.mark.long
def test_a_second_run_changes_nothing(machine: Machine, tmp_path: Path) -> None:
    """A line that does not hold after its own run fails the check and the second run."""
    own = HEAD + "%env_persist A=1\nimport os\nos.environ['A'] = '2'"
    path = notebook(tmp_path / "notebooks" / "nb.ipynb", own)
    done = machine.cli("verify", "--json", path)
    (result,) = json.loads(done.stdout)["notebooks"]
    assert stages(result) == ["ok", "ok", "failed", "failed", "skipped"], result
    assert [stage["code"] for stage in result["stages"][2:4]] == ["setup-differs", "setup-repeats"]
    assert done.returncode == 3


def _verified(*states: str, status: int = 0, code: str = "", message: str = "") -> Verified:
    done: List[Any] = [Stage(str(at), x, 1.5, code, message) for at, x in enumerate(states)]  # type: ignore[arg-type]
    return Verified("a\ud800.ipynb", "3.13", status, tuple(done))


def test_junit_holds_every_text() -> None:
    """What no XML can hold is replaced; a failure has its code, a skipped stage is one."""
    bad = _verified("failed", "skipped", "unknown", status=1, code="c", message="<\x00\x1b&\udc80>")
    root = ElementTree.fromstring(junit([bad]))
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None and failure.get("type") == "c"
    assert suite.find("testcase/skipped") is not None


def test_the_status_of_several() -> None:
    """That of those that failed; 1 where they failed in different ways; unknown counts least."""
    for statuses, status in (((0, 0), 0), ((0, 3), 3), ((3, 4), 1), ((0, 6), 6), ((6, 3), 3)):
        assert status_of_all([_verified("ok", status=each) for each in statuses]) == status


def test_the_badge_has_the_form_of_shields(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of its endpoint; where it ran, and whether it came back, by its colour."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    badge = make_badge([_verified("ok")])
    assert badge.keys() == {"schemaVersion", "label", "message", "color"}
    assert badge["schemaVersion"] == 1 and "GitHub Actions" in badge["message"]
    colours = [make_badge([_verified("ok", status=status)])["color"] for status in (0, 6, 3)]
    assert colours == ["brightgreen", "yellow", "red"]


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGTERM")
def test_a_signal_ends_all_of_it(machine: Machine, tmp_path: Path) -> None:
    """With 130; the processes of the notebooks end too, and nothing of theirs is left."""
    flag = tmp_path / "begun"
    sleeping = f"{MARKER}\nopen({str(flag)!r}, 'w').close()\nimport time\ntime.sleep(600)"
    paths = [notebook(tmp_path / f"{name}.ipynb", sleeping) for name in "ab"]
    process = subprocess.Popen(
        [machine.python, "-m", "colab_magics", "verify", "-j", "1", *paths],
        env=machine.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not flag.exists():
        with pytest.raises(subprocess.TimeoutExpired):  # it is still there
            process.wait(timeout=0.1)
    process.terminate()
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors) == (130, "", "interrupted\n")
    assert list((machine.home / "tmp").glob("colab-magics-*")) == []
