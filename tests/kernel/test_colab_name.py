"""The name that Colab's own server has of a notebook: where it is used, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import pytest
from doubles.colab_server import ColabServer
from doubles.github_api import TOKEN, GitHub
from support.colab_machine import as_colab
from support.front_end import started
from support.machine import Machine
from support.other_front_ends import Colab

from colab_magics.notebook import servers

LOAD = "%load_ext colab_magics"


@pytest.fixture
def server() -> Iterator[ColabServer]:
    """The server of a Colab machine, which has nothing open yet."""
    made = ColabServer()
    yield made
    made.close()


def test_save_badge_and_list_use_the_name(
    machine: Machine, folder: Path, server: ColabServer
) -> None:
    """Saved under the name that the page shows, to the badge's address; ``%session list`` has it.
    Each asks the server once, and a save asks the page for one notebook.
    """
    github = GitHub()
    github.repo("me/work", README="x")
    machine.variables.update(server.variables, GITHUB_API_URL=github.url, GH_TOKEN=TOKEN)
    with started(as_colab(machine), folder) as kernel:
        identity = Path(kernel._connection).stem[len("kernel-") :]
        server.open("Other.ipynb", "00000000-1111-2222-3333-444444444444")
        server.open("My%20n%C3%B6tes%20%231.ipynb", identity)
        page = kernel.open(
            Colab, LOAD, "%github save me/work", "%github badge o/r", "%session list"
        )
        page.metadata = {"colab": {"name": "older.ipynb"}}
        page.play_ok(0)
        assert (server.asked, page.asked) == ([], 0)
        assert "My nötes #1.ipynb saved to me/work" in page.play_ok(1).text
        assert "My nötes #1.ipynb" in github.repos["me/work"].files()
        assert (server.asked, page.asked) == (["/api/sessions"], 1)
        assert "/o/r/blob/main/My%20n%C3%B6tes%20%231.ipynb" in page.play_ok(2).text
        assert server.asked == ["/api/sessions"] * 2
        rows = page.play_ok(3).text.splitlines()
        assert [row for row in rows if "My nötes #1.ipynb" in row and "this one" in row]
        server.answers.clear()
        page.run("from colab_magics.notebook import servers; servers.PATIENCE = 0.2", silent=True)
        assert "/o/r/blob/main/older.ipynb" in page.play_ok(2).text
    github.close()


@pytest.mark.once
@pytest.mark.parametrize(
    "name",
    [
        "..%2F..%2Fpwned.ipynb",
        "a%5Cb.ipynb",
        ".github%2Fworkflows%2Fx.yml",
        ".hidden.ipynb",
        "%FF.ipynb",
        "a%0Ab.ipynb",
        "a%00.ipynb",
        "\u202ebpyni.x.ipynb",
        "\ud800.ipynb",
        " x.ipynb",
        "x.yml",
        "x" * 999 + ".ipynb",
        "",
        None,
        7,
    ],
)
def test_a_name_that_is_no_notebooks_is_not_known(
    server: ColabServer, monkeypatch: pytest.MonkeyPatch, name: Any
) -> None:
    """Whoever shared the notebook chose its name: no path, no control, nothing hidden."""
    for variable, value in server.variables.items():
        monkeypatch.setenv(variable, value)
    server.open(name, "k")
    assert servers.colab_name("k") == ""
    assert servers.session_name(server.sessions[0]) == "fileId=1aBcD"


@pytest.mark.once
@pytest.mark.parametrize(
    "sessions",
    [
        {},
        "no",
        [7, None],
        [{"name": "a.ipynb", "kernel": 7}, {"name": "b.ipynb"}],
        [{"name": "a.ipynb", "kernel": {"id": "k"}}, {"name": "b.ipynb", "kernel": {"id": "k"}}],
    ],
)
def test_an_answer_that_names_no_notebook(
    server: ColabServer, monkeypatch: pytest.MonkeyPatch, sessions: Any
) -> None:
    """Another form, or several notebooks of which none is ours, or two: none is guessed."""
    for variable, value in server.variables.items():
        monkeypatch.setenv(variable, value)
    server.sessions = sessions
    assert servers.colab_name("k") == ""
