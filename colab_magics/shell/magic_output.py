"""What ``%shell`` does with the output of a command: shown, logged, and captured for ``-o``."""

from __future__ import annotations

import sys
import time
from codecs import getincrementaldecoder
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..core.display import amount
from ..core.errors import CommandFailed
from ..core.host import Host
from ..core.redact import Redactor
from .log import Log
from .output import Output, Piece
from .runner import Exit, Listener

#: Bytes of each stream that a result holds; of both that an error does.
_CAPTURED, _RECENT = 64 * 10**6, 20_000


@dataclass(frozen=True, repr=False)
class ShellResult:
    """The value of ``x = %shell``: all that the command wrote, its status, and how long it took.

    ``output`` has both streams as they came; it, ``returncode`` and ``check_returncode()`` are what
    Colab's own result has. ``shown``: it is displayed like other values (``-o``).
    """

    output: str
    stdout: str
    stderr: str
    status: int
    seconds: float
    log: Optional[Path] = None
    error: Optional[CommandFailed] = None
    shown: bool = False

    @property
    def returncode(self) -> int:
        """The status, by its name in ``subprocess``."""
        return self.status

    def check_returncode(self) -> None:
        """Raise `CommandFailed` if the command did not succeed."""
        if self.error is not None:
            raise self.error

    def _ipython_display_(self) -> None:
        """Show nothing: the command's output is above."""
        if self.shown:
            raise NotImplementedError  # IPython then shows it as it shows anything

    def __repr__(self) -> str:
        lines = self.stdout.count("\n"), self.stderr.count("\n")
        return f"<status {self.status}, stdout {lines[0]} lines, stderr {lines[1]} lines>"


class View:
    """Where output is shown: a front end, an executor, a terminal, or nowhere."""

    def __init__(self, host: Host, quiet: bool) -> None:
        self._live, self._quiet = host.live, quiet
        self._terminal = not quiet and in_terminal(host)
        #: Whether a command may take it for a terminal: executors compare plain output.
        self.tty = self._live or self._terminal
        self.output = Output(self._live)
        self._redactors = {name: Redactor() for name in ("stdout", "stderr")}
        self._displays: Dict[int, Any] = {}

    def write(self, name: str, data: bytes, last: bool = False) -> bytes:
        """Add bytes of a stream; return them without secrets."""
        data = self._redactors[name](data, last)
        self.output.feed(name, data, time.monotonic())
        if self._terminal:
            stream = getattr(sys, name)
            stream.buffer.write(data)
            stream.flush()
        return data

    def tick(self) -> None:
        """Show what has come, if it is time to."""
        self._show(self.output.tick(time.monotonic()))

    def end(self) -> None:
        """Show the rest."""
        self._show(self.output.end())

    @property
    def cut(self) -> bool:
        """Whether lines are left out."""
        return self.output.cut and not self._terminal

    def describe_log(self, label: str, paths: Sequence[Path], name: str) -> str:
        """Return where a log is; by its name for an executor, which compares what is shown."""
        if not self.tty:
            return f"{label}: {name}"
        size = amount(sum(path.stat().st_size for path in paths if path.exists()))
        return f"{label} ({size}): {' and '.join(map(str, paths))}"

    def _show(self, pieces: List[Piece]) -> None:
        if self._quiet or self._terminal:
            return
        for piece in pieces:
            if piece.place:
                self._display(piece)
            else:
                stream = getattr(sys, piece.kind)
                stream.write(piece.text)
                stream.flush()

    def _display(self, piece: Piece) -> None:
        from IPython.display import display

        data, handle = {"text/plain": piece.text}, self._displays.get(piece.place)
        if handle is None:
            self._displays[piece.place] = display(data, raw=True, display_id=True)
        else:
            handle.update(data, raw=True)


class CommandOutput(Listener):
    """One command's output: shown, logged, and with ``capture`` kept for its result."""

    def __init__(self, host: Host, quiet: bool, capture: bool) -> None:
        self.view, self.log, self._capture = View(host, quiet), Log(), capture
        self._captured: List[Tuple[str, str]] = []
        self._sizes = {"stdout": 0, "stderr": 0}
        self._decoders = {name: getincrementaldecoder("utf-8")("replace") for name in self._sizes}
        self._late_redactor = Redactor()
        #: The end of both streams as they came, without secrets.
        self.recent = b""

    def on_output(self, name: str, data: bytes, last: bool = False) -> None:
        """See `Listener`."""
        if self._capture and self._sizes[name] < _CAPTURED:
            self._sizes[name] += len(data)
            self._captured.append((name, self._decoders[name].decode(data, last)))
        data = self.view.write(name, data, last)
        self.log.write(data)
        self.recent = (self.recent + data)[-_RECENT:]

    def on_tick(self) -> None:
        """See `Listener`."""
        self.view.tick()

    def on_late_output(self, data: bytes) -> None:
        """See `Listener`."""
        self.log.write(self._late_redactor(data))
        self.log.flush()

    def close(self, background: bool = False) -> List[str]:
        """Show the rest after the command's end; return notes on the log and what still runs."""
        for name in self._sizes:
            self.on_output(name, b"", last=True)
        self.view.end()
        if self.view.cut or background:
            self.log.flush()
        if not background:
            self.log.close()
        return self._notes(background)

    def result(self, ended: Exit, error: Optional[CommandFailed], shown: bool) -> ShellResult:
        """Return what was captured."""
        output, stdout, stderr = (
            "".join(text for name, text in self._captured if name in names)
            for names in (("stdout", "stderr"), ("stdout",), ("stderr",))
        )
        status, seconds, log = ended.status, ended.seconds, self.log.path
        return ShellResult(output, stdout, stderr, status, seconds, log, error, shown)

    def _notes(self, background: bool) -> List[str]:
        trouble, path = self.log.trouble, self.log.path
        notes, labels = [trouble] if trouble else [], []
        if self.view.cut:
            labels.append("Part of the output" if trouble else "Complete output")
        if background:
            notes.append("A program still runs in the background; it ends with the kernel.")
            if not trouble:
                labels.append("Its output from now on")
        name = "the log that %shell names"
        return notes + [self.view.describe_log(label, [path], name) for label in labels if path]


def in_terminal(host: Host) -> bool:
    """Return whether output is read in a terminal, as IPython's own is."""
    return not host.live and host.may_ask and sys.stdout.isatty()
