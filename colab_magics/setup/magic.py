"""``%setup``."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from ..core.arguments import Parser
from ..core.display import Report
from ..core.errors import SetupDiffers, usage_error
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from ..notebook.locate import place
from ..notebook.reading import notebook_file
from ..notebook.servers import held_by
from ..notebook.writers.file import FileWriter
from ..record.cell import is_setup, step_line
from ..record.merge import forget
from ..record.record import write
from .magic_status import Row, verdicts
from .step import AutoOff, parser


class SetupMagic(Magic):
    """Show, check and edit what the notebook remembers of its setup.

    Examples
    --------
    ::

        %setup                    # each line: ok, differs, cannot tell
        %setup write              # turn this (empty, first) cell into the setup cell
        %setup write other.ipynb  # put the lines into a notebook that nobody has open
        %setup check --strict     # raise unless every line holds
        %setup forget numpy       # remove a line (also: drive, gpu, cd_persist, pin)
        %setup forget --all
        %setup auto off           # remember nothing more in this notebook
        %setup where              # where the setup cell is written from here, and why
    """

    name = "setup"

    @classmethod
    def parser(cls) -> Parser:
        """Return the tree that the step is read by."""
        return parser()

    def run(self, call: Call) -> Any:
        """Run the command of the line."""
        self.refuse_body(call)
        command, arguments = parser().parse_words(call.words)
        commands: Dict[str, Callable[[Call, Namespace], Any]] = {
            "": self._show,
            "write": self._write,
            "check": self._check,
            "forget": self._forget,
            "where": self._where,
            "auto": self._auto,
            "help": self._list_commands,
        }
        return commands[command](call, arguments)

    # ------------------------------------------------------------------ showing
    def _show(self, call: Call, arguments: Namespace) -> Tuple[Row, ...]:
        """Show the state of each line, where it is saved, and the next command."""
        lines, source = self.session.lines()
        recorded = verdicts(lines, self.host) if lines is not None else ()
        pending = verdicts([step_line(step) for step in self.session.pending.steps], self.host)
        if not recorded and not pending:
            text = "Nothing is remembered yet. For instance: %pin numpy==2.1.3"
            say(text, "Commands: %setup help")
            return ()
        head = f"Setup cell, {source}:" if recorded else "Not in the notebook yet:"
        gap = (("", "", ""),) if recorded and pending else ()
        show(Report((head,), (*recorded, *gap, *pending), (self._next(recorded, bool(pending)),)))
        return (*recorded, *pending)

    def _next(self, recorded: Tuple[Row, ...], pending: bool) -> str:
        if pending and self.session.site.kind == "terminal":
            return "Keep them: type %setup write NOTEBOOK.ipynb"
        if pending and recorded:
            return "Keep them: run the setup cell, which adds what is new to itself"
        if pending:
            return "Keep them: type %setup write in an empty first cell"
        if any(row[0] == "differs" for row in recorded):
            return "Bring it back: run the setup cell"
        return "Commands: %setup help"

    def _check(self, call: Call, arguments: Namespace) -> Tuple[Row, ...]:
        """Check every line; with ``--strict`` raise unless all hold."""
        rows = self._show(call, arguments)
        failed = [row[1] for row in rows if row[0] != "ok"]
        if failed and arguments.strict:
            raise SetupDiffers(
                f"{len(failed)} of {len(rows)} lines of the setup cell do not hold: "
                f"{'; '.join(failed)}.",
                "Run the setup cell, or edit the line.",
            )
        return rows

    def _where(self, call: Call, arguments: Namespace) -> Any:
        """Show which notebook this is, by which evidence, and how the setup cell gets into it."""
        site = self.session.site
        evidence, path = place(self.host, site).evidence, notebook_file(self.host, site)
        holder = held_by(path) if path else None
        writer, reasons = self.session.writers()
        way = f"by {writer.name}" if writer else "not at once; type %setup write in an empty cell"
        rows = [
            ("runs in", site.kind, site.evidence),
            ("notebook", str(path or "not known"), evidence),
            ("file", "left alone" if holder else "closed, or not known", holder or ""),
            ("setup cell", way, ""),
            *(("", f"not by {name}", reason) for name, reason in reasons),
        ]
        show(Report((), tuple(rows)))
        return writer.name if writer else None

    def _list_commands(self, call: Call, arguments: Namespace) -> None:
        """Show each command in a line."""
        rows = [("%setup", "Show each line: ok, differs, cannot tell.")]
        for command in parser().commands.values():
            rows.append((" ".join(command.format_usage().split()[1:]), str(command.description)))
        show(Report((), tuple(rows), ("Options: %setup --help",)))

    # ------------------------------------------------------------------ changing
    def _write(self, call: Call, arguments: Namespace) -> Any:
        """Put the lines into this cell, or into a notebook on disk."""
        if arguments.notebook:
            return self._write_file(Path(arguments.notebook).expanduser())
        if arguments.all:
            self.session.pending.adopt()
        writer = self.session.writer()
        if writer is not None and writer.kept_by:
            say(f"Setup cell: kept by {writer.kept_by}")
        elif self.session.site.kind == "executor":
            say("Setup cell: nothing is written while an executor runs the notebook")
        else:
            self.session.writing = True
        return None

    def _write_file(self, path: Path) -> Any:
        entries = self.session.take()
        if not entries:
            raise usage_error(
                "%setup write: nothing to write.", "First: %pin, %drive mount ...", code="no-lines"
            )
        try:
            record = write(FileWriter(path, is_setup), entries, path.name)
        except BaseException:
            self.session.pending.entries.extend(entries)
            raise
        changes = ", ".join(record.changes) or "all of it was there already"
        say(f"Setup cell: saved in {path.name}: {changes}")
        return record

    def _forget(self, call: Call, arguments: Namespace) -> List[str]:
        """Remove lines from the setup cell, and from what is pending."""
        if bool(arguments.step) == arguments.all:
            raise usage_error("%setup forget: which line?", "Name it (numpy, drive), or --all.")
        removed = self._remove(arguments.step)
        if removed:
            say(f"forgotten: {', '.join(removed)}")
        elif forget(self.session.lines()[0] or [], arguments.step)[1]:
            target = "it" if arguments.all else "its line"
            say(f"To remove it from the setup cell, delete {target}.")
        else:
            name = " ".join(arguments.step) or "anything"
            raise usage_error(f"%setup forget: no line for {name}.", "See %setup.", code="no-line")
        if arguments.all:
            self.session.forget_setup_cell()
        return removed

    def _remove(self, selector: List[str]) -> List[str]:
        removed: List[str] = self.session.edit(lambda lines: forget(lines, selector))
        return removed

    def _auto(self, call: Call, arguments: Namespace) -> Any:
        """Turn recording on or off in this notebook."""
        if arguments.state == "off":
            return self.apply_step(AutoOff(), call)
        self._remove(["auto"])
        say("Recording is on in this notebook.")
        return None
