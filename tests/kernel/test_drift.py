"""Installing past %pin: what the setup cell does not know is said, once."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator

import pytest
from support.front_end import Page, started
from support.machine import Machine

LOAD = "%load_ext colab_magics"


@pytest.fixture
def page(machine: Machine, folder: Path) -> Iterator[Page]:
    """A notebook whose kernel has the extension loaded, and tinypkg 1.0 pinned."""
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(LOAD + "\n%pin tinypkg==1.0")
        yield page


@pytest.fixture
def install(machine: Machine) -> Callable[[str], str]:
    """A cell that installs something as people do it without us."""
    index = machine.variables["PIP_INDEX_URL"]
    start = f"!uv pip install -q --python {machine.python} --default-index {index} "
    return lambda what: start + what


def test_a_pin_that_has_drifted_is_named_once(page: Page, install: Callable[[str], str]) -> None:
    """After !pip install of another version one line says both versions and how to keep it."""
    shown = page.ok(install("tinypkg==2.0")).text
    assert "tinypkg is now 2.0; the setup cell says 1.0. To keep 2.0: %pin tinypkg" in shown
    page.ok(install("tinypkg==1.0"))
    assert "is now" not in page.ok(install("tinypkg==2.0")).text
    page.ok("%pin tinypkg")
    assert "%pin tinypkg==2.0" in page.ok("%setup").text


def test_a_package_that_is_not_recorded_is_named_once(
    page: Page, install: Callable[[str], str]
) -> None:
    """What a cell installs by its name, and nothing pins, is said; what is there already is not."""
    said = "tinyother 1.0 is not in the setup cell yet. To add it: %pin tinyother"
    assert said in page.ok(install("tinyother==1.0")).text
    assert "tinyother" not in page.ok(install("tinyother==1.0")).text


def test_nothing_is_said_where_nothing_is_to_be_remembered(
    page: Page, install: Callable[[str], str]
) -> None:
    """With recording off, people install as they like."""
    page.ok("%setup auto off")
    assert "Keep" not in page.ok(install("tinyother==2.0")).text


def test_what_was_loaded_before_it_drifted_needs_a_restart(
    page: Page, install: Callable[[str], str]
) -> None:
    """A version that was changed under a loaded module is not called fine by %pin."""
    page.ok("import tinypkg")
    page.ok(install("tinypkg==2.0"))
    answer = page.run("%pin tinypkg")
    assert answer.reply["ename"] == "RestartRequired", answer.text


@pytest.mark.parametrize("code", ["print('pip install tinypkg')", "x = 'how to install'", "1"])
def test_a_cell_that_installs_nothing_says_nothing(page: Page, code: str) -> None:
    """Text that looks like it, and other cells, are left in peace."""
    assert "Keep" not in page.ok(code).text
