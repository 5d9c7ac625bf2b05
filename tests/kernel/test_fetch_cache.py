"""A machine is wiped, and its files come from the drive: the web is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from doubles.files_server import Server
from support.front_end import started
from support.notebooks import notebook, setup_text

from .conftest import MakeMachine

pytestmark = pytest.mark.once


def test_the_setup_cell_copies_from_the_drive(make_machine: MakeMachine, folder: Path) -> None:
    """In a new home with the same drive; the cell says which way it took."""
    (folder / "lasting").mkdir()
    with Server() as server:
        url = server.put("/data.bin", b"1" * 1000)
        path = notebook(
            folder / "nb.ipynb",
            "%load_ext colab_magics",
            "%drive mount ~/drive --from lasting",
            f"%fetch {url} ~/data/ --cache drive:cache",
            kernelspec={"name": "python3", "display_name": "Python 3"},
        )
        done = make_machine().cli("run", path)
        assert done.returncode == 0, done.stderr
        assert server.paths() == ["/data.bin"]
    text = setup_text(path)
    assert text is not None and "--cache drive:cache" in text
    wiped = make_machine()
    with started(wiped, folder) as kernel:
        answer = kernel.page().ok(text)
        assert "data.bin copied from drive:cache" in answer.text
    assert (wiped.home / "data/data.bin").read_bytes() == b"1" * 1000
