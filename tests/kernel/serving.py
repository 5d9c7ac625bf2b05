"""A real Jupyter Server of a machine, asked through its REST interface."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

from .front_end import HURRY, Kernel, Page
from .machine import Machine

#: ``ask(method, where, body)``: ask the server's sessions.
Ask = Callable[[str, str, Any], Any]


def open_on(ask: Ask, name: str) -> Dict[str, Any]:
    """Open a notebook on a kernel of the server's own, as a front end does."""
    kernel = {"name": "python3"}
    session: Dict[str, Any] = ask(
        "POST", "", {"path": name, "name": name, "type": "notebook", "kernel": kernel}
    )
    return session


@contextmanager
def window(machine: Machine, session: Dict[str, Any]) -> Iterator[Page]:
    """A client of the kernel that the server has started."""
    runtime = machine.home / ".local/share/jupyter/runtime"
    kernel = Kernel(str(runtime / f"kernel-{session['kernel']['id']}.json"))
    try:
        page = kernel.page()
        page.run(HURRY, silent=True)
        yield page
    finally:
        kernel.close()


@contextmanager
def serving(machine: Machine, folder: Path) -> Iterator[Ask]:
    """A server of the notebooks in a folder."""
    with socket.socket() as free:  # older servers write down port 0 as it was asked for
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"port": port, "allow_root": True, "open_browser": False, "root_dir": folder}
    words = [f"--ServerApp.{name}={value}" for name, value in options.items()]
    process = subprocess.Popen(
        [str(machine.python), "-m", "jupyter_server", "--IdentityProvider.token=t", *words],
        env=machine.variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def ask(method: str, where: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{port}/api/sessions{where}"
        request = urllib.request.Request(url, data, method=method)
        request.add_header("Authorization", "token t")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    with process:
        try:
            _wait(lambda: ask("GET", "", None), process)
            yield ask
        finally:
            process.terminate()
            process.wait(timeout=60)


def _wait(answers: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    """Until the server answers; it tells of itself only when it is asked."""
    end = time.monotonic() + 60
    while True:
        try:
            answers()
            return
        except OSError:
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.05)
