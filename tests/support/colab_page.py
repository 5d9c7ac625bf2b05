"""Colab's page with its secrets, and VS Code on a machine of Colab's: a person sits before both.

What is played is the protocol of ``google.colab._message``: the answer to a request comes on the
channel of typed lines. A page answers late, refuses, or not at all; the person types when prompted.
Both answer a request for Drive, as colab-vscode 0.9 does; VS Code answers no other.
"""

from __future__ import annotations

import queue
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from .front_end import PATIENCE
from .other_front_ends import Colab, Notebook, VSCode


def answer_secret(secrets: Dict[str, Optional[str]], name: str) -> Dict[str, Any]:
    """What Colab's page answers; a value of None is a secret that this notebook may not see."""
    value = secrets.get(name)
    seen = {"payload": value} if value is not None else {}
    return {"exists": name in secrets, "access": value is not None, **seen}


class Attended(Notebook):
    """A front end with a person: each prompt is answered by the next list of values in `typed`."""

    def __init__(self, connection: str, *cells: str) -> None:
        super().__init__(connection, *cells)
        self.requests: List[str] = []
        self.prompts: List[str] = []
        self.typed: List[List[Any]] = []
        #: What a request for Drive is refused with; empty where it is allowed.
        self.refusal = ""

    def next_message(self) -> Dict[str, Any]:
        """Wait for the next message, and answer prompts meanwhile."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.attend()
            try:
                message: Dict[str, Any] = self._client.get_iopub_msg(timeout=0.05)
                return message
            except queue.Empty:
                continue
        raise AssertionError("the kernel says nothing")

    def attend(self) -> None:
        """Type what is prompted for."""
        try:
            prompt = self._client.get_stdin_msg(timeout=0)
        except queue.Empty:
            return
        self.prompts.append(prompt["content"]["prompt"])
        for value in self.typed.pop(0) if self.typed else [""]:
            self.reply(value)

    def heard(self, message: Dict[str, Any]) -> None:
        """Note what Colab's package asks for, and answer what this front end answers."""
        if message["header"]["msg_type"] == "colab_request":
            kind = message["metadata"]["colab_request_type"]
            self.requests.append(kind)
            self.requested(kind, message["metadata"]["colab_msg_id"], message["content"]["request"])

    def requested(self, kind: str, number: Any, request: Any) -> None:
        """Answer a request of Colab's package."""
        if kind == "request_auth":
            refused = {"error": self.refusal} if self.refusal else {}
            self.reply({"type": "colab_reply", "colab_msg_id": number, **refused})


class SecretsPage(Attended, Colab):
    """Colab's page with the secrets of its key, which it answers after `delay` seconds.

    With `delay` None nothing is answered until the test calls `answer_open`.
    """

    def __init__(self, connection: str, *cells: str) -> None:
        super().__init__(connection, *cells)
        self.secrets: Dict[str, Optional[str]] = {}
        self.delay: Optional[float] = 0.0
        self.on_request: Callable[[], object] = list
        self._open: List[Tuple[float, Dict[str, Any]]] = []

    def requested(self, kind: str, number: Any, request: Any) -> None:
        """Answer for Drive; note what a request for a secret will be answered by."""
        super().requested(kind, number, request)
        if kind == "GetSecret":
            data = answer_secret(self.secrets, request["key"])
            due = time.monotonic() + (PATIENCE if self.delay is None else self.delay)
            value = {"type": "colab_reply", "colab_msg_id": number, "data": data}
            self._open.append((due, value))
            self.on_request()

    def attend(self) -> None:
        """Also answer the requests that are due."""
        self.answer_open(time.monotonic())
        super().attend()

    def answer_open(self, until: float = float("inf")) -> None:
        """Answer the requests that are due by then, by default all."""
        for due, value in self._open:
            if due <= until:
                self.reply(value)
        self._open = [entry for entry in self._open if entry[0] > until]


class ColabInVSCode(Attended, VSCode):
    """VS Code on a machine of Colab's: its secrets are not there, and nothing answers for them."""
