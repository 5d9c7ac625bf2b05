"""A real Jupyter Server of a machine, asked through its REST interface."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

from doubles.certificate import self_signed

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
    kernel = Kernel(str(_runtime(machine) / f"kernel-{session['kernel']['id']}.json"))
    try:
        page = kernel.page()
        page.run(HURRY, silent=True)
        yield page
    finally:
        kernel.close()


@contextmanager
def serving(machine: Machine, folder: Path, kind: str = "") -> Iterator[Ask]:
    """A server of the notebooks in a folder; ``kind``: with a token over TCP, or as `_way` has it.

    The port is chosen before it is taken. Where another program is faster, the server takes the
    next one, so it is asked where it has written down to be.
    """
    options = {"allow_root": True, "open_browser": False, "root_dir": folder}
    with tempfile.TemporaryDirectory() as place:  # the path of a socket has to be short
        process = subprocess.Popen(
            [
                *(str(machine.python), "-m", "jupyter_server"),
                *(f"--ServerApp.{name}={value}" for name, value in options.items()),
                *(f"--{word}" for word in _way(kind, Path(place))),
            ],
            env=machine.variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        written = _runtime(machine) / f"jpserver-{process.pid}.json"

        def ask(method: str, where: str, body: Any) -> Any:
            return _asked(json.loads(written.read_text()), method, where, body)

        with process:
            try:
                _wait(lambda: ask("GET", "", None), process)
                yield ask
            finally:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=20)
                process.kill()  # asked to end while it restarts a kernel, it may never do so


def _way(kind: str, place: Path) -> List[str]:
    """The options by which it is reached: ``no token``, ``tls``, ``unix``, or as usual."""
    token = "" if kind == "no token" else "t"
    words = [f"IdentityProvider.token={token}"]
    if kind == "unix":
        return [*words, f"ServerApp.sock={place / 'socket'}"]
    if kind == "tls":
        certificate, key = self_signed(place)
        words += [f"ServerApp.certfile={certificate}", f"ServerApp.keyfile={key}"]
    return [*words, f"ServerApp.port={free_port()}"]


def free_port() -> int:
    """One that nobody listens on now; older servers write down port 0 as it was asked for."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _runtime(machine: Machine) -> Path:
    """Where its servers and kernels are written down."""
    return machine.home / ".local/share/jupyter/runtime"


def _asked(server: Dict[str, Any], method: str, where: str, body: Any) -> Any:
    """What its sessions are, by what it has written down of itself."""
    headers = {"Content-Type": "application/json", "Authorization": f"token {server['token']}"}
    headers.update({"Cookie": "_xsrf=x", "X-XSRFToken": "x"})  # asked for where there is no token
    data = None if body is None else json.dumps(body)
    with closing(_connection(server)) as connection:
        connection.request(method, f"/api/sessions{where}", data, headers)
        answer = connection.getresponse()
        text = answer.read()
    if answer.status >= 400:
        raise OSError(f"{answer.status}: {text.decode()}")
    return json.loads(text or b"null")


def _connection(server: Dict[str, Any]) -> HTTPConnection:
    if server["secure"]:
        anyone = ssl._create_unverified_context()
        return HTTPSConnection("127.0.0.1", server["port"], timeout=60, context=anyone)
    connection = HTTPConnection("127.0.0.1", server["port"], timeout=60)
    if server["sock"]:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(server["sock"])
    return connection


def _wait(answers: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    """Until the server answers; it tells of itself only when it is asked."""
    end = time.monotonic() + 60
    while True:
        try:
            answers()
            return
        except (OSError, ValueError):  # not written down yet, or not to its end
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.05)
