"""What ``colab-magics run`` shows: a line for each cell, and one for each message of a magic in it.

On a terminal the last line says which cell runs, and for how long. How long the rest takes is not
known: cells differ.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from contextlib import suppress
from typing import Any, Callable, Dict, List, Optional

from ..core.controls import visible
from ..core.display import duration, printable

#: The longest text of a line, in characters.
WIDTH = 100
#: The most lines of what a magic shows.
LINES = 12


class Console:
    """Prints the progress of a run by ``print_line``; ``quiet``: nothing."""

    def __init__(self, print_line: Callable[[str], None], quiet: bool = False) -> None:
        self._print_line, self._quiet = print_line, quiet
        self._live = not quiet and sys.stdout is not None and sys.stdout.isatty()
        self._bar = ""
        self._began = self._cell_began = time.monotonic()
        self._place, self._source = (0, 0), ""
        self._messages: List[str] = []

    def line(self, text: str) -> None:
        """Print a line."""
        self.clear()
        if not self._quiet:
            self._print_line(text)

    def cell_begins(self, number: int, count: int, source: str) -> None:
        """Say which cell runs from now on, as `update` shows it."""
        self._place, self._messages = (number, count), []
        self._source = next((line for line in source.splitlines() if line.strip()), "")
        self._cell_began = time.monotonic()
        self.update()

    def message(self, text: str) -> None:
        """Keep what a magic shows until its cell ends: the first lines of it."""
        lines = [line.rstrip() for line in text.strip("\n").splitlines() if line.strip()]
        more = len(lines) - LINES
        self._messages += [*lines[:LINES], f"... {more} more lines"] if more > 1 else lines

    def cell_ends(self, result: str, error: Optional[Dict[str, str]] = None) -> None:
        """Print how the cell went, and what its magics said; ``error``: its name, message, code."""
        (number, count), self._place = self._place, (0, 0)
        took = f"{time.monotonic() - self._cell_began:5.1f} s"
        self.line(f"[{number:>3}/{count}] {result:7} {took}  {self._source[:70]}")
        for text in self._messages:
            self.line(f"{'':10}{text if len(text) <= WIDTH else text[: WIDTH - 4] + ' ...'}")

    def update(self) -> None:
        """Draw the line of the running cell, where there is a terminal and it has changed."""
        number, count = self._place
        if not self._live or not count:
            return
        now = time.monotonic()
        drawn = "#" * round(20 * (number - 1) / count)
        total, cell = duration(now - self._began), duration(now - self._cell_began)
        text = f"[{drawn:20}] {number}/{count}  {total}  {self._source} ({cell})"
        text = visible(printable(text), allow="")[: shutil.get_terminal_size().columns - 1]
        if text != self._bar:
            self._draw(text)

    def clear(self) -> None:
        """Take the line of the running cell away."""
        if self._bar:
            self._draw("")

    def _draw(self, text: str) -> None:
        with suppress(OSError):  # nobody may be there any more
            sys.stdout.write(f"\r{text:{len(self._bar)}}" + "\r" * (not text))
            sys.stdout.flush()
        self._bar = text


class JsonLines(Console):
    """Prints each cell that has run as a line of JSON, and all other text by ``talk``.

    An object has ``schema`` 1, ``event`` ``cell``, the number of the ``cell`` in the file as it was
    (from 1), the ``count`` of cells, when it ``started`` (seconds since 1970), the ``seconds`` that
    it took, its ``outcome`` (``ok``, ``failed``, ``restart``, ``done before``, ``interrupted``),
    whether it asked for a ``restart``, the ``messages`` of its magics, and its ``error``.
    """

    def __init__(self, print_line: Callable[[str], None], talk: Callable[[str], None]) -> None:
        super().__init__(talk)
        self._print_json, self._live = print_line, False

    def cell_ends(self, result: str, error: Optional[Dict[str, str]] = None) -> None:
        """Print the line of a cell."""
        (number, count), self._place = self._place, (0, 0)
        seconds = time.monotonic() - self._cell_began
        self.event(
            "cell",
            cell=number,
            count=count,
            started=round(time.time() - seconds, 3),
            seconds=round(seconds, 3),
            outcome=result,
            restart=result == "restart",
            messages=self._messages,
            error=error,
        )

    def run_ends(self, error: Optional[Dict[str, str]]) -> None:
        """Print the line of a cell that had no end: its kernel died, or the run was interrupted."""
        if self._place[1]:
            self.cell_ends("failed" if error else "interrupted", error)

    def event(self, kind: str, **fields: Any) -> None:
        """Print an object."""
        self._print_json(json.dumps({"schema": 1, "event": kind, **fields}))
