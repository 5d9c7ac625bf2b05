"""A notebook file as text, edited cell by cell. Pure: text in, text out.

Only the cells that change are written anew; every other byte stays: key order, indent, unknown
metadata, the format's minor version, line endings. Source: the nbformat 4 documentation.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from ..errors import NotebookError
from .json_text import items, leading, member, members
from .kept import KEY, changed
from .shape import malformed

__all__ = ["ROLE", "Document", "several"]

#: Metadata of a new setup cell. It is known by the marker in its text alone, since front ends copy
#: metadata when a cell is split or copied. What it prints depends on the machine, so nbval is
#: told not to compare it.
ROLE = {KEY: {"role": "setup", "version": 1}, "tags": ["nbval-ignore-output"]}

_ID = "colab-magics-setup"

#: Says of a cell's text whether it is a setup cell.
Test = Callable[[str], bool]


@dataclass(frozen=True)
class Document:
    """The text of a notebook, its cells, and where in the text each stands."""

    text: str
    cells: Tuple[Dict[str, Any], ...]
    spans: Tuple[Tuple[int, int], ...]
    inside: int  # where a first cell goes in an empty list
    minor: int
    metadata: Dict[str, Any]

    @classmethod
    def parse(cls, data: bytes, name: str) -> "Document":
        """Read a notebook; `NotebookError` where it is not JSON, or not nbformat 4."""
        try:
            text = data.decode("utf-8")
            whole = json.loads(text)
            problem = malformed(whole)
            inside, spans = (0, []) if problem else _spans(text)
        except (ValueError, RecursionError):
            raise NotebookError(
                f"{name} is not a notebook: it is not JSON.", "Check that it is the right file."
            ) from None
        if problem:
            raise NotebookError(
                f"{name} is not a notebook of format 4: {problem}.",
                "Open it in Jupyter and save it, or: jupyter nbconvert --to notebook",
            )
        cells, minor = tuple(whole["cells"]), whole.get("nbformat_minor", 0)
        return cls(text, cells, tuple(spans), inside, minor, whole.get("metadata") or {})

    def encode(self) -> bytes:
        """The bytes of the file."""
        return self.text.encode("utf-8")

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
            for i, cell in enumerate(self.cells)
            if cell.get("cell_type") == "code" and is_setup(self.source(cell))
        ]
        if len(found) > 1:
            raise several([i + 1 for i in found])
        return found[0] if found else None

    def setup_text(self, is_setup: Test) -> Optional[str]:
        """The text of the setup cell, or None where there is none."""
        at = self.setup_index(is_setup)
        return None if at is None else self.source(self.cells[at])

    def with_setup(self, text: Optional[str], is_setup: Test) -> "Document":
        """The notebook with this setup cell at its place (at the top, if new), or without one."""
        at = self.setup_index(is_setup)
        if text is None:
            return self if at is None else self.without(at)
        if at is None:
            return self.inserted(0, self._new(text))
        if self.source(self.cells[at]) == text:
            return self
        return self.replaced(at, {**self.cells[at], "source": _lines(text)})

    def with_kept(self, what: str, value: Optional[str]) -> "Document":
        """The notebook with this kept in its metadata, or without it; see `kept`."""
        if not isinstance(json.loads(self.text).get("metadata"), dict):
            return self
        done = self
        for key, now in changed(self.metadata, what, value).items():
            start = members(done.text, done.text.index("{"))["metadata"][0]
            done = done._spliced(*member(done.text, start, key, done._value(now, start)))
        return done

    def _value(self, value: Any, at: int) -> Optional[str]:
        """A value as this file would write it into the object that begins there; None: none."""
        if value is None:
            return None
        before = leading(self.text, at)
        inner = self._indent()
        text = json.dumps(value, indent=inner, ensure_ascii=self._plain())
        if not before:  # the object is empty: at the depth of a notebook's metadata
            before = self._break(2)
        return text.replace("\n", before) if inner else text

    def _new(self, text: str) -> Dict[str, Any]:
        cell: Dict[str, Any] = {"cell_type": "code", "execution_count": None}
        if self.minor >= 5:
            cell["id"] = _ID
        return {**cell, "metadata": ROLE, "outputs": [], "source": _lines(text)}

    # ------------------------------------------------------------------ edits of the text
    def replaced(self, at: int, cell: Dict[str, Any]) -> "Document":
        """The notebook with another cell in this place."""
        if cell == self.cells[at]:
            return self
        start, end = self.spans[at]
        return self._spliced(start, end, self._dump(cell))

    def with_cells(self, new: Dict[int, Dict[str, Any]]) -> "Document":
        """The notebook with other cells in these places; as one edit, however many they are."""
        pieces, at = [], 0
        for index in sorted(new):
            if new[index] != self.cells[index]:
                start, end = self.spans[index]
                pieces += [self.text[at:start], self._dump(new[index])]
                at = end
        return self._spliced(0, at, "".join(pieces)) if pieces else self

    def inserted(self, at: int, cell: Dict[str, Any]) -> "Document":
        """The notebook with one more cell, before the one that stands at this place."""
        if at < len(self.spans):
            start = self.spans[at][0]
            return self._spliced(start, start, self._dump(cell) + "," + self._between())
        if not self.spans:
            closing = self.text.index("]", self.inside)
            own = self._break(2) + self._dump(cell) + self._break(1)
            return self._spliced(self.inside, closing, own)
        end = self.spans[-1][1]
        return self._spliced(end, end, "," + self._between() + self._dump(cell))

    def without(self, at: int) -> "Document":
        """The notebook without the cell in this place."""
        start, end = self.spans[at]
        if at + 1 < len(self.spans):
            return self._spliced(start, self.spans[at + 1][0], "")
        if at:
            return self._spliced(self.spans[at - 1][1], end, "")
        return self._spliced(self.inside, self.text.index("]", end), "")

    def _spliced(self, start: int, end: int, piece: str) -> "Document":
        text = self.text[:start] + piece + self.text[end:]
        # Half a character, which stood there as an escape, is one again: Python's is JSON's.
        return Document.parse(text.encode("utf-8", "backslashreplace"), "the notebook")

    # ------------------------------------------------------------------ the file's own style
    def _between(self) -> str:
        """The white space that stands between two cells of this file."""
        if len(self.spans) > 1:
            return self.text[self.spans[0][1] : self.spans[1][0]].partition(",")[2]
        return self.text[self.inside : self.spans[0][0]]

    def _break(self, depth: int) -> str:
        indent = self._indent()
        return "" if indent is None else self._newline() + indent * depth

    def _newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    def _indent(self) -> Optional[str]:
        """One step of indentation; None for a file in one line."""
        found = re.match(r"\{\r?\n([ \t]+)", self.text)
        return found.group(1) if found else None

    def _plain(self) -> bool:
        """Whether the file spells other letters as escapes."""
        return self.text.isascii() and "\\u" in self.text

    def _dump(self, cell: Dict[str, Any]) -> str:
        """A cell as this file would write it, at the depth of the list of cells."""
        indent = self._indent()
        compact = re.match(r'\s*\{\s*"[^"]*":\S', self.text)
        text = json.dumps(
            cell,
            indent=indent,
            ensure_ascii=self._plain(),
            separators=(",", ":") if compact else None,
        )
        return text if indent is None else text.replace("\n", self._newline() + indent * 2)


def several(numbers: Sequence[int]) -> NotebookError:
    """What is said where more than one cell, counted from 1, is the setup cell."""
    return NotebookError(
        f"Cells {' and '.join(map(str, numbers))} are both setup cells; nothing was written.",
        "Delete the one that you do not want.",
    )


def _lines(text: str) -> List[str]:
    return text.splitlines(keepends=True)


def _spans(text: str) -> Tuple[int, List[Tuple[int, int]]]:
    """Where the list of cells begins, and where each cell stands, in a text known to be JSON."""
    return items(text, members(text, text.index("{"))["cells"][0])
