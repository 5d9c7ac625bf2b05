"""A Jupyter server of a test's own, and a window on one of its notebooks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

from .notebooks import source, whole
from .serving import free_port

#: Without these, Chromium tries to reach Google's hosts at every start.
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Several windows are open at once; one in the background is to answer like the others.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
]

LOAD = "%load_ext colab_magics"
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def until(true: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Wait for something outside this process that tells of itself only when it is asked.

    A notebook may be read half written: Jupyter Server writes into the file that is there.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(json.JSONDecodeError):
            found = true()
            if found:
                return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


#: What is off without jupyter-collaboration, and what that package turns off in its favour.
COLLABORATION = ("@jupyter/collaboration-extension", "@jupyter/docprovider-extension")
REPLACED = (
    "@jupyterlab/filebrowser-extension:defaultFileBrowser",
    "@jupyterlab/notebook-extension:cell-executor",
)


@dataclass
class Server:
    """A Jupyter server: ``app`` is ``lab`` or ``notebook``."""

    app: str
    folder: Path
    home: Path
    extension: bool = True
    collaboration: bool = False
    process: Optional[subprocess.Popen[bytes]] = None
    port: int = 0

    @property
    def data(self) -> Path:
        """Its data directory: signatures of trusted notebooks, and kernels."""
        return self.home / "data"

    def start(self) -> None:
        """Start it, and wait until it answers.

        The port is chosen before it is taken: where another program is faster, it takes the next.
        """
        self._configure()
        env = {
            **os.environ,
            "HOME": str(self.home),
            "IPYTHONDIR": str(self.home / "ipython"),
            "JUPYTER_CONFIG_DIR": str(self.home / "config"),
            "JUPYTER_DATA_DIR": str(self.data),
            "JUPYTERLAB_SETTINGS_DIR": str(self.home / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self.home / "workspaces"),
            "JUPYTER_RUNTIME_DIR": str(self.home / "runtime"),
        }
        module = {"lab": "jupyterlab", "notebook": "notebook"}[self.app]
        name = {"lab": "LabApp", "notebook": "JupyterNotebookApp"}[self.app]
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", module, "--allow-root", "--no-browser"),
                *(f"--port={free_port()}", "--IdentityProvider.token=token"),
                f"--{name}.expose_app_in_browser=True",
            ],
            cwd=self.folder,
            env=env,
            stdout=(self.home / "server.log").open("wb"),
            stderr=subprocess.STDOUT,
        )
        until(self._answers, "the server starts", 90)

    def _configure(self) -> None:
        # An autosave behind our back is when front ends ask "overwrite or revert?".
        self._write("settings/@jupyterlab/docmanager-extension/plugin", {"autosaveInterval": 5})
        self._write("settings/@jupyterlab/apputils-extension/notification", {"fetchNews": "false"})
        extensions = {"jupyter_server_ydoc": self.collaboration}
        if not self.extension:
            extensions["colab_magics.server"] = False
        server = {"ServerApp": {"jpserver_extensions": extensions}}
        self._write("config/jupyter_server_config.json", server)
        disabled = {} if self.extension else {"colab-magics": True}
        if not self.collaboration:
            disabled.update(dict.fromkeys(COLLABORATION, True), **dict.fromkeys(REPLACED, False))
        self._write("config/labconfig/page_config.json", {"disabledExtensions": disabled})

    def _write(self, name: str, content: Dict[str, Any]) -> None:
        path = self.home / (name if name.endswith(".json") else name + ".jupyterlab-settings")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log
        try:
            written = self.home / "runtime" / f"jpserver-{self.process.pid}.json"
            self.port = json.loads(written.read_text(encoding="utf-8"))["port"]
            self.api("status")
        except (OSError, ValueError):  # not written yet, or not to its end
            return False
        return True

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.home / "server.log").read_text(encoding="utf-8", errors="replace")

    def api(self, path: str, method: str = "GET", /, **body: Any) -> Any:
        """Ask the server's REST interface."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{path}",
            data=json.dumps(body).encode() if body else None,
            headers={"Authorization": "token token"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def address(self, name: str) -> str:
        """Where the notebook is opened."""
        view = f"lab/tree/{name}?reset&" if self.app == "lab" else f"notebooks/{name}?"
        return f"http://127.0.0.1:{self.port}/{view}token=token"

    def end_kernels(self) -> None:
        """End all kernels, so that the next test has the machine to itself."""
        for session in self.api("sessions"):
            with suppress(OSError):
                self.api(f"sessions/{session['id']}", "DELETE")

    def stop(self) -> None:
        """End it, with its kernels."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)


#: Before each script: the application, and the panel of the notebook.
_PANEL = """async argument => {
  const app = window.jupyterapp;
  const panel = [...(app?.shell?.widgets('main') || [])].find(w => w.context && w.content?.widgets);
  const kernel = panel?.sessionContext?.session?.kernel;
  const cell = id => panel.content.widgets.find(w => w.model.id === id);
"""


class Window:
    """One page with one notebook in it."""

    def __init__(self, server: Server, page: Any, path: Path) -> None:
        self.server, self.page, self.path = server, page, path
        self.sockets: List[str] = []
        self.saves = 0
        page.on("websocket", self._connects)
        page.on("request", self._count)
        page.goto(server.address(path.name))
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.connected()

    def leave(self) -> None:
        """Heed the page no longer: another window may be opened on it."""
        self.page.remove_listener("websocket", self._connects)
        self.page.remove_listener("request", self._count)

    def _connects(self, socket: Any) -> None:
        self.sockets.append(socket.url)

    def _count(self, request: Any) -> None:
        self.saves += request.method == "PUT" and "/api/contents/" in request.url

    def js(self, body: str, argument: Any = None) -> Any:
        """Run the body of a function in the page; it knows ``app``, ``panel`` and ``kernel``."""
        return self.page.evaluate(_PANEL + body + "\n}", argument)

    def connected(self) -> None:
        """Wait until the document is there, and this page's own connection to an idle kernel."""
        script = (
            "return !!panel?.context.isReady && kernel?.connectionStatus === 'connected'"
            " && kernel.status === 'idle'"
        )
        until(lambda: self.js(script), "the page is connected to its kernel", 90)
        until(self.idle, "the kernel is idle", 60)

    @property
    def kernel(self) -> str:
        """The id of its kernel."""
        return str(self.js("return kernel.id"))

    def idle(self) -> bool:
        """Whether the server says that the kernel of this notebook is idle."""
        found = [s for s in self.server.api("sessions") if s["path"] == self.path.name]
        return bool(found) and found[0]["kernel"]["execution_state"] == "idle"

    def cell(self, at: int) -> Any:
        """A cell by its place."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(at)

    @property
    def texts(self) -> List[str]:
        """The text of each cell as the page shows it."""
        lines = "[...c.querySelectorAll('.cm-line')].map(l => l.textContent).join('\\n')"
        cells = "[...document.querySelectorAll('.jp-Notebook .jp-Cell')]"
        return list(self.page.evaluate(f"() => {cells}.map(c => {lines})"))

    def type(self, at: int, text: str) -> None:
        """Type at the end of a cell."""
        self.cell(at).locator(".cm-content").click()
        self.page.keyboard.press("Control+End")
        self.page.keyboard.insert_text(text) if "\n" in text else self.page.keyboard.type(text)

    def start(self, at: int) -> str:
        """Start a cell as a person does; gives its id, which stays when its place changes."""
        self.cell(at).locator(".cm-content").click()
        identity = self.js("return panel.content.widgets[argument].model.id", at)
        # A prompt that is empty again says that this run has ended, and not the one before.
        self.js("cell(argument).model.executionCount = null", identity)
        self.page.keyboard.press("Control+Enter")
        return str(identity)

    def shown(self, identity: str) -> str:
        """What stands below a cell."""
        return str(self.js("return cell(argument).outputArea.node.innerText", identity))

    def ended(self, *identities: str) -> bool:
        """Whether cells have ended, with all that they show: the page has seen an idle kernel."""
        script = (
            "return kernel.status === 'idle'"
            " && argument.every(id => cell(id).model.executionCount !== null)"
        )
        return bool(self.js(script, identities))

    def finish(self, identity: str, wait: str = "", seconds: float = 60) -> str:
        """Wait until a cell has ended and shows a text, and give what it shows."""
        try:
            until(lambda: self.ended(identity), "the cell ends", seconds)
            until(lambda: wait in self.shown(identity), wait, 10)
        except AssertionError as error:
            shown = self.shown(identity)
            asked = self.page.locator(".jp-Dialog").all_inner_texts()
            raise AssertionError(f"{error}; shown: {shown}; dialogs: {asked}") from None
        until(self.idle, "the kernel is idle")
        return self.shown(identity)

    def run(self, at: int, wait: str) -> str:
        """Run a cell, wait until the page shows a text below it, and give what it shows."""
        return self.finish(self.start(at), wait)

    def run_all(self) -> List[str]:
        """Run all cells by the command of that name; gives what each shows."""
        self.js("for (const one of panel.content.widgets) one.model.executionCount = null")
        identities = self.js("return panel.content.widgets.map(one => one.model.id)")
        self.js("void app.commands.execute('notebook:run-all-cells')")
        until(lambda: self.ended(*identities), "all cells have ended", 60)
        return [self.finish(identity) for identity in identities]

    def answer(self, text: str) -> None:
        """Type a line where a cell asks for one."""
        # The field of the last answer stays for a moment, hidden, so that the focus is kept.
        fields = self.page.locator(".jp-OutputArea-child:not(.jp-OutputArea-stdin-hiding)")
        field = fields.locator(".jp-Stdin-input")
        field.wait_for(timeout=60_000)
        field.fill(text)
        field.press("Enter")

    def save(self) -> None:
        """Save as a person does."""
        self.page.keyboard.press("Control+s")

    @property
    def dialogs(self) -> int:
        """How many dialogs are open: nothing that we do may ask."""
        return int(self.page.locator(".jp-Dialog").count())

    def on_disk(self) -> List[str]:
        """The text of each cell in the file; none while it is being written."""
        try:
            return [source(cell) for cell in whole(self.path)["cells"]]
        except (ValueError, OSError):
            return []

    def saved(self) -> List[str]:
        """The steps of the setup cell in the file."""
        return list(setup_on_top(self.on_disk()))


def steps(text: str) -> List[str]:
    """The magic lines of a setup cell below its head."""
    return re.findall(r"(?m)^%(?!reload_ext).*$", text)


def setup_on_top(texts: List[str]) -> Iterator[str]:
    """The steps of the setup cell, if it is the first one."""
    if texts and "# colab_magics:setup v1" in texts[0]:
        yield from steps(texts[0])
