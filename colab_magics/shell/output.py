"""What a command prints, made fit for a notebook: pure, fed with bytes and the time.

Of each stream, or of both as one, the first lines are shown, and where there are too many the last
ones. Lines that are overwritten are one display, updated in place: see `Screen`. Pieces come at
most ten times a second, however fast the bytes do.
"""

from __future__ import annotations

import json
import re
from codecs import getincrementaldecoder
from itertools import count
from typing import Iterator, List, NamedTuple, Optional

from .ansi import MOVES, Screen, plain_text, render

#: Bytes in a saved notebook that the first lines of a stream may take, and characters of the last;
#: how many lines each may be.
HEAD, TAIL = 50_000, 10_000
HEAD_LINES, TAIL_LINES = 250, 150
#: A longer line is shown without its middle.
LONG = 2_000
#: Seconds between two updates; between two of the last lines; until an unfinished line is shown.
STEP, TAIL_STEP, PAUSE = 0.1, 0.5, 0.3
#: What a display, and each line, takes in a saved notebook beside its text.
_DISPLAY, _LINE = 300, 12
#: A line is overwritten, or the cursor goes to another one.
_OVERWRITES = re.compile(rf"\r+[^\r]|\x08|{MOVES.pattern}")
#: The end of a chunk whose meaning depends on the next one.
_PARTIAL = re.compile(r"(\r+|\x1b(\[[0-9;?]*|\][^\x07\x1b]*)?)$")


class Piece(NamedTuple):
    """Text for ``stdout`` or ``stderr``, or for the display of the number ``place``."""

    kind: str
    text: str
    place: int = 0


class Output:
    """Both streams of one command; ``live``: a front end can update displays."""

    def __init__(self, live: bool) -> None:
        self._live, self._updated_at = live, 0.0
        self._pieces: List[Piece] = []
        places = count(1)
        self._streams = {
            name: Stream(name, live, self._pieces, places) for name in ("stdout", "stderr")
        }

    def feed(self, name: str, data: bytes, now: float) -> None:
        """Add bytes of a stream."""
        self._streams[name].feed(data, now)

    def tick(self, now: float) -> List[Piece]:
        """Return what is to be shown now; nothing soon after the last time."""
        if now - self._updated_at < STEP:
            return []
        self._updated_at = now
        if self._live:
            for stream in self._streams.values():
                stream.show(now)
        return self._pop_pieces()

    def end(self) -> List[Piece]:
        """Return the rest."""
        for stream in self._streams.values():
            stream.end()
        return self._pop_pieces()

    @property
    def cut(self) -> bool:
        """Whether lines are left out."""
        return any(stream.omitted for stream in self._streams.values())

    def last_lines(self, number: int) -> List[str]:
        """Return the last lines of standard error that are not empty, else of standard output."""
        streams = self._streams
        return streams["stderr"].last_lines(number) or streams["stdout"].last_lines(number)

    def _pop_pieces(self) -> List[Piece]:
        """Return the pieces so far; text of one stream in a row is one piece."""
        joined: List[Piece] = []
        for piece in self._pieces:
            if joined and not piece.place and joined[-1][::2] == piece[::2]:
                joined[-1] = Piece(piece.kind, joined[-1].text + piece.text)
            elif piece.text:
                joined.append(piece)
        self._pieces.clear()
        return joined


class _Display(NamedTuple):
    """A display: what it shows, and what it takes in a saved notebook."""

    place: int
    text: str
    size: int


class Stream:
    """One stream: its first lines, its unfinished line, and its last characters."""

    def __init__(self, name: str, live: bool, pieces: List[Piece], places: Iterator[int]) -> None:
        self._name, self._live, self._pieces, self._places = name, live, pieces, places
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._size, self._lines, self._fed_at = 0, 0, 0.0
        #: The unfinished line, and how many characters of its middle were dropped.
        self._rest, self._dropped = "", 0
        #: Lines that may still be overwritten, and their display.
        self._screen: Optional[Screen] = None
        self._display: Optional[_Display] = None
        #: Whether there is room for no more of the first lines; how many lines came after those.
        self._full, self._after_head = False, 0
        self._tail_place, self._tail_at = 0, 0.0
        self._recent = ""

    def last_lines(self, number: int) -> List[str]:
        """Return the last lines that are not empty, without colours."""
        lines = [plain_text(line).rstrip() for line in self._recent.split("\n")]
        return [_clip(line) for line in lines if line][-number:]

    @property
    def omitted(self) -> int:
        """The number of lines that are not shown."""
        return max(0, self._after_head - len(self._tail()))

    def feed(self, data: bytes, now: float) -> None:
        """Add bytes."""
        text = self._decoder.decode(data)
        self._fed_at = now
        self._recent = (self._recent + text)[-2 * TAIL :]
        if self._full:
            self._after_head += text.count("\n")
            return
        *lines, self._rest = (self._rest + text).split("\n")
        for at, line in enumerate(lines):
            if not self._add(line, "\n"):
                self._fill(len(lines) - at)
                return
        self._shorten_rest()

    def show(self, now: float) -> None:
        """Show the unfinished line, the overwritten lines, or the last ones."""
        if self._full:
            if now - self._tail_at >= TAIL_STEP:
                self._tail_at, self._tail_place = now, self._tail_place or next(self._places)
                self._pieces.append(Piece("tail", self._tail_text(), self._tail_place))
            return
        if "\r" in self._rest or (self._rest and now - self._fed_at >= PAUSE):
            self._put_rest(len(self._rest))
        if self._screen is not None:
            self._update_display(self._screen.text())

    def end(self) -> None:
        """Show the rest."""
        if (self._rest and not self._add(self._rest, "")) or not self._close():
            self._fill(0)
        if not self._full:
            return
        self._after_head += not self._recent.endswith("\n")
        if self._live:
            place = self._tail_place or next(self._places)
            self._pieces.append(Piece("tail", self._tail_text(), place))
        else:
            self._pieces.append(Piece(self._name, self._tail_text() + "\n"))

    def _fill(self, lines: int) -> None:
        """End the first lines; ``lines`` that have come are not among them."""
        self._full, self._screen = True, None
        self._after_head += lines
        self._rest, self._dropped = "", 0

    def _add(self, line: str, end: str) -> bool:
        """Add a finished line; return whether there is room for it."""
        dropped, self._dropped = self._dropped, 0
        if not self._overwrites(line):
            return self._close() and self._write(_clip(render(line), dropped) + end)
        self._screen = self._screen or Screen()
        self._screen.put(line)
        if end:
            self._screen.end_line()
        gone = self._screen.scroll()
        if not gone or self._settle([*gone, ""]):
            return True
        # What stays on the screen is not among the first lines; the caller counts this line.
        self._after_head += len(self._screen.text()) - 1 - len(end)
        return False

    def _overwrites(self, text: str) -> bool:
        active = self._screen is not None and self._screen.active
        return active or bool(_OVERWRITES.search(text))

    def _shorten_rest(self) -> None:
        """Keep the unfinished line short, however long it becomes."""
        if self._overwrites(self._rest):
            partial = _PARTIAL.search(self._rest)
            self._put_rest(partial.start() if partial else len(self._rest))
        elif len(self._rest) > 20 * LONG:
            self._dropped += len(self._rest) - 2 * LONG
            self._rest = self._rest[:LONG] + self._rest[-LONG:]

    def _put_rest(self, end: int) -> None:
        """Move the unfinished line, up to a place in it, to the screen."""
        self._screen = self._screen or Screen()
        self._screen.put(self._rest[:end])
        self._rest = self._rest[end:]

    def _close(self) -> bool:
        """Show the overwritten lines for good; return whether there is room for them."""
        screen, self._screen = self._screen, None
        return screen is None or self._settle(screen.text())

    def _settle(self, rows: List[str]) -> bool:
        """Show rows for good, in their display where they have one, else as lines.

        The last row has no line end yet, so it is not counted here where there is no room.
        """
        if self._display is not None:
            fits, held = self._update_display(rows), self._display.text.count("\n") + 1
        else:
            fits, held = self._write("\n".join(map(_clip, rows))), 0
        if not fits:
            if held:
                self._update_display(rows[:held])
            self._after_head += max(0, len(rows) - 1 - held)
        self._display = None
        return fits

    def _write(self, text: str) -> bool:
        """Show text among the first lines; return whether there is room for it."""
        size, lines = _size(text), text.count("\n")
        if not self._has_room(size, lines):
            return False
        self._pieces.append(Piece(self._name, text))
        self._size, self._lines = self._size + size, self._lines + lines
        return True

    def _has_room(self, size: int, lines: int) -> bool:
        return self._size + size <= HEAD and self._lines + lines <= HEAD_LINES

    def _update_display(self, rows: List[str]) -> bool:
        """Show rows in the display, which may have to be made; return whether there is room."""
        text = "\n".join(map(_clip, rows)).rstrip("\n")
        size, before = _size(text), self._display or _Display(0, "", -_DISPLAY)
        new_lines = text.count("\n") - (before.text.count("\n") if before.place else -1)
        if new_lines > 0 and not self._has_room(size - before.size, new_lines):
            return False  # it is shown as lines, when it is finished
        if text and text != before.text:
            self._size, self._lines = self._size + size - before.size, self._lines + new_lines
            place = before.place or next(self._places)
            self._display = _Display(place, text, size)
            self._pieces.append(Piece("bar", text, place))
        return True

    def _tail(self) -> List[str]:
        """Return the last lines, of those that are not among the first."""
        lines = self._recent[-TAIL:].split("\n")
        lines = lines[1:] if len(self._recent) > TAIL and len(lines) > 1 else lines
        lines = lines if lines[-1] else lines[:-1]
        return lines[-min(self._after_head, TAIL_LINES) :] if self._after_head else []

    def _tail_text(self) -> str:
        lines = [_clip(render(line)) for line in self._tail()]
        if self.omitted:
            lines.insert(0, f"⋮ {self.omitted:,} lines are omitted; the last ones:")
        return "\n".join(lines)


def _clip(line: str, dropped: int = 0) -> str:
    """Return a line without its middle where it is too long; some of it may be dropped already."""
    if len(line) <= LONG and not dropped:
        return line
    half = LONG // 2
    return f"{line[:half]} …[{len(line) - LONG + dropped:,} characters]… {line[-half:]}"


def _size(text: str) -> int:
    """Return what a text takes in a saved notebook, where a control character is six bytes."""
    escaped = json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")
    return len(escaped) - 2 + _LINE * text.count("\n")
