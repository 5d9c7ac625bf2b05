"""A plan carried out in a notebook on disk: the setup cell, the old cells, and the way back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Collection, Dict, List, Optional, Tuple

from ...core import files
from ...core.errors import NotebookError
from ...core.folders import hash_path, user_path
from ...core.host import Host
from ...core.ownership import make_private
from ...notebook.document import Document
from ...notebook.servers import held_by
from ...record.cell import (
    MOST_ESCAPES,
    Line,
    count_escapes,
    is_setup,
    new_cell,
    parse,
    render,
    with_marker,
)
from ...record.merge import merge
from .engine import make_plan
from .pip import canonical
from .plan import CellPlan, Plan
from .state import Versions

#: The first line of a cell whose lines are in the setup cell; front ends show it as a comment.
MARK = "# colab_magics:adopted - these lines are in the setup cell now"


@dataclass(frozen=True)
class Adoption:
    """What was planned and done; ``changed``: the notebook is another now."""

    plan: Plan
    changed: bool = False


def code_cells(document: Document) -> List[Tuple[int, str]]:
    """Return the code cells of a notebook: (index, text)."""
    return [
        (at, document.source(cell))
        for at, cell in enumerate(document.heads)
        if cell.get("cell_type") == "code"
    ]


def check_chosen(document: Document, chosen: Collection[int]) -> None:
    """Raise `NotebookError` where a chosen index, counted from 0, is none of a code cell."""
    indexes = {at for at, _ in code_cells(document)}
    wrong = sorted(at + 1 for at in chosen if at not in indexes)
    if wrong:
        raise NotebookError(
            f"Cell {wrong[0]} is no code cell of this notebook.",
            f"Its code cells: {', '.join(str(at + 1) for at in sorted(indexes)) or 'none'}.",
            code="no-code-cell",
        )


def read_plan(
    path: Path,
    chosen: Optional[Collection[int]] = None,
    versions: Optional[Versions] = None,
) -> Plan:
    """Return what would become of the cells of a notebook; nothing is changed or executed."""
    document = Document.load(path)
    check_chosen(document, chosen or ())
    return make_plan(code_cells(document), chosen, versions)


def adopt(
    path: Path,
    chosen: Optional[Collection[int]] = None,
    versions: Optional[Versions] = None,
    replace_old: bool = False,
) -> Adoption:
    """Put the steps of a notebook's cells into its setup cell.

    The old cells stay as they are, or with ``replace_old`` as comments. The file as it was is kept
    for `undo`.
    """
    with files.locked(path):
        data = files.read(path)
        document = Document.parse(data, path.name)
        check_chosen(document, chosen or ())
        plan = make_plan(code_cells(document), chosen, versions)
        old = document.setup_text(is_setup)
        lines = None if old is None else parse(old)
        text = render(compose(plan, lines, Host(start=path.resolve().parent)))
        changed = document
        if replace_old:
            changed = document.with_cells(
                (
                    cell.index,
                    {**document.cell(cell.index), "source": commented(cell).splitlines(True)},
                )
                for cell in plan.adopted
            )
        if plan.items:
            changed = changed.with_setup(text, is_setup)
        new = changed.encode()
        if new == data:
            return Adoption(plan)
        _check_free(path)
        _save_copy(path, data, new)
        files.replace(path, new, expected=data)
    return Adoption(plan, changed=True)


def _check_free(path: Path) -> None:
    holder = held_by(path)
    if holder:
        raise NotebookError(
            f"{path.name} was not written: {holder}.",
            "Close it there, or type %setup adopt in it.",
            code="open-elsewhere",
        )


# ---------------------------------------------------------------------- the text of cells
def compose(plan: Plan, old: Optional[List[Line]], host: Optional[Host] = None) -> List[Line]:
    """Return the lines of the setup cell: those that it has, and those of a plan in their order.

    A step whose subject the cell has already is merged into its line. None: there is no cell yet.
    """
    lines = new_cell(host) if old is None else list(old)
    if old is not None and not is_setup(render(old)):
        lines = with_marker(lines)
    text = f"\n{render(lines)}\n"
    added: List[Line] = []
    for item in plan.items:
        if item.step is not None:
            _append(added, item.step.word, Line(item.text, item.step), item.is_move)
        elif f"\n{item.text}\n" not in text:
            added += parse(item.text)
    added = [x for x in added if x.step is None or f"\n{x.text}\n" not in text]
    known = {(x.step.word, key) for x in lines if x.step for key in x.step.keys}
    rest: List[Line] = []
    for line in added:
        if line.step and known & {(line.step.word, key) for key in line.step.keys}:
            lines = merge(lines, [(line.step, "")])[0]
        else:
            rest.append(line)
    result = _within_limit([*lines, *rest])
    if [x.step for x in parse(render(result)) if x.step] != [x.step for x in result if x.step]:
        raise NotebookError(
            "Nothing was written: with these lines the setup cell would not read back as they are.",
            "Close what is open in the setup cell, or name the cells: %setup adopt 2 3",
            code="open-code",
        )
    return result


def _within_limit(lines: List[Line]) -> List[Line]:
    """Return lines of which IPython transforms no more than it allows in a cell."""
    escapes = 0
    result = []
    for line in lines:
        escapes += count_escapes([line])
        is_call = escapes > MOST_ESCAPES and line.step is not None
        result.append(line.as_call() if is_call else line)
    return result


def _append(lines: List[Line], word: str, line: Line, is_move: bool) -> None:
    """Add a line; packages that follow each other share one."""
    last = lines[-1].step if lines and not is_move else None
    both = None
    if last is not None and line.step is not None and last.word == word:
        both = last.merged_with(line.step)
    if last is None or line.step is None or both is None or type(last) is not type(line.step):
        lines.append(line)
    elif last.keys | line.step.keys == both.keys:
        lines[-1] = lines[-1].with_step(both)
    else:
        lines.append(line)


def commented(cell: CellPlan) -> str:
    """Return the text of an old cell with the lines that are in the setup cell as comments."""
    rows = cell.text.split("\n")
    spans = [range(x.first, x.last + 1) for x in cell.entries if x.is_moved]
    moved = {number for span in spans for number in span}
    stays = any(not entry.is_moved for entry in cell.entries)
    magic = next((n for n, row in enumerate(rows, 1) if row.startswith("%%")), 0)
    if stays:  # a cell magic is for what stays too
        moved -= {magic}
    result = [
        f"# {row}" if at in moved and row.strip() and not row.lstrip().startswith("#") else row
        for at, row in enumerate(rows, 1)
    ]
    result.insert(magic if stays else 0, MARK)
    return "\n".join(result)


# ---------------------------------------------------------------------- the way back
def _copy_path(path: Path) -> Path:
    return user_path("data", "adopted") / f"{hash_path(path.resolve())}.before"


def _save_copy(path: Path, before: bytes, after: bytes) -> None:
    """Keep a file as it was, with the hash of what it becomes."""
    copy = _copy_path(path)
    with files.explain_write_errors(path, hint="make space for a copy of it"):
        if not copy.parent.exists():
            make_private(copy.parent)
        files.save(copy, hashlib.sha256(after).hexdigest().encode() + b"\n" + before)


def undo(path: Path) -> None:
    """Put a notebook back as it was before it was adopted; `NotebookError` if it was changed."""
    try:
        digest, _, before = files.read_own(_copy_path(path)).partition(b"\n")
    except (OSError, NotebookError):
        raise NotebookError(
            f"{path.name} was not adopted on this machine, or that was taken back already.",
            "See its setup cell: colab-magics setup show",
            code="nothing-to-undo",
        ) from None
    with files.locked(path):
        data = files.read(path)
        if hashlib.sha256(data).hexdigest().encode() != digest:
            raise NotebookError(
                f"{path.name} has been changed since it was adopted; it was left as it is.",
                "Take lines out of its setup cell: colab-magics setup forget",
                code="changed-since",
            )
        _check_free(path)
        files.replace(path, before, expected=data)
    _copy_path(path).unlink()


def installed_versions() -> Dict[str, str]:
    """Return the versions of the packages of this environment, by their canonical names."""
    from importlib.metadata import distributions

    versions: Dict[str, str] = {}
    for each in distributions():
        name = each.metadata["Name"]
        if name:
            versions.setdefault(canonical(str(name)), each.version.split("+")[0])
    return versions
