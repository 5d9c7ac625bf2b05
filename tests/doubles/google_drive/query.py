"""The search language of Drive's parameter ``q``."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple

_TOKEN = re.compile(r"\s*('(?:\\['\\]|[^'\\])*'|[(){}]|<=|>=|!=|[=<>]|[A-Za-z][\w.]*)")
_COMPARE: Dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "contains": lambda left, right: right in left,
}
_FIELDS = {"name", "mimeType", "trashed", "starred", "modifiedTime", "createdTime", "fullText"}
_FLAGS = {"sharedWithMe", "trashed", "starred"}


class Query(NamedTuple):
    """What a file has to be, and what each that is has: ``name`` (folded) and ``parent``."""

    matches: Callable[[Mapping[str, Any]], bool]
    required: Mapping[str, str] = {}


def parse_query(text: str, root: str) -> Query:
    """Read a query; ``ValueError`` for anything that is none."""
    if not text.strip():
        return Query(lambda file: True)
    parser = _Parser(text, root)
    query = parser.read_or()
    parser.take("")
    return query


class _Parser:
    def __init__(self, text: str, root: str) -> None:
        self.tokens: List[str] = []
        self.root = root
        at, text = 0, text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ValueError(text[at:])
            self.tokens.append(match[1])
            at = match.end()

    def peek(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def take(self, *allowed: str) -> str:
        if allowed and self.peek() not in allowed:
            raise ValueError(self.peek())
        return self.tokens.pop(0) if self.tokens else ""

    def value(self) -> Any:
        token = self.take()
        if token in ("true", "false"):
            return token == "true"
        if token[:1] != "'":
            raise ValueError(token)
        return re.sub(r"\\(.)", r"\1", token[1:-1])

    def read_or(self) -> Query:
        parts = [self.read_and()]
        while self.peek() == "or":
            self.take()
            parts.append(self.read_and())
        if len(parts) == 1:
            return parts[0]
        return Query(lambda file: any(part.matches(file) for part in parts))

    def read_and(self) -> Query:
        parts = [self.read_term()]
        while self.peek() == "and":
            self.take()
            parts.append(self.read_term())
        if len(parts) == 1:
            return parts[0]
        required: Dict[str, str] = {}
        for part in parts:
            required.update(part.required)
        return Query(lambda file: all(part.matches(file) for part in parts), required)

    def read_term(self) -> Query:
        if self.peek() == "(":
            self.take()
            inner = self.read_or()
            self.take(")")
            return inner
        if self.peek() == "not":
            self.take()
            negated = self.read_term()
            return Query(lambda file: not negated.matches(file))
        if self.peek()[:1] == "'":
            return self._membership()
        return self._comparison()

    def _membership(self) -> Query:
        wanted = self.value()
        self.take("in")
        if self.take("parents", "owners", "writers", "readers") != "parents":
            return Query(lambda file: True)
        parent = self.root if wanted == "root" else wanted
        return Query(lambda file: parent in file.get("parents", ()), {"parent": parent})

    def _comparison(self) -> Query:
        field = self.take()
        if field in ("properties", "appProperties"):
            return self._property(field)
        if field in _FLAGS and self.peek() not in _COMPARE:
            key = "sharedWithMeTime" if field == "sharedWithMe" else field
            return Query(lambda file: bool(file.get(key)))
        if field not in _FIELDS:
            raise ValueError(field)
        operator = self.take(*_COMPARE)
        compare, value = _COMPARE[operator], self.value()
        if field == "name":  # real Drive does not tell upper and lower case apart
            folded = str(value).casefold()
            required = {"name": folded} if operator == "=" else {}
            return Query(lambda file: compare(file["name"].casefold(), folded), required)
        empty: Any = False if isinstance(value, bool) else ""
        return Query(lambda file: compare(file.get(field, empty), value))

    def _property(self, field: str) -> Query:
        words = [self.take("has"), self.take("{"), self.take("key"), self.take("=")]
        key = self.value()
        words += [self.take("and"), self.take("value"), self.take("=")]
        value = self.value()
        self.take("}")
        return Query(lambda file: file.get(field, {}).get(key) == value)
