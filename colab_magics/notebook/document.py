"""A notebook file as text, edited cell by cell. Pure: bytes in, bytes out.

Only the cells that change are written anew; every other byte stays: key order, indent, unknown
metadata, the format's minor version, line endings. Source: the nbformat 4 documentation.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple, Union

from ..core.errors import NotebookError
from .json_edit import leading, member, members, parse
from .metadata_keys import KEY, changed
from .shape import malformed

#: Metadata of a new setup cell. It is known by the marker in its text alone, since front ends copy
#: metadata when a cell is split or copied. What it prints depends on the machine, so nbval is
#: told not to compare it.
ROLE = {KEY: {"role": "setup", "version": 1}, "tags": ["nbval-ignore-output"]}

_ID = "colab-magics-setup"
#: What of a cell may be large.
_LARGE = {"outputs": list, "attachments": dict}

#: Says of a cell's text whether it is a setup cell.
Test = Callable[[str], bool]


@dataclass(frozen=True)
class _Style:
    """How a program has written a file: a step of indentation (None: all in one line), its line
    ending, whether it leaves no space behind a colon.
    """

    indent: Optional[str]
    newline: str
    compact: bool

    @classmethod
    def of(cls, text: str) -> _Style:
        """The style of a whole file."""
        found, end = re.match(r"\{\r?\n([ \t]+)", text), text.find("\n")
        return cls(
            indent=found.group(1) if found else None,
            newline="\r\n" if text[end - 1 : end] == "\r" else "\n",
            compact=bool(re.match(r'\s*\{\s*"[^"]*":\S', text)),
        )

    def line(self, depth: int) -> str:
        """What begins a line at this depth."""
        return "" if self.indent is None else self.newline + self.indent * depth


@dataclass(frozen=True)
class Document:
    """A notebook as the pieces of its file: what stands before its cells, each of them, what
    stands before each and behind the last, and what stands behind them.

    ``heads`` are the cells less what may be large in them: outputs and attachments.
    """

    before: bytes
    pieces: Tuple[Union[bytes, memoryview], ...]
    gaps: Tuple[bytes, ...]
    behind: bytes
    heads: Tuple[Dict[str, Any], ...]
    minor: int
    metadata: Dict[str, Any]
    style: _Style

    @classmethod
    def parse(cls, data: bytes, name: str) -> Document:
        """Read a notebook; `NotebookError` where it is not JSON, or not nbformat 4."""
        try:
            text = data.decode("utf-8")
            whole, listed = parse(text, "cells", _head)
            problem = malformed(whole)
        except (ValueError, RecursionError):
            raise NotebookError(
                f"{name} is not a notebook: it is not JSON.", "Check that it is the right file."
            ) from None
        if problem or listed is None:
            raise NotebookError(
                f"{name} is not a notebook of format 4: {problem}.",
                "Open it in Jupyter and save it, or: jupyter nbconvert --to notebook",
            )
        bounds = [listed.inside, *(at for span in listed.spans for at in span), listed.end]
        cuts = _byte_offsets(text, bounds)
        view = memoryview(data)
        return cls(
            before=data[: cuts[0]],
            pieces=tuple(view[a:b] for a, b in zip(cuts[1::2], cuts[2:-1:2])),
            gaps=tuple(data[a:b] for a, b in zip(cuts[::2], cuts[1::2])),
            behind=data[cuts[-1] :],
            heads=tuple(whole["cells"]),
            minor=whole.get("nbformat_minor", 0),
            metadata=whole.get("metadata") or {},
            style=_Style.of(text),
        )

    def encode(self) -> bytes:
        """The bytes of the file."""
        inner = (part for pair in zip(self.gaps, self.pieces) for part in pair)
        return b"".join([self.before, *inner, self.gaps[-1], self.behind])

    @property
    def text(self) -> str:
        """The text of the file."""
        return self.encode().decode("utf-8")

    def cell(self, at: int) -> Dict[str, Any]:
        """One cell, with all that is in it."""
        found: Dict[str, Any] = json.loads(str(self.pieces[at], "utf-8"))
        return found

    @property
    def cells(self) -> Tuple[Dict[str, Any], ...]:
        """All cells, with all that is in them."""
        return tuple(map(self.cell, range(len(self.pieces))))

    # ------------------------------------------------------------------ cells
    @staticmethod
    def source(cell: Dict[str, Any]) -> str:
        """The text of a cell, whichever of the two ways it is stored."""
        source = cell.get("source", "")
        return source if isinstance(source, str) else "".join(source)

    def setup_index(self, is_setup: Test) -> Optional[int]:
        """Which cell is the setup cell; two are refused, since neither can be preferred."""
        found = [
            i
            for i, cell in enumerate(self.heads)
            if cell.get("cell_type") == "code" and is_setup(self.source(cell))
        ]
        if len(found) > 1:
            raise several([i + 1 for i in found])
        return found[0] if found else None

    def setup_text(self, is_setup: Test) -> Optional[str]:
        """The text of the setup cell, or None where there is none."""
        at = self.setup_index(is_setup)
        return None if at is None else self.source(self.heads[at])

    def with_setup(self, text: Optional[str], is_setup: Test) -> Document:
        """The notebook with this setup cell at its place (at the top, if new), or without one."""
        at = self.setup_index(is_setup)
        if text is None:
            return self if at is None else self.without(at)
        if at is None:
            return self.inserted(0, self._new(text))
        if self.source(self.heads[at]) == text:
            return self
        return self.replaced(at, {**self.cell(at), "source": _lines(text)})

    def with_kept(self, what: str, value: Optional[str]) -> Document:
        """The notebook with this kept in its metadata, or without it; see `metadata_keys`."""
        done = self
        for key, now in changed(self.metadata, what, value).items():
            done = done._with_member(key, now)
        return done

    def _with_member(self, key: str, value: Any) -> Document:
        """With another value in the metadata; None: with none. Nothing if there is no metadata."""
        before = self.before.decode("utf-8")
        text = before + self.behind.decode("utf-8")  # a notebook of no cells
        _, start, end = members(text, text.index("{")).get("metadata", (0, 0, 0))
        if text[start:end][:1] != "{":
            return self
        start, end, piece = member(text, start, key, self._value(value, text, start))
        cut = len(before) + (len(piece) - (end - start) if end <= len(before) else 0)
        text = text[:start] + piece + text[end:]
        metadata = json.loads(text)["metadata"]
        first, last = _encode(text[:cut]), _encode(text[cut:])
        return replace(self, before=first, behind=last, metadata=metadata)

    def _value(self, value: Any, text: str, at: int) -> Optional[str]:
        """A value as this file would write it into the object that begins there; None: none."""
        if value is None:
            return None
        # Where the object is empty: at the depth of a notebook's metadata.
        before = leading(text, at) or self.style.line(2)
        inner = self.style.indent
        new = self._json(value, indent=inner)
        return new.replace("\n", before) if inner else new

    def _new(self, text: str) -> Dict[str, Any]:
        cell: Dict[str, Any] = {"cell_type": "code", "execution_count": None}
        if self.minor >= 5:
            cell["id"] = _ID
        return {**cell, "metadata": ROLE, "outputs": [], "source": _lines(text)}

    # ------------------------------------------------------------------ edits of the cells
    def replaced(self, at: int, cell: Dict[str, Any]) -> Document:
        """The notebook with another cell in this place."""
        return self.with_cells([(at, cell)])

    def with_cells(self, new: Iterable[Tuple[int, Dict[str, Any]]]) -> Document:
        """The notebook with other cells in these places; the others keep their bytes."""
        pieces, heads = list(self.pieces), list(self.heads)
        same = True
        for at, cell in new:
            if cell != self.cell(at):
                pieces[at], heads[at], same = self._dump(cell), _head(cell), False
        return self if same else replace(self, pieces=tuple(pieces), heads=tuple(heads))

    def inserted(self, at: int, cell: Dict[str, Any]) -> Document:
        """The notebook with one more cell, before the one that stands at this place."""
        count = len(self.pieces)
        if count:
            behind = min(at + 1, count)  # which gap stands behind it, or before it if it is last
            between = b"," + self._between()
            gaps = (*self.gaps[:behind], between, *self.gaps[behind:])
        else:
            gaps = (self.style.line(2).encode(), self.style.line(1).encode())
        return replace(
            self,
            pieces=(*self.pieces[:at], self._dump(cell), *self.pieces[at:]),
            heads=(*self.heads[:at], _head(cell), *self.heads[at:]),
            gaps=gaps,
        )

    def without(self, at: int) -> Document:
        """The notebook without the cell in this place."""
        count = len(self.pieces)
        gap = min(at + 1, count - 1)  # the one behind it, or before it if it is the last
        return replace(
            self,
            pieces=(*self.pieces[:at], *self.pieces[at + 1 :]),
            heads=(*self.heads[:at], *self.heads[at + 1 :]),
            gaps=(*self.gaps[:gap], *self.gaps[gap + 1 :]) if count > 1 else (b"",),
        )

    # ------------------------------------------------------------------ the file's own style
    def _between(self) -> bytes:
        """The white space that stands between two cells of this file."""
        return self.gaps[1].partition(b",")[2] if len(self.pieces) > 1 else self.gaps[0]

    def _dump(self, cell: Dict[str, Any]) -> bytes:
        """A cell as this file would write it, at the depth of the list of cells."""
        style = self.style
        separators = (",", ":") if style.compact else None
        text = self._json(cell, indent=style.indent, separators=separators)
        return _encode(text if style.indent is None else text.replace("\n", style.line(2)))

    def _json(self, value: Any, **options: Any) -> str:
        text = json.dumps(value, ensure_ascii=False, **options)
        # Few texts need to know it, and to search a large file takes a while.
        return text if text.isascii() or not self._escapes else json.dumps(value, **options)

    @cached_property
    def _escapes(self) -> bool:
        """Whether the file spells letters beyond ASCII as escapes."""
        data = self.encode()
        return data.isascii() and b"\\u" in data


def several(numbers: Sequence[int]) -> NotebookError:
    """What is said where more than one cell, counted from 1, is the setup cell."""
    return NotebookError(
        f"Cells {' and '.join(map(str, numbers))} are both setup cells; nothing was written.",
        "Delete the one that you do not want.",
    )


def _lines(text: str) -> List[str]:
    return text.splitlines(keepends=True)


def _head(cell: Any) -> Any:
    """A cell less what may be large in it, if that is of the form that it should have."""
    if not isinstance(cell, dict):
        return cell
    return {k: v for k, v in cell.items() if not isinstance(v, _LARGE.get(k, ()))}


def _encode(text: str) -> bytes:
    """Half a character, which stood there as an escape, is one again: Python's is JSON's."""
    return text.encode("utf-8", "backslashreplace")


def _byte_offsets(text: str, places: Sequence[int]) -> List[int]:
    """Where places of a text, in rising order, stand in its bytes."""
    if text.isascii():
        return list(places)
    found, at, last = [], 0, 0
    for place in places:
        at += len(text[last:place].encode("utf-8"))
        found.append(at)
        last = place
    return found
