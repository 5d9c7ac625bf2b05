"""``%github badge`` in a shell: for the repository that is named, or that the notebook is in."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Iterator

import pytest
from doubles.github_api import GitHub
from IPython.core.error import UsageError
from IPython.utils.capture import capture_output
from support.cells import Cells
from support.notebooks import notebook

from colab_magics.core import errors
from colab_magics.github.target import Target


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub does not answer, and no token is there."""
    monkeypatch.setattr("colab_magics.core.redact._SECRETS", set())
    for name in ("GH_TOKEN", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")


@pytest.fixture
def nb(run: Cells) -> Iterator[Path]:
    """A notebook that is open in VS Code, in a folder below the working directory."""
    path = notebook(Path("sub/nb.ipynb").resolve(), "%github badge")
    about = {"cellId": f"vscode-notebook-cell:{path}#W0"}
    request = {"metadata": about, "content": {"allow_stdin": False}}
    run.shell.kernel = SimpleNamespace(get_parent=lambda channel: request)
    run.shell.user_ns["__vsc_ipynb_file__"] = str(path)
    return path


def clone(folder: Path, branch: str = "work") -> None:
    """A clone of ``o/r``, as far as its files say."""
    for name in ("objects", "refs"):  # without them it is none to git
        (folder / ".git" / name).mkdir(parents=True)
    (folder / ".git/HEAD").write_text(f"ref: refs/heads/{branch}\n")
    (folder / ".git/config").write_text('[remote "origin"]\n\turl = git@github.com:o/r.git\n')


def test_for_a_repository_that_is_named(run: Cells) -> None:
    """Nothing is asked; drawn as markdown with the text to copy, and given with ``-o``."""
    with capture_output() as captured:
        run.shell.run_cell("made = %github badge o/r --path a/nb.ipynb --branch dev -o")
    (output,) = captured.outputs
    made = str(run.shell.user_ns["made"])
    assert made.count("\n") == 2 and "/github/o/r/blob/dev/a/nb.ipynb)" in made
    assert output.data["text/plain"] == made
    drawn, _, text = output.data["text/markdown"].partition("\n\n")
    assert drawn.count("[![") == 3 and text == f"```markdown\n{made}\n```"
    assert "/blob/main/nb.ipynb" in run("%github badge o/r --path nb.ipynb")
    assert run.steps() == [] and run("%github badge o/r --path nb.ipynb -q") == ""


def test_for_the_clone_that_the_notebook_lies_in(run: Cells, nb: Path) -> None:
    """Origin, branch and path are those that git says."""
    clone(Path.cwd())
    shown = run("%github badge")
    assert "/github/o/r/blob/work/sub/nb.ipynb)" in shown
    assert "gh/o/r/work?labpath=sub%2Fnb.ipynb)" in shown
    assert "/blob/v1/sub/nb.ipynb" in run("%github badge --branch v1")
    assert "/github/me/fork/blob/main/nb.ipynb" in run("%github badge me/fork")


def test_for_where_it_was_saved(run: Cells, nb: Path) -> None:
    """What is remembered in the notebook comes before its folder."""
    clone(Path.cwd())
    kept = Target("me/work", "main", "a.ipynb").encode()
    notebook(nb, "x", colab_magics={"github": kept})
    assert "/github/me/work/blob/main/a.ipynb" in run("%github badge")


def test_the_present_commit(run: Cells, nb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--commit`` asks GitHub which one it is, without a token where none is needed."""
    github = GitHub()
    monkeypatch.setenv("GITHUB_API_URL", github.url)
    try:
        repo = github.repo("o/r", README="x")
        repo.commit("work", {"sub/nb.ipynb": b"x"})
        clone(Path.cwd())
        assert f"/blob/{repo.branches['work']}/sub/nb.ipynb" in run("%github badge --commit")
        assert [one.signed for one in github.asked] == [False]
        with pytest.raises(errors.SourceError, match="does not exist, or it is private"):
            run("%github badge o/none --path nb.ipynb --commit")
    finally:
        github.close()


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("", "unknown-repository", "%github badge: it is not known where this notebook is on "),
        ("o/r", "unknown-notebook", "%github badge: it is not known which notebook this is."),
        ("nonsense --path x.ipynb", "repository", "%github: nonsense is not OWNER/REPO."),
        ("o/r --path ../x.ipynb", "path", "%github: ../x.ipynb cannot be a file of a repository."),
        ("o/r --branch a..b", "branch", "%github: a..b cannot be a branch."),
        ("--comit", "unknown-option", "%github badge has no option --comit. Did you mean --commit"),
    ],
)
def test_what_is_not_known_is_asked_for(run: Cells, line: str, code: str, text: str) -> None:
    """Which repository, which path: a ``UsageError`` that says what to type."""
    error = run.attempt(f"%github badge {line}").error
    assert isinstance(error, UsageError) and getattr(error, "code", "") == code
    assert str(error).startswith(text)
