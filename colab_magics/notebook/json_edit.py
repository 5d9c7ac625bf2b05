"""Where things stand in a text that is JSON, so that it can be changed in one place alone."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

_SPACE = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder().raw_decode


class Listed(NamedTuple):
    """Where a list begins (behind its bracket) and ends (before it), and where each item stands."""

    inside: int
    end: int
    spans: List[Tuple[int, int]]


def parse(text: str, key: str, reduce: Callable[[Any], Any]) -> Tuple[Any, Optional[Listed]]:
    """A text that is JSON, and where the list stands that is the value of a key; None: there is
    none. `ValueError` where it is not JSON. Each item of that list is reduced as it is read, so
    that what nobody needs of a large one is never there at once.
    """
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        return json.loads(text), None
    whole: Dict[str, Any] = {}
    listed: Optional[Listed] = None
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        if whole:
            at = _behind(text, at, ",")
        if text[at : at + 1] != '"':
            raise ValueError("a key is missing")
        name, at = _decode(text, at)
        at = _behind(text, at, ":")
        if name == key and text[at : at + 1] == "[":
            whole[name], listed = _items(text, at, reduce)
            at = listed.end + 1
        else:
            whole[name], at = _decode(text, at)
            listed = None if name == key else listed
        at = _skip(text, at)
    if _skip(text, at + 1) != len(text):
        raise ValueError("something stands behind it")
    return whole, listed


def _items(text: str, at: int, reduce: Callable[[Any], Any]) -> Tuple[List[Any], Listed]:
    """The list that begins here."""
    inside = at + 1
    found: List[Any] = []
    spans: List[Tuple[int, int]] = []
    at = _skip(text, inside)
    while text[at : at + 1] != "]":
        if spans:
            at = _behind(text, at, ",")
        item, end = _decode(text, at)
        found.append(reduce(item))
        spans.append((at, end))
        at = _skip(text, end)
    return found, Listed(inside, at, spans)


def members(text: str, at: int) -> Dict[str, Tuple[int, int, int]]:
    """Key → where it stands, and where its value does, of the object that begins here; the last one
    counts. A key may be spelled with escapes.
    """
    found = {}
    at = _skip(text, at + 1)
    while text[at] == '"':
        named = at
        key, at = _decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        end = _decode(text, start)[1]
        found[key] = (named, start, end)
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
    return found


def leading(text: str, at: int) -> str:
    """The white space before the first member of the object that begins here; empty: none."""
    first = _skip(text, at + 1)
    return text[at + 1 : first] if text[first] == '"' else ""


def member(text: str, at: int, key: str, value: Optional[str]) -> Tuple[int, int, str]:
    """Where to put what, so that the object that begins here has this value; None: has it not."""
    found = members(text, at)
    if key not in found and value is not None:
        first = _skip(text, at + 1)
        if text[first] != '"':
            return at, first + 1, f'{{"{key}": {value}}}'
        return at + 1, at + 1, f'{leading(text, at)}"{key}": {value},'
    if key not in found:
        return at, at, ""
    named, start, end = found[key]
    if value is not None:
        return start, end, value
    start = named
    after = _skip(text, end)
    if text[after] == ",":
        return start, _skip(text, after + 1), ""
    before = text.rindex(",", at, start) if len(found) > 1 else at + 1
    return before, end, ""


def _behind(text: str, at: int, sign: str) -> int:
    """Where it goes on behind a comma or a colon that must stand here."""
    at = _skip(text, at)
    if text[at : at + 1] != sign:
        raise ValueError(f"{sign} is missing")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None  # noqa: S101 - it matches the empty string
    return found.end()
