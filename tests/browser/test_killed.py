"""A page or a server that is killed while the setup cell is written: nothing is torn or lost."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Iterator

import pytest
from support.notebooks import notebook
from support.window import KERNEL, LOAD, Server, Window, steps, until

from .conftest import TOGETHER, on

ROUNDS = 44
CELLS = [LOAD + "\n%cd_persist kept", "print('mine')", "# not run"]


@pytest.fixture
def own(server: Server, tmp_path: Path) -> Iterator[Server]:
    """A server like the one that was asked for, which may be killed."""
    for name in ("work/kept", "home"):
        (tmp_path / name).mkdir(parents=True)
    own = Server(server.app, tmp_path / "work", tmp_path / "home", True, server.collaboration)
    own.start()
    yield own
    own.stop()


def kill_pages(chromium: Any) -> None:
    """Kill the processes of all pages; the browser itself stays."""
    session = chromium.new_browser_cdp_session()
    for process in session.send("SystemInfo.getProcessInfo")["processInfo"]:
        if process["type"] == "renderer":
            with suppress(ProcessLookupError):
                os.kill(process["id"], signal.SIGKILL)
    session.detach()


def is_whole(window: Window) -> bool:
    """The setup cell is there, or is not yet; all else is as it was.

    A server that is alive may be writing just now: Jupyter Server saves in place.
    """
    texts = window.on_disk()
    setup = [text for text in texts if "colab_magics:setup" in text]
    return [text for text in texts if text not in setup] == CELLS and (
        not setup or (texts[0] == setup[0] and steps(setup[0]) == ["%cd_persist kept"])
    )


@pytest.mark.timeout(3600)
@on(long=("lab", TOGETHER[0]))
def test_a_page_or_a_server_that_is_killed(own: Server, chromium: Any) -> None:
    """At a seeded moment; the file is whole then, and the same cell run again writes it."""
    chance, lasts, early = random.Random(6), 1.5, 0
    for number in range(ROUNDS):
        path = notebook(own.folder / f"nb{number}.ipynb", *CELLS, **KERNEL)
        page = chromium.new_context().new_page()
        window = Window(own, page, path)
        started = time.monotonic()
        window.start(0)
        if number == 0:
            until(window.saved, "the setup cell is saved")
            lasts = time.monotonic() - started
        time.sleep(chance.uniform(0, 1.2 * lasts))
        early += not window.saved()
        if number % 2:
            assert own.process is not None
            own.process.kill()
            own.process.wait(30)
            page.context.close()
            own.start()
        else:
            kill_pages(chromium)
            page.context.close()
            until(window.idle, "the kernel is idle")
        until(lambda window=window: is_whole(window), f"notebook {number} is whole")

        again = Window(own, chromium.new_context().new_page(), path)
        again.finish(again.start(again.texts.index(CELLS[0])))
        until(again.saved, "the setup cell is saved")
        until(lambda again=again: is_whole(again), f"notebook {number} is whole again")
        again.page.context.close()
        assert [p.name for p in own.folder.iterdir() if p.name.endswith(".tmp")] == []
        own.end_kernels()
    print(f"\n{early} of {ROUNDS} were killed before the setup cell was saved")
    assert 0 < early < ROUNDS
