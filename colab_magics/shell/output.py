"""What a command prints, made fit for a notebook: pure, fed with bytes and the time.

Of each stream the first lines are kept, and the last ones where there are too many; lines that are
written over and over are one display, shown in place: see `Screen`. Pieces come at most ten times a
second, however fast the bytes do.
"""

from __future__ import annotations

import json
import re
from codecs import getincrementaldecoder
from itertools import count
from typing import Iterator, List, NamedTuple, Optional

from .ansi import MOVES, Screen, drawn, plain

#: Bytes in a saved notebook that the first lines of a stream may take, and characters of the last.
HEAD, TAIL = 50_000, 10_000
#: A longer line is shown without its middle.
LONG = 2_000
#: Seconds between two showings of what has come.
STEP = 0.1
#: Seconds between two showings of the last lines; until a half line is shown.
SLOWER, PAUSE = 0.5, 0.3
#: What a display, and each line, takes in a saved notebook beside its text.
_DISPLAY, _LINE = 300, 12
#: A line that is written over, or from which the cursor goes to another one.
_OVER = re.compile(rf"\r+[^\r]|{MOVES.pattern}")


class Piece(NamedTuple):
    """Something to show: ``stdout`` or ``stderr`` to write, or a display to set to this text."""

    kind: str
    text: str
    place: int = 0


class Output:
    """Both streams of one command; ``live``: where a front end can update what it shows."""

    def __init__(self, live: bool) -> None:
        self._live, self._shown_at = live, 0.0
        self._pieces: List[Piece] = []
        places = count(1)
        self._streams = {
            name: Stream(name, live, self._pieces, places) for name in ("stdout", "stderr")
        }

    def feed(self, name: str, data: bytes, now: float) -> None:
        """Take in what a stream has said."""
        self._streams[name].feed(data, now)

    def tick(self, now: float) -> List[Piece]:
        """What is to be shown now; nothing where it is too soon."""
        if now - self._shown_at < STEP:
            return []
        self._shown_at = now
        if self._live:
            for stream in self._streams.values():
                stream.show(now)
        return self._taken()

    def end(self) -> List[Piece]:
        """All that is left to be shown."""
        for stream in self._streams.values():
            stream.end()
        return self._taken()

    @property
    def cut(self) -> bool:
        """Whether lines are left out."""
        return any(stream.left_out for stream in self._streams.values())

    def last(self, lines: int) -> List[str]:
        """The last lines that say something: of errors, else of what came."""
        return self._streams["stderr"].last(lines) or self._streams["stdout"].last(lines)

    def _taken(self) -> List[Piece]:
        """The pieces so far; those of one stream that follow one another as one."""
        joined: List[Piece] = []
        for piece in self._pieces:
            before = joined[-1] if joined else None
            if before is not None and before[::2] == piece[::2] and not piece.place:
                joined[-1] = Piece(piece.kind, before.text + piece.text)
            elif piece.text:
                joined.append(piece)
        self._pieces.clear()
        return joined


class Stream:
    """One stream: its first lines, the line that is being written, and its last characters."""

    def __init__(self, name: str, live: bool, pieces: List[Piece], places: Iterator[int]) -> None:
        self._name, self._live, self._pieces, self._places = name, live, pieces, places
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._spent, self._heard, self._told = 0, 0.0, 0.0
        #: The line that is being written, how much of its middle is gone, how much of it is shown.
        self._rest, self._gone, self._begun = "", 0, 0
        #: The lines that may still be written over; their display, what that shows and takes.
        self._screen: Optional[Screen] = None
        self._place, self._bar, self._taken = 0, "", 0
        self._full, self._tail = False, 0
        #: Lines that are not among the first.
        self.left = 0
        self.recent = ""

    def last(self, lines: int) -> List[str]:
        """The last lines that say something, without colours."""
        said = [plain(line).rstrip() for line in self.recent.split("\n")]
        return [_clipped(line, 0) for line in said if line][-lines:]

    @property
    def left_out(self) -> int:
        """How many lines are shown nowhere."""
        return max(0, self.left - len(self._last()))

    def feed(self, data: bytes, now: float) -> None:
        """Take in bytes."""
        text = self._decoder.decode(data)
        self._heard = now
        self.recent = (self.recent + text)[-2 * TAIL :]
        if self._full:
            self.left += text.count("\n")
            return
        *lines, rest = (self._rest + text).split("\n")
        for at, line in enumerate(lines):
            if not self._add(line, "\n"):
                self._fill(len(lines) - at)
                return
        self._rest = self._shorter(rest)

    def show(self, now: float) -> None:
        """Show the line that is being written, or the last ones."""
        rest = self._rest[self._begun :]
        if self._full and now - self._told >= SLOWER:
            self._told, self._tail = now, self._tail or next(self._places)
            self._pieces.append(Piece("tail", self._ending(), self._tail))
        elif not self._full and (self._screen or "\r" in rest or "\b" in rest):
            self._foresee(rest, now)
        elif rest and now - self._heard >= PAUSE and len(rest) < LONG and "\x1b" not in rest:
            self._pieces.append(Piece(self._name, drawn(rest)))
            self._spent += _size(rest)
            self._begun = len(self._rest)

    def end(self) -> None:
        """Show what is left of it."""
        self._decoder.decode(b"", True)
        if (self._rest and not self._add(self._rest, "")) or not self._close():
            self._fill(0)
        if self._full and not self.recent.endswith("\n"):
            self.left += 1
        if self._full and self._live:
            place = self._tail or next(self._places)
            self._pieces.append(Piece("tail", self._ending(), place))
        elif self._full:
            self._pieces.append(Piece(self._name, self._ending() + "\n"))

    def _fill(self, left: int) -> None:
        """There is no room for more of the first lines: so many of those that came are left."""
        self._full = True
        self.left += left
        self._rest, self._gone, self._begun = "", 0, 0

    def _add(self, line: str, end: str) -> bool:
        """Take in a line that is finished; False where there is no room for it."""
        text, gone = line[self._begun :], self._gone
        over = bool(_OVER.search(text)) or (self._place > 0 and self._screen is None)
        self._gone = self._begun = 0
        if not over and not (self._screen and self._screen.moved):
            return self._close() and self._write(_clipped(drawn(text), gone) + end)
        if not self._scroll():
            return False
        self._screen = self._screen or Screen()
        self._screen.put(text)
        if end:
            self._screen.end_line()
        return True

    def _scroll(self) -> bool:
        """Show for good what can no more be written over; False where there is no room for it."""
        screen = self._screen
        if screen is None or not (screen.over or screen.long):
            return True
        if screen.over:
            return self._close()
        lines = screen.lines
        return self._settle([*screen.scroll(), ""], lines)

    def _close(self) -> bool:
        """Show the lines that were written over for good; False where there is no room for them."""
        screen, self._screen = self._screen, None
        return screen is None or self._settle(screen.text(), screen.lines)

    def _settle(self, rows: List[str], lines: int) -> bool:
        """Show rows in their display, if they have one, which is left then; else as lines."""
        text = "\n".join(_clipped(row, 0) for row in rows)
        shown = self._show_bar(text) if self._place else self._write(text)
        self._place, self._bar, self._taken = 0, "", 0
        self.left += 0 if shown else lines
        return shown

    def _write(self, text: str) -> bool:
        """Show text among the first lines; False where there is no room for it."""
        size = _size(text)
        if self._spent + size > HEAD:
            return False
        self._pieces.append(Piece(self._name, text))
        self._spent += size
        return True

    def _foresee(self, rest: str, now: float) -> None:
        """Show the lines that may still be written over, with the one that is being written."""
        screen = self._screen.copy() if self._screen else Screen()
        if screen.moved or "\r" in rest or "\b" in rest:
            screen.put(rest)
        elif rest and now - self._heard >= PAUSE:  # something else has begun below them
            if not self._close():
                self._fill(0)
            return
        self._show_bar("\n".join(_clipped(row, 0) for row in screen.text()))

    def _show_bar(self, text: str) -> bool:
        """Set the display to this; the first time, make it. False where there is no room for it."""
        text = text.rstrip("\n")
        more = _size(text) - self._taken + (0 if self._place else _DISPLAY)
        grows = not self._place or text.count("\n") > self._bar.count("\n")
        if grows and self._spent + more > HEAD:
            return False  # it comes as lines, when it is finished
        if text and text != self._bar:
            self._place = self._place or next(self._places)
            self._spent += max(0, more)
            self._taken, self._bar = max(self._taken, _size(text)), text
            self._pieces.append(Piece("bar", text, self._place))
        return True

    def _shorter(self, rest: str) -> str:
        """A half line without what can no more be seen of it, however long it becomes."""
        moves = list(MOVES.finditer(rest, self._begun)) if "\x1b[" in rest else []
        if moves:
            self._screen = self._screen or Screen()
            self._screen.put(rest[self._begun : moves[-1].end()])
            rest, self._begun = rest[moves[-1].end() :], 0
        if rest.count("\r") > 16:
            rest, self._begun = "\r" + "\r".join(rest.split("\r")[-8:]), 0
        if len(rest) > 20 * LONG:
            self._gone += len(rest) - 2 * LONG
            rest = rest[:LONG] + rest[-LONG:]
        return rest

    def _last(self) -> List[str]:
        """The last lines, of those that are not among the first."""
        lines = self.recent[-TAIL:].split("\n")
        lines = lines[1:] if len(self.recent) > TAIL and len(lines) > 1 else lines
        lines = lines if lines[-1] else lines[:-1]
        return lines[-self.left :] if self.left else []

    def _ending(self) -> str:
        last = [_clipped(drawn(line), 0) for line in self._last()]
        out = self.left_out
        said = [f"⋮ {out:,} lines of {self._name} are left out here; the last ones:"] if out else []
        return "\n".join([*said, *last])


def _clipped(line: str, gone: int) -> str:
    """A line without its middle where it is too long; of which so many characters went before."""
    if len(line) <= LONG and not gone:
        return line
    half = LONG // 2
    return f"{line[:half]} …[{len(line) - LONG + gone:,} characters]… {line[-half:]}"


def _size(text: str) -> int:
    """What a text takes in a saved notebook, where a control character is six."""
    escaped = json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")
    return len(escaped) - 2 + _LINE * text.count("\n")
