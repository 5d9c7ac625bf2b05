"""``%github save`` in an open notebook: what stands on the page is saved, edits and all."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from doubles.github_api import TOKEN, GitHub
from support.kernels import register
from support.notebooks import source, whole
from support.window import LOAD, Server, until

from .conftest import EVERY, Open, on


@pytest.fixture
def github(server: Server) -> Iterator[GitHub]:
    """GitHub as a kernel of that server sees it."""
    found = GitHub()
    found.repo("me/work", README="x")
    env = {"GITHUB_API_URL": found.url, "GH_TOKEN": TOKEN}
    register("github", Path(sys.executable), server.data, env)
    yield found
    found.close()


@on("lab", long=EVERY)
def test_unsaved_edits_are_in_it(server: Server, github: GitHub, open_notebook: Open) -> None:
    """The page is asked; where it went is in the metadata on disk; a large one is saved first."""
    large = f"print('{'x' * 100}')"
    cells = (LOAD, "before = 1", "%github save me/work", "%github save", large)
    window = open_notebook(server, *cells, kernel="github")
    window.run(0, "")
    window.js("panel.content.model.sharedModel.cells[1].setSource('after = 2')")
    name = window.path.name
    shown = window.run(2, "saved to me/work, branch main")
    assert "Remembered in the notebook" in shown and "last saved" not in shown
    sent: Dict[str, Any] = json.loads(github.repos["me/work"].files()[name])
    assert [source(cell) for cell in sent["cells"]][1] == "after = 2"
    assert sent["cells"][2]["outputs"] == [] and "trusted" not in repr(sent)
    kept = {"github": f"repository=me/work&branch=main&path={name}"}
    until(lambda: whole(window.path)["metadata"].get("colab_magics") == kept, "it is on disk")
    assert sent["metadata"]["colab_magics"] == kept
    window.run(2, "nothing was sent")
    window.js("panel.content.model.sharedModel.cells[4].setSource(`y = '${'x'.repeat(4500000)}'`)")
    window.run(3, "saved to me/work, branch main")
    sent = json.loads(github.repos["me/work"].files()[name])
    assert len(source(sent["cells"][4])) > 4500000
    assert window.dialogs == 0 and "canary" not in window.path.read_text()
