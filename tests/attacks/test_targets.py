"""Where a notebook goes that somebody else has written: not where only it says so."""

from __future__ import annotations

import builtins
import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Callable, Iterator, List
from urllib.parse import quote

import pytest
from doubles.github_api import TOKEN, GitHub
from doubles.users import NOBODY, root_only
from shell.conftest import bare, run
from support.cells import Cells
from support.notebooks import notebook

from colab_magics.core import errors
from colab_magics.github import contents, magic_save
from colab_magics.github.target import Target

__all__ = ["bare", "run"]

EVIL = "repository=evil/repo&branch=main&path=nb.ipynb"


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    """GitHub with a repository of the user's and one of somebody else's."""
    monkeypatch.setattr("colab_magics.core.redact._SECRETS", set())
    monkeypatch.setattr(contents, "_LAST", {})
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    monkeypatch.setenv("GH_TOKEN", TOKEN)
    found = GitHub()
    monkeypatch.setenv("GITHUB_API_URL", found.url)
    found.repo("me/work", README="x")
    found.repo("evil/repo", README="x")
    yield found
    found.close()


@pytest.fixture
def opened(run: Cells, monkeypatch: pytest.MonkeyPatch) -> Callable[..., List[str]]:
    """Open a notebook that names a target; ``answer`` is what a person says, None: nobody is there.

    Gives the questions that are asked.
    """

    def opened(target: str, answer: object = None, client: str = "s") -> List[str]:
        path = notebook(
            Path("nb.ipynb").resolve(), "x = 1", "%github save", colab_magics={"github": target}
        )
        about = {"cellId": f"vscode-notebook-cell:{path}#W0"}
        asks = {"allow_stdin": answer is not None}
        request = {"metadata": about, "content": asks, "header": {"session": client}}
        run.shell.kernel = SimpleNamespace(get_parent=lambda channel: request)
        run.shell.user_ns["__vsc_ipynb_file__"] = str(path)
        questions: List[str] = []
        monkeypatch.setattr(builtins, "input", lambda text: questions.append(text) or answer)
        return questions

    return opened


@pytest.mark.parametrize(
    "target",
    [
        EVIL,
        "repository=evil/repo&path=nb.ipynb&to=pull",
        "to=gist",
        "gist=0123456789abcdef&to=gist",
        "repository=evil/repo&gist=0123456789abcdef&to=gist",
        "repository=EVIL/Repo",
        "repository=evil/repo&branch=gh-pages&path=.github/workflows/x.yml",
    ],
)
@pytest.mark.parametrize("line", ["%github save", "%github save --branch main --path x.ipynb"])
def test_a_target_that_only_the_notebook_names(
    run: Cells, github: GitHub, opened: Callable[..., List[str]], target: str, line: str
) -> None:
    """Nothing is sent where nobody can be asked, nor where a person says no."""
    for answer in (None, "", "n", "no"):
        questions = opened(target, answer)
        reply = run.attempt(line if "repository" in target else "%github save")
        assert isinstance(reply.error, errors.SourceError) and not github.changes
        assert len(questions) == (answer is not None)
    questions = opened(target, "y")
    run("%github save")
    assert github.changes and len(questions) == 1
    run("%github save")
    assert len(questions) == 1, "once is enough in a kernel"


def test_a_target_that_was_named_here_or_is_the_clones(
    run: Cells, github: GitHub, opened: Callable[..., List[str]]
) -> None:
    """Nobody is asked about a repository that was typed, or whose clone the notebook lies in."""
    opened("repository=me/work&branch=main&path=nb.ipynb")
    run("%github save me/work")
    run("%github save")
    assert "nb.ipynb" in github.repos["me/work"].files()
    subprocess.run(["git", "init", "-q"], check=True)
    remote = ["git", "remote", "add", "origin", "https://github.com/evil/repo.git"]
    subprocess.run(remote, check=True)
    opened(EVIL, client="another window")
    run("%github save")
    assert "nb.ipynb" in github.repos["evil/repo"].files()


@pytest.mark.parametrize("place", ["typed", "a clone"])
@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("&branch=gh-pages&path=thesis/final.ipynb", "--branch gh-pages --path thesis/final.ipynb"),
        ("&branch=evil", "--branch evil"),
        ("&branch=main&path=.github/workflows/x.ipynb", "--path .github/workflows/x.ipynb"),
        ("&path=other.ipynb&to=pull", "--path other.ipynb"),
    ],
)
def test_a_branch_and_a_path_that_only_the_notebook_names(
    run: Cells,
    github: GitHub,
    opened: Callable[..., List[str]],
    more: str,
    told: str,
    place: str,
) -> None:
    """They count where the line names them, or a person agrees; once for just that place."""
    line = "%github save me/work"
    if place == "a clone":
        subprocess.run(["git", "init", "-q", "-b", "main"], check=True)
        remote = ["git", "remote", "add", "origin", "https://github.com/me/work.git"]
        subprocess.run(remote, check=True)
        line = "%github save"
    for answer in (None, "n"):
        questions = opened(f"repository=me/work{more}", answer)
        reply = run.attempt(line)
        assert isinstance(reply.error, errors.SourceError) and told in reply.error.hint
        assert len(questions) == (answer is not None) and not github.changes
    questions = opened(f"repository=me/work{more}", "y")
    run(line)
    run("%github save")
    assert github.changes and len(questions) == 1
    changes = len(github.changes)
    opened("repository=me/work&branch=main&path=yet/another.ipynb", client="another window")
    assert run.attempt("%github save").error is not None and len(github.changes) == changes
    opened(f"repository=me/work{more}", client="a third window")
    run(f"%github save me/work {told}")


def test_a_name_that_only_the_notebook_says(
    run: Cells,
    github: GitHub,
    opened: Callable[..., List[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the front end tells no name, the one that the metadata have is asked about."""
    opened("repository=me/work&path=thesis/final.ipynb")
    read = magic_save.read_notebook
    monkeypatch.setattr(
        magic_save, "read_notebook", lambda *words: read(*words)._replace(name="", path=None)
    )
    reply = run.attempt("%github save me/work")
    assert isinstance(reply.error, errors.SourceError) and not github.changes
    run("%github save me/work --path mine.ipynb")
    assert "mine.ipynb" in github.repos["me/work"].files()


@root_only
@pytest.mark.parametrize("sticky", [True, False])
@pytest.mark.parametrize(
    "kind", ["own", "git", "folder", "file", "link", "config", "open git", "open config", "linked"]
)
def test_a_clone_that_somebody_else_has_made(
    run: Cells, github: GitHub, opened: Callable[..., List[str]], kind: str, sticky: bool
) -> None:
    """A ``.git`` above the notebook counts only if it is ours, and nobody else can change it."""
    opened("")
    top = Path.cwd()
    real = top if kind in ("own", "folder") else top / "sub" / "repository"
    real.mkdir(exist_ok=True, parents=True)
    subprocess.run(["git", "init", "-q", str(real)], check=True)
    origin = ["remote", "add", "origin", "https://github.com/evil/repo.git"]
    subprocess.run(["git", "-C", str(real), *origin], check=True)
    git = top / ".git"
    if kind == "file":
        git.write_text(f"gitdir: {real}/.git")
    elif kind == "link":
        git.symlink_to(real / ".git")
    elif real != top:
        (real / ".git").rename(git)
    if kind == "linked":
        (git / "shared").mkdir()
        (git / "config").rename(git / "shared" / "config")
        for name in ("objects", "refs"):
            (git / name).rename(git / "shared" / name)
        (git / "commondir").write_text("shared")
    theirs = {"folder": top, "config": git / "config", "linked": git / "shared"}.get(kind, git)
    if kind.startswith("open"):
        (git / kind.replace("open git", "").replace("open ", "")).chmod(0o777)
    elif kind != "own":
        os.chown(theirs, NOBODY, NOBODY, follow_symlinks=False)
    top.chmod(0o1777 if sticky else 0o777)
    reply = run.attempt("%github save")
    assert (reply.error is None) == (kind == "own" and sticky)
    assert bool(github.asked) == (kind == "own" and sticky)


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/run.yml",
        "README.md",
        "nb.ipynb/../x",
        "/nb.ipynb",
        "..\\nb.ipynb.py",
        ".git/nb.ipynb",
        "a/.git/nb.ipynb",
        "nb.ipynb\u2028.md",
        "nb.ipynb\x00",
        "\u202ebpyni.bn.ipynb",
        "nb.IPYNB.exe",
    ],
)
def test_a_path_that_is_no_notebooks(
    run: Cells, github: GitHub, opened: Callable[..., List[str]], path: str
) -> None:
    """A path in the metadata replaces no other file, also where the repository was typed."""
    opened(f"repository=me/work&path={quote(path)}")
    run("%github save me/work")
    assert sorted(github.repos["me/work"].files()) == ["README", "nb.ipynb"]


@pytest.mark.parametrize(
    "branch", ["a\u2028b", "a\u202eb", "a\x85b", "--x", "a..b", "a b", "a\x1b"]
)
def test_a_branch_that_shows_as_another(branch: str) -> None:
    """A branch with a control in it is none."""
    assert Target.decode(f"repository=me/work&branch={quote(branch)}") == Target()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"source":', '"source": "TOKEN", "source":'),
        ('"source":', '"sourc\\u0065": "TOKEN", "source":'),
        ('"cells":', '"cells": [{"source": "TOKEN"}], "cells":'),
        ('"nbformat":', '"x": "TOKEN", "x": 1, "nbformat":'),
        ('"metadata": {}', '"metadata": {"x": {"y": "TOKEN", "y": 1}}'),
        ('"metadata": {}', '"metadata": {"x": ["TOKEN"], "x": 1}'),
    ],
)
@pytest.mark.parametrize("line", ["%github save me/work", "%github save me/work --strip"])
def test_a_key_that_stands_twice(
    run: Cells, github: GitHub, opened: Callable[..., List[str]], old: str, new: str, line: str
) -> None:
    """Readers see the last of its values; the others would be sent unseen."""
    opened("")
    text = Path("nb.ipynb").read_text()
    assert old in text
    Path("nb.ipynb").write_text(text.replace(old, new.replace("TOKEN", TOKEN), 1))
    reply = run.attempt(line)
    assert isinstance(reply.error, errors.SourceError) and not github.changes


def test_a_public_gist_is_left_alone(
    run: Cells, github: GitHub, opened: Callable[..., List[str]]
) -> None:
    """A notebook that names a public gist of the user's is not published there."""
    gist = {"files": {}, "owner": {"login": "me"}, "public": True, "id": "a" * 20}
    github.gists["a" * 20] = {**gist, "html_url": "x"}
    opened(f"gist={'a' * 20}")
    run("%github save --gist")
    assert github.gists["a" * 20]["files"] == {} and len(github.gists) == 2


@pytest.mark.parametrize("name", ["GH_TOKEN", "GITHUB_TOKEN"])
def test_a_token_that_lies_beside_the_notebook(
    run: Cells,
    github: GitHub,
    opened: Callable[..., List[str]],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """One of a ``.env`` is used where a person agrees, or where the line names it."""
    monkeypatch.delenv("GH_TOKEN")
    Path(".env").write_text(f"{name}={TOKEN}\n")
    opened("repository=me/work")
    reply = run.attempt("%github save me/work")
    assert isinstance(reply.error, errors.SourceError) and not github.asked
    questions = opened("repository=me/work", "n")
    monkeypatch.setattr("getpass.getpass", lambda text: "")
    assert run.attempt("%github save me/work").error is not None
    assert len(questions) == 1 and not github.asked
    run(f"%github save me/work --token {name}")
    assert json.loads(github.repos["me/work"].files()["nb.ipynb"])
    opened("repository=me/work", "y")
    assert "nothing was sent" in run("%github save me/work")
