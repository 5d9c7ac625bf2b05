"""A real shell that runs cells and gives what they show: in this process, or in a child.

``python -m support.cells`` answers lines of JSON on its standard input (see `Child`), for tests
that need an environment, an interpreter or modules of their own.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Type

import colab_magics

TESTS = Path(__file__).resolve().parent.parent
#: Where the package under test was imported from: the checkout, or site-packages.
PACKAGE = Path(colab_magics.__file__).resolve().parent.parent

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Reply(NamedTuple):
    """What one cell came to: all text that it showed, and the error that ended it."""

    shown: str
    error: Optional[BaseException]


class Cells:
    """Runs cells in a shell; calling it raises what the cell raised."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell

    def attempt(self, cell: str) -> Reply:
        """Run a cell, whatever becomes of it."""
        from IPython.utils.capture import capture_output

        with capture_output() as captured:
            result = self.shell.run_cell(cell)
        parts = [captured.stdout, captured.stderr]
        parts += [output.data["text/plain"] for output in captured.outputs]
        text = "\n".join(part.rstrip("\n") for part in parts if part.strip())
        return Reply(_COLOUR.sub("", text), result.error_before_exec or result.error_in_exec)

    def __call__(self, cell: str) -> str:
        """Run a cell that is to succeed, and give what it showed."""
        reply = self.attempt(cell)
        if reply.error is not None:
            raise reply.error
        return reply.shown

    def steps(self) -> List[str]:
        """The lines that are remembered and not in a notebook yet, each in one row."""
        from colab_magics.extension.session import get_session
        from colab_magics.record.cell import step_line

        texts = [step_line(*entry).text for entry in get_session(self.shell).pending.entries]
        return [text.replace(" \\\n   ", "") for text in texts]


def new_shell(instance: bool = True) -> Any:
    """A shell of its own: no history, no profile, an empty namespace.

    The one that IPython's ``display`` publishes through, unless ``instance`` is false.
    """
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor" if sys.version_info < (3, 11) else "nocolor"
    if instance:
        InteractiveShell.clear_instance()
    make = InteractiveShell.instance if instance else InteractiveShell
    shell = make(config=config, user_ns={})
    atexit.unregister(shell.atexit_operations)  # they take a quarter of a second for each shell
    return shell


class Answer(NamedTuple):
    """What one cell came to in a child."""

    shown: str
    error: str
    message: str
    steps: List[str]
    code: str = ""


class Child:
    """A shell in another process."""

    def __init__(self, environment: Mapping[str, str], python: str = sys.executable) -> None:
        seen = [str(TESTS)] if PACKAGE.name == "site-packages" else [str(TESTS), str(PACKAGE)]
        self.process = subprocess.Popen(
            [python, "-m", "support.cells"],
            env={
                **environment,
                "PYTHONPATH": os.pathsep.join(seen),
                "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, cell: str) -> None:
        """Have a cell run; `answer` waits for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(cell) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Answer:
        """What became of the cell that was asked for."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the child ended with {self.process.wait()}"
        return Answer(**json.loads(line))

    def attempt(self, cell: str) -> Answer:
        """Run a cell, whatever becomes of it."""
        self.ask(cell)
        return self.answer()

    def __call__(self, cell: str) -> str:
        """Run a cell that is to succeed, and give what it showed."""
        answer = self.attempt(cell)
        assert not answer.error, answer
        return answer.shown

    def interrupt(self) -> None:
        """What a kernel gets on Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.process.kill() if kind else None
        self.process.communicate()


def main() -> None:
    """Run the cells that are asked for, each answered with a line of JSON."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    asked = os.fdopen(os.dup(sys.stdin.fileno()))
    sys.stdin = open(os.devnull)  # noqa: SIM115 - for as long as the process lives
    cells = Cells(new_shell())
    cells("%load_ext colab_magics")
    for line in asked:
        reply = cells.attempt(json.loads(line))
        answer: Dict[str, Any] = {"shown": reply.shown, "error": "", "message": ""}
        if reply.error is not None:
            answer.update(error=type(reply.error).__name__, message=str(reply.error))
            answer["code"] = getattr(reply.error, "code", "")
        answers.write(json.dumps({**answer, "steps": cells.steps()}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
