"""``colab-magics setup``: the setup cell of a notebook on disk, without a kernel; and ``drive``.

Nothing of the notebook is executed.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

from .core import files
from .core.arguments import find_meant, split
from .core.display import Report, printable
from .core.errors import NotebookError, input_errors, usage_error
from .core.host import Host
from .core.signals import INTERRUPTED, count_signals
from .core.steps import parse as parse_step
from .notebook.document import Document
from .notebook.made_on import read_language
from .notebook.metadata_keys import READERS
from .notebook.writers.file import FileWriter
from .record.cell import Line, is_setup, parse
from .record.merge import Entry, list_selectors
from .record.merge import forget as drop
from .record.record import Record, edit
from .record.record import write as put

if TYPE_CHECKING:
    from .engines.engine import Applied
    from .setup.card import Plan
    from .setup.check import Checkup
    from .setup.diff import Diff
    from .setup.doctor import Diagnosis
    from .setup.magic_check import Recorded

#: Flags as they are typed, and as they are read.
_NO_TRACE = {"--no-record", "--dry-run", "no_record", "dry_run"}


def show(path: Path) -> str:
    """Return the text of the setup cell."""
    text = Document.parse(files.read(path), path.name).setup_text(is_setup)
    if text is None:
        raise NotebookError(
            f"{path.name} has no setup cell.",
            f"Make one: colab-magics run {path.name}",
            code="no-setup-cell",
        )
    return text


def as_json(text: str) -> Dict[str, Any]:
    """Return a setup cell as JSON has it: its text, and each line with its kind and problem."""
    from .setup.magic_status import body_lines

    lines = [
        {
            "line": line.text,
            "kind": line.step.word if line.step else "code",
            "problem": line.problem,
        }
        for line in body_lines(parse(text))
    ]
    return {"schema": 1, "text": text, "lines": lines}


def inspect_machine(name: str) -> Tuple[Dict[str, Any], Report]:
    """Return what ``session``, ``jobs`` or ``gpu`` says of this machine, as data and as a table."""
    if name == "jobs":
        from .jobs.description import describe
        from .jobs.job import list_jobs

        jobs = list_jobs()
        rows = tuple((job.name, describe(job), job.last_line) for job in jobs)
        head = ("job", "state", "last line")
        data = {"schema": 1, "jobs": [job.to_dict() for job in jobs]}
        return data, Report((), rows, (), head) if rows else Report(("No jobs.",))
    host = Host(start=Path.cwd())
    if name == "session":
        from .session.magic_report import inspect, report

        state = inspect(host, None)
        return state, report(host, state)
    from .gpu.devices import advise, take_snapshot
    from .gpu.format import HEAD, draw_rows
    from .gpu.magic import as_json

    gpus = take_snapshot()
    if not gpus.gpus:
        return as_json(), Report((f"No GPU found. {advise(host, gpus)}",))
    return as_json(), Report((), draw_rows(gpus.gpus), (), HEAD)


def check(path: Path) -> Checkup:
    """Return how each line stands in the environment of this program, and what has changed."""
    from .setup.magic_check import check  # not needed by other commands, and slow

    return check(*_read_recorded(path), Host(start=path.resolve().parent))


def _read_recorded(path: Path) -> Tuple[List[Line], Recorded]:
    """Return the lines of the setup cell, and what the notebook's metadata say."""
    from .setup.magic_check import Recorded

    text, metadata = show(path), Document.load(path).metadata
    lock, made_on = (READERS[name](metadata) for name in ("lock", "made_on"))
    return parse(text), Recorded(lock, made_on, read_language(metadata))


def plan(path: Path) -> Plan:
    """Return what the setup cell would do here."""
    from .setup.magic_trust import make_plan

    lines, metadata = parse(show(path)), Document.load(path).metadata
    return make_plan(lines, Host(start=path.resolve().parent), READERS["trust"](metadata))


def diff(first: Path, second: Path) -> Diff:
    """Return how the set-ups of two notebooks differ."""
    from .setup.diff import compare
    from .setup.magic_diff import read_setup

    setups = [read_setup(first), read_setup(second)]
    if first.name == second.name:  # in two folders
        setups = [replace(x, name=str(path)) for x, path in zip(setups, (first, second))]
    return compare(*setups)


def export(options: Any) -> Tuple[str, Report]:
    """Return a notebook's set-up in a format, as text, and what there is to say of it."""
    from .setup.magic_export import run_command

    return run_command(options, *_read_recorded(options.notebook))


def apply(path: Path, target: str, restart: bool) -> Applied:
    """Set up each worker of an engine like a notebook."""
    from .setup.magic_apply import run_command

    host = Host(start=path.resolve().parent)
    return run_command(target, *_read_recorded(path), host, restart)


def import_lines(path: Path, source: Path, is_dry: bool) -> Report:
    """Put the lines of another set-up into the setup cell; return what became of each."""
    from .setup.magic_import import read_steps

    imported = read_steps(source, Host(start=path.resolve().parent))
    if is_dry or not imported.steps:
        return imported.report("Nothing was changed.")
    with files.locked(path):
        record = put(FileWriter(path, is_setup), [(step, "") for step in imported.steps], path)
    return imported.report(f"{path.name}: {', '.join(record.changes) or 'all of it was there'}")


def doctor(path: Optional[Path]) -> Diagnosis:
    """Return what a bug report needs, of a notebook too where one is named."""
    from .setup.magic_doctor import examine

    if path is not None:
        files.read(path)  # a wrong name is no finding
    return examine(Host(start=path.resolve().parent if path else None), notebook=path)


def write(path: Path, lines: Sequence[str]) -> Record:
    """Put magic lines into the setup cell; without any, those of the notebook's own cells."""
    if lines:
        entries = [_parse_entry(line) for line in lines]
    else:
        entries = _own_entries(Document.parse(files.read(path), path.name))
    if not entries:
        raise NotebookError(
            f"{path.name} has no magic line to record.",
            "Give one: '%pin numpy==2.1.3'",
            code="nothing-to-record",
        )
    with files.locked(path):
        return put(FileWriter(path, is_setup), entries, path)


def forget(path: Path, selector: Sequence[str]) -> Record:
    """Take lines out; with no selector, the cell."""
    known = parse(show(path))
    with files.locked(path):
        record = edit(FileWriter(path, is_setup), lambda lines: drop(lines or [], selector))
    if not record.changes:
        name = " ".join(selector)
        raise NotebookError(
            f"No line for {name}.",
            "See: colab-magics setup show",
            code="unknown-line",
            slip=find_meant(name, list_selectors(known)),
        )
    return record


def _parse_entry(line: str) -> Entry:
    word, _, rest = line[1:].partition(" ")
    try:
        step = parse_step(word, split(rest).words) if line.startswith("%") else None
    except input_errors() as error:
        raise usage_error(*str(error).split("\n", 1), code="bad-line") from None
    if step is None:
        hint = "For instance: '%drive mount'"
        raise usage_error(f"Not a line to record: {line}", hint, code="bad-line")
    return step, ""


def _own_entries(document: Document) -> List[Entry]:
    """Return the steps among the notebook's own lines; what cannot be read is passed over."""
    entries: List[Entry] = []
    for cell in document.heads:
        source = document.source(cell)
        if cell.get("cell_type") != "code" or is_setup(source):
            continue
        if source.lstrip().startswith("%%"):  # IPython passes over blank lines before it
            entries += _body_entries(source.lstrip())
            continue
        entries += [(line.step, "") for line in parse(source) if line.step and _is_recorded(line)]
    return entries


def _body_entries(source: str) -> List[Entry]:
    """Return the pins of a ``%%pin`` cell; other cell magics are not for a setup cell."""
    from .pin.requirements import body_words

    first, _, body = source.partition("\n")
    words, flags, _ = split(first[5:])
    if first.split()[0] != "%%pin" or not _is_recorded(Line(source, flags=flags)):
        return []
    step = parse_step("pin", [*words, *body_words(body)])
    return [(step, "")] if step else []


def _is_recorded(line: Line) -> bool:
    """Not what was typed to leave no trace, nor what IPython would expand: its meaning is open."""
    return not _NO_TRACE & set(line.flags) and not set(line.text) & set("${}")


# ---------------------------------------------------------------------- drive
class Bar:
    """Prints what a transfer shows: reports as lines, the rest on one line of a terminal."""

    def __init__(self, print_line: Callable[[str], None], quiet: bool) -> None:
        self._print_line, self._quiet = print_line, quiet
        self._live = not quiet and sys.stdout is not None and sys.stdout.isatty()
        self._lines: Tuple[str, ...] = ()

    def __call__(self, message: Union[str, Report]) -> None:
        """Show what goes on."""
        if isinstance(message, Report):
            self.finish(message)
        elif self._live:
            self._write(f"\r\x1b[K{printable(message)[:100]}")

    def finish(self, report: Report) -> None:
        """Print a report, without the lines that stand above already."""
        self._write("\r\x1b[K" * self._live)
        same = report.lines[: len(self._lines)] == self._lines
        rest = replace(report, lines=report.lines[len(self._lines) :] if same else report.lines)
        self._lines = report.lines
        if not self._quiet and rest != Report():
            self._print_line(rest.terminal())

    def _write(self, text: str) -> None:
        with suppress(OSError):  # nobody may be there any more
            sys.stdout.write(text)
            sys.stdout.flush()


def transfer(words: Sequence[str], print_line: Callable[[str], None]) -> int:
    """Run a command of ``%drive`` that copies or logs in, from a terminal; return the status.

    Errors are raised; 130 after a signal.
    """
    from .core.arguments import split_flags
    from .drive.magic_transfer import interrupted, run_transfer
    from .drive.step import parser
    from .drive.transfer.arguments import NAMES
    from .drive.transfer.commands import Transfer

    rest, flags = split_flags(words)
    tree = parser()
    tree.commands = {name: tree.commands[name] for name in NAMES}
    if "help" in flags or not rest:
        print_line(tree.format_tree())
        return 0 if "help" in flags else 2
    bar = Bar(print_line, "quiet" in flags)
    try:
        command, arguments = tree.parse_words(rest)
        arguments.dry_run = "dry_run" in flags
        if arguments.dry_run and command != "sync":  # it would be done
            raise usage_error(f"drive {command} has no option --dry-run.", code="unknown-option")
        if getattr(arguments, "background", ""):
            raise usage_error("drive --background is for notebooks.", "Here: nohup, or &.")
        run = Transfer(Host(start=Path.cwd()), arguments, bar)
        with count_signals() as signals, signals.interruptible():
            bar.finish(run_transfer(run, command))
        return 0
    except KeyboardInterrupt:
        bar.finish(interrupted(run, command))
        return INTERRUPTED
    except input_errors():
        bar.finish(Report())  # above the error
        raise
