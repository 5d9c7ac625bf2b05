"""What becomes of what a cell did when it ends: in the notebook's setup cell, or held."""

from typing import TYPE_CHECKING, List

from ..record.cell import Line, is_setup, only_setup, parse
from ..record.merge import merge
from ..record.record import add, is_off
from .magic import say
from .notices import OFF

if TYPE_CHECKING:
    from .recorder import Session


def finish(session: "Session", failed: bool) -> None:
    """A cell has ended: put what it did into the notebook, or hold it."""
    if is_setup(session.source):
        session.cell = []  # a setup cell is never changed by what it did itself
        _see(session, parse(session.source), failed)
        if failed or not session.pending:
            return
    elif not session.cell and not session.writing:
        return
    writer = session.writer()
    if writer is None:
        _keep(session)
        return
    if writer.in_place and failed:  # front ends replace only a cell that succeeded
        session.held.hold(session.cell)
        return
    if session.writing:
        reason = _against_writing(session, writer.in_place)
        if reason:
            session.held.hold(session.cell)
            say(f"Setup cell: not written: {reason}")
            return
    entries = session.take()
    try:
        record = add(writer, entries)
    except BaseException:
        session.held.hold(entries)
        raise
    if writer.in_place or record.state == "shown":  # in the notebook it is seen when it runs
        session.held.hold(entries)
    elif record.text is not None:
        session.seen[session.host.client] = record.text
    session.notices.recorded(record, writer)


def _see(session: "Session", lines: List[Line], failed: bool) -> None:
    """A setup cell has run: what it holds is pending no more.

    What was typed before the cell was ever run gives way to it: the cell has just been
    applied, so that its version is the one that is there.
    """
    first = session.host.client not in session.seen
    session.seen[session.host.client] = session.source
    if failed:
        return
    session.held.give_way(lines, first)


def _against_writing(session: "Session", in_place: bool) -> str:
    """Why there is nothing to write, or not in the running cell; empty where it may."""
    if in_place and not only_setup(session.source):
        return "this cell holds lines of yours. Use an empty cell"
    if in_place and session.host.client in session.seen and not is_setup(session.source):
        return "this notebook has a setup cell. Run that one, it takes in what is new"
    if session.cell or session.pending:
        return ""
    if session.held.elsewhere:
        return "what was typed belongs to another notebook or page. Take it: %setup write --all"
    return "nothing is remembered yet. For instance: %pin numpy==2.1.3"


def _keep(session: "Session") -> None:
    """No writer applies: the lines are pending, or dropped where nothing may be written."""
    site = session.site
    if site.kind == "executor":
        session.notices.once("Setup cell: nothing is written while an executor runs the notebook")
        return
    seen = parse(session.seen.get(session.host.client, ""))
    if is_off([*seen, *(Line("", step) for step, _ in session.pending)]):
        session.notices.once(OFF)
        return
    new = [
        entry
        for entry in session.cell
        if (merge(seen, [entry])[1] if any(line.step for line in seen) else entry[0].parts())
    ]
    if not new:
        return
    session.held.hold(new)
    where = "in an empty first cell" if site.front_end else "and the path of a notebook"
    why = (
        "It is put there at once where the Jupyter server's environment has colab-magics "
        "too: %setup where"
    )
    session.notices.once(
        f"Setup cell: remembered, not in the notebook yet: type %setup write {where}",
        *([why] if site.kind == "jupyter" else []),
    )
