"""What ``%shell`` does with the output of a command: shown, logged, and kept for ``-o``."""

from __future__ import annotations

import sys
import time
from codecs import getincrementaldecoder
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from ..core.display import amount
from ..core.errors import CommandFailed
from ..core.host import Host
from ..core.redact import Redactor
from .log import Log
from .output import Output, Piece
from .runner import Ended, Listener

#: Bytes of each stream that a result holds; of both that an error does.
_KEPT, _LAST = 64 * 10**6, 20_000


@dataclass(frozen=True, repr=False)
class ShellResult:
    """What ``x = %shell`` gives: all that the command wrote, its status, and how long it took.

    ``output`` has both streams as they came; it, ``returncode`` and ``check_returncode()`` are what
    Colab's own result has. ``shown``: it was asked for (``-o``), and is shown like other values.
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
        """Raise `CommandFailed` where the command did not succeed."""
        if self.error is not None:
            raise self.error

    def _ipython_display_(self) -> None:
        """Show nothing: the command's output was shown already."""
        if self.shown:
            raise NotImplementedError  # so IPython is told to show it as it shows anything

    def __repr__(self) -> str:
        lines = self.stdout.count("\n"), self.stderr.count("\n")
        return f"<status {self.status}, stdout {lines[0]} lines, stderr {lines[1]} lines>"


class Heard(Listener):
    """One command's output, to where it belongs: a front end, an executor, a terminal, nowhere."""

    def __init__(self, host: Host, quiet: bool, keep: bool, log: Optional[Log] = None) -> None:
        self._live, self._quiet = host.live, quiet
        self._through = not quiet and in_terminal(host)
        #: Whether the command may take its outputs for terminals: executors compare plain ones.
        self.tty = self._live or self._through
        self._output, self._log = Output(self._live), log or Log()
        self._veils = {name: Redactor() for name in ("stdout", "stderr", "late")}
        self._keep, self._kept = keep, _Kept()
        self._last = b""
        self._displays: Dict[int, Any] = {}

    def heard(self, name: str, data: bytes) -> None:
        """See `Listener`."""
        if self._keep:
            self._kept.add(name, data)
        self._shown(name, self._veils[name](data))

    def _shown(self, name: str, data: bytes) -> None:
        """Without secrets, to where people read it."""
        self._output.feed(name, data, time.monotonic())
        self._log.write(data)
        self._last = (self._last + data)[-_LAST:]
        if self._through:
            stream = getattr(sys, name)
            stream.buffer.write(data)
            stream.flush()

    def tick(self) -> None:
        """See `Listener`."""
        self._show(self._output.tick(time.monotonic()))

    def late(self, data: bytes) -> None:
        """See `Listener`."""
        self._log.write(self._veils["late"](data))
        if not self._log.trouble:
            self._log.flush()

    def close(self, left: bool) -> List[str]:
        """The command has ended: show the rest. Gives what is to be said of the log."""
        for name in ("stdout", "stderr"):
            self._kept.add(name, b"", last=True)
            self._shown(name, self._veils[name](b"", last=True))
        self._show(self._output.end())
        if (self._output.cut and not self._through) or left:
            self._log.flush()
        if not left:
            self._log.close()
        return self._notes(left)

    @property
    def log(self) -> Optional[Path]:
        """The file that has all of it, where one was made."""
        return self._log.path

    def last(self, lines: int) -> List[str]:
        """The last lines, for an error."""
        return self._output.last(lines)

    def recent(self) -> str:
        """The last of both streams as they came, however much it was."""
        return self._last.decode("utf-8", "replace")

    def result(self, ended: Ended, error: Optional[CommandFailed], shown: bool) -> ShellResult:
        """All of it."""
        said = self._kept.text(), self._kept.text("stdout"), self._kept.text("stderr")
        return ShellResult(*said, ended.status, ended.seconds, self._log.path, error, shown)

    def kept(self) -> str:
        """All that came."""
        return self._kept.text()

    def _notes(self, left: bool) -> List[str]:
        """Of the log and of what goes on; a path would differ each time that it is compared."""
        files = self._log.files
        shown = self._live or self._through
        where = " and ".join(map(str, files)) if shown else self._log.named
        notes = [self._log.trouble] if self._log.trouble else []
        if self._output.cut and not self._through and files:
            sizes = [path.stat().st_size for path in files if path.exists()]
            size = f" ({amount(sum(sizes))})" if self._live and sizes else ""
            whole = "What there is of it" if self._log.trouble else self._log.whole
            notes.append(f"{whole}{size}: {where}")
        if left:
            notes.append("A program goes on in the background, and ends with the kernel.")
            if not self._log.trouble:
                notes.append(f"What it writes from now on: {where}")
        return notes

    def _show(self, pieces: List[Piece]) -> None:
        if self._quiet or self._through:
            return
        for piece in pieces:
            if not piece.place:
                stream = getattr(sys, piece.kind)
                stream.write(piece.text)
                stream.flush()
            else:
                self._display(piece)

    def _display(self, piece: Piece) -> None:
        from IPython.display import display

        data, handle = {"text/plain": piece.text}, self._displays.get(piece.place)
        if handle is None:
            self._displays[piece.place] = display(data, raw=True, display_id=True)
        else:
            handle.update(data, raw=True)


def in_terminal(host: Host) -> bool:
    """Whether what is written is read in a terminal, as IPython's own is."""
    return not host.live and host.may_ask and sys.stdout.isatty()


class _Kept:
    """Both streams in the order in which they came; characters that were cut are whole."""

    def __init__(self) -> None:
        self._pieces: List[Tuple[str, str]] = []
        self._sizes = {"stdout": 0, "stderr": 0}
        self._decoders = {name: getincrementaldecoder("utf-8")("replace") for name in self._sizes}

    def add(self, name: str, data: bytes, last: bool = False) -> None:
        """Keep these bytes, unless there are too many; ``last``: nothing comes behind them."""
        if self._sizes[name] < _KEPT:
            self._sizes[name] += len(data)
            self._pieces.append((name, self._decoders[name].decode(data, last)))

    def text(self, wanted: str = "") -> str:
        """All of one stream, or of both."""
        return "".join(text for name, text in self._pieces if wanted in ("", name))
