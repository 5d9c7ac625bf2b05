"""The modules that the cells of a notebook import, by their top names; nothing is run."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from ..core.registry import load

#: Cell magics whose body runs in the kernel.
_PYTHON_BODIES = {"time", "timeit", "capture", "prun"}
#: Packages that several distributions share.
_SHARED = {"google"}
#: One that is longer is not read: no person has typed it.
_MOST = 1_000_000
#: A cell magic in a cell magic, and so on.
_DEEPEST = 5


@dataclass(frozen=True)
class Imports:
    """Top name of a module → the numbers of the cells that import it, from 1, in their order.

    ``unread`` are the numbers of code cells that are no Python.
    """

    cells: Dict[str, List[int]] = field(default_factory=dict)
    unread: Tuple[int, ...] = ()


def read_imports(sources: Sequence[Tuple[int, str]]) -> Imports:
    """Return what code cells import, each given as its number and its text."""
    cells: Dict[str, List[int]] = {}
    unread: List[int] = []
    for number, source in sources:
        try:
            names = list(dict.fromkeys(_names(source)))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            unread.append(number)
            continue
        for name in names:
            cells.setdefault(name, []).append(number)
    return Imports(cells, tuple(unread))


def _names(source: str, depth: int = 0) -> Iterator[str]:
    """Yield the top names that a cell imports; `SyntaxError` where it is no Python."""
    if len(source) > _MOST or depth > _DEEPEST:
        raise ValueError
    manager: Any = load("IPython.core.inputtransformer2:TransformerManager")()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old code, such as "\d"
        tree = ast.parse(manager.transform_cell(source))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (_top(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from map(_top, names if node.module in _SHARED else [node.module])
        elif isinstance(node, ast.Call):
            yield from _names_in_body(node, depth)


def _top(module: str) -> str:
    """Return the name by which a distribution is found: of shared ones the next name too."""
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] in _SHARED else 1])


def _names_in_body(call: ast.Call, depth: int) -> Iterator[str]:
    """Yield what the body of a cell magic such as ``%%time`` imports."""
    texts = [each.value if isinstance(each, ast.Constant) else None for each in call.args]
    is_cell_magic = getattr(call.func, "attr", "") == "run_cell_magic" and len(texts) == 3
    if is_cell_magic and texts[0] in _PYTHON_BODIES and isinstance(texts[2], str):
        yield from _names(texts[2], depth + 1)
