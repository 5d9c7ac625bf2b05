"""``%setup adopt`` and ``colab-magics setup adopt``: show what cells become, and do it."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from shlex import quote
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ..core.day import day_of
from ..core.errors import NotebookError, usage_error
from ..extension.magic import Call
from ..extension.output import say, show
from ..notebook.reading import OpenNotebook, read_notebook
from ..notebook.writers.base import Writer
from ..record.cell import Line, render
from ..record.merge import Merged
from ..record.record import edit
from .adopt.engine import make_plan
from .adopt.notebook import Adoption, check_chosen, code_cells, compose, installed_versions
from .adopt.notebook import adopt as adopt_file
from .adopt.notebook import read_plan as read_file
from .adopt.notebook import undo as undo_file
from .adopt.plan import Plan, advice, report
from .adopt.state import Versions

#: Client -> the lines of its setup cell before, and the text that they were replaced by.
_BEFORE: Dict[str, Tuple[Optional[List[Line]], str]] = {}
_OLD_STAY = "The old cells are as they were: delete their lines, which would do it all again."


# ---------------------------------------------------------------------- on the command line
def run_command(options: Namespace) -> Iterator[Any]:
    """Yield what ``colab-magics setup adopt`` prints; `NotebookError` where it is not done."""
    path = options.notebook
    if options.undo:
        undo_file(path)
        yield f"{path}: as it was before it was adopted"
        return
    command = f"colab-magics setup adopt {path}"
    done = _run_on_file(path, options.cells, options, options.dry_run)
    if options.json:
        yield json.dumps(done.plan.to_json(), ensure_ascii=False)
    else:
        yield report(done.plan, _lines_below(done, options.replace, command, path.name))


def _run_on_file(path: Path, numbers: List[int], options: Namespace, is_dry: bool) -> Adoption:
    chosen, versions = [number - 1 for number in numbers] or None, _versions(options)
    if is_dry:
        return Adoption(read_file(path, chosen, versions))
    return adopt_file(path, chosen, versions, options.replace)


def _lines_below(done: Adoption, replaced: bool, command: str, name: str) -> List[str]:
    """Return what is said below the table."""
    lines = advice(done.plan, command)
    if done.changed:
        lines.append(f"Saved in {name}. Take it back: {command} --undo")
    elif done.plan.adopted:
        lines.append("Nothing was changed.")
    if done.changed and not replaced:
        lines.append(f"The old lines are as they were; as comments: {command} --replace")
    return lines


def _versions(options: Namespace) -> Versions:
    if options.installed and options.as_of:
        raise usage_error(
            "%setup adopt: --installed and --as-of are two versions.", "Choose one.", code="usage"
        )
    day = day_of(options.as_of) if options.as_of else ""
    return Versions(installed_versions() if options.installed else {}, day)


# ---------------------------------------------------------------------- in a notebook
def adopt(magic: Any, call: Call, arguments: Namespace) -> Optional[Plan]:
    """Show what becomes of the cells of this notebook, or of a file, and do it."""
    path, numbers = _read_words(arguments.words)
    is_dry = "dry_run" in call.flags
    if path is not None:
        return _adopt_file(path, numbers, arguments, is_dry)
    if arguments.undo:
        _undo(magic)
        return None
    notebook = read_notebook(magic.host, magic.session.site)
    if notebook is None:
        raise usage_error(
            "%setup adopt: this kernel does not know its notebook.",
            "Name it: %setup adopt NOTEBOOK.ipynb",
            code="no-notebook",
        )
    plan = _plan(magic, notebook, numbers, arguments)
    below = advice(plan, "%setup adopt")
    if not is_dry and plan.items:
        below += _put(magic, plan)
        below.append(_remark(notebook, arguments.replace))
    elif plan.adopted:
        below.append("Nothing was changed. To do it: %setup adopt")
    show(report(plan, below))
    return plan


def _adopt_file(
    path: Path, numbers: List[int], arguments: Namespace, is_dry: bool
) -> Optional[Plan]:
    if arguments.undo:
        undo_file(path)
        say(f"{path.name}: as it was before it was adopted")
        return None
    done = _run_on_file(path, numbers, arguments, is_dry)
    command = f"%setup adopt {path.name}"
    show(report(done.plan, _lines_below(done, arguments.replace, command, path.name)))
    return done.plan


def _read_words(words: List[str]) -> Tuple[Optional[Path], List[int]]:
    """Return the file and the numbers of cells that a line names."""
    names = [word for word in words if not word.isdecimal()]
    if len(names) > 1 or any(not name.endswith(".ipynb") for name in names):
        raise usage_error(
            f"%setup adopt: {names[-1]} is no number of a cell.",
            "Cells count from 1, those with text too: %setup adopt 2 3",
            code="usage",
        )
    numbers = [int(word) for word in words if word.isdecimal()]
    return (Path(names[0]).expanduser() if names else None), numbers


def _plan(magic: Any, notebook: OpenNotebook, numbers: List[int], arguments: Namespace) -> Plan:
    chosen = [number - 1 for number in numbers] or None
    check_chosen(notebook.document, chosen or ())
    running = magic.session.running.strip()
    cells = [(at, text) for at, text in code_cells(notebook.document) if text.strip() != running]
    return make_plan(cells, chosen, _versions(arguments))


def _put(magic: Any, plan: Plan) -> List[str]:
    """Put the lines into the setup cell by the writer that applies; return what to say."""
    session = magic.session
    before: List[Tuple[Optional[List[Line]], str]] = []

    def change(lines: Optional[List[Line]]) -> Merged:
        new = compose(plan, lines, magic.host)
        before[:] = [(lines, render(new))]
        return new, tuple(item.text for item in plan.items)

    record = edit(find_writer(magic), change)
    for hook in session.hooks:
        hook.setup_edited()
    if record.state == "unchanged":
        return ["The setup cell has all of it already."]
    _BEFORE[magic.host.client] = before[0]
    state = "saved" if record.state == "saved" else "written"
    return [f"Setup cell {state}. Take it back: %setup adopt --undo"]


def find_writer(magic: Any) -> Writer:
    """Return the writer; without one that reaches the setup cell, this cell becomes it."""
    session = magic.session
    writer: Optional[Writer] = session.writer()
    if writer is None and session.site.kind != "executor":
        session.writing = True  # for the choice alone: nothing else is to be put here
        try:
            writer = session.writer()
        finally:
            session.writing = False
    if writer is None:
        raise NotebookError(
            "Nothing was written: the setup cell cannot be reached from here.",
            "Close the notebook, and run in a shell: colab-magics setup adopt NOTEBOOK.ipynb",
            code="no-writer",
        )
    return writer


def _remark(notebook: OpenNotebook, replace: bool) -> str:
    """Return what is to be done with the old cells, which belong to whoever has them open."""
    if not replace:
        return _OLD_STAY
    text = (
        "The old cells were left: those of an open notebook are yours to edit. Delete their lines"
    )
    if notebook.path is None:  # no shell of this machine reaches it
        return f"{text}."
    name = quote(notebook.path.name)
    return f"{text}, or close it, and run in a shell: colab-magics setup adopt {name} --replace"


def _undo(magic: Any) -> None:
    """Put the setup cell back as it was, unless it is another by now."""
    lines, text = _BEFORE.get(magic.host.client, (None, ""))
    writer = find_writer(magic)
    if not text or writer.read() != text:
        raise NotebookError(
            "The setup cell is not as %setup adopt has left it; nothing was changed.",
            "Take lines out of it: %setup forget NAME",
            code="nothing-to-undo" if not text else "changed-since",
        )
    writer.put(render(lines) if lines else None, text)
    for hook in magic.session.hooks:
        hook.setup_edited()
    if not lines:
        magic.session.forget_setup_cell()
    del _BEFORE[magic.host.client]
    say("Setup cell: as it was before %setup adopt")
