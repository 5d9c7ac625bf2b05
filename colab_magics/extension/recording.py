"""Recording what a cell did when it ends: it goes into the setup cell, or is pending."""

from __future__ import annotations

from typing import Any, Sequence

from ..core.errors import input_errors
from ..core.steps import Step
from ..notebook.comm import remedy
from ..notebook.reading import read_layout
from ..notebook.writers.base import Writer
from ..record.cell import (
    Line,
    brief,
    installs_package,
    is_replaceable,
    is_setup,
    parse,
    render_step,
)
from ..record.merge import Entry, merge
from ..record.record import Record, add, is_off
from .notices import OFF, misplaced
from .output import say
from .restart import restart_after
from .session import Session


def begin_cell(session: Session, info: Any) -> None:
    """Handle ``pre_run_cell``; it does not fire for the cell that first loads the extension."""
    if not session.outer:
        session.batch.cell_begins()
    session.outer.append((session.source, session.cell_entries, session.writing))
    session.source = session.without_variables(getattr(info, "raw_cell", None) or "")
    session.cell_entries, session.writing, session.restoring = [], False, False
    for hook in session.hooks:
        hook.cell_begins(session.source)


def end_cell(session: Session, result: Any) -> None:
    """Handle ``post_run_cell``: record what the cell did, and show errors: IPython does not."""
    session.source = session.without_variables(getattr(result.info, "raw_cell", None) or "")
    try:
        try:
            for hook in session.hooks:
                hook.cell_ends(result)
            if session.notices.finish():  # first: what is recorded now may be refused
                session.pending.drop_recorded(session.known_lines, first=False)
            _record(session, failed=not result.success)
        except BaseException:  # what an interrupt leaves unrecorded is pending
            session.pending.hold(session.cell_entries)
            raise
        for hook in session.hooks:
            hook.cell_recorded(result)
    except input_errors() as error:
        say(f"Setup cell: not written. {error}", *filter(None, [getattr(error, "details", "")]))
    else:
        if len(session.outer) < 2:  # a cell within another leaves it to that one
            restart_after(session.host, session.site, result.error_in_exec, session.batch)
            session.batch.cell_ends()
    finally:
        outer = session.outer.pop() if session.outer else ("", [], False)
        session.source, session.cell_entries, session.writing = outer


def _record(session: Session, failed: bool) -> None:
    """Put what a cell did into the notebook, or hold it."""
    is_reloaded = _rejoin(session)
    if is_setup(session.source):
        session.cell_entries = []  # it is never its own author
        if session.depth > 1:  # a text that another cell runs: not this notebook's setup cell
            return
        _see_setup_cell(session, failed)
        if failed or not session.pending.entries:
            return
    elif not session.cell_entries and not session.writing and not is_reloaded:
        return
    writer = session.writer()
    if writer is None:
        _hold_without_writer(session)
        if is_reloaded:
            lines = _name(session.pending.steps)
            say(f"Setup cell: not in the notebook yet: {lines}. Type %setup write in an empty cell")
        return
    if writer.in_place and failed:  # front ends replace only a cell that succeeded
        session.pending.hold(session.cell_entries)
        return
    reason = _reason_against_writing(session, writer) if session.writing else ""
    if reason:
        session.pending.hold(session.cell_entries)
        say(f"Setup cell: not written: {reason}")
        return
    _put(session, writer)


def _put(session: Session, writer: Writer) -> None:
    """Put what is to be recorded into the setup cell by a writer."""
    entries = session.take()
    try:
        restore = session.writing and (session.restoring or not writer.in_place)
        record = add(writer, entries, session.host, session.known_lines, restore)
    except BaseException:
        session.pending.hold(entries)
        raise
    if record.text is not None and not writer.in_place and record.state != "shown":
        session.setup_texts[session.host.client] = record.text
    session.notices.recorded(record, writer)
    _say_if_not_installed(session, record)
    # It is seen in the notebook when that cell runs, or once it is saved.
    if writer.in_place or record.state in {"shown", "gone"}:
        _hold(session, entries)
    elif session.notices.is_unfinished:
        session.pending.hold_unsaved(entries)
        _remember_file(session)
    elif record.text is not None:  # saved, with what was put before
        session.pending.unsaved.clear()
    if record.state == "saved":
        show_place(session)


def _say_if_not_installed(session: Session, record: Record) -> None:
    """Say of a new setup cell that another machine needs this package first, if that is so."""
    if record.created and record.state != "shown" and not installs_package(record.text or ""):
        session.notices.once(
            "On a new machine, install colab_magics before you run the setup cell: this one came "
            "from a local copy, so that the cell cannot install it."
        )


def show_place(session: Session) -> None:
    """Show once where the setup cell is, if that is not the top, or if there are two."""
    text = misplaced(read_layout(session.host, session.site, is_setup))
    if text:
        session.notices.once(text)


def _hold(session: Session, entries: Sequence[Entry]) -> None:
    session.pending.hold(entries)
    _remember_file(session)


def _remember_file(session: Session) -> None:
    """Remember the notebook of held lines: a page that is reloaded is another client."""
    if session.host.client not in session.files:
        session.files[session.host.client] = session.notebook()


def _rejoin(session: Session) -> bool:
    """Take over what was typed before the page was reloaded; tell whether some is not saved.

    Where it may be another notebook's, it is named, and nothing is taken over.
    """
    client, others = session.host.client, session.pending.elsewhere
    is_new = client not in session.clients
    session.clients.add(client)
    if not is_new or not others or not session.site.front_end:
        return False
    path = session.notebook()
    same = [other for other in others if path is not None and session.files.get(other) == path]
    session.pending.adopt(same)
    if same:
        session.pending.drop_recorded(session.lines()[0] or [], first=False)
        return bool(session.pending.entries)
    unknown = [x for x in others if path is None or session.files.get(x) is None]
    lines = _name([step for other in unknown for step, _ in others[other]])
    if lines and not session.writing:
        say(f"Setup cell: typed on another page of this kernel: {lines}. Take: %setup write --all")
    return False


def _name(steps: Sequence[Step]) -> str:
    """Return the lines of steps, as far as they are few."""
    more = f" and {len(steps) - 3} more" if len(steps) > 3 else ""
    return ", ".join(brief(render_step(step)) for step in steps[:3]) + more


def _see_setup_cell(session: Session, failed: bool) -> None:
    """Drop what a setup cell that has run holds."""
    lines = parse(session.source)
    first = session.host.client not in session.setup_texts
    session.setup_texts[session.host.client] = session.source
    session.restored = session.host.cwd
    if not failed:
        session.pending.drop_recorded(lines, first)


def _reason_against_writing(session: Session, writer: Writer) -> str:
    """Return why there is nothing to write, or not in the running cell; empty where it may."""
    if writer.in_place and not is_replaceable(session.source):
        return "this cell has lines of yours. Use an empty cell"
    is_other = session.host.client in session.setup_texts and not is_setup(session.source)
    if writer.in_place and is_other and not session.restoring:
        return (
            "this notebook has a setup cell. Run that one: it takes in what is new. "
            "If it is gone: %setup write --all"
        )
    is_gone = is_other and (session.restoring or (not writer.in_place and writer.read() is None))
    if session.cell_entries or session.pending.entries or is_gone:
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
    _hold(session, new)
    if site.kind == "front end":
        session.notices.once("Setup cell: remembered; %setup write prints it, to be copied")
        return
    if session.runs_on_server():
        session.notices.once(
            "Setup cell: remembered, not in the notebook yet: %setup write shows it, to be copied",
            "Why the server does not put it there: %setup where",
        )
        return
    where = "in an empty first cell" if site.front_end else "and the path of a notebook"
    lines = [f"Setup cell: remembered, not in the notebook yet: type %setup write {where}"]
    if site.kind == "jupyter":
        lines.append(f"Or have it put there by itself: {remedy(session.host)}")
    session.notices.once(*lines)
