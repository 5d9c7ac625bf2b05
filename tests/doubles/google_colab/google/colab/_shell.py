"""A shell class of the shape of Colab's: `!` goes through its own module, as do errors and history.

Where IPython's own version of a method would do as well, Colab's kernel still runs the override:
what the project hooks into has to work through these.
"""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Optional

from ipykernel.jsonutil import json_clean
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core import events
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShellABC

from . import _system_commands


class History(HistoryManager):
    """A history that also notes the cell that each input came from."""

    cells: List[Dict[str, Any]] = []

    def store_inputs(self, line_num: int, source: str, source_raw: Optional[str] = None) -> None:
        super().store_inputs(line_num, source, source_raw)
        metadata = self.shell.parent_header.get("metadata", {})
        cell = metadata.get("colab", {}).get("cell_id")
        self.cells.append({"code": source_raw, "cell_id": cell})


class Shell(ZMQInteractiveShell):
    """The shell of Colab's kernel."""

    def init_events(self) -> None:
        self.events = events.EventManager(self, events.available_events)
        self.events.register("pre_execute", self._clear_warning_registry)

    def init_history(self) -> None:
        self.history_manager = History(shell=self, parent=self)
        self.configurables.append(self.history_manager)

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> Any:
        return _system_commands._getoutput_compat(self, cmd, split, depth)

    def system(self, cmd: str) -> None:
        _system_commands._system_compat(self, cmd)

    def run_cell_magic(self, magic_name: str, line: str, cell: str) -> Any:
        """A cell magic with arguments and no body runs here, where IPython refuses it."""
        return super().run_cell_magic(magic_name, line, cell or (" " if line else cell))

    def _showtraceback(self, etype: type, evalue: Any, stb: Any) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        content = {"traceback": stb, "ename": etype.__name__, "evalue": str(evalue)}
        hook = self.displayhook
        topic = hook.topic.replace(b"execute_result", b"err") if hook.topic else None
        hook.session.send(
            hook.pub_socket, "error", json_clean(content), hook.parent_header, ident=topic
        )
        self._last_traceback = stb


InteractiveShellABC.register(Shell)


class _Explained(Exception):
    """An error whose traceback has more to say."""

    def __init__(self, message: str, lines: List[str]) -> None:
        super().__init__(message)
        self._lines = lines

    def _render_traceback_(self) -> List[str]:
        return self._lines


def show_import_error(
    shell: Any, etype: type, error: BaseException, tb: Any, tb_offset: Optional[int] = None
) -> None:
    """Show a failed import as Colab does: with a hint below the traceback."""
    lines = shell.InteractiveTB.structured_traceback(etype, error, tb, tb_offset=tb_offset)
    explained = _Explained(str(error), [*lines, "NOTE: use !pip or !apt."])
    shell.showtraceback(exc_tuple=(etype, explained, tb))
