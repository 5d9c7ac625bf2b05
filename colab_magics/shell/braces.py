"""Python in a command: ``{name}`` is what it stands for, as behind IPython's ``!``.

The shell has braces too. They are left to it where they are not clearly Python: lists (``{a,b}``),
numbers (``x{3}``), what follows a ``$``, and names that Python does not know here. ``$`` itself is
the shell's in any case.
"""

import ast
import builtins
import re
from typing import Any, Mapping, Optional

from ..errors import usage_error

__all__ = ["expand"]


def expand(command: str, names: Mapping[str, Any]) -> str:
    """A command with the values of its Python expressions; ``{{name}}`` stands for ``{name}``."""
    made, at = [], 0
    for found in re.finditer(r"\{", command):
        if found.start() < at:
            continue
        made.append(command[at : found.start()])
        at = found.start()
        end = _end(command, at)
        if end is None or command[at - 1 : at] == "$":
            continue
        inner = command[at + 1 : end]
        if inner.startswith("{") and inner.endswith("}") and _is_python(inner[1:-1], names):
            made.append(inner)
            at = end + 1
        elif _is_python(inner, names):
            made.append(_value(inner, names))
            at = end + 1
    return "".join([*made, command[at:]])


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
    return all(name in names or hasattr(builtins, name) for name in own - bound)


def _value(text: str, names: Mapping[str, Any]) -> str:
    """What an expression is; where it fails, the command is not run."""
    try:
        return str(eval(text.strip(), dict(names)))  # noqa: S307 - the user has written it
    except Exception as error:
        raise usage_error(
            f"%shell: {{{text}}} fails: {type(error).__name__}: {error}", "Nothing was run."
        ) from None
