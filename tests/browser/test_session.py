"""``%session`` in open notebooks: kernels that are listed, stopped and restarted."""

from __future__ import annotations

from pathlib import Path

from support.window import LOAD, Server, until

from .conftest import EVERY, Open, on


@on("lab", "notebook", long=EVERY)
def test_a_restart_leaves_the_rest_of_run_all(server: Server, open_notebook: Open) -> None:
    """Under Run All what stands behind ``%session restart`` is not run, in neither kernel."""
    pid = "import os\nprint(os.getpid())"
    behind = "open('behind', 'w').close()"
    window = open_notebook(server, LOAD, pid, "%session restart", behind)
    window.js("void app.commands.execute('notebook:run-all-cells')")
    shown = "cell(panel.content.widgets[argument].model.id).outputArea.node.innerText"
    until(lambda: "Restarting" in window.js(f"return {shown}", 2), "it says so", 60)
    before = window.js(f"return {shown}", 1).strip()
    window.page.get_by_text("Kernel restarted for %session.").wait_for()
    assert before.isdigit() and not Path("/proc", before).exists()
    window.connected()
    after = window.run(1, "")
    assert after.strip().isdigit() and after.strip() != before
    assert window.dialogs == 0
    assert not (server.folder / "behind").exists()


@on("lab", long=EVERY)
def test_another_notebook_is_listed_and_stopped(server: Server, open_notebook: Open) -> None:
    """The other one that is open is in the list; a person who says y ends its kernel."""
    other = open_notebook(server, "1")
    other.run(0, "1")
    name = other.path.rename(other.path.with_name("other.ipynb")).name
    session = server.api("sessions")[0]
    server.api(f"sessions/{session['id']}", "PATCH", path=name, name=name)
    window = open_notebook(server, LOAD, "%session list", "%session", f"%session stop {name}")
    window.run(0, "")
    listed = window.run(1, name)
    assert "this one" in listed and "idle" in listed
    assert "JupyterLab or Notebook" in window.run(2, "front end")
    asking = window.start(3)
    window.answer("y")
    assert f"Stopped: {name}" in window.finish(asking, "free again")
    assert [entry["path"] for entry in server.api("sessions")] == [window.path.name]
