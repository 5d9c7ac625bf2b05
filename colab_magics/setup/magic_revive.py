"""``%setup revive`` and ``colab-magics setup revive``: show the proposal, or write its line."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any, List, Optional, Tuple

from ..core import files
from ..core.day import day_of
from ..core.display import Report, printable
from ..core.errors import NotebookError, usage_error
from ..core.host import Host
from ..core.steps import Step
from ..extension.magic import Call
from ..extension.output import show
from ..notebook.document import Document
from ..notebook.reading import read_notebook
from ..notebook.writers.file import FileWriter
from ..record.cell import is_setup
from ..record.record import Record, write
from .revive import Proposal, propose

#: Evidence of a day → its words.
_EVIDENCE = {
    "typed": "as typed",
    "recorded": "as its setup cell says",
    "cells": "when most of its cells had run",
    "git": "its last commit",
}


def revive(magic: Any, call: Call, arguments: Namespace) -> Proposal:
    """Show the proposal for the running notebook, or the named one; ``--apply`` writes its line."""
    path = Path(arguments.notebook).expanduser() if arguments.notebook else None
    if path is not None:
        proposal = propose_for(path, arguments.as_of)
        record = apply(proposal, path) if arguments.apply else None
        show(describe(proposal, magic.host, path.name, record, "%setup revive"))
        return proposal
    session = magic.session
    found = read_notebook(session.host, session.site)
    if found is None:
        raise usage_error(
            "%setup revive: this kernel does not know its notebook.",
            "Name it: %setup revive NOTEBOOK.ipynb",
            code="no-notebook",
        )
    name = found.name or "this notebook"
    proposal = _propose(found.document, found.path, name, arguments.as_of)
    is_applied = arguments.apply
    record = Record("written") if is_applied and step_of(proposal) else None
    show(describe(proposal, magic.host, "", record, "%setup revive"))
    if record is not None:
        session.remember(step_of(proposal))
    return proposal


def propose_for(path: Path, as_of: str) -> Proposal:
    """Return the proposal for a notebook on disk."""
    return _propose(Document.parse(files.read(path), path.name), path, path.name, as_of)


def _propose(document: Document, path: Optional[Path], name: str, as_of: str) -> Proposal:
    return propose(document, path, name, day_of(as_of) if as_of else "")


def step_of(proposal: Proposal) -> Optional[Step]:
    """Return the step of the line of a proposal, or None where it has no line."""
    from ..pin.step import parse

    return parse(proposal.words) if proposal.words else None


def apply(proposal: Proposal, path: Path) -> Record:
    """Write the line into the setup cell of a notebook that nobody has open.

    `NotebookError` where there is no line to write.
    """
    step = step_of(proposal)
    if step is None:
        raise NotebookError(
            f"{path.name} imports no package that is known; nothing was written.",
            "Write its packages by hand: colab-magics setup write NOTEBOOK '%pin NAME'",
            code="nothing-to-record",
        )
    with files.locked(path):
        return write(FileWriter(path, is_setup), [(step, "")], path)


# ---------------------------------------------------------------------- what is shown
def describe(
    proposal: Proposal, host: Host, name: str, record: Optional[Record], command: str
) -> Report:
    """Return the proposal as a table; ``record`` is what became of it, where it was applied."""
    rows = [
        ("day", proposal.day, _describe_day(proposal)),
        ("Python", proposal.python, _describe_python(proposal, host)),
        ("packages", " ".join(proposal.packages) or "none", ""),
        *(("unknown", each, f"{_cells(proposal, each)}: {_UNKNOWN}") for each in proposal.unknown),
        *(("local", each, "a file beside the notebook") for each in proposal.local),
    ]
    if proposal.unread:
        numbers = ", ".join(map(str, proposal.unread))
        rows.append(("not read", f"cell {numbers}", "no Python 3"))
    if proposal.words:
        rows.append(("line", " ".join(["%pin", *proposal.words]), ""))
    return Report((), tuple(rows), (_next(proposal, name, record, command),), ("", "", "why"))


_UNKNOWN = "name its package yourself: %pin NAME"


def _next(proposal: Proposal, name: str, record: Optional[Record], command: str) -> str:
    if not proposal.words:
        return "No package is known that this notebook imports: there is nothing to write."
    run = f"colab-magics run {name or 'NOTEBOOK'}"
    if record is None:
        words = " ".join(filter(None, [command, name, f"--as-of {proposal.made}", "--apply"]))
        return f"Nothing was changed. Apply it: {words}"
    if record.state == "unchanged":
        return f"All of it was there already. Run it: {run}"
    return f"The line goes into the setup cell. Run that cell, or: {run}"


def _describe_day(proposal: Proposal) -> str:
    text = _EVIDENCE[proposal.evidence]
    if proposal.day == proposal.made:
        return text
    return f"made {proposal.made} ({text}); later, when most packages had builds for it"


def _describe_python(proposal: Proposal, host: Host) -> str:
    from ..pin.environments.interpreters import on_colab, runs

    said = f"the notebook says {proposal.said}" if proposal.said else "the newest of that day"
    if host.colab and not runs(proposal.python):
        return f"{said}. {on_colab(host, proposal.python)}"
    if proposal.said not in ("", proposal.python):
        return f"{said}; this is the nearest that can be had"
    return said


def _cells(proposal: Proposal, name: str) -> str:
    numbers = proposal.imports.get(name, [])
    return f"imported in cell {', '.join(map(str, numbers[:3]))}"


def print_lines(proposal: Proposal, path: Path, record: Optional[Record]) -> Tuple[str, ...]:
    """Return the report of the command line, as lines."""
    report = describe(proposal, Host(start=path.resolve().parent), str(path), record, _COMMAND)
    lines: List[str] = str(report).splitlines()
    return tuple(map(printable, lines))


_COMMAND = "colab-magics setup revive"
