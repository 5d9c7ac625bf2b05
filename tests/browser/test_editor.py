"""``%setup editor``: a person's settings of the page, and no other."""

from __future__ import annotations

from typing import Any, Dict

from support.notebooks import setup_text
from support.window import LOAD, Server, Window, until

from .conftest import PLAIN, Open, on


def looks(window: Window) -> Dict[str, Any]:
    """How the page looks: its theme, and the editor of the first cell."""
    theme = "document.body.dataset.jpThemeName"
    return dict(
        window.js(
            "const node = panel.content.widgets[0].node, config = panel.content.editorConfig.code;"
            f"return {{theme: {theme}, indent: config.indentUnit ?? null,"
            "numbers: !!node.querySelector('.cm-lineNumbers'),"
            "size: getComputedStyle(node.querySelector('.cm-content')).fontSize}"
        )
    )


@on(*PLAIN)
def test_settings_are_set_and_put_back(server: Server, open_notebook: Open) -> None:
    """The page changes at once; `--reset` undoes it, also after a reload; others' settings stay."""
    mine = (
        "await app.serviceManager.settings.save('@jupyterlab/notebook-extension:tracker', "
        "JSON.stringify({codeCellConfig: {lineWrap: true, indentUnit: '2'}}))"
    )
    lines = (LOAD, "%setup editor", "%setup editor --reset", "%setup editor --theme darkish")
    given = "%setup editor --theme dark --indent 8 --font-size 21 --line-numbers on"
    window = open_notebook(server, *lines, f"{given}\n%cd_persist .")
    window.js(mine)
    window.page.reload()
    window.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    window.connected()
    window.run(0, "")
    before = looks(window)
    assert before["theme"] == "JupyterLab Light" and before["indent"] == "2"
    assert "there is no theme darkish" in window.run(3, "darkish")
    assert "font size default" in " ".join(window.run(1, "Themes: dark").split("\t"))

    window.run(4, "added on top")
    changed = {"theme": "JupyterLab Dark", "indent": "8", "numbers": True, "size": "21px"}
    until(lambda: looks(window) == changed, f"{looks(window)} become {changed}")
    text = setup_text(window.path) or ""
    assert "%cd_persist" in text and "editor" not in text, "a person's taste is not recorded"
    saved = window.js(
        "return JSON.parse(JSON.stringify(await app.serviceManager.settings.fetch("
        "'@jupyterlab/notebook-extension:tracker'))).raw"
    )
    assert '"lineWrap": true' in saved

    window.page.reload()
    window.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    window.connected()
    until(lambda: looks(window) == changed, "they are there after a reload")
    window.run(3, "as before %setup editor")
    until(lambda: looks(window) == before, f"{looks(window)} become {before}")
    assert "nothing to undo" in window.run(3, "nothing to undo")
    assert window.dialogs == 0


@on("lab")
def test_it_is_recorded_where_that_is_asked_for(server: Server, open_notebook: Open) -> None:
    """With `--record` the line is in the setup cell, and there it holds."""
    cells = (f"{LOAD}\n%setup editor --line-numbers on --record", "%setup", "%setup editor --reset")
    window = open_notebook(server, *cells)
    window.run(0, "added on top")
    until(lambda: window.saved() == ["%setup editor --line-numbers on"], "it is recorded")
    assert "ok" in window.run(2, "line-numbers on")
    assert "already has line numbers on" in window.run(0, "already has")
    window.js("await app.commands.execute('colab-magics:check')")
    window.page.get_by_text("All lines of the setup cell hold").wait_for()
    window.page.keyboard.press("Escape")
    window.run(3, "as before")
