"""Have a person type a line."""

from __future__ import annotations

from typing import Any

from .host import Host


def ask(host: Host, prompt: str, hidden: bool = False) -> str:
    """Return what a person, who must be there, types; ``EOFError`` where nobody can.

    Colab's page answers a request (for a secret, for Drive) on the channel of typed lines. After
    its time-out the answer still comes, as a dict, and is no line that somebody typed: the next
    one is awaited, and the person is not asked twice.
    """
    import getpass

    value: Any = getpass.getpass(prompt) if hidden else input(prompt)
    while not isinstance(value, str):
        value = _next_reply(host.shell.kernel)
    return value


def _next_reply(kernel: Any) -> Any:
    """Wait for the next message on stdin, as `notebook.comm` does; in short waits, for Ctrl-C."""
    while not kernel.stdin_socket.poll(50):
        pass
    _, message = kernel.session.recv(kernel.stdin_socket, mode=0)
    return message["content"]["value"]
