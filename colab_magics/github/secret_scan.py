"""What must not leave the machine: secrets that are known here, and what looks like a token."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List, Tuple

from ..core.errors import SourceError
from ..core.redact import redact_secrets
from ..core.secret_scan import assigned, find, readings

_TODO = (
    "Take it out, clear that output (or --strip), and keep it with %secret; "
    "where others may have seen it, make a new one."
)


def read(name: str, data: bytes) -> Dict[str, Any]:
    """A notebook as it is sent; `SourceError` where an object in it has a key twice.

    Of two values a reader sees the last, and both would be sent.
    """

    def once(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            raise SourceError(
                f"{name} has a key twice in one place; {_NOTHING}",
                "Open it in Jupyter and save it, which leaves one of them out.",
            )
        return made

    found: Dict[str, Any] = json.loads(data, object_pairs_hook=once)
    return found


def check_notebook(name: str, notebook: Dict[str, Any]) -> None:
    """`SourceError` names the cell that holds a secret, in its text or its outputs."""
    for number, cell in enumerate(notebook.get("cells", ()), 1):
        for part in cell:
            texts = [*_texts(cell[part]), *(_joined(cell[part]) if part == "outputs" else ())]
            held = _held(texts, code=part == "source")
            if held:
                where = "" if part == "source" else f", in its {part}"
                first = _first_line(cell)
                raise SourceError(
                    f"{name}: cell {number}{first}{where} holds {held}; {_NOTHING}", _TODO
                )
    rest = {key: part for key, part in notebook.items() if key != "cells"}
    held = _held([*_texts(rest), json.dumps(rest)])
    if held:
        raise SourceError(f"{name}: what is beside its cells holds {held}; {_NOTHING}", _TODO)


def check_file(name: str, data: bytes) -> None:
    """`SourceError` names the line of a file that holds a secret."""
    if name.rpartition("/")[2].startswith((".env", "kaggle.json")):
        raise SourceError(f"{name} is where secrets are kept; {_NOTHING}", "Leave it out.")
    text = data.decode("utf-8", "replace")
    held = _held([text], code=True)
    if held:
        lines = text.splitlines()
        number = next((n for n, line in enumerate(lines, 1) if _held([line], code=True)), 1)
        raise SourceError(f"{name}: line {number} holds {held}; {_NOTHING}", _TODO)


def check_text(name: str, text: str) -> None:
    """`SourceError` where something that goes with the files, such as the message, holds one."""
    if _held([text]):
        raise SourceError(f"{name} holds {_held([text])}; {_NOTHING}", "Take it out of the cell.")


_NOTHING = "nothing was sent."


def _held(texts: Iterator[str] | List[str], code: bool = False) -> str:
    """What of a secret is in these texts, in words; empty where nothing is.

    In code it may be what a name is given that says so: ``password = "..."``.
    """
    for text in texts:
        for reading in readings(text):
            if redact_secrets(reading) != reading:
                return "a secret that is known here"
            kinds = find(reading)
            if kinds:
                return f"what looks like {kinds[0]}"
        name = assigned(text) if code else ""
        if name:
            return f"what looks like a secret, given to {name}"
    return ""


def _joined(outputs: Any) -> Iterator[str]:
    """The texts of all outputs of a cell as one, since a program may print in pieces; each stream's
    own, too, since two are mixed, and what is shown as HTML or another kind of text.
    """
    pieces: Dict[str, List[str]] = {}
    for output in outputs if isinstance(outputs, list) else ():
        data = output.get("data") if isinstance(output, dict) else None
        if isinstance(data, dict):
            text = data.get("text/plain")
            for kind in data:
                if kind.startswith("text/"):
                    pieces.setdefault(kind, []).extend(_texts(data[kind]))
        elif isinstance(output, dict):
            text = output.get("text")
            pieces.setdefault(f"stream {output.get('name')}", []).extend(_texts(text))
        else:
            continue
        pieces.setdefault("all", []).extend(_texts(text))
    yield from dict.fromkeys("".join(texts) for texts in pieces.values() if len(texts) > 1)


def _texts(part: Any) -> Iterator[str]:
    """All texts in a part of a notebook; lines that were taken apart are one text again."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, list) and part and all(isinstance(one, str) for one in part):
        yield "".join(part)
    elif isinstance(part, list):
        for one in part:
            yield from _texts(one)
    elif isinstance(part, dict):
        for key, one in part.items():
            yield from _texts(key)
            # JSON that a front end draws is one text as it is read, whatever its parts are.
            yield json.dumps(one) if key == "application/json" or key.endswith("+json") else ""
            yield from _texts(one)


def _first_line(cell: Dict[str, Any]) -> str:
    """The first line of a cell, by which it is found; none that holds what is not to be shown."""
    lines = redact_secrets("".join(cell.get("source", ""))).strip().splitlines()
    if not lines or _held(lines[:1], code=True):
        return ""
    return f" ({lines[0][:50]})"
