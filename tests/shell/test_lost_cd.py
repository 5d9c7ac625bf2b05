"""``!cd`` does not last, which is said once."""

from __future__ import annotations

from pathlib import Path

import pytest

from colab_magics.cd_persist.hooks import lost

from .cells import Cells


@pytest.fixture(autouse=True)
def folders() -> None:
    """What the cells go to."""
    for name in ("data", "other", "data/in it"):
        (Path.cwd() / name).mkdir()


def test_it_is_said_once_and_what_to_write(run: Cells) -> None:
    """The first ``!cd`` gets one line; the next ones, to other places too, get none."""
    shown = run("!cd data\nx = 1")
    assert shown == "!cd data ended with its line. To stay there: %cd_persist data"
    assert run("!cd data") == run("!cd other") == ""


def test_what_it_says_works(run: Cells) -> None:
    """The line that it names goes there, from wherever the kernel is meanwhile."""
    run("%cd_persist other")
    shown = run("!cd ../data")
    line = shown.partition("To stay there: ")[2]
    run(line)
    assert Path.cwd().name == "data"


@pytest.mark.parametrize(
    ("cell", "place"),
    [
        ('!cd "data/in it"', "in it"),
        ("!mkdir -p new && cd new", "new"),
        ("!cd $PLACE_OF_IT; pwd", "other"),
        ("!cd $place", "other"),
        ("!cd {place}", "other"),
        ("!cd", "home"),
        ("%time !cd 'data/in it'", "in it"),
        ("!cd data\nopen('of data')", "data"),
    ],
)
def test_what_it_says_works_however_it_was_written(
    run: Cells, home: Path, monkeypatch: pytest.MonkeyPatch, cell: str, place: str
) -> None:
    """Quotes, variables of the shell and of Python, a cell that failed because of it."""
    monkeypatch.setenv("PLACE_OF_IT", "other")
    run("place = 'other'")
    line = run.attempt(cell).shown.partition("To stay there: ")[2].splitlines()[0]
    run(line)
    assert Path.cwd() == (home if place == "home" else Path.cwd().parent / place)


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
        "def go():\n    !cd data",
        "!cd $(echo data)",
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
    ],
)
def test_what_has_its_effect_is_left_alone(run: Cells, cell: str) -> None:
    """Only a line that does nothing else, and would have gone elsewhere, is named."""
    assert "%cd_persist" not in run.attempt(cell).shown


@pytest.mark.parametrize(
    ("cell", "place"),
    [
        ("!cd data", "data"),
        ("!  cd   data  ", "data"),
        ("if True:\n    !cd data", "data"),
        ("!cd {place}", "{place}"),
        ("1 + 1\n!cd ~/x", "~/x"),
        ('!cd "data/in it"', "data/in it"),
        ("!cd data/in\\ it", "data/in it"),
        ("!cd", "~"),
        ("!cd -P -- data", "data"),
        ("!cd data; pwd", "data"),
        ("!cd data && pwd;", "data"),
        ("!cd data # go", "data"),
        ("!mkdir -p new && cd new", "new"),
        ("!cd data && cd 'in it'", "data/in it"),
        ("!cd data; cd ~", "~"),
        ("%time !cd data", "data"),
        ("!ls\n!cd data\n!cd other", "data"),
    ],
)
def test_where_it_wanted_to_go(run: Cells, cell: str, place: str) -> None:
    """It is found wherever in a cell it stands, and asking does not go there."""
    assert lost(run.shell, cell) == place
