"""The GitHub Action: the steps of action.yml, run as a runner of GitHub runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest
from doubles.index import make_wheel, serve
from support.notebooks import MARKER, notebook

from colab_magics.pin.uv import find_uv

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
#: In place of the program: prints what it is called with.
_FAKE = "#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n"


@pytest.fixture
def action() -> Dict[str, Any]:
    """What action.yml says."""
    yaml = pytest.importorskip("yaml")
    value: Dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    return value


@pytest.fixture
def runner(tmp_path: Path) -> Dict[str, str]:
    """The variables of a runner, with folders that are empty."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_", "PYTHON"))}
    kept.pop("VIRTUAL_ENV", None)
    for name in ("workspace", "temp"):
        (tmp_path / name).mkdir()
    return {**kept, "RUNNER_TEMP": str(tmp_path / "temp")}


def run_step(
    action: Dict[str, Any], at: int, runner: Dict[str, str], cwd: Path, **inputs: str
) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does: values of ``env`` are filled in, and the script is a file."""
    step = action["runs"]["steps"][at]
    values = {f"inputs.{k}": v.get("default", "") for k, v in action["inputs"].items()}
    values.update({f"inputs.{k}": v for k, v in inputs.items()})
    values["github.action_path"] = str(ROOT)
    env = dict(runner)
    for name, text in step["env"].items():
        env[name] = re.sub(r"\$\{\{ (\S+) \}\}", lambda x: values[x[1]], text)
    assert step["shell"] == "bash"
    script = Path(runner["RUNNER_TEMP"], "step.sh")
    script.write_text(step["run"])
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_no_input_is_a_part_of_a_script(action: Dict[str, Any]) -> None:
    """No script has ``${{ }}``, which is filled in before a shell reads it; each input is used."""
    steps = action["runs"]["steps"]
    assert all("${{" not in step["run"] and "uses" not in step for step in steps)
    used = {value for step in steps for value in step["env"].values()}
    assert {f"${{{{ inputs.{name} }}}}" for name in action["inputs"]} <= used


@pytest.mark.parametrize("program", ["uv", pytest.param("pip", marks=pytest.mark.long)])
def test_its_steps_verify_a_notebook(
    action: Dict[str, Any], runner: Dict[str, str], tmp_path: Path, program: str
) -> None:
    """Installed from its own checkout; what does not come back has its status, XML and badge."""
    make_wheel(tmp_path / "wheels", "tinypkg", "1.0")
    head = f"{MARKER}\n%reload_ext colab_magics\n"
    workspace = tmp_path / "workspace"
    notebook(workspace / "good one.ipynb", head + "%pin tinypkg==1.0", "import tinypkg")
    notebook(workspace / "bare.ipynb", "1")
    runner["UV_CACHE_DIR"] = str(tmp_path / "uv")
    folders = [folder for folder in os.get_exec_path() if not Path(folder, "uv").exists()]
    folders.insert(0, str(Path(str(find_uv())).parent if program == "uv" else stand_in(tmp_path)))
    runner["PATH"] = os.pathsep.join(folders)
    with serve(tmp_path / "wheels") as index:
        runner["UV_INDEX"] = index
        installed = run_step(action, 0, runner, workspace)
        assert installed.returncode == 0, installed.stderr
        inputs = {"run": "true", "junit": "result.xml", "badge": "badge.json"}
        good = run_step(action, 1, runner, workspace, notebooks="good one.ipynb", **inputs)
        assert good.returncode == 0, good.stdout + good.stderr
    assert json.loads((workspace / "badge.json").read_text())["color"] == "brightgreen"
    assert 'tests="5" failures="0"' in (workspace / "result.xml").read_text()
    bare = run_step(action, 1, runner, workspace, notebooks="bare.ipynb")
    assert bare.returncode == 1, bare.stdout + bare.stderr


def stand_in(folder: Path) -> Path:
    """A folder whose python3 is this Python."""
    place = folder / "bin"
    place.mkdir()
    (place / "python3").symlink_to(Path(sys.base_prefix, "bin", "python3"))
    return place


@pytest.fixture
def fake(runner: Dict[str, str]) -> Path:
    """A program in place of ours."""
    program = Path(runner["RUNNER_TEMP"], "colab-magics/bin/colab-magics")
    program.parent.mkdir(parents=True)
    program.write_text(_FAKE)
    program.chmod(0o755)
    return program


@pytest.mark.usefixtures("fake")
def test_an_input_is_never_a_command(
    action: Dict[str, Any], runner: Dict[str, str], tmp_path: Path
) -> None:
    """Each is one argument, exactly as it is; names are filled in, also with blanks in them."""
    workspace = tmp_path / "workspace"
    names = ["a b.ipynb", "$(touch x).ipynb", "--run", "deep/er/c[1].ipynb", "::error::d", "`e`"]
    for name in names:
        notebook(workspace / name)
    bad = '"; touch pwned; "$(touch pwned)`touch pwned`'
    inputs = {"jobs": bad, "junit": bad, "badge": "--json " + bad}
    lines = "\n".join([*names, "", "**/*.ipynb"])
    done = run_step(action, 1, runner, workspace, notebooks=lines, **inputs)
    assert done.returncode == 0, done.stderr
    options = [f"--jobs={bad}", f"--junit={bad}", f"--badge=--json {bad}"]
    glob = sorted(f"./{name}" for name in names if name.endswith(".ipynb"))
    words: List[str] = json.loads(done.stdout)
    assert words[: -len(glob)] == ["verify", *options, "--", *(f"./{name}" for name in names)]
    assert sorted(words[-len(glob) :]) == glob
    assert not (workspace / "pwned").exists() and not (workspace / "x").exists()


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("step", "inputs"),
    [
        (0, {"python": "3.11; touch pwned"}),
        (0, {"python": "./evil"}),
        (1, {"notebooks": "a.ipynb", "run": "yes"}),
        (1, {"notebooks": "missing*.ipynb"}),
    ],
)
def test_what_is_no_value_of_an_input_is_refused(
    action: Dict[str, Any], runner: Dict[str, str], tmp_path: Path, step: int, inputs: Any
) -> None:
    """Before anything is installed or run."""
    notebook(tmp_path / "workspace/a.ipynb")
    done = run_step(action, step, runner, tmp_path / "workspace", **inputs)
    assert (done.returncode, done.stdout) == (2, "")
    assert {path.name for path in (tmp_path / "workspace").iterdir()} == {"a.ipynb"}
