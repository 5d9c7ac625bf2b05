"""A Jupyter server of a test's own, and a window on one of its notebooks."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

from kernel.files import source, whole

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

KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def until(true: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Wait for something outside this process that tells of itself only when it is asked."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


@dataclass
class Server:
    """A Jupyter server: ``app`` is ``lab`` or ``notebook``."""

    app: str
    folder: Path
    home: Path
    extension: bool = True
    process: Optional[subprocess.Popen[bytes]] = None
    port: int = 0
    log: List[str] = field(default_factory=list)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = self.home / "config"
        settings = self.home / "settings" / "@jupyterlab" / "docmanager-extension"
        settings.mkdir(parents=True)
        # An autosave behind our back is when front ends ask "overwrite or revert?".
        (settings / "plugin.jupyterlab-settings").write_text('{"autosaveInterval": 5}')
        news = self.home / "settings" / "@jupyterlab" / "apputils-extension"
        news.mkdir(parents=True)
        (news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
        if not self.extension:
            (config / "labconfig").mkdir(parents=True)
            (config / "labconfig" / "page_config.json").write_text(
                json.dumps({"disabledExtensions": {"colab-magics": True}})
            )
        env = {
            **os.environ,
            "HOME": str(self.home),
            "JUPYTER_CONFIG_DIR": str(config),
            "JUPYTERLAB_SETTINGS_DIR": str(self.home / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self.home / "workspaces"),
            "JUPYTER_RUNTIME_DIR": str(self.home / "runtime"),
        }
        module = {"lab": "jupyterlab", "notebook": "notebook"}[self.app]
        name = {"lab": "LabApp", "notebook": "JupyterNotebookApp"}[self.app]
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", module, "--allow-root", "--no-browser"),
                *(f"--port={self.port}", "--ServerApp.port_retries=0"),
                *("--IdentityProvider.token=token", f"--{name}.expose_app_in_browser=True"),
            ],
            cwd=self.folder,
            env=env,
            stdout=(self.home / "server.log").open("wb"),
            stderr=subprocess.STDOUT,
        )
        until(self._answers, "the server starts", 90)

    def _answers(self) -> bool:
        try:
            self.api("status")
        except OSError:
            return False
        return True

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

    def stop(self) -> None:
        """End it, with its kernels."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)


class Window:
    """One page with one notebook in it."""

    def __init__(self, server: Server, page: Any, path: Path) -> None:
        self.server, self.page, self.path = server, page, path
        page.goto(server.address(path.name))
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        until(self._idle, "the kernel is idle", 60)

    def _session(self) -> Dict[str, Any]:
        found = [s for s in self.server.api("sessions") if s["path"] == self.path.name]
        return found[0] if found else {}

    def _idle(self) -> bool:
        return bool(self._session().get("kernel", {}).get("execution_state") == "idle")

    def cell(self, at: int) -> Any:
        """A cell by its place."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(at)

    @property
    def texts(self) -> List[str]:
        """The text of each cell as the page shows it."""
        cells = self.page.locator(".jp-Notebook .jp-Cell")
        return [
            "\n".join(cells.nth(i).locator(".cm-line").all_inner_texts())
            for i in range(cells.count())
        ]

    def type(self, at: int, text: str) -> None:
        """Type at the end of a cell."""
        self.cell(at).locator(".cm-content").click()
        self.page.keyboard.press("Control+End")
        self.page.keyboard.insert_text(text) if "\n" in text else self.page.keyboard.type(text)

    def run(self, at: int, wait: str) -> str:
        """Run a cell, wait until the page shows a text below it, and give what it shows."""
        box = self.cell(at)
        box.locator(".cm-content").click()
        handle = box.element_handle()
        self.page.keyboard.press("Control+Enter")
        shown = ""

        def there() -> bool:
            nonlocal shown
            area = handle.query_selector(".jp-OutputArea")
            shown = area.inner_text() if area else "no output"
            return wait in shown

        try:
            until(there, wait)
        except AssertionError as error:
            raise AssertionError(f"{error}; shown: {shown}") from None
        until(self._idle, "the kernel is idle")
        return shown

    def save(self) -> None:
        """Save as a person does, and wait until the file is whole and new."""
        self.page.keyboard.press("Control+s")

    @property
    def dialogs(self) -> int:
        """How many dialogs are open: nothing that we do may ask."""
        return int(self.page.locator(".jp-Dialog").count())

    def on_disk(self) -> List[str]:
        """The text of each cell in the file; none while it is being written."""
        try:
            return [source(cell) for cell in whole(self.path)["cells"]]
        except ValueError:
            return []


def steps(text: str) -> List[str]:
    """The magic lines of a setup cell below its head."""
    return re.findall(r"(?m)^%(?!reload_ext).*$", text)


def setup_on_top(texts: List[str]) -> Iterator[str]:
    """The steps of the setup cell, if it is the first one."""
    if texts and "# colab_magics:setup v1" in texts[0]:
        yield from steps(texts[0])
