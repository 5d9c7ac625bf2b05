"""What magics show: a few lines and perhaps a table, as plain text and as HTML.

Nothing here imports IPython; an object with ``_repr_mimebundle_`` is drawn by any front end.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any, Dict, Sequence, Tuple

from .controls import visible
from .redact import redact_secrets

_TABLE = 'style="text-align:left;border-collapse:collapse"'
_CELL = "text-align:left;vertical-align:top;padding:1px 12px 1px 0;font-family:monospace"


class Bar(str):
    """A cell of a table that HTML shows with a bar behind it; ``share`` is its length, 0 to 1."""

    share = 0.0
    #: The cell where there is no HTML.
    plain = ""

    @classmethod
    def of(cls, text: str, share: float, drawn: bool = False) -> Bar:
        """Return the text with a bar of that length; ``drawn``: in plain text too."""
        bar = cls(text)
        bar.plain = f"[{'#' * round(20 * share):20}] {text}" if drawn else text
        bar.share = min(max(share, 0.0), 1.0)
        return bar


@dataclass(frozen=True)
class Report:
    """Lines, a table below them, and lines below that."""

    lines: Tuple[str, ...] = ()
    rows: Tuple[Tuple[str, ...], ...] = ()
    after: Tuple[str, ...] = ()

    def text(self) -> str:
        """Return the report in plain text; the columns of the table are aligned."""
        return printable("\n".join((*self.lines, *_aligned(self.rows), *self.after)))

    def html(self) -> str:
        """Return the report in HTML, every text escaped."""
        parts = [f"<div>{escape(printable(line))}</div>" for line in self.lines]
        if self.rows:
            body = "".join(f"<tr>{_cells(row)}</tr>" for row in self.rows)
            parts.append(f"<table {_TABLE}>{body}</table>")
        parts += [f"<div>{escape(printable(line))}</div>" for line in self.after]
        return "\n".join(parts)

    def __str__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, str]:
        return {"text/plain": self.text(), "text/html": self.html()}


def amount(size: float) -> str:
    """Return bytes for people: ``18.2 MB``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} B"


def duration(seconds: float) -> str:
    """Return a time for people, in two units at most: ``4 s``, ``3 h 12 min``."""
    parts = []
    for unit, factor in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, factor)
        parts.append((int(count), unit))
    while len(parts) > 1 and not parts[0][0]:
        del parts[0]
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count) or "0 s"


def files(count: int) -> str:
    """Return ``1 file`` or ``2 files``."""
    return "1 file" if count == 1 else f"{count} files"


def printable(text: str) -> str:
    """Return a text that is safe to show: secrets are redacted, and controls made visible."""
    return visible(redact_secrets(text))


def _plain(cell: str) -> str:
    """Return the text of a cell, in which the end of a line would draw another row."""
    return visible(redact_secrets(cell), allow="")


def _cells(row: Sequence[str]) -> str:
    """Return the cells of a row; only the last, which explains, may be broken into lines."""
    wraps = ["nowrap"] * (len(row) - 1) + ["normal"]
    return "".join(
        f'<td style="{_CELL};white-space:{wrap}{_behind(cell)}">{escape(_plain(cell))}</td>'
        for cell, wrap in zip(row, wraps)
    )


def _behind(cell: str) -> str:
    """Return the style of the bar; a shade that light and dark pages both show."""
    if not isinstance(cell, Bar):
        return ""
    shade, end = "rgba(66,133,244,.35)", f"{100 * cell.share:.0f}%"
    return (
        f";background:linear-gradient(90deg,{shade} {end},rgba(128,128,128,.12) {end})"
        ";border-right:12px solid transparent;background-clip:padding-box;padding-left:4px"
    )


def _aligned(rows: Sequence[Sequence[str]]) -> Sequence[str]:
    if not rows:
        return ()
    rows = [[_plain(getattr(cell, "plain", cell)) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in rows]
