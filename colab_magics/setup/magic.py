"""``%setup``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from ..core.arguments import Parser
from ..core.display import Report
from ..core.errors import SetupDiffers, usage_error
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from ..notebook.locate import place
from ..notebook.servers import held_by
from ..notebook.writers.file import FileWriter
from ..record.auto_off import AutoOff
from ..record.cell import is_setup, step_line
from ..record.merge import forget
from ..record.record import write
from .magic_status import Row, verdicts

_HELP = """\
%setup                     each remembered line: ok, differs, cannot tell
%pin numpy==2.1.3          remember a package
%drive mount               remember the drive
%cd_persist drive:project  remember the directory
%setup write               turn this (empty, first) cell into the setup cell

%setup write PATH          put the lines into a notebook on disk that nobody has open
%setup write --all         also those typed in another notebook or page on this kernel
%setup check [--strict]    check every line, changing nothing; --strict raises
%setup forget STEP|--all   take lines out: forget numpy, forget drive, forget pin
%setup where               where the setup cell goes from here, and why
%setup auto on|off         remember what magics do, or do not; kept in the notebook"""


class SetupMagic(Magic):
    """Show, check and edit what the notebook remembers of its setup.

    Examples
    --------
    ::

        %setup                    # each line: ok, differs, cannot tell
        %setup write              # turn this (empty, first) cell into the setup cell
        %setup write other.ipynb  # put the lines into a notebook that nobody has open
        %setup check --strict     # raise unless every line holds
        %setup forget numpy       # take one line out (also: drive, gpu, cd_persist, pin)
        %setup forget --all
        %setup auto off           # remember nothing more in this notebook
        %setup help
    """

    name = "setup"
    offers = ("write", "check", "forget", "auto", "where", "help", "--strict", "--all", "on", "off")

    def run(self, call: Call) -> Any:
        """Do what the first word says."""
        self.no_body(call)
        commands: Dict[str, Callable[[Call, List[str]], Any]] = {
            "write": self.write,
            "check": self.check,
            "forget": self.forget,
            "where": self.where,
            "auto": self.auto,
            "help": lambda call, words: say(*_HELP.split("\n")),
        }
        if not call.words:
            return self.bare(call)
        if call.words[0] not in commands:
            raise usage_error(f"%setup: there is no {call.words[0]}.", "Type %setup help.")
        return commands[call.words[0]](call, list(call.words[1:]))

    # ------------------------------------------------------------------ showing
    def bare(self, call: Call) -> Any:
        """Each line and how it stands, where it is saved, and what to type next."""
        lines, where = self.session.lines()
        found = verdicts(lines, self.host) if lines is not None else ()
        held = verdicts([step_line(step) for step, _ in self.session.pending], self.host)
        if not found and not held:
            text = "Nothing is remembered yet. For instance: %pin numpy==2.1.3"
            say(text, "Commands: %setup help")
            return ()
        head = f"Setup cell, {where}:" if found else "Not in the notebook yet:"
        both = [*found, *(("", "", ""),) * bool(found and held), *held]
        show(Report((head,), tuple(both), (self._next(found, bool(held)),)))
        return (*found, *held)

    def _next(self, found: Tuple[Row, ...], pending: bool) -> str:
        if pending and self.session.site.kind == "terminal":
            return "Keep them: type %setup write NOTEBOOK.ipynb"
        if pending and found:
            return "Keep them: run the setup cell, it takes in what is new"
        if pending:
            return "Keep them: type %setup write in an empty first cell"
        if any(row[0] == "differs" for row in found):
            return "Bring it back: run the setup cell"
        return "Commands: %setup help"

    def where(self, call: Call, words: List[str]) -> Any:
        """Which notebook this is, by which evidence, and how the setup cell gets into it."""
        site = self.session.site
        found = place(self.host, site)
        holder = held_by(found.path) if found.path else None
        writer, reasons = self.session.writers()
        how = f"by {writer.name}" if writer else "not at once; type %setup write in an empty cell"
        file = (str(found.path) if found.path else "not known", found.evidence)
        rows = [
            ("runs in", site.kind, site.evidence),
            ("notebook", *file),
            ("file", "left alone" if holder else "closed, or not known", holder or ""),
            ("setup cell", how, ""),
            *(("", f"not by {name}", reason) for name, reason in reasons),
        ]
        show(Report((), tuple(rows)))
        return writer.name if writer else None

    def check(self, call: Call, words: List[str]) -> Any:
        """Check every line; with ``--strict`` raise unless all hold."""
        parser = Parser("%setup check")
        parser.add_argument("--strict", action="store_true")
        strict = parser.parse_args(words).strict
        found = self.bare(call)
        if strict:
            raise_if_differing(found)
        return found

    # ------------------------------------------------------------------ changing
    def write(self, call: Call, words: List[str]) -> Any:
        """Put the lines into this cell, or into a notebook on disk."""
        if words == ["--all"]:
            self.session.held.adopt()
        elif words:
            return self._write_file(Path(words[0]).expanduser(), words[1:])
        kind = self.session.site.kind
        if kind == "run":
            say("Setup cell: kept by colab-magics run")
        elif kind == "executor":
            say("Setup cell: nothing is written while an executor runs the notebook")
        else:
            self.session.writing = True
        return None

    def _write_file(self, path: Path, rest: List[str]) -> Any:
        if rest:
            raise usage_error("%setup write takes one notebook.", "Quote a path with spaces.")
        entries = self.session.take()
        if not entries:
            raise usage_error("%setup write: nothing to write.", "First: %pin, %drive mount ...")
        try:
            record = write(FileWriter(path, is_setup), entries, path.name)
        except BaseException:
            self.session.pending.extend(entries)
            raise
        what = ", ".join(record.changes) or "all of it was there already"
        say(f"Setup cell: saved in {path.name}: {what}")
        return record

    def forget(self, call: Call, words: List[str]) -> Any:
        """Take lines out of the setup cell, and out of what is pending."""
        parser = Parser("%setup forget", usage="%setup forget STEP [NAME] | --all")
        parser.add_argument("step", nargs="*")
        parser.add_argument("--all", action="store_true")
        found = parser.parse_args(words)
        if bool(found.step) == found.all:
            raise usage_error("%setup forget: which line?", "Name it (numpy, drive), or --all.")
        gone = self._drop(found.step)
        if gone:
            say(f"forgotten: {', '.join(gone)}")
        elif forget(self.session.lines()[0] or [], found.step)[1]:
            say("To take it out of the setup cell, delete " + ("it." if found.all else "its line."))
        else:
            raise usage_error(f"%setup forget: no line for {' '.join(found.step)}.", "See %setup.")
        if found.all:
            self.session.forget_cell()
        return gone

    def _drop(self, selector: List[str]) -> List[str]:
        """Take lines out of what is pending, and out of the notebook where it can be written."""
        gone: List[str] = self.session.edit(lambda lines: forget(lines, selector))
        return gone

    def auto(self, call: Call, words: List[str]) -> Any:
        """Turn remembering on or off in this notebook."""
        if words == ["off"]:
            return self.perform(AutoOff(), call)
        if words != ["on"]:
            raise usage_error("%setup auto: on or off?", "Type %setup auto off to stop.")
        self._drop(["auto"])
        say("Recording is on in this notebook.")
        return None


def differing(found: Tuple[Row, ...]) -> List[str]:
    """The lines that do not hold, or of which it cannot be told."""
    return [row[1] for row in found if row[0] in {"differs", "cannot tell"}]


def raise_if_differing(found: Tuple[Row, ...]) -> None:
    """`SetupDiffers` unless every line holds."""
    bad = differing(found)
    if bad:
        raise SetupDiffers(
            f"{len(bad)} of {len(found)} lines of the setup cell do not hold: {'; '.join(bad)}.",
            "Run the setup cell, or edit the line.",
        )
