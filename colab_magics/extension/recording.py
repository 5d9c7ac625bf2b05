"""Recording what a cell did when it ends: it goes into the setup cell, or is pending."""

from __future__ import annotations

from typing import Any

from ..core.errors import input_errors
from ..record.cell import Line, is_replaceable, is_setup, parse
from ..record.merge import merge
from ..record.record import add, is_off
from .notices import OFF
from .output import say
from .restart import restart_after
from .session import Session


def begin_cell(session: Session, info: Any) -> None:
    """Handle ``pre_run_cell``; it does not fire for the cell that first loads the extension."""
    session.outer.append((session.source, session.cell_entries, session.writing))
    session.source = getattr(info, "raw_cell", None) or ""
    session.cell_entries, session.writing = [], False
    for hook in session.hooks:
        hook.cell_begins(session.source)


def end_cell(session: Session, result: Any) -> None:
    """Handle ``post_run_cell``: record what the cell did, and show errors: IPython does not."""
    session.source = getattr(result.info, "raw_cell", None) or ""
    finish_earlier_notice = session.notices.unfinished()
    try:
        try:
            for hook in session.hooks:
                hook.cell_ends(result)
            _record(session, failed=not result.success)
        except BaseException:  # what an interrupt leaves unrecorded is pending
            session.pending.hold(session.cell_entries)
            raise
        finish_earlier_notice()
        for hook in session.hooks:
            hook.cell_recorded(result)
    except input_errors() as error:
        say(f"Setup cell: not written. {error}", *filter(None, [getattr(error, "details", "")]))
    else:
        if len(session.outer) < 2:  # a cell within another leaves it to that one
            restart_after(session.host, session.site, result.error_in_exec)
    finally:
        outer = session.outer.pop() if session.outer else ("", [], False)
        session.source, session.cell_entries, session.writing = outer


def _record(session: Session, failed: bool) -> None:
    """Put what a cell did into the notebook, or hold it."""
    if is_setup(session.source):
        _see_setup_cell(session, failed)
        if failed or not session.pending.entries:
            return
    elif not session.cell_entries and not session.writing:
        return
    writer = session.writer()
    if writer is None:
        _hold_without_writer(session)
        return
    if writer.in_place and failed:  # front ends replace only a cell that succeeded
        session.pending.hold(session.cell_entries)
        return
    reason = _reason_against_writing(session, writer.in_place) if session.writing else ""
    if reason:
        session.pending.hold(session.cell_entries)
        say(f"Setup cell: not written: {reason}")
        return
    entries = session.take()
    try:
        record = add(writer, entries)
    except BaseException:
        session.pending.hold(entries)
        raise
    if writer.in_place or record.state == "shown":  # it is seen in the notebook when it runs
        session.pending.hold(entries)
    elif record.text is not None:
        session.setup_texts[session.host.client] = record.text
    session.notices.recorded(record, writer)


def _see_setup_cell(session: Session, failed: bool) -> None:
    """Drop what a setup cell that has run holds; it is never its own author."""
    session.cell_entries = []
    lines = parse(session.source)
    first = session.host.client not in session.setup_texts
    session.setup_texts[session.host.client] = session.source
    if not failed:
        session.pending.drop_recorded(lines, first)


def _reason_against_writing(session: Session, in_place: bool) -> str:
    """Return why there is nothing to write, or not in the running cell; empty where it may."""
    if in_place and not is_replaceable(session.source):
        return "this cell has lines of yours. Use an empty cell"
    if in_place and session.host.client in session.setup_texts and not is_setup(session.source):
        return "this notebook has a setup cell. Run that one: it takes in what is new"
    if session.cell_entries or session.pending.entries:
        return ""
    if session.pending.elsewhere:
        return "what was typed belongs to another notebook or page. Take it: %setup write --all"
    return "nothing is remembered yet. For instance: %pin numpy==2.1.3"


def _hold_without_writer(session: Session) -> None:
    """Hold the lines, or drop them where nothing may be written."""
    site = session.site
    if site.kind == "executor":
        session.notices.once("Setup cell: nothing is written while an executor runs the notebook")
        return
    seen = parse(session.setup_texts.get(session.host.client, ""))
    if is_off([*seen, *(Line("", step) for step in session.pending.steps)]):
        session.notices.once(OFF)
        return
    has_steps = any(line.step for line in seen)
    new = [
        entry
        for entry in session.cell_entries
        if (merge(seen, [entry])[1] if has_steps else entry[0].parts())
    ]
    if not new:
        return
    session.pending.hold(new)
    where = "in an empty first cell" if site.front_end else "and the path of a notebook"
    lines = [f"Setup cell: remembered, not in the notebook yet: type %setup write {where}"]
    if site.kind == "jupyter":
        lines.append(
            "It is put there at once where the Jupyter server's environment has colab-magics "
            "too: %setup where"
        )
    session.notices.once(*lines)
