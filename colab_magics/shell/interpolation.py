"""Python in a command: ``{name}`` is its value, as behind IPython's ``!``.

The shell has braces too. They are left to it where they are not clearly Python: lists (``{a,b}``),
numbers (``x{3}``), what follows a ``$``, names that Python does not know here, and those that
IPython itself has put there (``exit``, ``open``, ``In``, ``_``). ``{n:03d}`` and ``{name!r}`` are
as in an f-string. ``$NAME`` is the shell's, unless the caller says which of them are not.
"""

from __future__ import annotations

import ast
import builtins
import re
from typing import (
    Any,
    Callable,
    Collection,
    Dict,
    Iterator,
    List,
    Mapping,
    Match,
    Optional,
)

from ..core.errors import usage_error

#: An expression, ``!r``, and a format of numbers, texts or dates.
_FORMATTED = re.compile(
    r"(?P<code>.+?)(?:!(?P<conversion>[rsa]))?"
    r"(?::(?P<format>(?:.?[<>=^])?[-+]?\#?0?\d*[,_]?(?:\.\d+)?[bcdeEfFgGnosxX%]?|[^{}]*%[a-zA-Z].*))?"
)
_CONVERSIONS: Dict[Optional[str], Callable[[Any], Any]] = {"r": repr, "s": str, "a": ascii}
#: Names of IPython's whose values change; and those that are builtins in a shell.
_CHANGING = re.compile(r"_+|_i+|_i?\d+|_[iod]h|__\w+__")
_SHELL_BUILTINS = {"exit", "quit", "get_ipython"}


#: What decides where a shell expands a variable, and a variable by its bare name.
_TOKEN = re.compile(r"""\\.|["']|(?<!\$)\$([A-Za-z_]\w*)""", re.DOTALL)
#: What sets the variables that are named behind it.
_SETS = r"(?:for|select|read|mapfile|readarray|declare|typeset|local|export|let|getopts|printf -v)"


def visible_names(names: Mapping[str, Any], hidden: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the user's own names; ``hidden`` are those that IPython has begun with."""
    return {
        name: value
        for name, value in names.items()
        if hidden.get(name, hidden) is not value and not _CHANGING.fullmatch(name)
    }


def unset_variables(command: str) -> List[str]:
    """Return the bare ``$NAME`` that a command expands, and does not set itself.

    None, where that cannot be told: it runs a file or a text of its own, or has a here-document.
    """
    if re.search(r"\b(?:source|eval)\b|(?:^|[;&|\n(])\s*\.\s|<<", command):
        return []
    used = dict.fromkeys(token[1] for token in _find_variables(command))
    return [
        name
        for name in used
        if not re.search(rf"(?<![\w$]){name}(\[[^]\n]*\])?[+:]?=", command)
        and not re.search(rf"\b{_SETS}\b[^;&|\n]*(?<![\w$]){name}\b", command)
    ]


def _find_variables(command: str) -> Iterator[Match[str]]:
    """Yield the bare ``$NAME`` that a shell expands: none that is quoted by ``'`` or backslash."""
    at, is_quoted = 0, False
    token = _TOKEN.search(command)
    while token is not None:
        at = token.end()
        if token[1]:
            yield token
        elif token[0] == '"':
            is_quoted = not is_quoted
        elif token[0] == "'" and not is_quoted:
            at = command.find("'", at) + 1 or len(command)
        token = _TOKEN.search(command, at)


def expand(command: str, names: Mapping[str, Any], variables: Collection[str] = ()) -> str:
    """Return a command with the values of its expressions; ``{{name}}`` becomes ``{name}``.

    Each ``$NAME`` of ``variables`` is expanded too.
    """
    bare = {token.start(): token for token in _find_variables(command) if token[1] in variables}
    parts, at = [], 0
    for mark in re.finditer(r"[{$]", command):
        start = mark.start()
        if start < at:
            continue
        if start in bare:
            parts += [command[at:start], str(names[bare[start][1]])]
            at = bare[start].end()
            continue
        end = _find_end(command, start) if mark[0] == "{" else None
        if end is None or command[start - 1 : start] == "$":
            continue
        value = _expand_braces(command[start + 1 : end], names)
        if value is not None:
            parts += [command[at:start], value]
            at = end + 1
    return "".join([*parts, command[at:]])


def _find_end(command: str, start: int) -> Optional[int]:
    """Return where a brace is closed, on the same line."""
    depth = 0
    for at in range(start, len(command)):
        depth += {"{": 1, "}": -1}.get(command[at], 0)
        if command[at] == "\n":
            return None
        if depth == 0:
            return at
    return None


def _expand_braces(text: str, names: Mapping[str, Any]) -> Optional[str]:
    """Return the value of what is between braces; None if it is the shell's."""
    inner = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    code, conversion, layout = inner, None, ""
    if not _is_python(inner, names):
        formatted = _FORMATTED.fullmatch(inner)
        if formatted is None or not _is_python(formatted["code"], names):
            return None
        code, conversion, layout = formatted.group("code", "conversion", "format")
    if inner is not text:
        return inner.join("{}")
    try:
        value = eval(code.strip(), dict(names))  # noqa: S307 - the user has written it
    except Exception as error:
        raise usage_error(
            f"%shell: {{{code.strip()}}} fails: {type(error).__name__}: {error}",
            "Nothing was run.",
            code="expression",
        ) from None
    try:
        return format(_CONVERSIONS.get(conversion, lambda same: same)(value), layout or "")
    except (TypeError, ValueError):  # no format of this value
        return None


def _is_python(text: str, names: Mapping[str, Any]) -> bool:
    """Return whether a text is an expression of known names, and not the shell's."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return False
    if isinstance(tree, (ast.Constant, ast.Tuple, ast.Set)) or not text.strip():
        return False
    if isinstance(tree, ast.Name):
        return tree.id in names
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    bound = {node.id for node in nodes if isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return all(
        name in names or (hasattr(builtins, name) and name not in _SHELL_BUILTINS)
        for name in {node.id for node in nodes} - bound
    )
