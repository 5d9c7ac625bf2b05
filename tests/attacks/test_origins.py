"""A wheel that says of itself where it came from: nobody has named that address."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable

import pytest
from doubles.index import make_wheel
from doubles.watched import Watched, watch
from integration.test_install import Notebook, make, serve, wheels

__all__ = ["make", "serve", "wheels"]

COMMIT = "0" * 40
SHIPPED = {
    "a repository": {"url": "{at}/evil.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
    "a need of its own": {
        "url": "{at}/evil.git",
        "vcs_info": {"vcs": "git", "commit_id": COMMIT},
    },
    "an archive": {"url": "{at}/evil-1.0.tar.gz", "archive_info": {}},
    "a folder": {"url": "file:///evil", "dir_info": {"editable": True}},
    "no object": [1, 2],
    "no JSON": "{not json",
    "a clone without a commit": {"url": "{at}/evil.git", "vcs_info": {"vcs": "git"}},
}


@pytest.mark.parametrize("pip", [False, True], ids=["uv", "pip"])
@pytest.mark.parametrize("kind", list(SHIPPED))
def test_an_address_in_a_wheel(
    kind: str,
    pip: bool,
    make: Callable[..., Notebook],
    serve: Callable[..., Watched],
    tmp_path: Path,
) -> None:
    """The version is recorded, the address neither recorded nor asked; the next pin works."""
    if pip and kind not in ("a repository", "no JSON"):
        pytest.skip("elsewhere: with uv")
    with watch(tmp_path / "evil") as evil:
        shipped = SHIPPED[kind]
        text = shipped if isinstance(shipped, str) else json.dumps(shipped)
        text = text.replace("{at}", evil.url.rsplit("/simple", 1)[0])
        files = {"tinyevil.py": "", "tinyevil-1.0.dist-info/direct_url.json": text}
        folder = tmp_path / "wheels"
        own = [f"tinyevil @ git+{evil.url}evil.git ; extra == 'never'"]
        make_wheel(folder, "tinyevil", "1.0", files, own if "of its own" in kind else ())
        make_wheel(folder, "tinypkg", "1.0")
        index = serve(folder)
        notebook = make(PIP_INDEX_URL=index.url)
        if pip:
            notebook.forces_pip()
        notebook.child("%pin tinyevil")
        assert notebook.child.attempt("").steps == ["%pin tinyevil==1.0"]
        notebook.child("%pin tinyevil tinypkg")
        assert notebook.child.attempt("").steps == ["%pin tinyevil==1.0 tinypkg==1.0"]
        assert evil.asked == []
