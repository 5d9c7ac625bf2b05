"""``%setup``."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from ..core.arguments import Parser, complete_folder, find_meant
from ..core.display import Report
from ..core.errors import usage_error
from ..extension.magic import Call, Magic
from ..extension.notices import misplaced
from ..extension.output import say, show
from ..extension.session import GONE
from ..notebook.comm import remedy
from ..notebook.locate import locate_notebook
from ..notebook.reading import name_in_colab, notebook_file, read_layout, read_stored
from ..notebook.servers import held_by
from ..notebook.writers.base import Writer
from ..notebook.writers.file import FileWriter
from ..record.cell import Line, brief, is_setup, parse, render, step_line
from ..record.merge import forget, list_selectors, merge
from ..record.record import write
from .card import Plan
from .check import Checkup
from .diff import Diff, compare
from .doctor import Diagnosis
from .editor import ask_page, describe, elsewhere, show_value, step_of
from .magic_adopt import adopt
from .magic_made_on import describe_move
from .magic_revive import revive
from .magic_status import Row, judge, verdicts
from .step import AutoOff, parser


class SetupMagic(Magic):
    """Show, check and edit what the notebook remembers of its setup.

    Examples
    --------
    ::

        %setup                    # each line: ok, differs, unknown
        %setup write              # turn this (empty, first) cell into the setup cell
        %setup write other.ipynb  # put the lines into a notebook that nobody has open
        %setup check              # and what has changed: Python, GPU, files, upstream; or --json
        %setup check --strict     # raise unless every line holds
        %setup plan               # what it would do: installs, servers, secrets, places; or --json
        %setup diff other.ipynb   # compare with another notebook's setup; or --json
        %setup doctor             # what a bug report needs, without secrets; or --json
        %setup forget numpy       # remove a line (also: drive, gpu, cd_persist, pin)
        %setup forget --all
        %setup adopt --dry-run    # what hand-written cells become; without it, put that on top
        %setup adopt 2 3 --installed       # cells 2 and 3, with the versions that are here; --undo
        %setup adopt other.ipynb --replace # a file; the old lines become comments
        %setup revive --as-of 2020-07-11   # a line with which an old notebook runs again; --apply
        %setup export dockerfile -o Dockerfile   # also requirements, shell, binder, ray, ...
        %setup import requirements.txt     # also pylock.toml, environment.yml, another notebook
        %setup apply --on dask://10.0.0.5:8786   # the same on every worker; or --on client
        %setup apply --on ray://10.0.0.5:10001   # also auto, ray, ipyparallel; or --json
        %setup auto off           # remember nothing more in this notebook
        %setup where              # where a line goes from here; -v: why
        %setup editor --theme dark --font-size 14   # of this page; not recorded; --reset undoes it
    """

    name = "setup"
    dry_run_commands = ("", "adopt", "import")

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
            "plan": self._plan,
            "diff": self._diff,
            "doctor": self._doctor,
            "forget": self._forget,
            "where": self._where,
            "auto": self._auto,
            "adopt": partial(adopt, self),
            "revive": partial(revive, self),
            "export": self._export,
            "import": self._import,
            "apply": self._apply,
            "editor": self._editor,
            "help": self._list_commands,
        }
        return commands[command](call, arguments)

    def complete(self, line: str, symbol: str) -> List[str]:
        """See `Magic`; behind ``diff`` and ``adopt`` add notebooks, behind ``forget`` the pins and
        kinds of lines that are known here.
        """
        words = super().complete(line, symbol)
        if line.split()[1:2] in (["diff"], ["adopt"]):
            return [*words, *complete_folder(symbol, self.host, ".ipynb")]
        if line.split()[1:2] != ["forget"]:
            return words
        text = self.session.setup_texts.get(self.host.client, "")  # nobody is asked by Tab
        names = list_selectors([*parse(text), *map(step_line, self.session.unsaved)])
        return [*words, *(name for name in names if name.startswith(symbol))]

    # ------------------------------------------------------------------ showing
    def _show(
        self, call: Call, arguments: Namespace, checkup: Optional[Checkup] = None
    ) -> Tuple[Row, ...]:
        """Show the state of each line, where it is saved, and the next command.

        A check that was made says what the lines came to, and itself what has changed.
        """
        judge_step = judge if checkup is None else checkup.judge
        lines, source = self.session.lines()
        recorded = verdicts(lines, self.host, judge_step) if lines is not None else ()
        pending = verdicts(self._pending_lines(lines or ()), self.host, judge_step)
        if not recorded and not pending:
            text = "Nothing is remembered yet. For instance: %pin numpy==2.1.3"
            say(text, "Commands: %setup help")
            return ()
        head = f"Setup cell, {source}:" if recorded else "Not in the notebook yet:"
        place = misplaced(read_layout(self.host, self.session.site, is_setup))
        head = "\n".join(filter(None, [place, head]))
        gap = (("", "Not in the notebook yet:", ""),) if recorded and pending else ()
        after = "Bring it back: %setup write" if source == GONE else ""
        after = after or self._next(recorded, bool(pending))
        rows = (*recorded, *gap, *pending)
        after_lines = (*(() if checkup else self._describe_move()), after)
        show(Report(tuple(head.split("\n")), rows, after_lines, ("state", "line", "why")))
        return (*recorded, *pending)

    def _describe_move(self) -> Tuple[str, ...]:
        made_on = read_stored(self.host, self.session.site, "made_on")
        return describe_move(made_on, self.host)

    def _next(self, recorded: Tuple[Row, ...], pending: bool) -> str:
        if pending and self.session.site.kind == "terminal":
            return "Keep them: type %setup write NOTEBOOK.ipynb"
        if pending and self.session.site.kind == "front end":
            return "Keep them: %setup write prints the cell, to be copied"
        if pending and recorded:
            return "Keep them: run the setup cell, which adds what is new to itself"
        if pending:
            return "Keep them: type %setup write in an empty first cell"
        if any(row[0] == "differs" for row in recorded):
            return "Bring it back: run the setup cell"
        return "Commands: %setup help"

    def _pending_lines(self, lines: Sequence[Line]) -> List[Line]:
        """Return the lines that are not in the notebook yet, where the setup cell has these."""
        steps = [x for x in self.session.pending.steps if merge(lines, [(x, "")])[1]]
        return list(map(step_line, steps))

    def _check(self, call: Call, arguments: Namespace) -> Checkup:
        """Check every line; with ``--strict`` raise unless all hold."""
        from .magic_check import Recorded, check  # slow to import, and not needed by the others

        lines, site = self.session.lines()[0] or [], self.session.site
        lock, made_on = (read_stored(self.host, site, name) for name in ("lock", "made_on"))
        recorded = Recorded(lock, made_on)
        checkup = check([*lines, *self._pending_lines(lines)], recorded, self.host)
        if arguments.json:
            print(json.dumps(checkup.as_json(), indent=1))
        else:
            self._show(call, arguments, checkup)
            changes = checkup.changes_table()
            show(changes) if str(changes) else None
        error = checkup.error() if arguments.strict else None
        if error is not None:
            raise error
        return checkup

    def _plan(self, call: Call, arguments: Namespace) -> Plan:
        """Show what the lines would do."""
        from .magic_trust import make_plan  # slow to import

        lines = self.session.lines()[0] or []
        lines = [*lines, *self._pending_lines(lines)]
        plan = make_plan(lines, self.host, read_stored(self.host, self.session.site, "trust"))
        print(json.dumps(plan.as_json(), indent=1)) if arguments.json else show(plan.report())
        return plan

    def _diff(self, call: Call, arguments: Namespace) -> Diff:
        """Show how the set-up of another notebook differs from this one's."""
        from .magic_diff import make_setup, read_setup  # slow to import

        path = self.host.resolve(self.host.spell_typed(arguments.notebook))
        lines = self.session.lines()[0] or []
        lock = read_stored(self.host, self.session.site, "lock")
        here = make_setup("this notebook", [*lines, *self._pending_lines(lines)], lock)
        diff = compare(here, read_setup(path))
        if arguments.json:
            print(json.dumps(diff.as_json(), indent=1))
        else:
            for report in diff.reports():
                show(report)
        return diff

    def _doctor(self, call: Call, arguments: Namespace) -> Diagnosis:
        """Show what a bug report needs, without secrets."""
        from .magic_doctor import examine  # slow to import

        diagnosis = examine(self.host, self.session)
        if arguments.json:
            print(json.dumps(diagnosis.as_json(), indent=1))
        else:
            show(diagnosis.report())
        return diagnosis

    def _where(self, call: Call, arguments: Namespace) -> Any:
        """Show where a line goes from here; with ``-v`` which notebook this is, and why."""
        writer, reasons = self.session.writers()
        rows = self._trace(writer, reasons) if arguments.verbose else ()
        text, action = self._place_in_words(writer)
        show(Report((text,), tuple(rows), (action,), ("", "", "why") if rows else ()))
        return writer.name if writer else None

    def _trace(self, writer: Optional[Writer], reasons: Sequence[Tuple[str, str]]) -> List[Row]:
        site = self.session.site
        evidence, path = locate_notebook(self.host, site).evidence, notebook_file(self.host, site)
        holder = held_by(path) if path else None
        return [
            ("runs in", site.kind, site.evidence),
            ("notebook", str(path or name_in_colab(self.host, site) or "not known"), evidence),
            ("file", "left alone" if holder else "closed, or not known", holder or ""),
            ("setup cell", f"by {writer.name}" if writer else "waits", ""),
            *(("", f"not by {name}", reason) for name, reason in reasons),
        ]

    def _place_in_words(self, writer: Optional[Writer]) -> Tuple[str, str]:
        """Return where a line goes from here, and what to type or to do."""
        kind = self.session.site.kind
        if writer is not None and writer.kept_by:
            return f"{writer.kept_by} writes the setup cell when the run ends.", "See it: %setup"
        if writer is not None:
            text = f"A line that you run goes into the setup cell, {writer.target}, at once."
            return text, "See it: %setup"
        if kind == "executor":
            text = "Nothing is written while an executor runs the notebook."
            return text, "To keep lines, run it by: colab-magics run NOTEBOOK.ipynb"
        if kind == "jupyter":
            text = "A line that you run waits in this kernel: this page does not take it."
            action = remedy(self.host)
            return text, f"{action[0].upper()}{action[1:]}. Or type %setup write in an empty cell"
        text = "A line that you run waits in this kernel until you ask for the setup cell."
        return text, self._next((), True)

    def _list_commands(self, call: Call, arguments: Namespace) -> None:
        """Show each command in a line."""
        rows = [("%setup", "Show each line: ok, differs, unknown.")]
        for command in parser().commands.values():
            rows.append((" ".join(command.format_usage().split()[1:]), str(command.description)))
        show(Report((), tuple(rows), ("Options: %setup --help",)))

    # ------------------------------------------------------------------ changing
    def _write(self, call: Call, arguments: Namespace) -> Any:
        """Put the lines into this cell, or into a notebook on disk."""
        if arguments.notebook:
            return self._write_file(Path(arguments.notebook).expanduser())
        if arguments.all:
            # Lines of another page go into the setup cell that this notebook may still have.
            self.session.restoring = not self.session.pending.elsewhere
            self.session.pending.adopt()
        writer = self.session.writer()
        if writer is not None and writer.kept_by:
            say(f"Setup cell: {writer.kept_by} writes it when the run ends")
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
            record = write(FileWriter(path, is_setup), entries, path)
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
        removed = list(dict.fromkeys([*removed, *self._remove_gone(arguments.step)]))
        if removed:
            say(f"forgotten: {brief(', '.join(removed))}")
        elif forget(self.session.lines()[0] or [], arguments.step)[1]:
            target = "it" if arguments.all else "its line"
            say(f"To remove it from the setup cell, delete {target}.")
        else:
            name = " ".join(arguments.step) or "anything"
            known = [*(self.session.lines()[0] or ()), *map(step_line, self.session.unsaved)]
            raise usage_error(
                f"%setup forget: no line for {name}.",
                "Name a package, or a kind of line (drive, gpu, pin); %setup shows them.",
                code="no-line",
                slip=find_meant(name, list_selectors(known)),
            )
        if arguments.all:
            self.session.forget_setup_cell()
        return removed

    def _remove_gone(self, selector: List[str]) -> List[str]:
        """Remove lines of a setup cell that was deleted, so that they are not brought back.

        Without a selector all of it goes, also lines of the user's own: they are deleted already.
        """
        lines, source = self.session.lines()
        if source != GONE:
            return []
        if not selector:
            return [line.text for line in lines or () if line.step] or ["the setup cell"]
        rest, changes = forget(lines or [], selector)
        self.session.setup_texts[self.host.client] = render(rest)
        return list(changes)

    def _remove(self, selector: List[str]) -> List[str]:
        removed: List[str] = self.session.edit(lambda lines: forget(lines, selector))
        return removed

    def _export(self, call: Call, arguments: Namespace) -> Any:
        """Show this notebook's set-up in a format, or write it."""
        from .magic_export import export  # slow to import

        known = self.session.lines()[0] or []
        return export(self, [*known, *self._pending_lines(known)], arguments)

    def _import(self, call: Call, arguments: Namespace) -> Any:
        """Put the lines of another set-up into the setup cell."""
        from .magic_import import import_lines  # slow to import

        return import_lines(self, call, arguments)

    def _apply(self, call: Call, arguments: Namespace) -> Any:
        """Set up the workers of an engine like this notebook; raise unless all of it holds."""
        from .magic_apply import apply  # slow to import

        known = self.session.lines()[0] or []
        applied = apply(self, [*known, *self._pending_lines(known)], call, arguments)
        if arguments.json:
            print(json.dumps(applied.as_json(), indent=1))
        error = applied.error()
        if error is not None:
            raise error
        return applied

    def _auto(self, call: Call, arguments: Namespace) -> Any:
        """Turn recording on or off in this notebook."""
        if arguments.state == "off":
            return self.apply_step(AutoOff(), call)
        self._remove(["auto"])
        say("Recording is on in this notebook.")
        return None

    def _editor(self, call: Call, arguments: Namespace) -> Any:
        """Show, set or put back settings of the page; they are recorded only with ``--record``."""
        step = step_of(arguments)
        if step is not None:
            flags = call.flags if arguments.record else (*call.flags, "no_record")
            return self.apply_step(step, replace(call, flags=flags))
        obstacle = elsewhere(self.host)
        if obstacle:
            return say(obstacle)
        page = ask_page(self.host, reset=arguments.reset)
        names = ("theme", "indent", "font_size", "line_numbers")
        if arguments.reset:
            state = "as before %setup editor" if page["undone"] else "nothing to undo"
            return say(f"Editor: {state}: {describe(page, names)}")
        rows = tuple((name.replace("_", " "), show_value(page[name])) for name in names)
        themes = f"Themes: dark, light, {', '.join(map(str, page['themes']))}"
        show(Report(("Editor settings of this page:",), rows, (themes, _EDITOR)))
        return rows


_EDITOR = "Change: %setup editor --theme dark --indent 4 --font-size 14 --line-numbers on"
