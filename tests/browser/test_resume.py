"""A new server on a new environment goes on with the notebook where Run All stood."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List

import psutil
import pytest
from support.kernels import environment, register
from support.notebooks import shown
from support.window import Server, Window, until

from .conftest import PLAIN, Open

SETUP = """\
# colab_magics:setup v1
%reload_ext colab_magics
%drive mount ~/drive --from kept
%checkpoint --to drive:saved"""
NOTICE = ".colab-magics-notice"


def step(number: int, more: str = "") -> str:
    """A cell that writes down that it has run, and needs the one before it."""
    return f"rows.append({number}){more}\nprint({number}, file=open('ran', 'a'))\nprint(rows)"


CELLS = ("rows = []\nprint(0, file=open('ran', 'a'))", step(1), step(2), step(3), step(4))
WAIT = "\nimport os, time\nwhile not os.path.exists('go'): time.sleep(0.05)"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment."""
    return environment("ipykernel-newest", tmp_path_factory.mktemp("kernel") / "environment")


@pytest.mark.parametrize("app", PLAIN)
def test_the_button_runs_what_is_left(
    app: str,
    tmp_path_factory: pytest.TempPathFactory,
    open_window: Open,
    other: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server and the kernel are killed within the fourth cell. On a new server, environment and
    home the setup cell brings the variables back, and the button runs the rest, and nothing else:
    the outputs are those of a run that nobody cut.
    """
    make = tmp_path_factory.mktemp
    folder = make("work")
    (folder / "kept").mkdir()
    cells = [SETUP, *CELLS[:3], "%checkpoint now", step(3, WAIT), CELLS[4]]
    first = Server(app, folder, make("home"))
    first.start()
    window = open_window(first, *cells)
    window.js("void app.commands.execute('notebook:run-all-cells')")
    until(lambda: ran(folder)[-1:] == ["2"] and is_running(window, 5), "it waits in a cell", 60)
    window.save()
    until(lambda: "[1, 2]\n" in shown(window.path), "the outputs are saved")
    kill(first)
    (folder / "go").touch()
    second = Server(app, folder, make("home"))
    monkeypatch.setenv("JUPYTER_PATH", str(second.data))  # before that of our own environment
    register("python3", other, second.data)
    second.start()
    try:
        spec = second.api("kernelspecs")["kernelspecs"]["python3"]["spec"]
        assert spec["argv"][0] == str(other)
        window = open_window(second, name=window.path.stem)
        text = window.run(0, "3 of 5 cells were done")
        button = window.page.locator(f"{NOTICE} button")
        assert button.inner_text() == "Continue with cell 6", text
        if os.environ.get("COLAB_MAGICS_SCREENSHOTS"):
            window.page.screenshot(path=f"{os.environ['COLAB_MAGICS_SCREENSHOTS']}/{app}.png")
        assert ran(folder) == ["0", "1", "2"]
        button.click()
        until(lambda: ran(folder)[-1] == "4", "the rest has run", 60)
        assert ran(folder) == ["0", "1", "2", "3", "4"]
        until(window.idle, "the kernel is idle")
        assert window.page.locator(NOTICE).count() == 0
        window.save()
        until(lambda: "[1, 2, 3, 4]\n" in shown(window.path), "the outputs are saved")
        texts = [text for text in shown(window.path)[1:] if "checkpoint" not in text]
        assert texts[1:3] == ["[1]\n", "[1, 2]\n"]
        assert shown(window.path)[5:] == ["[1, 2, 3]\n", "[1, 2, 3, 4]\n"]
    finally:
        second.stop()


def ran(folder: Path) -> List[str]:
    """The cells that have run, in their order."""
    file = folder / "ran"
    return file.read_text().split() if file.exists() else []


def is_running(window: Window, at: int) -> bool:
    """Whether all cells above one have ended, and that one not."""
    counts = window.js("return panel.content.widgets.map(w => w.model.executionCount)")
    return all(counts[:at]) and counts[at] is None


def kill(server: Server) -> None:
    """End a server and its kernels as a machine that is taken away does."""
    assert server.process is not None
    processes = [psutil.Process(server.process.pid)]
    processes += processes[0].children(recursive=True)
    for process in processes:
        process.kill()
    server.process.wait(30)
