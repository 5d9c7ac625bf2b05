"""Two notebooks that pin into one environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.front_end import started
from support.machine import Machine
from support.notebooks import notebook

pytestmark = pytest.mark.once

LOAD = "%load_ext colab_magics"


def pinned(machine: Machine, path: Path, *lines: str) -> str:
    """What the notebook at a path shows when it pins in a fresh kernel."""
    machine.variables["JPY_SESSION_NAME"] = str(path)
    with started(machine, path.parent) as kernel:
        page, shown = kernel.page(), []
        for line in (LOAD, *lines):
            shown.append(page.run(line, metadata={"cellId": "cell-0"}).text)
    return "\n".join(shown)


def test_the_other_one_is_named_when_its_line_is_overruled(machine: Machine, folder: Path) -> None:
    """By its name and its line, with the installation that overrules it, and at no other time."""
    one, other = (notebook(folder / f"{name}.ipynb", LOAD) for name in ("one", "other"))
    assert "one.ipynb" not in pinned(machine, one, "%pin tinypkg==1.0", "%pin tinypkg==2.0")
    assert "one.ipynb" not in pinned(machine, other, "%pin tinyother==1.0", "%pin tinypkg==2.0")
    shown = pinned(machine, other, "%pin tinypkg==1.0", "%pin tinypkg==1.0")
    (line,) = [x for x in shown.split("\n") if "one.ipynb" in x]
    assert "%pin tinypkg==2.0" in line
    one.unlink()
    assert "one.ipynb" not in pinned(machine, other, "%pin tinypkg==2.0", "%pin tinypkg==1.0")
