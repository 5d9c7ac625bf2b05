"""Who is asked before a release is built from source, on the machine set up as Colab's."""

from __future__ import annotations

import queue
from pathlib import Path
from threading import Event, Thread
from typing import Any, Iterator, List

import pytest
from doubles.index import make_sdist, make_wheel, serve
from support.colab_machine import as_colab
from support.front_end import Answer, started
from support.machine import Machine
from support.notebooks import MARKER
from support.other_front_ends import Colab

pytestmark = pytest.mark.once


class Person(Colab):
    """Somebody who answers every question with yes."""

    def __init__(self, connection: str, *cells: str) -> None:
        super().__init__(connection, *cells)
        self.questions: List[str] = []

    def run(self, *words: Any, **options: Any) -> Answer:
        """See `Page`."""
        ended = Event()
        thread = Thread(target=self._answer, args=(ended,))
        thread.start()
        try:
            return super().run(*words, **options)
        finally:
            ended.set()
            thread.join()

    def _answer(self, ended: Event) -> None:
        while not ended.is_set():
            try:
                message = self._client.get_stdin_msg(timeout=0.1)
            except queue.Empty:
                continue
            self.questions.append(message["content"]["prompt"])
            self.reply("y")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An index with two releases that have no wheel, and one that has."""
    folder = tmp_path_factory.mktemp("index")
    for name in ("tinyslow", "tinyslower"):
        make_sdist(folder, name, "1.0", folder / f"{name}.built")
        make_wheel(folder, name, "1.1")
    with serve(folder) as url:
        yield url


def test_a_person_is_asked_but_not_in_a_setup_cell(machine: Machine, folder: Path) -> None:
    """Where a pin is typed; a setup cell builds without a question what its lines name."""
    setup = f"{MARKER}\n%reload_ext colab_magics\n%pin tinyslow==1.0 tinyslower==1.0"
    with started(as_colab(machine), folder) as kernel:
        page = kernel.open(Person, "%load_ext colab_magics\n%pin tinyslow==1.0", setup)
        page.play_ok(0)
        (question,) = page.questions
        assert "(1.1 has one)" in question
        page.play_ok(1)
        assert len(page.questions) == 1
        assert sorted(machine.installed()) == ["tinyslow-1.0.dist-info", "tinyslower-1.0.dist-info"]
