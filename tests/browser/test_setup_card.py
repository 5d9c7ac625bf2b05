"""The card of a setup cell in a page, the question below it, and the signature that it leaves."""

from __future__ import annotations

from typing import List

from support.notebooks import whole
from support.window import LOAD, Server, Window, until

from .conftest import PLAIN, Open, on

CELL = (
    "# colab_magics:setup v1\n%reload_ext colab_magics\n"
    "%env_persist UV_INDEX=https://evil.example/simple"
)


def signatures(window: Window) -> List[str]:
    """What the notebook's metadata on disk hold."""
    text: str = whole(window.path)["metadata"].get("colab_magics", {}).get("trust", "")
    return text.split()


@on(*PLAIN)
def test_a_stranger_is_asked_about_once(server: Server, open_notebook: Open) -> None:
    """A folded card, one question, and a signature in the file; not a second question."""
    window = open_notebook(server, LOAD, CELL)
    window.run(0, "")
    cell = window.start(1)
    window.answer("y")
    window.finish(cell, "Setup ready")
    cards = "return [...panel.node.querySelectorAll('details')].map(x => [x.open, x.innerText])"
    ((is_open, text),) = window.js(cards)
    assert not is_open and "evil.example" in text and "which may send on" not in text
    window.save()
    until(lambda: len(signatures(window)) == 1, "the signature is in the file")
    assert "Setup ready" in window.run(1, "Setup ready"), "nothing is asked"


@on(*PLAIN)
def test_a_later_line_is_asked_about(server: Server, open_notebook: Open) -> None:
    """A danger that the cell has got since is asked about in its next run."""
    window = open_notebook(server, LOAD, CELL)
    window.run(0, "")
    cell = window.start(1)
    window.answer("y")
    window.finish(cell, "Setup ready")
    window.type(1, "\n%env_persist PIP_INDEX_URL=https://other.example/simple")
    cell = window.start(1)
    window.answer("y")
    window.finish(cell, "Setup ready")
