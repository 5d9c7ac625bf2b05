"""``%setup import``, and the same on the command line: take over what another tool set up."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any, List, NamedTuple, Tuple, Type

from ..core.display import Report
from ..core.errors import input_errors
from ..core.host import Host
from ..core.redact import redact
from ..core.secret_scan import find
from ..core.steps import Step
from ..core.steps import parse as parse_step
from ..export.formats import Omission
from ..export.importer import read
from ..extension.magic import Call
from ..extension.output import show
from ..pin.requirements import carries_secret
from ..record.cell import brief, step_line
from ..record.record import add
from .magic_adopt import find_writer
from .magic_diff import read_setup
from .magic_recipe import Reading


class Imported(NamedTuple):
    """The steps of another set-up, and what is not taken."""

    steps: Tuple[Step, ...]
    omissions: Tuple[Omission, ...]

    def report(self, head: str) -> Report:
        """Return the table of what is taken and what is not."""
        rows = [(brief(step_line(step).text), "taken") for step in self.steps]
        rows += [(redact(x.line), f"not taken: {x.reason}") for x in self.omissions]
        return Report((head,), tuple(rows), (), ("line", "") if rows else ())


def read_steps(path: Path, host: Host) -> Imported:
    """Return the steps of another notebook's setup cell, or of a file of another tool.

    Their paths mean the same from this host's start. Nothing is executed.
    """
    steps: List[Step] = []
    omissions: List[Omission] = []
    there = Host(start=path.resolve().parent)

    def spell(text: str) -> str:
        return text if host.is_fixed(text) else host.spell(there.resolve(text))

    if path.suffix == ".ipynb":
        lines = read_setup(path).lines
        for line in lines:
            if line.step is not None and line.step.word != "setup":
                steps.append(line.step.spelled(spell))
        for item in Reading(there).items(lines):
            if item.kind == "code" or getattr(item, "code", "") == "unreadable":
                omissions.append(Omission(item.line, "code", "code of its own: copy it"))
        return Imported(tuple(steps), tuple(omissions))
    result = read(path)
    omissions += result.omissions
    for pins in result.pins:
        options = [word for pair in pins.options for word in pair if word]
        for words in ([text] for text in pins.requirements):
            _add_step(words, options, spell, steps, omissions)
        for folder in pins.folders:
            _add_step(["-e", folder], options, spell, steps, omissions)
    return Imported(tuple(steps), tuple(omissions))


def _add_step(
    words: List[str], options: List[str], spell: Any, steps: List[Step], omissions: List[Omission]
) -> None:
    """Read one package as a step, and join it to the last one where it can be."""
    line = " ".join([*words, *options])
    errors: Tuple[Type[Exception], ...] = (*input_errors(), ValueError)
    try:
        step = parse_step("pin", [*(["--"] if words[1:] == [] else []), *words, *options])
        if step is None or carries_secret(line) or find(line):
            raise ValueError
        step = step.spelled(spell)
    except errors:
        omissions.append(Omission(redact(line), "not-a-requirement", "no line can hold it"))
        return
    joined = steps[-1].merged_with(step) if steps else None
    steps[-1:] = [joined] if joined is not None else [*steps[-1:], step]


def import_lines(magic: Any, call: Call, arguments: Namespace) -> Any:
    """Put the lines of another set-up into this notebook's setup cell."""
    host = magic.host
    imported = read_steps(host.resolve(host.spell_typed(arguments.path)), host)
    if "dry_run" in call.flags or not imported.steps:
        show(imported.report("Nothing was changed."))
        return imported
    record = add(find_writer(magic), [(step, "") for step in imported.steps], host)
    for hook in magic.session.hooks:
        hook.setup_edited()
    states = {"unchanged": "has all of it already", "off": "was not changed: recording is off"}
    head = f"The setup cell {states.get(record.state, f'is {record.state}: run it')}."
    show(imported.report(head))
    return imported
