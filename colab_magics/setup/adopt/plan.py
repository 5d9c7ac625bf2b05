"""What becomes of a notebook's cells: a table to look at before anything is done."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, List, Literal, Optional, Sequence, Tuple

from ...core.display import Mark, Report
from ...core.steps import Step
from ...record.cell import brief

Verdict = Literal["step", "verbatim", "dropped"]
_TONES = {"step": "good", "verbatim": "caution", "dropped": "quiet"}
_HEAD = ("lines", "now", "becomes", "why")


@dataclass(frozen=True)
class Entry:
    """Lines of a cell, counted from 1, and what becomes of them.

    ``became`` are the lines in the setup cell; a ``verbatim`` entry without any stays in its cell.
    """

    first: int
    last: int
    verdict: Verdict
    became: Tuple[str, ...] = ()
    why: str = ""

    @property
    def is_moved(self) -> bool:
        """Whether the lines are not needed in their cell any more."""
        return self.verdict != "verbatim" or bool(self.became)


@dataclass(frozen=True)
class Item:
    """A line, or lines of code, of the setup cell; ``cwd`` is the folder that code counts from."""

    text: str
    step: Optional[Step]
    cwd: Optional[str]
    needs_cwd: bool
    is_move: bool = False


@dataclass(frozen=True)
class CellPlan:
    """A cell by its index in the notebook, its text, and what becomes of its lines."""

    index: int
    text: str
    is_adopted: bool
    entries: Tuple[Entry, ...]


@dataclass(frozen=True)
class Plan:
    """What becomes of each cell, and what the setup cell gets, in its order."""

    cells: Tuple[CellPlan, ...]
    items: Tuple[Item, ...]

    @property
    def adopted(self) -> Tuple[CellPlan, ...]:
        """The cells of which lines go into the setup cell."""
        return tuple(cell for cell in self.cells if cell.is_adopted)

    def to_json(self) -> Dict[str, Any]:
        """Return the plan as JSON has it."""
        cells: List[Dict[str, Any]] = []
        for cell in self.cells:
            entries = [
                {
                    "lines": [entry.first, entry.last],
                    "verdict": entry.verdict,
                    "became": list(entry.became),
                    "why": entry.why,
                }
                for entry in cell.entries
            ]
            cells.append({"index": cell.index, "adopted": cell.is_adopted, "entries": entries})
        return {"schema": 1, "cells": cells, "setup": [item.text for item in self.items]}


# ---------------------------------------------------------------------- as people look at it
def report(plan: Plan, after: Sequence[str] = ()) -> Report:
    """Return a table of the lines of the cells that are adopted, and which cells are not."""
    verdicts = [entry.verdict for cell in plan.adopted for entry in cell.entries]
    steps, same = verdicts.count("step"), verdicts.count("verbatim")
    dropped = len(verdicts) - steps - same
    if not plan.adopted:
        return Report(("No cell of this notebook is set-up that can be adopted.", *_left(plan)))
    line = (
        f"{steps} {'becomes a step' if steps == 1 else 'become steps'}, "
        f"{same} {'stays as it is' if same == 1 else 'stay as they are'}, "
        f"{dropped} {'is' if dropped == 1 else 'are'} not needed."
    )
    rows = tuple(_row(cell, entry) for cell in plan.adopted for entry in cell.entries)
    return Report((line,), rows, (*_left(plan), *after), _HEAD)


def advice(plan: Plan, command: str) -> List[str]:
    """Return what to type for packages that have no version, if there are any."""
    texts = [
        text
        for item in plan.items
        if item.step and item.step.word == "pin"
        for text in item.step.arguments()
    ]
    bare = [text for text in texts if re.fullmatch(r"[A-Za-z0-9][\w.-]*(\[[\w, -]+\])?", text)]
    if not bare or "--as-of" in texts:
        return []
    names = ", ".join(bare[:3]) + (f" and {len(bare) - 3} more" if len(bare) > 3 else "")
    return [
        f"Without a version: {names}. With those installed here: {command} --installed, or of "
        "a day: --as-of 2024-05-01"
    ]


def _left(plan: Plan) -> List[str]:
    others = [cell for cell in plan.cells if not cell.is_adopted and cell.entries]
    if not others:
        return []
    names = ", ".join(str(cell.index + 1) for cell in others[:12])
    more = f" and {len(others) - 12} more" if len(others) > 12 else ""
    return [f"Left alone: {'cell' if len(others) == 1 else 'cells'} {names}{more}."]


def _row(cell: CellPlan, entry: Entry) -> Tuple[str, ...]:
    span = f"{entry.first}" if entry.first == entry.last else f"{entry.first}-{entry.last}"
    text = cell.text.splitlines()[entry.first - 1].strip()
    more = " ..." if entry.last > entry.first else ""
    mark = Mark(_became(entry))
    mark.tone = _TONES[entry.verdict]  # type: ignore[assignment]
    return f"{cell.index + 1}: {span}", f"{text}{more}", mark, entry.why


def _became(entry: Entry) -> str:
    if entry.verdict == "dropped":
        return "dropped"
    if entry.verdict == "verbatim":
        return "the same" if entry.became else "stays"
    return "; ".join(brief(line) for line in entry.became)
