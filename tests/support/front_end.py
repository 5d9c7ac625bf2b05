"""A front end as a kernel sees it, played by jupyter_client: sessions, cell ids, payloads."""

from __future__ import annotations

import queue
import tempfile
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, TypeVar

from jupyter_client import BlockingKernelClient, KernelManager
from jupyter_client.kernelspec import KernelSpecManager

from .machine import Machine

#: Seconds within which a kernel must say something.
PATIENCE = 60

#: No page here has the front-end extension. Finding that out takes three seconds in each kernel.
HURRY = """\
from colab_magics.notebook import comm
comm.PATIENCE, comm.AGAIN = 0.1, (2, 0.1)
del comm"""


@dataclass(frozen=True)
class Answer:
    """All that a kernel sent for one cell."""

    reply: Dict[str, Any]
    messages: List[Dict[str, Any]]

    def of(self, kind: str) -> List[Dict[str, Any]]:
        """The contents of the messages of one kind."""
        return [m["content"] for m in self.messages if m["header"]["msg_type"] == kind]

    @property
    def text(self) -> str:
        """What was printed or displayed; later states of a display stand after earlier ones."""
        printed = "".join(one["text"] for one in self.of("stream"))
        parts = [printed] if printed else []
        for kind in ("display_data", "update_display_data", "execute_result"):
            parts += [one["data"]["text/plain"] for one in self.of(kind)]
        return "\n".join([*parts, *(f"{e['ename']}: {e['evalue']}" for e in self.of("error"))])

    @property
    def payload(self) -> List[Dict[str, Any]]:
        """What the front end is asked to do with the cell."""
        found: List[Dict[str, Any]] = self.reply["payload"]
        return found


class Page:
    """One open notebook: a client with a session of its own. Cells run in the order of calls."""

    def __init__(self, connection: str, alive: Callable[[], bool] = lambda: True) -> None:
        self._client = _connected(connection, alive)

    def run(
        self,
        code: str,
        allow_stdin: bool = True,
        metadata: Optional[Dict[str, Any]] = None,
        silent: bool = False,
    ) -> Answer:
        """Run a cell as JupyterLab does, and wait for all that the kernel says about it."""
        client = self._client
        content = {"code": code, "silent": silent, "store_history": not silent}
        content["user_expressions"] = {}
        # Nothing is queued behind a cell, and ipykernel 6 aborts what comes soon after an error.
        content.update(allow_stdin=allow_stdin, stop_on_error=False)
        if metadata is None:
            metadata = {"cellId": str(uuid.uuid4())} if allow_stdin else {}
        request = client.session.msg("execute_request", content, metadata=metadata)
        client.shell_channel.send(request)
        mine = request["header"]["msg_id"]
        messages: List[Dict[str, Any]] = []
        while not messages or messages[-1]["content"].get("execution_state") != "idle":
            message = self.next_message()
            if message["parent_header"].get("msg_id") == mine:
                messages.append(message)
            if message["parent_header"].get("session") == client.session.session:
                self.heard(message)  # Colab's requests name the session alone
        while True:
            reply = client.get_shell_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == mine:
                return Answer({"payload": [], **reply["content"]}, messages)

    def ok(self, code: str, allow_stdin: bool = True) -> Answer:
        """Run a cell that must end well."""
        answer = self.run(code, allow_stdin)
        assert answer.reply["status"] == "ok", answer.text
        return answer

    def begin(self, code: str) -> None:
        """Have a cell run, and wait for nothing: the kernel may be killed in it."""
        self._client.execute(code)

    def next_message(self) -> Dict[str, Any]:
        """Wait for the next message that the kernel publishes."""
        message: Dict[str, Any] = self._client.get_iopub_msg(timeout=PATIENCE)
        return message

    def request(self, kind: str, **content: Any) -> Dict[str, Any]:
        """Ask the kernel for what is no cell: ``complete``, ``inspect``; return its reply."""
        client = self._client
        request = client.session.msg(f"{kind}_request", content)
        client.shell_channel.send(request)
        while True:
            reply = client.get_shell_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == request["header"]["msg_id"]:
                found: Dict[str, Any] = reply["content"]
                return found

    def heard(self, message: Dict[str, Any]) -> None:
        """What this front end does when it hears a message."""

    def reply(self, value: Any) -> None:
        """Send what was asked for on standard input."""
        message = self._client.session.msg("input_reply", {"value": value})
        self._client.stdin_channel.send(message)

    def close(self) -> None:
        """Leave; the kernel stays."""
        self._client.stop_channels()


def _connected(connection: str, alive: Callable[[], bool]) -> BlockingKernelClient:
    """A client that the kernel answers, and that hears what the kernel publishes.

    ``wait_for_ready`` of jupyter_client 7 takes a heartbeat that is late for a death, and in
    every version it listens a while longer for what may still come.
    """
    client = BlockingKernelClient(connection_file=connection)
    client.load_connection_file()
    client.start_channels()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and alive():
        with suppress(queue.Empty):
            client.kernel_info()
            reply = client.get_shell_msg(timeout=1)
            while not _ends(client.get_iopub_msg(timeout=0.2), reply):
                pass
            return client
    client.stop_channels()
    raise RuntimeError("the kernel has died, or does not answer")


def _ends(message: Dict[str, Any], reply: Dict[str, Any]) -> bool:
    """Whether a message is the last that is published for the request of a reply."""
    same = message["parent_header"].get("msg_id") == reply["parent_header"]["msg_id"]
    return same and message["content"].get("execution_state") == "idle"


AnyPage = TypeVar("AnyPage", bound=Page)


class Kernel:
    """A kernel that a server has started: its connection file is named as servers name it."""

    def __init__(self, connection: str) -> None:
        self._connection = connection
        self._pages: List[Page] = []

    def page(self) -> Page:
        """Open one more notebook on this kernel."""
        return self.open(Page)

    def open(self, make: Callable[..., AnyPage], *cells: str) -> AnyPage:
        """Open one more notebook in a front end of this kind."""
        page = make(self._connection, *cells)
        self._pages.append(page)
        return page

    def close(self) -> None:
        """Close all notebooks."""
        for page in self._pages:
            page.close()


@contextmanager
def started(
    machine: Machine, folder: Path, served: bool = True, hurried: bool = True
) -> Iterator[Kernel]:
    """A fresh kernel of a machine, in a folder; ``served``: as a Jupyter server starts it.

    ``hurried``: it does not wait as long as it would for an extension; see `HURRY`. It answers at
    files, as on Colab: ports are chosen before a kernel takes them, and another may be faster.
    """
    specs = str(Path(machine.variables["JUPYTER_PATH"], "kernels"))
    name = f"kernel-{uuid.uuid4() if served else 4321}.json"
    with tempfile.TemporaryDirectory() as sockets:  # their paths have to be short

        def make() -> KernelManager:
            return KernelManager(
                connection_file=str(machine.home / name),
                transport="ipc",
                ip=str(Path(sockets, "kernel")),
                kernel_name="python3",
                kernel_spec_manager=KernelSpecManager(kernel_dirs=[specs]),
            )

        first = HURRY if hurried else ""
        manager = _start(make, first, env=machine.variables, cwd=str(folder))
        kernel = Kernel(manager.connection_file)
        try:
            yield kernel
        finally:
            kernel.close()
            manager.shutdown_kernel(now=True)


def _start(make: Callable[[], KernelManager], first: str, **options: Any) -> KernelManager:
    """Start a kernel that answers; one that does not, on a loaded machine, is started again."""
    for _ in range(3):
        manager = make()
        manager.start_kernel(**options)
        try:
            page = Page(manager.connection_file, manager.is_alive)
        except RuntimeError:
            manager.shutdown_kernel(now=True)
            continue
        page.run(first, silent=True)
        page.close()
        return manager
    raise AssertionError("the kernel did not start, three times")
