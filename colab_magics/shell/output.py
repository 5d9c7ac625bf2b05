"""What a command prints, made fit for a notebook: pure, fed with bytes and the time.

Of each stream the first lines are kept, and the last ones where there are too many; a line that is
written over and over by carriage returns is one line, shown in place. Pieces come at most ten
times a second, however fast the bytes do.
"""

import json
from codecs import getincrementaldecoder
from itertools import count
from typing import Iterator, List, NamedTuple

from .terminal import drawn, plain, settle

__all__ = ["Output", "Piece"]

#: Bytes in a saved notebook that the first lines of a stream may take, and characters of the last.
HEAD, TAIL = 50_000, 10_000
#: A longer line is shown without its middle.
LONG = 2_000
#: Seconds between two showings; between two of the last lines; until a half line is shown.
STEP, SLOWER, PAUSE = 0.1, 0.5, 0.3
#: What a display, and each line, takes in a saved notebook beside its text.
_DISPLAY, _LINE = 300, 12


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
            name: _Stream(name, live, self._pieces, places) for name in ("stdout", "stderr")
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
        for name in ("stderr", "stdout"):
            said = [plain(line) for line in self._streams[name].recent.split("\n")]
            found = [line.rstrip() for line in said if line.strip()]
            if found:
                return [_clipped(line, 0) for line in found[-lines:]]
        return []

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


class _Stream:
    """One stream: its first lines, the line that is being written, and its last characters."""

    def __init__(self, name: str, live: bool, pieces: List[Piece], places: Iterator[int]) -> None:
        self._name, self._live, self._pieces, self._places = name, live, pieces, places
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._spent, self._heard, self._told = 0, 0.0, 0.0
        #: The line that is being written, how much of its middle is gone, how much of it is shown.
        self._rest, self._gone, self._begun = "", 0, 0
        #: Its display and what that shows, while it is written over and over.
        self._place, self._bar = 0, ""
        self._full, self._tail = False, 0
        #: Lines that are not among the first.
        self.left = 0
        self.recent = ""

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
                self._full, self.left = True, len(lines) - at
                self._rest, self._gone, self._begun = "", 0, 0
                return
        self._rest = self._shorter(rest)

    def show(self, now: float) -> None:
        """Show the line that is being written, or the last ones."""
        rest = self._rest[self._begun :]
        if self._full and now - self._told >= SLOWER:
            self._told, self._tail = now, self._tail or next(self._places)
            self._pieces.append(Piece("tail", self._ending(), self._tail))
        elif not self._full and ("\r" in rest or "\b" in rest):
            self._show_bar(settle(rest))
        elif rest and now - self._heard >= PAUSE and len(rest) < LONG and "\x1b" not in rest:
            self._pieces.append(Piece(self._name, drawn(rest)))
            self._spent += _size(rest)
            self._begun = len(self._rest)

    def end(self) -> None:
        """Show what is left of it."""
        self._decoder.decode(b"", True)
        if self._rest and not self._add(self._rest, ""):
            self._full, self.left = True, 1
        if self._full and not self.recent.endswith("\n"):
            self.left += 1
        if self._full and self._live:
            place = self._tail or next(self._places)
            self._pieces.append(Piece("tail", self._ending(), place))
        elif self._full:
            self._pieces.append(Piece(self._name, self._ending() + "\n"))

    def _add(self, line: str, end: str) -> bool:
        """Show a line that is finished; False where there is no room for it."""
        text = _clipped(drawn(line[self._begun :]), self._gone)
        if self._place:
            self._show_bar(text)
        elif self._spent + _size(text + end) > HEAD:
            return False
        else:
            self._pieces.append(Piece(self._name, text + end))
            self._spent += _size(text + end)
        self._gone = self._begun = self._place = 0
        self._bar = ""
        return True

    def _show_bar(self, text: str) -> None:
        """Set the display of the line to this; the first time, make it."""
        text = _clipped(text, 0)
        if not self._place:
            if self._spent + _DISPLAY + _size(text) > HEAD:
                return  # it comes as a line, when it is finished
            self._place = next(self._places)
            self._spent += _DISPLAY + _size(text)
        if text and text != self._bar:
            self._bar = text
            self._pieces.append(Piece("bar", text, self._place))

    def _shorter(self, rest: str) -> str:
        """A half line without what can no more be seen of it, however long it becomes."""
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
