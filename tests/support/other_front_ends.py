"""Front ends with a notebook of their own: VS Code and Colab, played as far as the kernel sees.

What is played comes from their public sources: VS Code's cell addresses and its replacing of the
running cell, Colab's cell ids and its ``get_ipynb``. Whether Colab replaces the running cell is
not public, so both ways are played.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from .front_end import Answer, Page
from .notebooks import code


class Notebook(Page):
    """A front end that shows the cells it was opened with."""

    replaces = True
    #: How many cells it adds where it does not replace.
    adds = 1

    def __init__(self, connection: str, *cells: str) -> None:
        super().__init__(connection)
        self.cells: List[str] = list(cells)
        self.asked = 0

    def about(self, at: int) -> Dict[str, Any]:
        """The metadata that this front end sends along with a cell."""
        raise NotImplementedError

    def play(self, at: int) -> Answer:
        """Run a cell, then do what the kernel asks for when it has ended."""
        answer = self.run(self.cells[at], metadata=self.about(at))
        wanted = [p for p in answer.payload if p["source"] == "set_next_input"]
        for payload in wanted[-1:] if answer.reply["status"] == "ok" else ():
            if payload["replace"] and self.replaces:
                self.cells[at] = payload["text"]
            else:
                self.cells[at + 1 : at + 1] = [payload["text"]] * self.adds
        return answer

    def play_ok(self, at: int) -> Answer:
        """Run a cell that must end well."""
        answer = self.play(at)
        assert answer.reply["status"] == "ok", answer.text
        return answer


class VSCode(Notebook):
    """VS Code: each cell has an address that names the file."""

    path = "/home/me/my%20work/nb.ipynb"

    def about(self, at: int) -> Dict[str, Any]:
        """See `Notebook`."""
        return {"cellId": f"vscode-notebook-cell:{self.path}#W{at}sZmlsZQ%3D%3D"}


class Colab(Notebook):
    """Colab's browser: it can be asked for the whole notebook."""

    answers = True
    error: Optional[str] = None
    #: Of the whole notebook.
    metadata: Dict[str, Any] = {}

    def about(self, at: int) -> Dict[str, Any]:
        """See `Notebook`."""
        return {"colab": {"cell_id": f"cell{at}"}}

    def heard(self, message: Dict[str, Any]) -> None:
        """Answer Colab's requests."""
        if message["header"]["msg_type"] != "colab_request" or not self.answers:
            return
        self.asked += 1
        about = message["metadata"]
        assert about["colab_request_type"] == "get_ipynb"
        cells = [{"cell_type": "markdown", "source": ["# Title"], "metadata": {}}]
        cells += [code(text, minor=0) for text in self.cells]
        whole = {"cells": cells, "metadata": self.metadata, "nbformat": 4, "nbformat_minor": 0}
        data = {"data": {"ipynb": whole}}
        found = {"error": self.error} if self.error else data
        self.reply({"type": "colab_reply", "colab_msg_id": about["colab_msg_id"], **found})


class ReplacingNothing(Colab):
    """Colab, if it puts the new text into a cell of its own."""

    replaces = False


class AddingTwo(ReplacingNothing):
    """Colab as in colabtools #5176: the new text is there twice."""

    adds = 2


class ColabExec(Page):
    """``colab exec`` of google-colab-cli: no cell is named, nobody answers, payloads are ignored.

    With ``variables`` it puts into each cell what ``--env`` does. colab-mcp differs in
    ``may_be_asked`` alone: its client allows input by default.
    """

    may_be_asked = False
    variables: Dict[str, str] = {}

    def run(
        self,
        code: str,
        allow_stdin: bool = False,
        metadata: Optional[Dict[str, Any]] = None,
        silent: bool = False,
    ) -> Answer:
        """See `Page`."""
        lines = [f"os.environ[{name!r}] = {value!r}" for name, value in self.variables.items()]
        before = "".join(f"{line}\n" for line in ["import os", *lines]) if lines else ""
        return super().run(before + code, self.may_be_asked, {}, silent)


class ColabMcp(ColabExec):
    """An agent's client of the kernel."""

    may_be_asked = True
