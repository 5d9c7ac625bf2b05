"""%pin freeze: what is in use here becomes lines that bring it back."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, List

import pytest
from support.front_end import Page, started
from support.machine import Machine

#: What is installed and undone is the same under every IPython.
pytestmark = pytest.mark.once

LOAD = "%load_ext colab_magics"


@pytest.fixture
def page(machine: Machine, folder: Path) -> Iterator[Page]:
    """A kernel with two packages installed, of which one is imported."""
    machine.install("tinypkg==1.0", "tinyother==2.0")
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(LOAD + "\nimport tinypkg")
        yield page


def pinned(page: Page) -> List[str]:
    """The words of the pins that are remembered."""
    lines = page.ok("%setup write").payload[0]["text"].replace("\\\n", " ").split("\n")
    return " ".join(line for line in lines if line.startswith("%pin")).split()[1:]


def test_what_is_imported_is_pinned_at_its_version(page: Page) -> None:
    """Only what the notebook has imported: not the kernel's machinery, nor what is unused."""
    shown = page.ok("%pin freeze").text
    assert "already installed" in shown
    assert pinned(page) == ["tinypkg==1.0"]
    page.ok("import tinyother\n%pin freeze")
    assert sorted(pinned(page)) == ["tinyother==2.0", "tinypkg==1.0"]


def test_all_is_everything_but_the_kernel(page: Page) -> None:
    """With --all what is not imported too; never what runs the kernel, nor this package."""
    page.ok("%pin freeze --all")
    names = {word.split("==")[0].split("[")[0] for word in pinned(page)}
    assert {"tinypkg", "tinyother"} <= names
    assert not names & {"ipykernel", "ipython", "pyzmq", "colab-magics", "pip"}


def test_a_folder_of_this_machine_is_left_out_and_named(
    page: Page, machine: Machine, folder: Path
) -> None:
    """What was installed from a folder cannot come back from an index, and is said."""
    site = next(machine.python.parent.parent.rglob("site-packages"))
    info = site / "localpkg-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: localpkg\nVersion: 1.0\n")
    (info / "RECORD").write_text("localpkg.py,,\n")
    (info / "direct_url.json").write_text('{"url": "file://' + str(folder) + '", "dir_info": {}}')
    (site / "localpkg.py").write_text("")
    shown = page.ok("import localpkg\n%pin freeze").text
    assert "Left out, installed from a folder of this machine: localpkg" in shown
    assert pinned(page) == ["tinypkg==1.0"]


def test_nothing_imported_is_said(machine: Machine, folder: Path) -> None:
    """A kernel that has imported nothing yet has nothing to freeze."""
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(LOAD)
        answer = page.run("%pin freeze")
    assert answer.reply["ename"] == "UsageError"
    assert "--all" in str(answer.reply["evalue"])
