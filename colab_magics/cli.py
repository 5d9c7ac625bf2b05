"""``colab-magics setup``: the setup cell of a notebook on disk, without a kernel.

Nothing of the notebook is executed.
"""

from __future__ import annotations

from pathlib import Path
from typing import List, Sequence, Tuple

from .core import files
from .core.arguments import split
from .core.errors import NotebookError, input_errors
from .core.host import Host
from .core.steps import parse as parse_step
from .notebook.document import Document
from .notebook.writers.file import FileWriter
from .record.cell import Line, is_setup, parse
from .record.merge import Entry
from .record.merge import forget as drop
from .record.record import Record, edit
from .record.record import write as put

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


def check(path: Path) -> Tuple[Tuple[str, ...], ...]:
    """Return how each line stands in the environment of this program: state, line and reason."""
    from .setup.magic_status import verdicts  # not needed by other commands, and slow

    return verdicts(parse(show(path)), Host(start=path.resolve().parent))


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
        return put(FileWriter(path, is_setup), entries, path.name)


def forget(path: Path, selector: Sequence[str]) -> Record:
    """Take lines out; with no selector, the cell."""
    show(path)
    with files.locked(path):
        record = edit(FileWriter(path, is_setup), lambda lines: drop(lines or [], selector))
    if not record.changes:
        raise NotebookError(
            f"No line for {' '.join(selector)}.",
            "See: colab-magics setup show",
            code="unknown-line",
        )
    return record


def _parse_entry(line: str) -> Entry:
    word, _, rest = line[1:].partition(" ")
    try:
        step = parse_step(word, split(rest).words) if line.startswith("%") else None
    except input_errors() as error:
        raise NotebookError(*str(error).split("\n", 1), code="bad-line") from None
    if step is None:
        hint = "For instance: '%drive mount'"
        raise NotebookError(f"Not a line to record: {line}", hint, code="bad-line")
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
