"""Which file on GitHub a line names, and where a notebook's folder says that it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest
from IPython.core.error import UsageError

from colab_magics.core import redact
from colab_magics.core.errors import SourceError
from colab_magics.github.badges import badges
from colab_magics.github.contents import sha_of
from colab_magics.github.secret_scan import check_file, check_notebook
from colab_magics.github.target import Source, Target, check_branch, check_path, find_target
from colab_magics.notebook.document import Document
from colab_magics.notebook.metadata_keys import READERS

GIST = "0123456789abcdef0123"
TOKEN = "ghp_" + "a1B2" * 9


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("o/r/nb.ipynb", ("o/r", "", "nb.ipynb", "")),
        ("o/r/a/b/nb.ipynb@v1/x", ("o/r", "v1/x", "a/b/nb.ipynb", "")),
        ("https://github.com/o/r/blob/main/a/nb.ipynb", ("o/r", "main", "a/nb.ipynb", "")),
        ("https://www.github.com/o/r/raw/v1/nb.ipynb#L3", ("o/r", "v1", "nb.ipynb", "")),
        ("https://github.com/o/r/blob/refs/heads/x/nb.ipynb", ("o/r", "x", "nb.ipynb", "")),
        (
            "https://raw.githubusercontent.com/o/r/main/a%20b.ipynb",
            ("o/r", "main", "a b.ipynb", ""),
        ),
        (
            "https://raw.githubusercontent.com/o/r/refs/heads/main/nb.ipynb?token=GHSAT0AAA",
            ("o/r", "main", "nb.ipynb", ""),
        ),
        (
            "https://colab.research.google.com/github/o/r/blob/main/nb.ipynb#scrollTo=x",
            ("o/r", "main", "nb.ipynb", ""),
        ),
        ("https://nbviewer.org/github/o/r/blob/main/nb.ipynb", ("o/r", "main", "nb.ipynb", "")),
        (f"https://gist.github.com/me/{GIST}", ("", "", "", GIST)),
        (f"https://gist.github.com/{GIST}#file-nb-ipynb", ("", "", "", GIST)),
        (
            f"https://gist.githubusercontent.com/me/{GIST}/raw/12ab34/nb.ipynb",
            ("", "", "nb.ipynb", GIST),
        ),
        (
            f"https://colab.research.google.com/gist/me/{GIST}/nb.ipynb",
            ("", "", "nb.ipynb", GIST),
        ),
    ],
)
def test_what_a_line_names(text: str, means: Any) -> None:
    """Addresses as GitHub, Colab and nbviewer show them, and the short form."""
    assert Source.parse(text)[:4] == means


@pytest.mark.parametrize(
    "text",
    [
        "nb.ipynb",
        "o/r",
        "o/r/readme.md",
        "o/r/../x/nb.ipynb",
        "https://example.org/o/r/blob/main/nb.ipynb",
        "https://github.com.example.org/o/r/blob/main/nb.ipynb",
        "https://github.com/o/r",
        "https://github.com/o/r/blob/main/../../x.ipynb",
        "https://gist.github.com/me",
        "file:///etc/nb.ipynb",
        "http://[x/nb.ipynb",
    ],
)
def test_what_names_no_notebook(text: str) -> None:
    """It is an error of the line, before anything is asked."""
    with pytest.raises(UsageError):
        Source.parse(text)


def test_a_token_in_an_address_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """What GitHub's Raw button puts behind ``?`` for private files is said nowhere."""
    monkeypatch.setattr(redact, "_SECRETS", set())
    with pytest.raises(UsageError) as caught:
        Source.parse("https://raw.githubusercontent.com/o/r/main/x.txt?token=GHSAT0CANARY")
    assert "CANARY" not in str(caught.value)
    assert redact.redact_secrets("GHSAT0CANARY") == "****"


def test_a_branch_with_slashes() -> None:
    """An address does not show where the branch ends, so that each way is tried, shortest first."""
    source = Source.parse("https://github.com/o/r/blob/feature/x/nb.ipynb")
    assert source.splits() == [("feature", "x/nb.ipynb"), ("feature/x", "nb.ipynb")]
    assert Source.parse("o/r/x/nb.ipynb@feature").splits() == [("feature", "x/nb.ipynb")]


def test_what_is_kept_is_read_back_and_anything_else_is_nothing() -> None:
    """A notebook from elsewhere may say anything there."""
    whole = Target("o/r", "feature/x", "a b/ñ&=.ipynb", GIST, "pull")
    assert Target.decode(whole.encode()) == whole
    assert Target.decode(Target("o/r").encode()) == Target("o/r")
    for text in (None, "", "nonsense", "repository=../x", "repository=o/r&path=../../x", "to=x"):
        assert Target.decode(text) == Target()
    for bad in ("-x", "a..b", "a b", "x/", "a\\b", "x\n"):
        with pytest.raises(UsageError):
            check_branch(bad)
    for bad in ("/x", "a/../b", ".git/config", "a//b", "x\n"):
        with pytest.raises(UsageError):
            check_path(bad)


def test_the_target_stands_beside_the_lock() -> None:
    """In the notebook's metadata; the lock stays, and so does the rest of the file."""
    text = '{"cells":[],"metadata":{"colab_magics":{"lock":"off"}},"nbformat":4,"nbformat_minor":5}'
    document = Document.parse(text.encode(), "nb").with_stored("github", "repository=o/r")
    assert document.metadata == {"colab_magics": {"lock": "off", "github": "repository=o/r"}}
    assert READERS["github"](document.metadata) == "repository=o/r"
    assert document.with_stored("github", None).metadata == {"colab_magics": {"lock": "off"}}


@pytest.mark.parametrize(
    "origin", ["https://github.com/o/r.git", "git@github.com:o/r.git", "ssh://git@github.com/o/r"]
)
def test_the_clone_that_a_notebook_lies_in(tmp_path: Path, origin: str) -> None:
    """As git says of the ``.git`` above the notebook's folder; another host is none."""
    git = tmp_path / ".git"
    (tmp_path / "a").mkdir()
    for name in ("objects", "refs"):  # without them it is none to git
        (git / name).mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/feature/x\n")
    (git / "config").write_text(f'[remote "origin"]\n\turl = {origin}\n')
    assert find_target(tmp_path / "a/nb.ipynb") == Target("o/r", "feature/x", "a/nb.ipynb")
    (git / "config").write_text('[remote "origin"]\n\turl = https://gitlab.com/o/r.git\n')
    assert find_target(tmp_path / "a/nb.ipynb") is None


def test_badges_have_the_official_forms() -> None:
    """Names that an address or markdown would take for something else are quoted."""
    made = badges("o/r", "feature/x", "a b/(1).ipynb").split("\n")
    assert made == [
        "[![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        "(https://colab.research.google.com/github/o/r/blob/feature/x/a%20b/%281%29.ipynb)",
        "[![Binder](https://mybinder.org/badge_logo.svg)]"
        "(https://mybinder.org/v2/gh/o/r/feature%2Fx?labpath=a%20b%2F%281%29.ipynb)",
        "[![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)]"
        "(https://kaggle.com/kernels/welcome?src="
        "https://github.com/o/r/blob/feature/x/a%20b/%281%29.ipynb)",
    ]


def test_the_name_of_content_is_gits() -> None:
    """``printf hello | git hash-object --stdin``."""
    assert sha_of(b"hello") == "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"


# ---------------------------------------------------------------------- what must not leave
def cell(source: Any, *outputs: Dict[str, Any]) -> Dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs), "metadata": {}}


STREAM = {"output_type": "stream", "text": ["one\n", f"token {TOKEN}\n"]}
HTML = {"output_type": "display_data", "data": {"text/html": f"<b>{TOKEN}</b>"}, "metadata": {}}
VALUE = {"output_type": "display_data", "data": {"application/json": {"key": [TOKEN]}}}
ERROR = {"output_type": "error", "ename": "E", "evalue": TOKEN, "traceback": ["x"]}


@pytest.mark.parametrize(
    "output", [STREAM, HTML, VALUE, ERROR], ids=["text", "html", "json", "error"]
)
def test_a_token_in_an_output_is_found(output: Dict[str, Any]) -> None:
    """Whatever its kind; the cell is named by number and first line, the value is not."""
    notebook = {"cells": [cell("import os"), cell(["show()\n", "again()"], output)]}
    with pytest.raises(SourceError) as caught:
        check_notebook("nb.ipynb", notebook)
    said = str(caught.value)
    assert "cell 2 (show()), in its outputs holds what looks like a GitHub token" in said
    assert TOKEN not in said and "nothing was sent" in said


def test_a_token_in_the_first_line_is_not_shown() -> None:
    """The line by which a cell is named does not hold it, cut off neither."""
    notebook = {"cells": [cell("# " + "x" * 40 + f" key = {TOKEN}")]}
    with pytest.raises(SourceError) as caught:
        check_notebook("nb.ipynb", notebook)
    assert "cell 1 holds" in str(caught.value) and "ghp_" not in str(caught.value)


def test_a_secret_that_is_known_is_found_in_every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is, in a URL, in JSON, over several lines, in metadata, in a file."""
    monkeypatch.setattr(redact, "_SECRETS", set())
    secret = 'canary/"7f\nx y'
    redact.register_secret(secret)
    for text in (secret, "canary%2F%227f%0Ax%20y", r"canary/\"7f\nx y"):
        for notebook in ({"cells": [cell(text)]}, {"cells": [], "metadata": {"mine": [text]}}):
            with pytest.raises(SourceError) as caught:
                check_notebook("nb.ipynb", notebook)
            assert "a secret that is known here" in str(caught.value)
            assert "7f" not in str(caught.value)
    with pytest.raises(SourceError, match="a secret that is known"):
        check_notebook("nb.ipynb", {"cells": [cell(secret.splitlines(keepends=True))]})
    with pytest.raises(SourceError, match=r"data\.csv: line 2 holds"):
        check_file("data.csv", f"a\n{TOKEN}\n".encode())
    with pytest.raises(SourceError, match="where secrets are stored"):
        check_file("a/.env.local", b"A=1")
    check_notebook("nb.ipynb", {"cells": [cell("x = 1", {"output_type": "x"})], "metadata": {}})
