"""The setup cell in the status bar and the command palette."""

from __future__ import annotations

from typing import Any

from support.window import Server, Window, until

from .conftest import PLAIN, Open, on

SETUP = (
    "# colab_magics:setup v1\n%reload_ext colab_magics\n"
    "%env_persist GREETING=hello\n%cd_persist data"
)


def status(window: Window) -> str:
    """What the status says; empty where it is hidden."""
    found = window.page.locator("button.colab-magics-status")
    return str(found.inner_text()) if found.is_visible() else ""


def mark(window: Window) -> Any:
    """What the status knows of the setup cell."""
    return window.page.locator("button.colab-magics-status .colab-magics-mark").get_attribute(
        "data-state"
    )


@on(*PLAIN)
def test_the_status_follows_the_setup_cell(server: Server, open_notebook: Open) -> None:
    """It counts the lines, and knows that they hold, differ, or were not run in this kernel."""
    (server.folder / "data").mkdir(exist_ok=True)
    window = open_notebook(server, SETUP, "import os; os.chdir('/')")
    until(lambda: status(window).split() == ["Setup", "2"], "two lines are counted")
    assert mark(window) == "unknown"
    popup = window.page.locator(".colab-magics-popup")

    window.page.locator("button.colab-magics-status").click()
    popup.get_by_text("The setup cell has not run in this kernel.").wait_for()
    popup.get_by_role("button", name="Run the setup cell").click()
    until(lambda: mark(window) == "ok", "it holds once it has run")
    until(lambda: window.idle(), "the kernel is idle")

    before = window.texts, window.js("return panel.content.widgets[0].model.executionCount")
    window.run(1, "")
    window.js("await app.commands.execute('colab-magics:check')")
    popup.get_by_text("1 of 2 lines of the setup cell hold").wait_for()
    rows = [row.split("\t") for row in popup.locator("tr").all_inner_texts()]
    assert [[cell.strip() for cell in row[:2]] for row in rows] == [
        ["ok", "%env_persist GREETING=hello"],
        ["differs", "%cd_persist data"],
    ]
    until(lambda: mark(window) == "differs", "what differs is seen outside the table too")
    assert status(window).split() == ["Setup", "2", "differs"]
    window.page.keyboard.press("Escape")
    assert popup.count() == 0
    after = window.texts, window.js("return panel.content.widgets[0].model.executionCount")
    assert after == before and window.dialogs == 0, "nothing is run or written by looking"

    window.js("await panel.sessionContext.restartKernel()")
    until(lambda: mark(window) == "unknown", "a new kernel has not run it")
    window.js("panel.context.model.sharedModel.deleteCell(0)")
    until(lambda: not status(window), "without a setup cell there is no status")


@on("lab")
def test_restart_and_continue_by_the_palette(server: Server, open_notebook: Open) -> None:
    """The command restarts a kernel that hangs, runs the setup cell and what was under way."""
    (server.folder / "data").mkdir(exist_ok=True)
    hangs_once = (
        "import os, time\nfrom pathlib import Path\nprint(os.environ['GREETING'])\n"
        "if not Path('hung').exists():\n    Path('hung').touch(); time.sleep(600)"
    )
    window = open_notebook(server, SETUP, hangs_once)
    window.run(0, "")
    window.start(1)
    hung = server.folder / "data" / "hung"
    until(hung.exists, "the cell hangs")
    window.page.keyboard.press("Control+Shift+C")
    window.page.keyboard.type("Restart Kernel, Run the Setup Cell")
    window.page.keyboard.press("Enter")
    window.page.get_by_text("Kernel restarted, to run the setup cell and").wait_for(timeout=60_000)
    identity = window.js("return panel.content.widgets[1].model.id")
    until(lambda: window.ended(identity), "it goes on", 60)
    assert "hello" in window.shown(identity)
    until(lambda: mark(window) == "ok", "the setup cell has run")
    assert window.dialogs == 0
    hung.unlink()


@on("lab")
def test_check_and_doctor_in_a_window(server: Server, open_notebook: Open) -> None:
    """The page is asked by the cell itself; the report names the extension and the writer."""
    (server.folder / "data").mkdir(exist_ok=True)
    cells = ("%setup check", "%setup doctor", "%setup check --strict")
    window = open_notebook(server, SETUP, *cells)
    window.run(0, "")
    checked = window.run(1, "already in data")
    assert "GREETING=hello already set" in checked and "unknown" not in checked
    report = window.run(2, "may be pasted into an issue")
    for text in ("jupyter: a Jupyter server started this kernel", "answers", "front end; not run"):
        assert text in report, report
    assert "failed:" not in report and str(server.folder) not in report
    window.run(3, "already in data")
    assert window.dialogs == 0
