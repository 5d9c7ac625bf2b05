"""``%shell`` and its jobs in an open notebook: a bar in place, a job that outlives the kernel."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from support.window import LOAD, Server, until

from .conftest import EVERY, Open, on

pytestmark = pytest.mark.skipif(
    shutil.which("bash") is None, reason="bash is not installed: apt install bash"
)

#: A step of the bar for each file that is made, so that it moves when the test says.
BAR = """\
import os, time, tqdm
for i in tqdm.tqdm(range(4), desc='epochs', mininterval=0):
    while not os.path.exists(f'go{i}'):
        time.sleep(0.02)
"""
COUNT = "for i in 0 1 2 3; do echo line $i; until [ -e go$i ]; do sleep 0.02; done; done"
START = f"%shell --background train {COUNT}"
FOLLOW = "%jobs follow train"


@on("lab", long=EVERY)
def test_a_bar_moves_in_place(server: Server, open_notebook: Open) -> None:
    """A script's tqdm bar is one line below the cell, which changes while it runs."""
    folder = server.folder / "bar"
    folder.mkdir(exist_ok=True)
    (folder / "bar.py").write_text(BAR)
    window = open_notebook(server, LOAD, f"%shell cd bar && {sys.executable} bar.py && echo fine")
    window.run(0, "")
    running = window.start(1)
    for done in range(4):
        until(lambda done=done: f"| {done}/4" in window.shown(running), "the bar is there")
        assert window.shown(running).count("epochs") == 1
        (folder / f"go{done}").touch()
    shown = window.finish(running, "fine")
    assert "100%" in shown and shown.count("epochs") == 1
    shutil.rmtree(folder)


@on("lab", long=EVERY)
def test_a_job_outlives_the_tab_and_the_kernel(server: Server, open_notebook: Open) -> None:
    """The tab is closed, the kernel restarted, the notebook opened again: it is all there."""
    folder = Path(server.folder / "job")
    folder.mkdir(exist_ok=True)
    window = open_notebook(server, LOAD, f"%shell cd job; echo $PWD\n{START}", "%jobs", FOLLOW)
    window.run(0, "")
    assert "train runs in the background" in window.run(1, "background")
    assert "running" in window.run(2, "line 0")
    kernel = window.kernel
    window.page.close()
    (folder / "go0").touch()
    server.api(f"kernels/{kernel}/restart", "POST")

    again = open_notebook(server, name=window.path.stem)
    again.run(0, "")
    assert "running" in again.run(2, "line 1")
    following = again.start(3)
    for number in (1, 2, 3):
        until(lambda number=number: f"line {number}" in again.shown(following), "it is shown")
        (folder / f"go{number}").touch()
    shown = again.finish(following, "train: done")
    assert [line for line in shown.split("\n") if line.startswith("line")] == [
        f"line {number}" for number in range(4)
    ]
    assert "done" in again.run(2, "done")
    assert again.dialogs == 0
    shutil.rmtree(folder)
