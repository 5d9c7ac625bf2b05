"""``sync``, as a notebook and a terminal run it: what a line means, and what is shown of it."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from ....core.display import Report, amount, files
from ....core.errors import usage_error
from ..commands import Transfer, report
from ..copy import Location
from ..local import LocalStore
from ..places import is_on_drive, locate_here, locate_on_drive
from .plan import Kind, Limits, Plan, Side, describe
from .run import Ends, Sync, SyncResult

#: Names, and conflicts, that are shown of many; and lines of a plan.
_SHOWN, _CONFLICTS, _ROWS = 3, 20, 200
#: What a plan is shown as.
_WORDS: Dict[Tuple[Kind, Side], str] = {
    ("copy", "remote"): "send",
    ("copy", "local"): "receive",
    ("conflict", "local"): "keep both",
    ("make", "remote"): "make there",
    ("make", "local"): "make here",
    ("delete", "remote"): "delete there",
    ("delete", "local"): "delete here",
    ("remove", "remote"): "delete there",
    ("remove", "local"): "delete here",
    ("keep", "remote"): "stays there",
    ("keep", "local"): "stays here",
}


def sync(transfer: Transfer) -> Report:
    """Bring two folders in step, or show what that would do."""
    if transfer.arguments.stop:
        raise usage_error(
            "%drive sync --stop: nothing is kept in step here.",
            "In a terminal press Ctrl-C where --watch runs.",
            code="no-kernel",
        )
    return sync_ends(transfer)[0]


def sync_ends(transfer: Transfer) -> Tuple[Report, Ends]:
    """Do it, and return the folders too."""
    ends, lines, hint = locate(transfer)
    run = Sync(
        ends,
        limits(transfer),
        transfer.meter,
        transfer.progress,
        transfer.arguments.jobs,
    )
    transfer.result = run.result
    if getattr(transfer.arguments, "dry_run", False):
        return show_plan(lines, run.preview(), run.result, ends), ends
    return show_result(lines, run.run(), ends, hint), ends


def locate(transfer: Transfer) -> Tuple[Ends, List[str], str]:
    """Return the folders that a line names, and of the drive its line and its hint."""
    paths: Sequence[str] = transfer.arguments.paths
    if len(paths) != 2:
        raise usage_error(
            "%drive sync: name two folders.",
            "For instance: %drive sync ~/project drive:project",
            code="no-target",
        )
    local, remote = sorted(paths, key=is_on_drive)
    if is_on_drive(local):
        raise usage_error(
            "%drive sync: both folders are on the drive.",
            "Name one that is on this machine.",
            code="both-on-drive",
        )
    first = locate_here(local, transfer.host)
    lines: List[str] = []
    hint = ""
    if is_on_drive(remote):
        drive = transfer.open()
        lines, hint = [drive.line], drive.hint
        second = locate_on_drive(remote, drive.store)
    else:
        second = locate_here(remote, transfer.host)
    _refuse_nested(first, second)
    return Ends(first, second), lines, hint


def _refuse_nested(*locations: Location) -> None:
    """Raise if one folder of this machine is in the other one: it would be copied into itself."""
    first, second = (
        x.store.place(x.path).resolve() if isinstance(x.store, LocalStore) else None
        for x in locations
    )
    if first is None or second is None:
        return
    if first == second or first in second.parents or second in first.parents:
        raise usage_error(
            f"%drive sync: {' and '.join(x.typed for x in locations)} are one in the other.",
            "Name two folders that are apart.",
            code="nested",
        )


def limits(transfer: Transfer) -> Limits:
    """Return what may be deleted."""
    return Limits(transfer.arguments.delete, transfer.arguments.max_delete)


# ---------------------------------------------------------------------- what is shown
def show_plan(lines: Sequence[str], plan: Plan, result: SyncResult, ends: Ends) -> Report:
    """Return a plan as a table."""
    rows = [
        (_WORDS[x.kind, x.side], amount(x.size) if x.size else "", describe(x))
        for x in plan.actions
        if (x.kind, x.side) in _WORDS
    ]
    errors = [error.message for error in plan.errors]
    more = [f"and {len(rows) - _ROWS} more"] * (len(rows) > _ROWS)
    total = sum(x.size for x in plan.of("copy", "conflict"))
    count = len(plan.of("copy")) + 2 * len(plan.of("conflict"))
    text = f"{files(count)} to copy, {amount(total)}" if rows else result.describe("")
    text += f"; {files(len(plan.of('delete')))} to delete" if plan.of("delete") else ""
    shown = report(lines, result.passed_over, f"{text}. Nothing was changed", hints(result, ends))
    head = ("what", "size", "file") if rows else ()
    return Report(shown.lines, tuple(rows[:_ROWS]), (*more, *errors), head)


def show_result(lines: Sequence[str], result: SyncResult, ends: Ends, hint: str) -> Report:
    """Return what became of a sync, and what to do next on a mounted drive."""
    text = result.describe(ends.remote.typed)
    next_steps = hints(result, ends) + [hint] * (result.copied > result.received)
    return report(lines, result.passed_over, text, next_steps)


def hints(result: SyncResult, ends: Ends) -> List[str]:
    """Return the lines about conflicts, and about what stays though one side has deleted it."""
    lines = [
        f"changed on both sides: {name} is that of {ends.local.typed}, and the other is {other}"
        for name, other in sorted(result.conflicts.items())[:_CONFLICTS]
    ]
    if len(result.conflicts) > _CONFLICTS:
        lines.append(f"changed on both sides: {len(result.conflicts) - _CONFLICTS} more")
    for side, names in sorted(result.remaining.items()):
        place, other = ends.of(side), ends.of("remote" if side == "local" else "local")
        listed = ", ".join(names[:_SHOWN])
        listed += f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        line = f"deleted in {other.typed}, still in {place.typed}: {listed}"
        if side in result.too_many:
            line += f". Too many to delete here: {files(result.too_many[side])} (--max-delete)"
        else:
            line += ". To delete there too: --delete"
        lines.append(line)
    return lines
