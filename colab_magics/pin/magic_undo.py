"""``%pin undo``: back to before the last installation, on the machine and in the setup cell."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence, Tuple

from ..core.display import Report
from ..core.steps import Outcome, Step
from ..extension.magic import Call
from ..extension.output import Status, say
from ..record.cell import Line, parse, render_step
from ..record.merge import Merged, merge, remove_steps
from .integrity import present
from .journal import History, last, save_history
from .loaded import loaded_versions, mark, restart, stale
from .transaction import Changes, undo

if TYPE_CHECKING:
    from ..extension.session import Session

#: Key of a pin → its line before (or "") and after.
Lines = Dict[str, Tuple[str, str]]


def save_lines(session: Session, outcome: Outcome) -> None:
    """Save, with the last installation, the lines that the setup cell had before it."""
    history = last()
    if history is None:
        return
    parts = session.recorded_parts("pin")
    before = _lines(parts)
    after = _lines([*parts, *(outcome.step.parts() if outcome.step else ())])
    lines = {key: (before.get(key, ""), text) for key, text in after.items()}
    lines = {key: texts for key, texts in lines.items() if texts[0] != texts[1]}
    places = {name: part.place(session.host) for part in parts for name in part.names}
    save_history(replace(history, lines=lines, places={k: v for k, v in places.items() if v}))


def undo_last(session: Session, call: Call) -> Tuple[Optional[Changes], Optional[Exception]]:
    """Undo the last installation; return what changed, and the error that asks for a restart."""
    history = last()
    if history is None:
        say("There is nothing to undo.")
        return None, None
    if "dry_run" in call.flags:
        changes = {name: (new, old) for name, (old, new) in history.changes.items()}
        say(f"Nothing was changed. Would be {_summary(changes)}")
        return None, None
    quiet, loaded = "quiet" in call.flags, loaded_versions()
    with Status(session.host, quiet) as status:
        changes = undo(history, status)
        status.done(None if quiet else Report((_summary(changes),)))
    mark(changes, changes, loaded)
    _restore_lines(session, history)
    behind = stale(changes)
    return changes, restart(behind) if behind else None


def _restore_lines(session: Session, history: History) -> None:
    """Restore the lines from before, but for packages that were changed again since."""
    installed = present()
    changed = {name for name, (old, _) in history.changes.items() if installed.get(name, "") != old}
    lines = {key: text for key, text in history.lines.items() if key.split(";")[0] not in changed}
    recorded = session.edit(lambda old: _restored(old, lines))
    if recorded:
        say("Setup cell: " + ", ".join(recorded))
        return
    current = _lines(session.recorded_parts("pin"))
    if any(current.get(key) == new for key, (_, new) in lines.items()):
        say("Setup cell: it cannot be written from here. Change its line by hand")


def _lines(parts: Sequence[Step]) -> Dict[str, str]:
    """Return the line of each pin by its key; the last if there are several."""
    return {key: render_step(part) for part in parts for key in part.keys}


def _restored(lines: Sequence[Line], changed: Mapping[str, Tuple[str, str]]) -> Merged:
    """Return lines with the pins from before, where those that replaced them still stand."""
    result: List[Line] = list(lines)
    changes: List[str] = []
    for key, (old, new) in changed.items():
        parts = [part for line in result if line.step for part in line.step.parts()]
        if new not in map(render_step, parts):
            continue
        steps = [line.step for line in parse(old) if line.step is not None]
        if steps:
            result, texts = merge(result, [(step, "") for step in steps])
        else:
            result, texts = remove_steps(result, "pin", frozenset({key}))
            texts = tuple(f"{text} forgotten" for text in texts)
        changes += texts
    return result, tuple(changes)


def _summary(changes: Mapping[str, Tuple[str, str]]) -> str:
    """Return what was put back and what was removed, in one line."""
    texts = []
    for name, (old, new) in changes.items():
        change = "put back" if new else "removed"
        texts.append(f"{name} {old} -> {new}" if old and new else f"{name} {old or new} {change}")
    if not texts:
        return "Nothing to undo: all of it is undone already."
    return f"undone: {', '.join(texts)}"
