"""Where things stand in a text that is JSON, so that it can be changed in one place alone."""

import json
import re
from typing import Dict, List, Optional, Tuple

__all__ = ["items", "leading", "member", "members"]

_SPACE = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder().raw_decode


def members(text: str, at: int) -> Dict[str, Tuple[int, int]]:
    """Key → where its value stands, of the object that begins here; the last one counts."""
    found = {}
    at = _skip(text, at + 1)
    while text[at] == '"':
        key, at = _decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        end = _decode(text, start)[1]
        found[key] = (start, end)
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
    return found


def items(text: str, at: int) -> Tuple[int, List[Tuple[int, int]]]:
    """Where the list that begins here has its first place, and where each item stands."""
    inside = at + 1
    spans: List[Tuple[int, int]] = []
    at = _skip(text, inside)
    while text[at] != "]":
        end = _decode(text, at)[1]
        spans.append((at, end))
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
    return inside, spans


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
    start, end = found[key]
    if value is not None:
        return start, end, value
    start = text.rindex(f'"{key}"', at, start)
    after = _skip(text, end)
    if text[after] == ",":
        return start, _skip(text, after + 1), ""
    before = text.rindex(",", at, start) if len(found) > 1 else at + 1
    return before, end, ""


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None  # noqa: S101 - it matches the empty string
    return found.end()
