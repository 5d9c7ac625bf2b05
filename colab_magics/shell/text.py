"""What a command prints, made fit for a notebook: pure, fed with bytes and the time.

Both streams together: see `Stream` for one. Pieces come at most ten times a second, however fast
the bytes do.
"""

from itertools import count
from typing import List

from .output import HEAD, Piece, Stream


#: Seconds between two showings.
STEP = 0.1


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
