"""``!cd`` does not last, which is said once."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cells import Cells


@pytest.fixture(autouse=True)
def folders() -> None:
    """What the cells go to."""
    for name in ("data", "other", "data/in it"):
        (Path.cwd() / name).mkdir()


def test_it_is_said_once_and_what_to_write(run: Cells) -> None:
    """The first ``!cd`` gets one line; the next ones, to other places too, get none."""
    shown = run("!cd data\nx = 1")
    assert shown == "!cd lasts for one line only; %cd_persist data stays."
    assert run("!cd data") == run("!cd other") == ""


def test_what_it_says_works(run: Cells) -> None:
    """The line that it names goes there, from wherever the kernel is meanwhile."""
    run("%cd_persist other")
    shown = run("!cd ../data")
    line = shown.partition("; ")[2].partition(" stays.")[0]
    run(line)
    assert Path.cwd().name == "data"


@pytest.mark.parametrize(
    ("cell", "place"),
    [
        ("!cd data", "data"),
        ("!cd   data  ", "data"),
        ('!cd "data/in it"', "data/in it"),
        ("!cd 'data/in it'", "data/in it"),
        ("!cd ~", "home"),
        ("1 + 1\n!cd data", "data"),
        ("!ls\n!cd data\n!cd other", "data"),
        ("!cd data\nopen('of data')", "data"),
    ],
)
def test_what_it_says_works_however_it_was_written(
    run: Cells, home: Path, cell: str, place: str
) -> None:
    """Quotes, a line among others, a cell that failed because of it."""
    shown = run.attempt(cell).shown
    line = shown.partition("; ")[2].partition(" stays.")[0]
    run(line)
    assert Path.cwd() == (home if place == "home" else home / "work" / place)


@pytest.mark.parametrize("value", ["off", "0", "No", "false"])
def test_it_can_be_turned_off(run: Cells, value: str) -> None:
    """With the variable set so, nothing is said."""
    run(f"%env_persist -q COLAB_MAGICS_CD_NOTICE={value}")
    assert run("!cd data") == ""


@pytest.mark.parametrize(
    "cell",
    [
        "!cd data && ls",
        "!cd data && ls && pwd",
        "!cd data | cat",
        "!cd data &",
        "!cd data > made",
        "!echo x; cd 'data",
        "!pwd",
        "!",
        "1/0\n!cd data",
        "!cd data\n(",
        "def go():\n    !cd data",
        "!cd $(echo data)",
        "!cd $HOME",
        "!cd $NO_SUCH_NAME",
        "!cd dat*",
        "!cd data; ls",
        "!(cd data)",
        "!echo cd data",
        "!cd nosuch 2> /dev/null",
        "!cd .",
        "!cd -",
        "text = '''\n!cd data\n'''",
        "# !cd data",
        "%cd -q data\n!cd ../data",
        "%%bash\ncd data",
        "%%writefile made\n!cd data",
        "!cd nosuch",
        "!cd ~nosuchuser",
    ],
)
def test_what_has_its_effect_is_left_alone(run: Cells, cell: str) -> None:
    """Only a line that does nothing else, and would have gone elsewhere, is named."""
    assert "%cd_persist" not in run.attempt(cell).shown
