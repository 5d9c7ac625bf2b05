"""Where values begin and end in a JSON text, so that one can be changed and all else stays."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")

#: A start and an end in a text.
Span = Tuple[int, int]


class Member(NamedTuple):
    """Where a key of an object begins, and where its value begins and ends."""

    key: int
    start: int
    end: int


def decode(text: str, at: int) -> Tuple[Any, int]:
    """Read the value that begins at a place; also return where it ends."""
    return _DECODER.raw_decode(text, at)


def skip_space(text: str, at: int) -> int:
    """Return where the white space at a place ends."""
    match = _SPACE.match(text, at)
    return match.end() if match else at


def scan_object(
    text: str,
    at: int,
    read: Callable[[str, str, int], Tuple[Any, int]] = lambda _, text, at: decode(text, at),
) -> Tuple[Dict[str, Any], Dict[str, Member], int]:
    """Read the object that begins at a place: its values, where each is, and where it ends.

    Of a key that is there twice the last one counts. ``read(key, text, at)`` reads a value and
    returns where it ends. ``ValueError`` where the text is not JSON.
    """
    values: Dict[str, Any] = {}
    members: Dict[str, Member] = {}
    at = skip_space(text, at + 1)
    while text[at : at + 1] != "}":
        if members:
            at = _skip_sign(text, at, ",")
        if text[at : at + 1] != '"':
            raise ValueError("a key is missing")
        key_at = at
        key, at = decode(text, at)
        start = _skip_sign(text, at, ":")
        values[key], end = read(key, text, start)
        members[key] = Member(key_at, start, end)
        at = skip_space(text, end)
    return values, members, at + 1


def scan_list(
    text: str, at: int, reduce: Callable[[Any], Any]
) -> Tuple[List[Any], List[Span], int]:
    """Read the list that begins at a place: its items, where each is, and where it ends.

    Each item is reduced as it is read: the parts that nobody needs of a large list are never in
    memory together.
    """
    items: List[Any] = []
    spans: List[Span] = []
    at = skip_space(text, at + 1)
    while text[at : at + 1] != "]":
        if spans:
            at = _skip_sign(text, at, ",")
        item, end = decode(text, at)
        items.append(reduce(item))
        spans.append((at, end))
        at = skip_space(text, end)
    return items, spans, at + 1


def leading_space(text: str, at: int) -> str:
    """Return the white space before the first key of the object at a place; empty: no key."""
    first = skip_space(text, at + 1)
    return text[at + 1 : first] if text[first] == '"' else ""


def set_member(text: str, at: int, key: str, value: Optional[str]) -> str:
    """Return the text with a value (as JSON) for a key of the object at a place; None: no key."""
    _, members, end = scan_object(text, at)
    if key not in members:
        if value is None:
            return text
        if not members:
            return f'{text[:at]}{{"{key}": {value}}}{text[end:]}'
        return f'{text[: at + 1]}{leading_space(text, at)}"{key}": {value},{text[at + 1 :]}'
    key_at, start, end = members[key]
    if value is not None:
        return text[:start] + value + text[end:]
    behind = skip_space(text, end)
    if text[behind] == ",":
        return text[:key_at] + text[skip_space(text, behind + 1) :]
    before = text.rindex(",", at, key_at) if len(members) > 1 else at + 1
    return text[:before] + text[end:]


def _skip_sign(text: str, at: int, sign: str) -> int:
    at = skip_space(text, at)
    if text[at : at + 1] != sign:
        raise ValueError(f"{sign} is missing")
    return skip_space(text, at + 1)
