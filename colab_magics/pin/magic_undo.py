"""``%pin undo``: back to before the last installation, on the machine and in the setup cell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..core.display import Report
from ..core.steps import Step
from ..extension.magic import Call
from ..extension.output import Status, say
from ..record.cell import Line, parse, render_step
from ..record.merge import Merged, merge, remove_steps
from .integrity import present
from .journal import History, keep_last, last
from .loaded import mark, owned, restart, stale
from .transaction import undo

#: Key of a pin → its line before (or "") and after.
Lines = Dict[str, Tuple[str, str]]


def keep_lines(session: Any, known: Any, done: int) -> None:
    """Keep, beside what an installation changed, what stood in the setup cell before.

    ``known`` is the last installation before this line, ``done`` how many steps had been done.
    """
    now = last()
    if now is None or now == known:
        return
    parts, new = session.standing("pin"), session.since("pin", done)
    stood = parts[: len(parts) - len(new)]
    before, after = _lines(stood), _lines(parts)
    changed = {key: (before.get(key, ""), text) for key, text in after.items()}
    lines = {key: texts for key, texts in changed.items() if texts[0] != texts[1]}
    places = {name: part.place(session.host) for part in stood for name in part.names}
    keep_last(replace(now, lines=lines, places={k: v for k, v in places.items() if v}))


def take_back(session: Any, call: Call) -> Tuple[Any, Optional[Exception]]:
    """Do it, and say what was put back and what was removed; the error asks for a restart."""
    done = last()
    if done is None:
        say("There is nothing to undo.")
        return None, None
    if "dry_run" in call.flags:
        say("dry run: " + _undone({name: (new, old) for name, (old, new) in done.changes.items()}))
        return None, None
    quiet = "quiet" in call.flags
    loaded, status = owned(), Status(session.host, quiet)
    try:
        changes = undo(done, status)
    except BaseException:
        status.done(None)
        raise
    status.done(None if quiet else Report((_undone(changes),)))
    mark(changes, changes, loaded)
    _in_the_setup_cell(session, _put_back(done))
    behind = stale(changes)
    return changes, restart(behind) if behind else None


def _put_back(done: History) -> Lines:
    """The lines from before, less those of packages that were changed again since then."""
    here = present()
    changed = {name for name, (old, _) in done.changes.items() if here.get(name, "") != old}
    return {key: text for key, text in done.lines.items() if key.split(";")[0] not in changed}


def _in_the_setup_cell(session: Any, before: Lines) -> None:
    recorded = session.edit(lambda lines: _before(lines, before))
    if recorded:
        say("Setup cell: " + ", ".join(recorded))
        return
    stands = _lines(session.standing("pin"))
    if any(stands.get(key) == new for key, (_, new) in before.items()):
        say("Setup cell: change its line by hand; this cell cannot be written from here.")


def _lines(parts: Sequence[Step]) -> Dict[str, str]:
    """Key → line of each pin, the last one of each key."""
    return {key: render_step(part) for part in parts for key in part.keys}


def _before(lines: Sequence[Line], changed: Mapping[str, Tuple[str, str]]) -> Merged:
    """Lines with the pins from before, where those that replaced them still stand."""
    result: List[Line] = list(lines)
    changes: List[str] = []
    for key, (old, new) in changed.items():
        parts = [part for line in result if line.step for part in line.step.parts()]
        if new not in map(render_step, parts):
            continue
        steps = [line.step for line in parse(old) if line.step is not None] if old else []
        if steps:
            result, more = merge(result, [(step, "") for step in steps])
        else:
            result, more = remove_steps(result, "pin", frozenset({key}))
            more = tuple(f"{text} forgotten" for text in more)
        changes += more
    return result, tuple(changes)


def _undone(changes: Mapping[str, Tuple[str, str]]) -> str:
    """What was put back and what was removed, in one line."""
    shown = [
        f"{name} {old} -> {new}" if old and new else f"{name} {old or new} {_became(new)}"
        for name, (old, new) in changes.items()
    ]
    return "undone: " + ", ".join(shown) if shown else "All of it was undone already."


def _became(new: str) -> str:
    return "put back" if new else "removed"
