"""The lines that a command may still write over: those that it goes back up to, as a terminal does.

One line or a few, such as the bars of nested loops. A move up or down goes to the beginning of a
line, as what programs do next makes it in any case.
"""

import re
from typing import List

from .terminal import settle
from .terminals import ROWS


#: The cursor goes to another line; or what is behind it is erased.
MOVES = re.compile(r"\x1b\[(?:(\d*)([ABEF])|0?J)")
#: A line that has grown so long by being written over is made short.
_LONG = 1000


class Screen:
    """Lines as they were written, and where the cursor is in them."""

    def __init__(self) -> None:
        self._rows, self._at = [""], 0
        #: How many lines have come; and of them without a move, so that they stay as they are.
        self.lines, self._still = 0, 0
        #: Whether the cursor has left its line in another way than to the next one.
        self.moved = False

    def copy(self) -> "Screen":
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
