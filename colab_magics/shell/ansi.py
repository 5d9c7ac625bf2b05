"""What a terminal would show of text that moves its cursor, erases and colours.

`settle` understands one line that was written over, `Screen` the few lines that a command goes back
up to, such as the bars of nested loops. A move up or down goes to the beginning of a line, as what
programs do next makes it in any case.
"""

from __future__ import annotations

import re
from typing import List, Tuple

from .runner import ROWS

#: What a line holds: a control sequence (its parameters and its letter), a title, or text.
_TOKEN = re.compile(
    r"\x1b\[([0-9;?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()].|\x1b[^\[\]]?"
    r"|\r|\x08|[^\x1b\r\x08]+"
)
#: What is to be understood before it is shown: all control characters but tabs and colours.
_TO_SETTLE = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]|\x1b(?!\[[0-9;]*m)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
#: A sequence of which the end has not come yet.
_BROKEN_OFF = re.compile(r"\x1b(\[[0-9;?]*|\][^\x07\x1b]*)?$")
#: The cursor goes to another line; or what is behind it is erased.
MOVES = re.compile(r"\x1b\[(?:(\d*)([ABEF])|0?J)")
#: A line that has grown so long by being written over is made short.
_LONG = 1000

Cell = Tuple[str, str]


def drawn(line: str) -> str:
    """A line as it is to be shown; most are so already."""
    return settle(line) if _TO_SETTLE.search(line) else line


def plain(line: str) -> str:
    """The text of a line, without colours."""
    return "".join(char for char, _ in _cells(line))


def settle(line: str) -> str:
    """What is seen at last of a line that was written over; its colours are kept."""
    cells = _cells(line)
    while cells and cells[-1] == (" ", ""):
        cells.pop()
    text, colour = [], ""
    for char, wanted in cells:
        if wanted != colour:
            text.append(("\x1b[0m" if colour else "") + wanted)
            colour = wanted
        text.append(char)
    return "".join(text) + ("\x1b[0m" if colour else "")


class Screen:
    """Lines as they were written, and where the cursor is in them."""

    def __init__(self) -> None:
        self._rows, self._at = [""], 0
        #: How many lines have come; and of them without a move, so that they stay as they are.
        self.lines, self._still = 0, 0
        #: Whether the cursor has left its line in another way than to the next one.
        self.moved = False

    def copy(self) -> Screen:
        """One that goes on apart from this one."""
        other = Screen()
        other.__dict__.update(self.__dict__, _rows=[*self._rows])
        return other

    @property
    def over(self) -> bool:
        """Whether the cursor cannot get back to any line that was written over."""
        return self._still > ROWS

    @property
    def long(self) -> bool:
        """Whether there are lines that the cursor cannot get back to."""
        return len(self._rows) > 2 * ROWS

    def put(self, text: str) -> None:
        """Write at the cursor; there is no end of a line in the text."""
        at = 0
        for found in MOVES.finditer(text):
            self._rows[self._at] += text[at : found.start()]
            self._move(found[2] or "", int(found[1] or 1))
            at = found.end()
        self._rows[self._at] += text[at:]

    def end_line(self) -> None:
        """Go to the next line."""
        self.lines += 1
        self._still += self._at == len(self._rows) - 1
        self._go(self._at + 1)

    def text(self) -> List[str]:
        """The lines as they are seen, to the cursor at least."""
        rows = [settle(row) for row in self._rows]
        while len(rows) > self._at + 1 and not rows[-1]:
            rows.pop()
        return rows

    def scroll(self) -> List[str]:
        """Take away the lines that the cursor cannot get back to; gives them as they are seen."""
        gone, self._rows = self._rows[:-ROWS], self._rows[-ROWS:]
        self._at, self.lines = self._at - len(gone), 0
        return [settle(row) for row in gone]

    def _move(self, letter: str, by: int) -> None:
        self.moved = True
        if letter in ("A", "F"):
            self._still = 0
            self._go(max(0, len(self._rows) - ROWS, self._at - by))
        elif letter:
            self._go(self._at + min(by, ROWS))
        else:
            del self._rows[self._at + 1 :]
            self._rows[self._at] += "\x1b[K"

    def _go(self, to: int) -> None:
        self._at = to
        self._rows += [""] * (to + 1 - len(self._rows))
        row = self._rows[to]
        self._rows[to] = f"{settle(row) if len(row) > _LONG else row}\r" if row else ""


def _cells(line: str) -> List[Cell]:
    """The characters of a line, each with its colour."""
    cells: List[Cell] = []
    at, colour = 0, ""
    for token in _TOKEN.finditer(_BROKEN_OFF.sub("", line)):
        text, letter = token.group(), token.group(2)
        if text == "\r":
            at = 0
        elif text == "\b":
            at = max(0, at - 1)
        elif letter == "m":
            colour = "" if token.group(1).strip("0;") == "" else _recoloured(colour, text)
        elif letter:
            at = _moved(cells, at, token.group(1), letter)
        elif text[0] != "\x1b":
            text = _CONTROL.sub("", text)
            cells += [(" ", "")] * (at - len(cells))
            cells[at : at + len(text)] = [(char, colour) for char in text]
            at += len(text)
    return cells


def _recoloured(before: str, sequence: str) -> str:
    """The colour after a sequence: one that begins with a 0 forgets what was before it."""
    return sequence if re.match(r"\x1b\[0*;", sequence) else before + sequence


def _moved(cells: List[Cell], at: int, parameters: str, letter: str) -> int:
    """Erase or move, as a control sequence says; gives where the next character goes."""
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
