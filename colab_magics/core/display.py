"""What magics show: a few lines and perhaps a table, as plain text and as HTML.

Nothing here imports IPython; an object with ``_repr_mimebundle_`` is drawn by any front end.
HTML is one block in one font, with inline styles alone: a front end that does not trust a notebook
removes anything else.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import unicodedata
from dataclasses import dataclass
from html import escape
from typing import Any, Dict, List, Literal, Mapping, Sequence, Tuple

from .controls import visible
from .redact import redact_secrets

Tone = Literal["good", "caution", "bad", "quiet", "active"]

#: The colour of each tone in HTML, and in a terminal.
TONES: Mapping[Tone, Tuple[str, int]] = {
    "good": ("#00a848", 32),
    "caution": ("#e87800", 33),
    "bad": ("#ff4848", 31),
    "quiet": ("#888888", 90),
    "active": ("#4285f4", 34),
}
#: So much of the text's own colour is mixed into it, in percent: darker on a light page, lighter
#: on a dark one, in each front end. No variable does that: JupyterLab's green is too pale to read
#: on white, and VS Code and Colab have other names.
TEXT_SHARE = 40
_STATES: Mapping[str, Tone] = {"ok": "good", "differs": "caution"}

_FONT = (
    "font-family:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,monospace);"
    "font-size:var(--jp-code-font-size,13px);line-height:1.5"
)
_BLOCK = f"{_FONT};max-width:100%;overflow-x:auto"
_WRAPS = "white-space:pre-wrap;overflow-wrap:anywhere"
_TABLE = f"{_FONT};border-collapse:collapse;margin:2px 0;border:0"
_CELL = "text-align:left;vertical-align:top;padding:1px 2ch 1px 0;border:0;line-height:1.5"
_RULE = "border-bottom:1px solid color-mix(in srgb,currentColor 30%,transparent)"
#: Characters: a column is no wider, but for the last, which wraps in no fewer; and in a terminal no
#: column is narrower to give it room.
_LONG, _LAST, _LEAST = 40, 24, 12
_BAR = 10


class Mark(str):
    """A text with a dot before it, in the colour of its tone; without colours, the text alone."""

    tone: Tone = "quiet"

    @classmethod
    def of(cls, text: str, tone: Tone = "quiet") -> Mark:
        """Return the text with a tone; ``ok`` and ``differs`` have their own."""
        mark = cls(text)
        mark.tone = _STATES.get(text, tone)
        return mark


class Bar(str):
    """A text with a bar before it; ``share`` is its length, 0 to 1."""

    share = 0.0
    tone: Tone = "quiet"

    @classmethod
    def of(cls, text: str, share: float, tone: Tone = "good") -> Bar:
        """Return the text with a bar of that length and colour."""
        bar = cls(text)
        bar.share, bar.tone = min(max(share, 0.0), 1.0), tone
        return bar


class Link(str):
    """An address of ours, which HTML leads to; else the text alone."""


@dataclass(frozen=True)
class Report:
    """Lines, a table below them with its headings, and lines below that.

    Each text may be a `Mark`, a `Bar` or a `Link`. A table has a heading for each column.
    """

    lines: Tuple[str, ...] = ()
    rows: Tuple[Tuple[str, ...], ...] = ()
    after: Tuple[str, ...] = ()
    head: Tuple[str, ...] = ()

    def text(self, width: int = 0, colours: bool = False) -> str:
        """Return the report in plain text; the columns of the table are aligned.

        With a ``width`` the table is no wider: long cells are shortened, those of the last column
        go on below.
        """
        table = _Table(self.head, self.rows, width, colours).lines() if self.rows else []
        lines, after = ([_draw(x, colours) for x in part] for part in (self.lines, self.after))
        return "\n".join((*lines, *table, *after))

    def terminal(self) -> str:
        """Return the text as standard output shows it best: wide and coloured in a terminal."""
        if not sys.stdout.isatty():
            return self.text()
        colours = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return self.text(shutil.get_terminal_size().columns, colours)

    def html(self) -> str:
        """Return the report in HTML, every text escaped."""
        return f'<div style="{_BLOCK}">{self._body()}</div>'

    def _body(self) -> str:
        parts = [_html_line(line) for line in self.lines]
        if self.rows:
            head = f"<thead>{_html_row(self.head, 'th')}</thead>" if self.head else ""
            body = "".join(_html_row(row, "td") for row in self.rows)
            parts.append(f'<table style="{_TABLE}">{head}<tbody>{body}</tbody></table>')
        return "\n".join([*parts, *(_html_line(line) for line in self.after)])

    def __str__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, str]:
        return {"text/plain": self.terminal(), "text/html": self.html()}


@dataclass(frozen=True)
class Preformatted:
    """A text whose columns are aligned by spaces, such as a help."""

    content: str

    def __str__(self) -> str:
        return printable(self.content)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, str]:
        style = f"{_FONT};white-space:pre-wrap;margin:0"
        return {
            "text/plain": str(self),
            "text/html": f'<pre style="{style}">{escape(str(self))}</pre>',
        }


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


def shorten(text: str, width: int) -> str:
    """Return a text no wider than that in a terminal; what is left out is in the middle."""
    if _width(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{_cut(text, width - 1 - end)}…{_cut(text[::-1], end)[::-1]}"


def _cut(text: str, width: int) -> str:
    """Return the beginning of a text that is no wider."""
    return next((text[:at] for at in range(width, 0, -1) if _width(text[:at]) <= width), "")


def _wrap(text: str, width: int) -> List[str]:
    """Return a text in lines that are no wider; textwrap counts characters: a wide one gets two."""
    padded = "".join(char + "\0" * (_width(char) - 1) for char in text)
    lines = textwrap.wrap(padded, width - ("\0" in padded))
    return [line.replace("\0", "") for line in lines]


def colour(tone: Tone) -> str:
    """Return the CSS colour of a tone, to be read on a light page and on a dark one."""
    return f"color-mix(in srgb,currentColor {TEXT_SHARE}%,{TONES[tone][0]})"


def _plain(cell: str) -> str:
    """Return the text of a cell, in which the end of a line would draw another row."""
    return visible(redact_secrets(cell), allow="")


def _draw(line: str, colours: bool) -> str:
    return _paint(line, printable(_prefix(line, colours) + line), colours)


def _prefix(cell: str, colours: bool) -> str:
    """Return what a text is drawn with in a terminal."""
    if isinstance(cell, Bar):
        return f"[{'#' * round(_BAR * cell.share):{_BAR}}] "
    return "● " if colours and isinstance(cell, Mark) else ""


def _paint(cell: str, text: str, colours: bool) -> str:
    """Return a text in the colour of a cell."""
    if not colours or not isinstance(cell, (Mark, Bar)):
        return text
    return f"\x1b[{TONES[cell.tone][1]}m{text}\x1b[0m"


def _width(text: str) -> int:
    """Return the columns that a terminal shows a text in; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


class _Table:
    """A table in plain text, in a width or, with 0, as wide as it is."""

    def __init__(
        self, head: Sequence[str], rows: Sequence[Sequence[str]], width: int, colours: bool
    ) -> None:
        self._rows, self._colours = [*([head] if head else []), *rows], colours
        self._has_head = bool(head)
        self._texts = [[_prefix(c, colours) + _plain(c) for c in row] for row in self._rows]
        self._widths = [max(map(_width, column)) for column in zip(*self._texts)]
        self._last = 0
        if width:
            self._fit(width - 2 * len(self._widths) + 2)

    def _fit(self, width: int) -> None:
        """Make the widest columns narrower until the last one has room to wrap in."""
        columns = self._widths[:-1]
        room = width - min(self._widths[-1], _LAST)
        while sum(columns) > room and max(columns, default=0) > _LEAST:
            columns[columns.index(max(columns))] -= 1
        self._last = max(width - sum(columns), 8)
        self._widths[:-1] = columns

    def lines(self) -> List[str]:
        """Return the lines of it."""
        return [line for at in range(len(self._rows)) for line in self._row(at)]

    def _row(self, at: int) -> List[str]:
        *cells, last = self._texts[at]
        texts = [shorten(cell, width) for cell, width in zip(cells, self._widths)]
        padded = [text + " " * (w - _width(text)) for text, w in zip(texts, self._widths)]
        painted = [_paint(c, text, self._colours) for c, text in zip(self._rows[at], padded)]
        first, *more = _wrap(last, self._last) or [""] if self._last else [last]
        first = _paint(self._rows[at][-1], first, self._colours)
        indent = " " * (sum(self._widths[:-1]) + 2 * len(cells))
        lines = ["  ".join([*painted, first]).rstrip(), *(indent + text for text in more)]
        return [f"\x1b[1m{x}\x1b[0m" for x in lines] if self._is_head(at) else lines

    def _is_head(self, at: int) -> bool:
        return self._has_head and at == 0 and self._colours


def _html_line(line: str) -> str:
    return f'<div style="{_WRAPS}">{_html_text(line, printable(line))}</div>'


def _html_row(row: Sequence[str], tag: str) -> str:
    """Return a row of cells; only the last, which explains, may be broken into lines."""
    cells = [_html_cell(cell, tag, at == len(row) - 1) for at, cell in enumerate(row)]
    # Front ends stripe tables, each with another shade, which takes contrast.
    return f'<tr style="background:transparent">{"".join(cells)}</tr>'


def _html_cell(cell: str, tag: str, is_last: bool) -> str:
    full = _plain(cell)
    text = full if is_last else shorten(full, _LONG)
    style = f"{_CELL};{f'{_WRAPS};min-width:12ch' if is_last else 'white-space:nowrap'}"
    if tag == "th":
        style += f";font-weight:600;color:{colour('quiet')};{_RULE}"
    title = f' title="{escape(full)}"' if text != full else ""
    return f'<{tag} style="{style}"{title}>{_html_text(cell, text)}</{tag}>'


def draw_html(cell: str) -> str:
    """Return a text in HTML, with its dot or its bar."""
    return _html_text(cell, _plain(cell))


def _html_text(cell: str, text: str) -> str:
    if isinstance(cell, Bar):
        end = f"{100 * cell.share:.0f}%"
        track = "color-mix(in srgb,currentColor 15%,transparent)"
        style = (
            "display:inline-block;width:10ch;height:.8em;margin-right:1ch;vertical-align:-.05em;"
            f"background:linear-gradient(90deg,{colour(cell.tone)} {end},{track} {end})"
        )
        return f'<span style="{style}"></span>{escape(text)}'
    if isinstance(cell, Mark):
        return f'<span style="color:{colour(cell.tone)}">● {escape(text)}</span>'
    if isinstance(cell, Link):
        address = escape(text)
        return f'<a href="{address}" target="_blank" rel="noopener noreferrer">{address}</a>'
    return escape(text)
