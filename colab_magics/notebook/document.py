"""A notebook file as text, edited cell by cell.

Only the cells that change are written anew; every other byte stays: key order, indent, unknown
metadata, the format's minor version, line endings. Source: the nbformat 4 documentation.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple, Union

from ..core import files
from ..core.errors import NotebookError
from .json_edit import decode, leading_space, scan_list, scan_object, set_member, skip_space
from .metadata_keys import KEY, changed, was_setup

#: Metadata of a new setup cell. It is known by the marker in its text, since front ends copy
#: metadata when a cell is split or copied; by its role only where no cell has the marker. What it
#: prints depends on the machine, so nbval is told not to compare it.
ROLE = {KEY: {"role": "setup", "version": 1}, "tags": ["nbval-ignore-output"]}

_ID = "colab-magics-setup"
#: The parts of a cell that may be large.
_LARGE = {"outputs": list, "attachments": dict}
#: Keys that are read here, with the types that the format gives their values.
_NOTEBOOK = {"nbformat_minor": int, "metadata": dict, "cells": list}
_METADATA = {"kernelspec": dict, "language_info": dict}
_CELL = {"source": (str, list), "metadata": dict, "outputs": list}

#: Tells whether the text of a cell is that of a setup cell.
Test = Callable[[str], bool]


@dataclass(frozen=True)
class _Style:
    """How a program writes JSON: the indentation of a level (None: all in one line), the line
    ending, whether it puts no space behind a colon.
    """

    indent: Optional[str]
    newline: str
    compact: bool

    @classmethod
    def of(cls, text: str) -> _Style:
        indented, end = re.match(r"\{\r?\n([ \t]+)", text), text.find("\n")
        return cls(
            indent=indented.group(1) if indented else None,
            newline="\r\n" if text[end - 1 : end] == "\r" else "\n",
            compact=bool(re.match(r'\s*\{\s*"[^"]*":\S', text)),
        )

    def line(self, level: int) -> str:
        """Return the line ending and the indentation of a level."""
        return "" if self.indent is None else self.newline + self.indent * level


@dataclass(frozen=True)
class Document:
    """A notebook: the bytes of its file before, in and behind the list of cells.

    ``inner`` alternates between what separates cells and a cell, and begins and ends with what
    separates. ``heads`` are the cells without what may be large in them: outputs and attachments.
    """

    before: bytes
    inner: Tuple[Union[bytes, memoryview], ...]
    behind: bytes
    heads: Tuple[Dict[str, Any], ...]
    minor: int
    metadata: Dict[str, Any]
    style: _Style

    @classmethod
    def load(cls, path: Path) -> Document:
        """Read the notebook of a file; `NotebookError` where that cannot be."""
        return cls.parse(files.read(path), path.name)

    @classmethod
    def parse(cls, data: bytes, name: str) -> Document:
        """Read a notebook; `NotebookError` where it is not JSON, or not nbformat 4."""
        try:
            text = data.decode("utf-8")
            notebook, bounds = _read(text)
            problem = _problem(notebook)
        except (ValueError, RecursionError):
            raise NotebookError(
                f"{name} is not a notebook: it is not JSON.",
                "Check that it is the right file.",
                code="not-json",
            ) from None
        if problem:
            raise NotebookError(
                f"{name} is not a notebook of format 4: {problem}.",
                "Open it in Jupyter and save it, or: jupyter nbconvert --to notebook",
                code="not-format-4",
            )
        cuts, view = _byte_offsets(text, bounds), memoryview(data)
        return cls(
            before=data[: cuts[0]],
            inner=tuple(view[start:end] for start, end in zip(cuts, cuts[1:])),
            behind=data[cuts[-1] :],
            heads=tuple(notebook["cells"]),
            minor=notebook.get("nbformat_minor", 0),
            metadata=notebook.get("metadata", {}),
            style=_Style.of(text),
        )

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        return b"".join([self.before, *self.inner, self.behind])

    @property
    def text(self) -> str:
        """The text of the file."""
        return self.encode().decode("utf-8")

    def cell(self, at: int) -> Dict[str, Any]:
        """Return one cell, outputs and attachments included."""
        cell: Dict[str, Any] = json.loads(str(self.inner[2 * at + 1], "utf-8"))
        return cell

    @property
    def cells(self) -> Tuple[Dict[str, Any], ...]:
        """All cells, outputs and attachments included."""
        return tuple(map(self.cell, range(len(self.heads))))

    @staticmethod
    def source(cell: Dict[str, Any]) -> str:
        """Return the text of a cell, which is stored as a string or as a list of lines."""
        source = cell.get("source", "")
        return source if isinstance(source, str) else "".join(source)

    def setup_index(self, is_setup: Test) -> Optional[int]:
        """Return which cell is the setup cell; two are refused, since neither can be preferred."""
        places = self.setup_places(is_setup)
        if len(places) > 1:
            raise several([at + 1 for at in places])
        return places[0] if places else None

    def setup_places(self, is_setup: Test) -> List[int]:
        """Return which cells are setup cells: by the marker, else by their role."""
        code = {
            at: self.source(cell)
            for at, cell in enumerate(self.heads)
            if cell.get("cell_type") == "code"
        }
        marked = [at for at, source in code.items() if is_setup(source)]
        return marked or [
            at for at, source in code.items() if was_setup(source, self.heads[at].get("metadata"))
        ]

    def setup_text(self, is_setup: Test) -> Optional[str]:
        """Return the text of the setup cell, or None where there is none."""
        at = self.setup_index(is_setup)
        return None if at is None else self.source(self.heads[at])

    def with_setup(self, text: Optional[str], is_setup: Test) -> Document:
        """Return the notebook with this setup cell, a new one on top, or without one (None)."""
        at = self.setup_index(is_setup)
        if text is None:
            return self if at is None else self._without(at)
        if at is None:
            return self._with_first(text)
        if self.source(self.heads[at]) == text:
            return self
        return self.with_cells([(at, {**self.cell(at), "source": text.splitlines(True)})])

    def with_cells(self, cells: Iterable[Tuple[int, Dict[str, Any]]]) -> Document:
        """Return the notebook with other cells in these places; the others keep their bytes."""
        inner, heads, same = list(self.inner), list(self.heads), True
        for at, cell in cells:  # one at a time: they may be large
            if cell != self.cell(at):
                inner[2 * at + 1], heads[at], same = self._dump(cell), _head(cell), False
        return self if same else replace(self, inner=tuple(inner), heads=tuple(heads))

    def with_stored(self, name: str, value: Optional[str]) -> Document:
        """Return the notebook with this value of `metadata_keys`, or without it (None)."""
        before = self.before.decode("utf-8")
        text, metadata = before + self.behind.decode("utf-8"), self.metadata  # of no cells
        for key, part in changed(metadata, name, value).items():
            member = scan_object(text, text.index("{"))[1].get("metadata")
            if member is None:
                return self
            # Where the object is empty: at the level of a notebook's metadata.
            line = leading_space(text, member.start) or self.style.line(2)
            value_text = None if part is None else self._dumps(part, line)
            new = set_member(text, member.start, key, value_text)
            if member.start < len(before):
                before = new[: len(before) + len(new) - len(text)]
            text, metadata = new, json.loads(new)["metadata"]
        first, last = _encode(before), _encode(text[len(before) :])
        return replace(self, before=first, behind=last, metadata=metadata)

    def _with_first(self, source: str) -> Document:
        """Return the notebook with a new setup cell on top."""
        cell: Dict[str, Any] = {"cell_type": "code", "execution_count": None}
        if self.minor >= 5:
            cell["id"] = _ID
        cell.update(metadata=ROLE, outputs=[], source=source.splitlines(True))
        new, inner, line = self._dump(cell), self.inner, self.style.line
        if self.heads:
            # The white space between two cells of this file.
            space = bytes(inner[2]).partition(b",")[2] if len(self.heads) > 1 else inner[0]
            inner = (inner[0], new, b"," + space, *inner[1:])
        else:
            inner = (line(2).encode(), new, line(1).encode())
        return replace(self, inner=inner, heads=(_head(cell), *self.heads))

    def _without(self, at: int) -> Document:
        """Return the notebook without a cell, and without the comma behind it, or before it."""
        inner, cell, count = self.inner, 2 * at + 1, len(self.heads)
        if count == 1:
            inner = (b"",)
        else:
            start = cell if at < count - 1 else cell - 1
            inner = (*inner[:start], *inner[start + 2 :])
        return replace(self, inner=inner, heads=(*self.heads[:at], *self.heads[at + 1 :]))

    def _dump(self, cell: Dict[str, Any]) -> bytes:
        """Return a cell as this file would write it in its list of cells."""
        separators = (",", ":") if self.style.compact else None
        return _encode(self._dumps(cell, self.style.line(2), separators=separators))

    def _dumps(self, value: Any, line: str, **options: Any) -> str:
        style = self.style
        text = json.dumps(value, indent=style.indent, ensure_ascii=False, **options)
        if not text.isascii() and self._escapes:
            text = json.dumps(value, indent=style.indent, **options)
        return text if style.indent is None else text.replace("\n", line)

    @cached_property
    def _escapes(self) -> bool:
        """Whether the file writes other letters as escapes; few texts need this slow search."""
        data = self.encode()
        return data.isascii() and b"\\u" in data


def several(numbers: Sequence[int]) -> NotebookError:
    """Return the error of a notebook in which these cells, counted from 1, are setup cells."""
    return NotebookError(
        f"Cells {' and '.join(map(str, numbers))} are both setup cells; nothing was written.",
        "Delete the one that you do not want.",
        code="two-setup-cells",
    )


def _encode(text: str) -> bytes:
    """Return the bytes; half a surrogate pair, which UTF-8 cannot hold, is escaped as in JSON."""
    return text.encode("utf-8", "backslashreplace")


def _read(text: str) -> Tuple[Any, List[int]]:
    """Read a JSON text, and where its list of cells is: its start, each cell's, and its end."""
    bounds: List[int] = []

    def read(key: str, text: str, at: int) -> Tuple[Any, int]:
        if key != "cells" or text[at : at + 1] != "[":
            return decode(text, at)
        items, spans, end = scan_list(text, at, _head)
        bounds[:] = [at + 1, *(bound for span in spans for bound in span), end - 1]
        return items, end

    at = skip_space(text, 0)
    if text[at : at + 1] != "{":
        return json.loads(text), []
    notebook, _, end = scan_object(text, at, read)
    if skip_space(text, end) != len(text):
        raise ValueError("there is more than one value")
    return notebook, bounds


def _byte_offsets(text: str, places: Sequence[int]) -> List[int]:
    """Return where places of a text, in rising order, are in its bytes."""
    if text.isascii():
        return list(places)
    sizes = (len(text[a:b].encode("utf-8")) for a, b in zip([0, *places], places))
    return list(accumulate(sizes))


def _head(cell: Any) -> Any:
    """Return a cell without what may be large in it, where that has the type that it should."""
    if not isinstance(cell, dict):
        return cell
    return {k: v for k, v in cell.items() if not isinstance(v, _LARGE.get(k, ()))}


def _problem(notebook: Any) -> str:
    """Return which value is not as format 4 has it; empty: all that are read here are.

    Keys that are unknown, or that only others read, may hold anything.
    """
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4:
        return "nbformat is not 4"
    if "cells" not in notebook:
        return "it has no cells"
    problem = _wrong_type(notebook, _NOTEBOOK, "the notebook")
    problem = problem or _wrong_type(notebook.get("metadata", {}), _METADATA, "its metadata")
    cells = () if problem else enumerate(notebook["cells"], 1)
    problems = (_wrong_type(cell, _CELL, f"cell {number}") for number, cell in cells)
    return problem or next(filter(None, problems), "")


def _wrong_type(values: Any, types: Dict[str, Any], name: str) -> str:
    if not isinstance(values, dict):
        return f"{name} is no object"
    for key, kind in types.items():
        if key in values and not isinstance(values[key], kind):
            return f"{key} of {name} has the wrong type"
    source = values.get("source") if "source" in types else None
    if isinstance(source, list) and not all(isinstance(line, str) for line in source):
        return f"source of {name} has the wrong type"
    return ""
