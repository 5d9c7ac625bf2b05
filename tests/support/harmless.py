"""A shell that runs lines which may be anything, and does no harm by it.

``python -m support.harmless FD PREPARED LATE``: the lines as JSON on that descriptor, Python that
is run once the extension is loaded, and the seconds that a line may take. Each line is answered
with a line of JSON: whether it ended badly, and what was said.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import traceback
from typing import Any, List, NoReturn, Tuple

from colab_magics.core.errors import input_errors
from colab_magics.pin.uv import find_uv

from .cells import Cells, Reply, new_shell

OURS = {os.path.realpath(sys.executable), os.path.realpath(str(find_uv()))}
SHELLS = {"sh", "bash", "zsh", "dash"}


class Late(BaseException):
    """A line has taken longer than it may."""


def late(*about: object) -> NoReturn:
    raise Late


def refuse_programs(event: str, about: Tuple[Any, ...]) -> None:
    """Nothing but stubs, this interpreter, its uv; and shells, where they find only stubs."""
    if event != "subprocess.Popen":
        return
    name, given = os.fsdecode(about[0]), about[3] if about[3] is not None else os.environ
    variables = {os.fsdecode(key): os.fsdecode(value) for key, value in given.items()}
    path = variables.get("PATH")
    found = name if "/" in name else shutil.which(name, path=path or os.devnull)
    real = os.path.realpath(found or os.devnull)
    shell = os.path.basename(found or "") in SHELLS and path is not None
    if not (shell or "/programs/" in (found or "") or real in OURS):
        raise FileNotFoundError(2, "No such file or directory", name)


def refuse_network() -> None:
    """No address but this machine's own is there."""
    connect = socket.socket.connect

    def refused(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in {"127.0.0.1", "::1"}:
            raise ConnectionRefusedError(111, "Connection refused")
        connect(self, address)

    def unknown(*about: object, **more: object) -> NoReturn:
        raise socket.gaierror(-2, "Name or service not known")

    socket.socket.connect = refused  # type: ignore[method-assign,assignment]
    socket.getaddrinfo = unknown  # type: ignore[assignment]


def judge(reply: Reply) -> Tuple[bool, str]:
    """Whether a line ended badly, and what was said, with the way to an error."""
    error = reply.error
    if error is None:
        return "Error in callback" in reply.shown, reply.shown[-600:]
    bad = not isinstance(error, input_errors())
    frames = traceback.extract_tb(error.__traceback__)[:-5:-1] if bad else []
    way = " < ".join(f"{frame.filename[-40:]}:{frame.lineno}" for frame in frames)
    return bad, f"{type(error).__name__}: {error} {way}"


def attempt(cells: Cells, name: str, line: str, body: Any, seconds: int) -> Tuple[bool, str]:
    """Run one line as IPython does once it has taken a cell apart."""
    call = f"run_line_magic({name!r}, {line!a})"
    if body is not None:
        call = f"run_cell_magic({name!r}, {line!a}, {body!a})"
    signal.alarm(seconds)
    try:
        return judge(cells.attempt(f"get_ipython().{call};"))
    except BaseException as error:
        return judge(Reply("", error))
    finally:
        signal.alarm(0)


def main(descriptor: str, prepared: str, seconds: str) -> None:
    """Run all lines."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    with os.fdopen(int(descriptor), encoding="ascii") as stream:
        lines: List[Any] = json.load(stream)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.path[:] = list(filter(None, sys.path))  # 3.13.0 fails at "" where the folder is gone
    sys.addaudithook(refuse_programs)
    refuse_network()
    signal.signal(signal.SIGALRM, late)
    cells = Cells(new_shell())
    cells("%load_ext colab_magics")
    exec(prepared)
    for name, line, body in lines:
        answers.write(json.dumps(attempt(cells, name, line, body, int(seconds))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
