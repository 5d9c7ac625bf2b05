"""A cell as the statements that IPython would run, each with the lines that it stands on."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, FrozenSet, List, Optional, Sequence, Set, Tuple

from ...core.registry import load
from ...record.cell import split_escapes

#: A cell with more lines, or more lines that IPython transforms, is no setup cell: to read it would
#: take long.
_LINES, _ESCAPES = 1500, 300
_CELL_MAGIC = re.compile(r"%%(\w+)([^\n]*)")
#: Cell magics that change nothing of what their cell does.
QUIET = ("capture", "time")
#: Cell magics whose cell is a script of the shell.
SHELLS = ("bash", "sh", "shell", "script")
#: What IPython takes for a magic without ``%``, where it is all of a cell.
_AUTOMAGIC = re.compile(r"(pip|conda|mamba|uv|cd) [^=\s]")
_NAME = re.compile(r"[^\W\d]\w*")
_BRACES = re.compile(r"\{([^{}]*)\}")
_DOLLAR = re.compile(r"(?<!\$)\$\{?([A-Za-z_]\w*)")


@dataclass(frozen=True)
class Statement:
    """A statement, its lines, counted from 1, and the names that it reads and binds."""

    first: int
    last: int
    text: str
    node: ast.stmt
    reads: FrozenSet[str]
    binds: FrozenSet[str]


@dataclass(frozen=True)
class Source:
    """A cell. ``problem`` says why it was not read; ``magic`` is the cell magic that opens it."""

    lines: Tuple[str, ...]
    statements: Tuple[Statement, ...] = ()
    problem: str = ""
    magic: str = ""
    #: The line of the cell magic, from 1; 0: none.
    magic_line: int = 0
    body: str = ""


def code_lines(lines: Sequence[str]) -> List[int]:
    """Return the numbers of the lines that are neither blank nor a comment alone."""
    rows = ((number, line.strip()) for number, line in enumerate(lines, 1))
    return [number for number, line in rows if line and not line.startswith("#")]


def read(source: str) -> Source:
    """Return a cell as statements; nothing of it is executed."""
    lines = tuple(source.splitlines())
    plain = source.replace("\r\n", "\n")
    rows = plain[: len(plain) - plain.endswith("\n")].split("\n")
    if "\0" in source or (source and len(rows) != len(lines)):
        return Source(lines, problem="it has characters that end a line for Python alone")
    if len(lines) > _LINES:
        return Source(lines, problem="it is too long for a setup cell")
    start = next(iter(code_lines(lines)), 0)
    magic = _CELL_MAGIC.fullmatch(lines[start - 1]) if start else None
    if magic is None:
        return _parse(lines, 0)
    name, body = magic[1], "\n".join(lines[start:])
    if name in QUIET:
        return _parse(lines, start)
    if name in SHELLS and magic[2].strip() in ("", "bash", "sh"):
        return Source(lines, magic=name, magic_line=start, body=body)
    return Source(lines, (), f"%%{name} cells stay as they are", name, start, body)


def _parse(lines: Tuple[str, ...], skip: int) -> Source:
    """Return the statements of lines; those up to ``skip`` are not Python."""
    magic = "capture" if skip else ""
    rows: List[str] = [""] * skip
    ends = {}
    escapes = 0
    try:
        is_automagic = len(lines) == 1 and _AUTOMAGIC.match(lines[0])
        for group, is_escaped in split_escapes([f"%{lines[0]}"] if is_automagic else lines[skip:]):
            escapes += is_escaped
            if escapes > _ESCAPES:
                return Source(lines, problem="it is too long for a setup cell")
            ends[len(rows) + 1] = len(rows) + len(group)
            rows += [_transform(tuple(group)), *[""] * (len(group) - 1)] if is_escaped else group
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse("\n".join([*rows, ""]))
            statements = tuple(_statement(node, lines, ends) for node in tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Source(lines, problem="Python cannot read it", magic=magic, magic_line=skip)
    return Source(lines, statements, "", magic, skip)


@lru_cache(1000)
def _transform(rows: Tuple[str, ...]) -> str:
    """Return the line of Python that IPython makes of a magic or of a shell command."""
    indent = rows[0][: len(rows[0]) - len(rows[0].lstrip())]
    manager: Any = load("IPython.core.inputtransformer2:TransformerManager")()
    text: str = manager.transform_cell(textwrap.dedent("\n".join(rows)).lstrip() + "\n")
    return indent + text.rstrip("\n")


def _statement(node: ast.stmt, lines: Sequence[str], ends: Any) -> Statement:
    decorators = getattr(node, "decorator_list", ())
    first = min([node.lineno, *(each.lineno for each in decorators)])
    last = max(
        getattr(each, "end_lineno", None) or 0
        for each in [node, *ast.walk(node)]
        if isinstance(each, ast.stmt)
    )
    last = max(last, ends.get(last, last))
    reads, binds = _names(node)
    if isinstance(node, ast.AnnAssign) and node.value is not None:  # a type changes nothing
        node = ast.copy_location(ast.Assign([node.target], node.value), node)
    return Statement(first, last, "\n".join(lines[first - 1 : last]), node, reads, binds)


def _names(node: ast.stmt) -> Tuple[FrozenSet[str], FrozenSet[str]]:
    """Return the names that a statement reads, those within shell commands too, and binds."""
    reads: Set[str] = set()
    binds: Set[str] = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            (reads if isinstance(each.ctx, ast.Load) else binds).add(each.id)
        elif isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            binds.add(each.name)
        elif isinstance(each, ast.alias):
            binds.add((each.asname or each.name).partition(".")[0])
        elif isinstance(each, ast.ExceptHandler) and each.name:
            binds.add(each.name)
        elif isinstance(each, ast.Call) and is_ipython(each):
            for argument in each.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    reads |= interpolated(argument.value)
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        reads.add(node.target.id)
    return frozenset(reads), frozenset(binds)


def interpolated(text: str) -> FrozenSet[str]:
    """Return the names that IPython may replace in a command: ``{x}`` and ``$x``."""
    inner = " ".join(_BRACES.findall(text))
    return frozenset([*_NAME.findall(inner), *_DOLLAR.findall(text)])


def is_ipython(call: ast.Call) -> bool:
    """Return whether a call is of a method of ``get_ipython()``."""
    function = call.func
    owner = function.value if isinstance(function, ast.Attribute) else None
    return (
        isinstance(owner, ast.Call)
        and isinstance(owner.func, ast.Name)
        and owner.func.id == "get_ipython"
    )


def ipython_call(node: Optional[ast.AST]) -> Tuple[str, Tuple[str, ...]]:
    """Return the method and the texts of a call on ``get_ipython()``; empty where it is none."""
    if not isinstance(node, ast.Call) or not is_ipython(node) or node.keywords:
        return "", ()
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
    if len(texts) != len(node.args) or not all(isinstance(text, str) for text in texts):
        return "", ()
    return name, tuple(map(str, texts))


def words_in(source: str) -> FrozenSet[str]:
    """Return all names that a text has: for a cell that was not read."""
    return frozenset(_NAME.findall(source))
