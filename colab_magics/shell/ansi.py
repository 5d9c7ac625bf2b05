"""What a terminal shows of text that moves its cursor, erases and colours.

`render` is about one line that is overwritten, `Screen` about the few lines that a program moves
its cursor up to, as the bars of nested loops do. A move up or down goes to the start of a line:
programs write a carriage return next in any case.
"""

from __future__ import annotations

import re
from typing import List, Tuple

from .runner import ROWS

#: A control sequence (its parameters and its letter), a title, another control, or text.
_TOKEN = re.compile(
    r"\x1b\[([0-9;?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()].|\x1b[^\[\]]?"
    r"|\r|\x08|[^\x1b\r\x08]+"
)
#: Text that cannot be shown as it is: all control characters but tabs and colours.
_TO_RENDER = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]|\x1b(?!\[[0-9;]*m)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
#: A sequence whose end is missing.
_PARTIAL = re.compile(r"\x1b(\[[0-9;?]*|\][^\x07\x1b]*)?$")
#: The cursor goes to another line, or all lines below it are erased.
MOVES = re.compile(r"\x1b\[(?:(\d*)([ABEF])|0?J)")
#: Characters of a line of the screen from which on it is rendered early, to stay short.
_LONG = 1000

#: A character and its colour.
Cell = Tuple[str, str]


def render(line: str) -> str:
    """Return the final text of a line that may be overwritten, with its colours."""
    if not _TO_RENDER.search(line):
        return line
    cells = _cells(line)
    while cells and cells[-1] == (" ", ""):
        cells.pop()
    text, colour = [], ""
    for char, cell_colour in cells:
        if cell_colour != colour:
            text.append(("\x1b[0m" if colour else "") + cell_colour)
            colour = cell_colour
        text.append(char)
    return "".join(text) + ("\x1b[0m" if colour else "")


def plain_text(line: str) -> str:
    """Return the final text of a line without colours."""
    return "".join(char for char, _ in _cells(line))


class Screen:
    """The last lines of a stream, and the line that its cursor is on."""

    def __init__(self) -> None:
        self._rows, self._at = [""], 0
        self._moved = False

    @property
    def active(self) -> bool:
        """Whether text that comes next may overwrite a line."""
        return self._moved or self._at + 1 < len(self._rows) or bool(self._rows[self._at])

    def put(self, text: str) -> None:
        """Write text without line ends at the cursor."""
        end = 0
        for move in MOVES.finditer(text):
            self._rows[self._at] += text[end : move.start()]
            self._move(move[2] or "", int(move[1] or 1))
            end = move.end()
        row = self._rows[self._at] + text[end:]
        if len(row) > _LONG and "\r" in row:  # a bar that is never finished
            before, _, last = row.rpartition("\r")
            row = f"{render(before)}\r{last}"
        if len(row) > 20 * _LONG:  # a line without end
            row = row[:_LONG] + row[-_LONG:]
        self._rows[self._at] = row

    def end_line(self) -> None:
        """Go to the next line."""
        self._go_to(self._at + 1)

    def text(self) -> List[str]:
        """Return the lines as they are seen, up to the cursor's at least."""
        rows = [render(row) for row in self._rows]
        while len(rows) > self._at + 1 and not rows[-1]:
            rows.pop()
        return rows

    def scroll(self) -> List[str]:
        """Remove and return the lines that the cursor cannot get back to, when they are many."""
        if len(self._rows) <= 2 * ROWS:
            return []
        gone, self._rows = self._rows[:-ROWS], self._rows[-ROWS:]
        self._at -= len(gone)
        self._moved = False  # unless it moves again, what follows is ordinary lines
        return [render(row) for row in gone]

    def _move(self, letter: str, count: int) -> None:
        self._moved = True
        if letter in ("A", "F"):
            self._go_to(max(0, len(self._rows) - ROWS, self._at - count))
        elif letter:
            self._go_to(self._at + min(count, ROWS))
        else:
            del self._rows[self._at + 1 :]
            self._rows[self._at] += "\x1b[K"

    def _go_to(self, at: int) -> None:
        self._at = at
        self._rows += [""] * (at + 1 - len(self._rows))
        row = self._rows[at]
        self._rows[at] = f"{row}\r" if row else ""


def _cells(line: str) -> List[Cell]:
    cells: List[Cell] = []
    at, colour = 0, ""
    for token in _TOKEN.finditer(_PARTIAL.sub("", line)):
        text, letter = token.group(), token.group(2)
        if text == "\r":
            at = 0
        elif text == "\b":
            at = max(0, at - 1)
        elif letter == "m" and not token.group(1).strip("0;"):
            colour = ""
        elif letter == "m":  # a sequence that begins with 0 ends the colours before it
            colour = text if re.match(r"\x1b\[0*;", text) else colour + text
        elif letter:
            at = _move(cells, at, token.group(1), letter)
        elif text[0] != "\x1b":
            text = _CONTROL.sub("", text)
            cells += [(" ", "")] * (at - len(cells))
            cells[at : at + len(text)] = [(char, colour) for char in text]
            at += len(text)
    return cells


def _move(cells: List[Cell], at: int, parameters: str, letter: str) -> int:
    """Erase, or move in the line; return the column of the next character."""
    number = int(parameters) if parameters.isdigit() else 0
    if letter == "K" and number == 0:
        del cells[at:]
    elif letter == "K":
        end = at + 1 if number == 1 else len(cells)
        cells[:end] = [(" ", "")] * len(cells[:end])
    elif letter == "G":
        return max(0, min(number, 1000) - 1)
    elif letter == "C":
        return at + min(number or 1, 1000)
    elif letter == "D":
        return max(0, at - (number or 1))
    return at
