"""The kernel's half of Colab's protocol: a request on iopub, its answer on stdin.

Written after colabtools' description of it: iopub ``colab_request`` with ``colab_msg_id`` and
``colab_request_type`` in its metadata; the answer is an ``input_reply`` whose value is
``{"type": "colab_reply", "colab_msg_id": ..., "data" or "error": ...}``.
"""

from __future__ import annotations

import time
import uuid
from typing import Any, Optional


class MessageError(Exception):
    """The browser answered with an error."""


def blocking_request(
    request_type: str, request: Any = "", timeout_sec: Optional[float] = 5, parent: Any = None
) -> Any:
    """Ask the front end; None where no answer has come in time."""
    from IPython import get_ipython

    kernel = get_ipython().kernel
    asked = uuid.uuid4().hex
    kernel.session.send(
        kernel.iopub_socket,
        "colab_request",
        {"request": request},
        parent=parent or kernel.get_parent("shell"),
        metadata={"colab_msg_id": asked, "colab_request_type": request_type},
    )
    end = None if timeout_sec is None else time.monotonic() + timeout_sec
    while end is None or time.monotonic() < end:
        if not kernel.stdin_socket.poll(25):
            continue
        _, message = kernel.session.recv(kernel.stdin_socket, mode=0)
        value = message["content"].get("value")
        if isinstance(value, dict) and value.get("colab_msg_id") == asked:
            if "error" in value:
                raise MessageError(value["error"])
            return value.get("data")
    return None
