"""What must not leave the machine: secrets that are known here, and what looks like a token."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, Iterator, List, Tuple

from ..core.errors import SourceError
from ..core.redact import redact_secrets
from ..core.secret_scan import assigned, find, readings


def read(name: str, data: bytes) -> Dict[str, Any]:
    """Parse a notebook as it is sent; `SourceError` where an object in it has a key twice.

    Readers see the last of two values, and both would be sent.
    """

    def refuse_duplicates(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise SourceError(
                f"{name} has a key twice in one place; nothing was sent.",
                "Open it in Jupyter and save it, which leaves one of them out.",
                code="duplicate-key",
            )
        return result

    notebook: Dict[str, Any] = json.loads(data, object_pairs_hook=refuse_duplicates)
    return notebook


def check_notebook(name: str, notebook: Dict[str, Any]) -> None:
    """Raise `SourceError` with the cell that holds a secret, in its text or its outputs."""
    place, secret = find_secret(notebook)
    if secret:
        raise _refusal(f"{name}: {place}", secret)


def find_secret(notebook: Dict[str, Any]) -> Tuple[str, str]:
    """Return where a notebook holds a secret, and of which kind; both empty where it holds none."""
    for number, cell in enumerate(notebook.get("cells", ()), 1):
        for part in cell:
            texts = [*_texts(cell[part]), *(_joined(cell[part]) if part == "outputs" else ())]
            secret = _find_secret(texts, is_code=part == "source")
            if secret:
                where = "" if part == "source" else f", in its {part}"
                return f"cell {number}{_first_line(cell)}{where}", secret
    rest = {key: part for key, part in notebook.items() if key != "cells"}
    secret = _find_secret([*_texts(rest), json.dumps(rest)])
    return ("its metadata", secret) if secret else ("", "")


def check_file(name: str, data: bytes) -> None:
    """Raise `SourceError` with the line of a file that holds a secret."""
    if name.rpartition("/")[2].startswith((".env", "kaggle.json")):
        message = f"{name} is where secrets are stored; nothing was sent."
        raise SourceError(message, "Leave it out.", code="secret")
    text = data.decode("utf-8", "replace")
    secret = _find_secret([text], is_code=True)
    if secret:
        lines = enumerate(text.splitlines(), 1)
        number = next((n for n, line in lines if _find_secret([line], is_code=True)), 1)
        raise _refusal(f"{name}: line {number}", secret)


def check_text(name: str, text: str) -> None:
    """Raise `SourceError` where something that goes with the files, as the message, holds one."""
    secret = _find_secret([text])
    if secret:
        raise _refusal(name, secret)


def _refusal(place: str, secret: str) -> SourceError:
    return SourceError(
        f"{place} holds {secret}; nothing was sent.",
        "Remove it, clear that output (or --strip), and store it with %secret; where others may "
        "have seen it, make a new one.",
        code="secret",
    )


def _find_secret(texts: Iterable[str], is_code: bool = False) -> str:
    """Return what kind of secret these texts hold; empty where they hold none.

    In code it may be the value of a name that says so: ``password = "..."``.
    """
    for text in texts:
        for reading in readings(text):
            if redact_secrets(reading) != reading:
                return "a secret that is known here"
            kinds = find(reading)
            if kinds:
                return f"what looks like {kinds[0]}"
        name = assigned(text) if is_code else ""
        if name:
            return f"what looks like a secret, given to {name}"
    return ""


def _joined(outputs: Any) -> Iterator[str]:
    """Yield the texts of a cell's outputs as one, since a program may print in pieces.

    Those of each stream too, which may be mixed, and of each kind of text, such as HTML.
    """
    pieces: Dict[str, List[str]] = {}
    for output in outputs if isinstance(outputs, list) else ():
        if not isinstance(output, dict):
            continue
        data, text = output.get("data"), output.get("text")
        if isinstance(data, dict):
            text = data.get("text/plain")
            kinds = {kind: data[kind] for kind in data if kind.startswith("text/")}
        else:
            kinds = {f"stream {output.get('name')}": text}
        for kind, part in {**kinds, "all": text}.items():
            pieces.setdefault(kind, []).extend(_texts(part))
    yield from dict.fromkeys("".join(texts) for texts in pieces.values() if len(texts) > 1)


def _texts(part: Any) -> Iterator[str]:
    """Yield all texts in a part of a notebook; a list of lines is one text."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, list) and part and all(isinstance(line, str) for line in part):
        yield "".join(part)
    elif isinstance(part, list):
        for item in part:
            yield from _texts(item)
    elif isinstance(part, dict):
        for key, item in part.items():
            yield from _texts(key)
            # A front end draws JSON as one text, whatever its parts are.
            yield json.dumps(item) if key == "application/json" or key.endswith("+json") else ""
            yield from _texts(item)


def _first_line(cell: Dict[str, Any]) -> str:
    """Return the first line of a cell, by which it is found; empty where it holds a secret."""
    lines = redact_secrets("".join(cell.get("source", ""))).strip().splitlines()
    return f" ({lines[0][:50]})" if lines and not _find_secret(lines[:1], is_code=True) else ""
