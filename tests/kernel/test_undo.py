"""%pin undo in a kernel, and %pin freeze on the next machine."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List

import pytest
from support.front_end import Page, started
from support.machine import Machine

from .conftest import MakeMachine

#: What is installed and undone is the same under every IPython.
pytestmark = pytest.mark.once

LOAD = "%load_ext colab_magics"


@pytest.fixture
def page(machine: Machine, folder: Path) -> Iterator[Page]:
    """A notebook on a fresh machine, with the extension loaded."""
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(LOAD)
        yield page


def written(page: Page) -> str:
    """The text of the setup cell that would be written."""
    payload = page.run("%setup write").payload
    return str(payload[0]["text"]).replace("\\\n    ", "") if payload else ""


def pins(page: Page) -> List[str]:
    """The lines of pins in it."""
    return [line for line in written(page).split("\n") if line.startswith("%pin")]


def tiny(machine: Machine) -> Dict[str, str]:
    """What is installed of the index: name → version."""
    found = [one[: -len(".dist-info")] for one in machine.installed() if one.startswith("tiny")]
    return dict(one.split("-", 1) for one in found)


def test_the_version_and_the_line_from_before(page: Page, machine: Machine) -> None:
    """1.0, then 2.0, undone: 1.0 is installed, and its line stands; then there is nothing left."""
    page.ok("%pin tinypkg==1.0")
    page.ok("%pin tinypkg==2.0")
    assert "tinypkg 2.0 -> 1.0" in page.ok("%pin undo").text
    assert tiny(machine) == {"tinypkg": "1.0"}
    assert "There is nothing to undo." in page.ok("%pin undo").text
    assert tiny(machine) == {"tinypkg": "1.0"}
    assert pins(page) == ["%pin tinypkg==1.0"]


def test_a_first_pin_undone(page: Page, machine: Machine) -> None:
    """What was new is removed, its line goes, and other lines stay."""
    page.ok("%pin tinyother==1.0")
    page.ok("%pin tinypkg==1.0")
    assert "tinypkg 1.0 removed" in page.ok("%pin undo").text
    assert tiny(machine) == {"tinyother": "1.0"}
    assert pins(page) == ["%pin tinyother==1.0"]


def test_options_come_back_with_the_line(page: Page, machine: Machine) -> None:
    """A line that stood with other options is put back with them."""
    page.ok("%pin tinypkg==1.0 --pre")
    page.ok("%pin tinypkg==2.0 --no-deps")
    page.ok("%pin undo")
    assert pins(page) == ["%pin tinypkg==1.0 --pre"]


def test_what_is_loaded_asks_for_a_restart(page: Page, machine: Machine) -> None:
    """It is undone, then said that the kernel still has the newer version loaded."""
    page.ok("%pin tinypkg==1.0")
    page.ok("%pin tinypkg==2.0")
    page.ok("import tinypkg")
    answer = page.run("%pin undo")
    assert answer.reply["ename"] == "RestartRequired"
    assert tiny(machine) == {"tinypkg": "1.0"}
    assert pins(page) == ["%pin tinypkg==1.0"]


def test_what_is_removed_while_loaded(page: Page, machine: Machine) -> None:
    """A package that is gone and still loaded asks for a restart too."""
    page.ok("%pin tinypkg==1.0")
    page.ok("import tinypkg")
    answer = page.run("%pin undo")
    assert answer.reply["ename"] == "RestartRequired"
    assert "tinypkg is removed; this kernel still uses 1.0." in answer.text
    assert tiny(machine) == {}


def test_a_line_that_was_edited_stays(page: Page, machine: Machine) -> None:
    """What a person has written in the meantime is theirs."""
    page.ok("%pin tinypkg==1.0")
    page.ok("%pin tinypkg==2.0")
    edited = written(page).replace("tinypkg==2.0", "tinypkg>=1.5")
    page.ok(edited)
    assert "Setup cell" not in page.ok("%pin undo").text
    assert tiny(machine) == {"tinypkg": "1.0"}
    page.ok("%pin tinyother==1.0")
    (put,) = page.ok(edited).payload  # as the front end sends it, still the edited one
    assert put["text"].split("\n")[-1] == "%pin tinypkg>=1.5 tinyother==1.0"


def test_a_cell_that_cannot_be_written_is_said(page: Page, machine: Machine) -> None:
    """Where the line stands in a notebook that the kernel cannot write, a person is told."""
    page.ok("%pin tinypkg==1.0")
    page.ok(written(page))
    shown = page.ok("%pin undo").text
    assert "tinypkg 1.0 removed" in shown
    assert "Setup cell: it cannot be written from here. Change its line by hand" in shown


def test_changed_again_since_is_left(page: Page, machine: Machine) -> None:
    """A package that was changed past these magics since is left as it is now."""
    page.ok("%pin tinypkg==1.0 tinyother==1.0")
    machine.install("tinypkg==2.0")
    assert "tinyother 1.0 removed" in page.ok("%pin undo").text
    assert tiny(machine) == {"tinypkg": "2.0"}


def test_a_dry_run_only_says(page: Page, machine: Machine) -> None:
    """``--dry-run`` says what would be undone; it can be undone afterwards."""
    page.ok("%pin tinypkg==1.0")
    assert (
        "Nothing was changed. Would be undone: tinypkg 1.0 removed"
        in page.ok("%pin undo --dry-run").text
    )
    assert tiny(machine) == {"tinypkg": "1.0"}
    page.ok("%pin undo")
    assert tiny(machine) == {}


def test_undone_in_the_cell_of_the_pin(page: Page, machine: Machine) -> None:
    """What a cell pins and undoes leaves nothing behind, and no line."""
    page.ok("%pin tinyother==1.0\n%pin tinypkg==1.0\n%pin undo")
    assert tiny(machine) == {"tinyother": "1.0"}
    assert pins(page) == ["%pin tinyother==1.0"]


def test_what_was_changed_since_keeps_its_line(page: Page, machine: Machine) -> None:
    """A package that somebody removed after the pin is not put back, and its line stays."""
    page.ok("%pin tinypkg==1.0")
    page.ok("%pin tinypkg==2.0")
    machine.uninstall("tinypkg")
    assert "undone already" in page.ok("%pin undo").text
    assert tiny(machine) == {}
    assert pins(page) == ["%pin tinypkg==2.0"]


def test_undo_goes_on_where_it_is_told_to(page: Page, machine: Machine) -> None:
    """With ``--keep-going`` the cell goes on; with ``-q`` nothing is said of the packages."""
    page.ok("%pin tinypkg==1.0")
    page.ok("%pin tinypkg==2.0\nimport tinypkg")
    shown = page.ok("%pin undo --keep-going -q\nprint('on it goes')").text
    assert "this kernel still uses 2.0" in shown and "on it goes" in shown
    assert "2.0 -> 1.0" not in shown.replace("%pin tinypkg==2.0 -> %pin tinypkg==1.0", "")


def test_a_bare_name_changes_the_version_alone(page: Page, machine: Machine) -> None:
    """``%pin NAME``, and freeze, keep the options that its line was recorded with."""
    page.ok("%pin tinypkg==1.0 --pre")
    machine.install("tinypkg==2.0")
    page.ok("%pin tinypkg")
    assert pins(page) == ["%pin tinypkg==2.0 --pre"]
    machine.install("tinypkg==1.0")
    page.ok("import tinypkg\n%pin freeze")
    assert pins(page) == ["%pin tinypkg==1.0 --pre"]
    page.ok("%pin tinypkg==1.0")
    assert pins(page) == ["%pin tinypkg==1.0"]


def test_undo_takes_no_names(page: Page, machine: Machine) -> None:
    """``%pin undo NAME`` does not install a package of the name undo."""
    page.ok("%pin tinypkg==1.0")
    assert page.run("%pin undo tinypkg").reply["ename"] == "UsageError"
    assert tiny(machine) == {"tinypkg": "1.0"}


def test_what_was_frozen_comes_back(
    page: Page, machine: Machine, make_machine: MakeMachine, folder: Path
) -> None:
    """The lines of ``%pin freeze`` bring the same versions on a fresh machine."""
    machine.install("tinypkg==1.0", "tinyother==2.0")
    page.ok("import tinypkg, tinyother\n%pin freeze")
    lines = pins(page)
    fresh = make_machine()
    with started(fresh, folder) as kernel:
        other = kernel.page()
        other.ok(LOAD)
        for line in lines:
            other.ok(line)
        assert "2.0" in other.ok("import tinyother; print(tinyother.__version__)").text
    assert tiny(fresh) == tiny(machine) == {"tinypkg": "1.0", "tinyother": "2.0"}
