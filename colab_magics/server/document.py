"""Read and edit the setup cell, and our values of the metadata, in a notebook on the server.

The messages and replies are those of the front-end extension: ``static/remoteEntry.js``.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

from ..notebook.metadata_keys import KEY, READERS, changed, was_setup
from ..record.cell import is_setup

Reply = Dict[str, Any]

#: Our values of the metadata, and their form: `METADATA` of the extension has the same.
_FORMS = {
    "lock": re.compile(r"lock-version = |gzip:|off\Z"),
    "gpu": re.compile(r"[A-Z0-9]{1,16}\Z"),
    "github": re.compile(r"(?:repository|path|gist)=[\w.~%+/&=-]+\Z", re.ASCII),
    "made_on": re.compile(r"python=3\.[\w.~%+/&=-]+\Z", re.ASCII),
    "trust": re.compile(r"[0-9a-f]{64}( [0-9a-f]{64})*\Z"),
}


def read(document: Any) -> Reply:
    """Return the text of the setup cell (None where there is none) and values of the metadata."""
    cells = _known_cells(document)
    if len(cells) > 1:
        return {"status": "several", "cells": [index + 1 for index in cells]}
    text = _unix(_source(document, cells[0])) if cells else None
    metadata = _metadata(document).to_py()
    return {"status": "ok", "text": text, **{name: get(metadata) for name, get in READERS.items()}}


def put(document: Any, text: object, expected: object) -> Reply:
    """Write the setup cell if its text is the expected one; None is no cell, in both."""
    if text is not None and not (isinstance(text, str) and is_setup(text)):
        return {"status": "refused"}
    present = read(document)
    if present["status"] != "ok":
        return present
    if present["text"] != expected:
        return {"status": "conflict"}
    if present["text"] == text:
        return {"status": "ok"}
    index = next(iter(_known_cells(document)), None)
    foreign = index is not None and _source(document, index) != present["text"]
    if foreign and document.ycells[index].get("execution_state") == "running":
        return {"status": "line-ends"}  # its editor would apply the change at another place
    with document.ydoc.transaction():
        _write(document, index, None if text is None else _unix(str(text)), foreign)
    return {"status": "ok"}


def _write(document: Any, index: Optional[int], text: Optional[str], foreign: bool) -> None:
    cells = document.ycells
    if index is None:
        metadata = {KEY: {"role": "setup", "version": 1}, "tags": ["nbval-ignore-output"]}
        cell = {"cell_type": "code", "source": text, "metadata": metadata}
        cells.insert(0, document.create_ycell({**cell, "outputs": [], "execution_count": None}))
    elif text is None:
        del cells[index]
    elif foreign:
        cells[index] = document.create_ycell({**document.get_cell(index), "source": text})
    else:
        source = cells[index]["source"]
        source.clear()
        source += text


def write_metadata(document: Any, name: object, value: object) -> Reply:
    """Set a value of the metadata, or delete it where it is None; other metadata stays."""
    form = _FORMS.get(name) if isinstance(name, str) else None
    if form is None or not (value is None or (isinstance(value, str) and form.match(value))):
        return {"status": "refused"}
    metadata = _metadata(document)
    with document.ydoc.transaction():
        for key, content in changed(metadata.to_py(), str(name), value).items():
            if content is not None:
                metadata[key] = content
            elif key in metadata:
                del metadata[key]
    return {"status": "ok"}


def find_cells(document: Any, ids: List[str], sources: List[str]) -> List[Any]:
    """Return the setup cell, the cells of these sources, and those of these ids, each once."""
    cells = list(document.ycells)
    places = _setup_cells(document)[:1]
    for source in sources:
        same = (i for i, cell in enumerate(cells) if str(cell["source"]) == source)
        places += [next((i for i in same if i not in places), -1)]
    places += [i for name in ids for i, cell in enumerate(cells) if cell["id"] == name]
    code = [i for i in dict.fromkeys(places) if i >= 0 and cells[i]["cell_type"] == "code"]
    return [cells[i] for i in code]


def _metadata(document: Any) -> Any:
    return document.ydoc["meta"]["metadata"]


def _setup_cells(document: Any) -> List[int]:
    return [
        index
        for index, cell in enumerate(document.ycells)
        if cell["cell_type"] == "code" and is_setup(str(cell["source"]))
    ]


def _known_cells(document: Any) -> List[int]:
    """Return the setup cells; where none has the marker, those that had it, which are not run."""
    return _setup_cells(document) or [
        index
        for index, cell in enumerate(document.ycells)
        if cell["cell_type"] == "code"
        and was_setup(_source(document, index), document.get_cell(index).get("metadata"))
    ]


def _source(document: Any, index: int) -> str:
    return str(document.ycells[index]["source"])


def _unix(text: str) -> str:
    return re.sub(r"\r\n?", "\n", text)
