"""Python in a command: ``{name}`` is what it stands for, as behind IPython's ``!``.

The shell has braces too. They are left to it where they are not clearly Python: lists (``{a,b}``),
numbers (``x{3}``), what follows a ``$``, names that Python does not know here, and those that
IPython itself has put there (``exit``, ``open``, ``In``, ``_``). ``{n:03d}`` and ``{name!r}`` are
as in an f-string. ``$`` itself is the shell's in any case.
"""

from __future__ import annotations

import ast
import builtins
import re
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional

from ..core.errors import usage_error

#: ``!r`` and a layout behind an expression: the layouts of numbers, texts and dates.
_LAID_OUT = re.compile(
    r"(?P<code>.+?)(?:!(?P<conversion>[rsa]))?"
    r"(?::(?P<layout>(?:.?[<>=^])?[-+]?\#?0?\d*[,_]?(?:\.\d+)?[bcdeEfFgGnosxX%]?|[^{}]*%[a-zA-Z].*))?"
)
#: Names of IPython's whose values change; and those of its that are builtins in a shell.
_CHANGING = re.compile(r"_+|_i+|_i?\d+|_[iod]h|__\w+__")
_BUILTIN = {"exit", "quit", "get_ipython"}
_CONVERTED: Dict[str, Callable[[Any], Any]] = {"r": repr, "s": str, "a": ascii, "": lambda x: x}


class _Expression(NamedTuple):
    """Python between braces: the code, and how its value is written."""

    code: str
    conversion: str = ""
    layout: str = ""


def expand(command: str, names: Mapping[str, Any], hidden: Mapping[str, Any]) -> str:
    """A command with the values of its Python expressions; ``{{name}}`` stands for ``{name}``.

    ``hidden`` are the names that IPython has begun with: what still is among them is its own.
    """
    names = {
        name: value
        for name, value in names.items()
        if hidden.get(name, hidden) is not value and not _CHANGING.fullmatch(name)
    }
    made, at = [], 0
    for found in re.finditer(r"\{", command):
        if found.start() < at:
            continue
        made.append(command[at : found.start()])
        at = found.start()
        end = _end(command, at)
        if end is None or command[at - 1 : at] == "$":
            continue
        text = _expanded(command[at + 1 : end], names)
        if text is not None:
            made.append(text)
            at = end + 1
    return "".join([*made, command[at:]])


def _expanded(inner: str, names: Mapping[str, Any]) -> Optional[str]:
    """What stands for a brace and what is in it; None: it is the shell's."""
    if inner.startswith("{") and inner.endswith("}"):
        return inner if _python(inner[1:-1], names) else None
    python = _python(inner, names)
    if python is None:
        return None
    value = _CONVERTED[python.conversion](_value(python.code, names))
    try:
        return format(value, python.layout)
    except (TypeError, ValueError):  # it is no layout for this value
        return None


def _end(command: str, at: int) -> Optional[int]:
    """Where the brace that opens there is closed, on the same line."""
    depth = 0
    for place in range(at, len(command)):
        char = command[place]
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == "\n":
            return None
        if depth == 0:
            return place
    return None


def _python(text: str, names: Mapping[str, Any]) -> Optional[_Expression]:
    """The expression that a text is, in names that are known, or None: it is the shell's."""
    if _is_python(text, names):
        return _Expression(text.strip())
    found = _LAID_OUT.fullmatch(text)
    if found is None or not _is_python(found["code"], names):
        return None
    return _Expression(found["code"].strip(), found["conversion"] or "", found["layout"] or "")


def _is_python(text: str, names: Mapping[str, Any]) -> bool:
    """Whether a text is an expression in names that are known, and not the shell's."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return False
    if isinstance(tree, (ast.Constant, ast.Tuple, ast.Set)) or not text.strip():
        return False
    if isinstance(tree, ast.Name):
        return tree.id in names
    own = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    bound = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return all(
        name in names or (hasattr(builtins, name) and name not in _BUILTIN) for name in own - bound
    )


def _value(text: str, names: Mapping[str, Any]) -> Any:
    """What an expression is; where it fails, the command is not run."""
    try:
        return eval(text, dict(names))  # noqa: S307 - the user has written it
    except Exception as error:
        raise usage_error(
            f"%shell: {{{text}}} fails: {type(error).__name__}: {error}", "Nothing was run."
        ) from None
