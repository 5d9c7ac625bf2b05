"""The base class of magics: a line is parsed, its step applied, the outcome shown."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, List, Optional, Sequence, Tuple

from ..core.arguments import Parser, Split, correcting, is_harmless, split
from ..core.display import Preformatted, Report
from ..core.errors import usage_error
from ..core.host import Host
from ..core.steps import Outcome, Step, apply_step, parse
from .output import Status, show

if TYPE_CHECKING:
    from .session import Session

#: What marks up a docstring: literals, the line below a heading, and what begins an example.
_MARKUP = re.compile(r"``|(?m:^-{3,}\n(?:::\n\n)?)")


@dataclass(frozen=True)
class Call:
    """One use of a magic: its words, the common flags, the trailing comment, the cell's body."""

    words: Tuple[str, ...]
    flags: Tuple[str, ...] = ()
    comment: str = ""
    body: Optional[str] = None


class Magic:
    """One magic. A subclass has a docstring (its help, with examples), `name` and `run`."""

    name: ClassVar[str]
    #: Flags that this magic understands and others do not.
    own_flags: ClassVar[Tuple[str, ...]] = ()
    #: The commands that change nothing with ``--dry-run``; the empty one is a line without command.
    dry_run_commands: ClassVar[Tuple[str, ...]] = ("",)
    #: The kind of what Tab offers beside commands, options and folders, in a word.
    completes: ClassVar[str] = "name"

    def __init__(self, session: Session) -> None:
        self.session = session
        self.host: Host = session.host

    def __call__(self, line: str, cell: Optional[str] = None) -> Any:
        """Run one use of the magic; return its result where ``-o`` asks for it."""
        typed = f"{'%' if cell is None else '%%'}{self.name} {line}"
        with correcting(typed, self.session.running, self.may_repeat):
            return self._run_line(line, cell)

    def may_repeat(self, line: str) -> bool:
        """Tell whether a line, as it was meant, may be shown: no secret is in it."""
        return is_harmless(line)

    def _run_line(self, line: str, cell: Optional[str]) -> Any:
        parts = split(line)
        if "help" in parts.flags:
            show(Preformatted(self.help()))
            return None
        self._refuse_flags(parts)
        call = Call(tuple(parts.words), parts.flags, parts.comment, cell)
        result = self.run(call)
        return result if "output" in call.flags else None

    def _refuse_flags(self, parts: Split) -> None:
        """Refuse a common flag that the line does not take."""
        name = f"%{self.name}"
        refused = {"restart", "keep_going", "no_lock"} & {*parts.flags} - {*self.own_flags}
        if "dry_run" in parts.flags:
            command = next((x for x in parts.words[:1] if x in self.parser().commands), "")
            if command not in self.dry_run_commands:  # it would be done
                name, refused = f"{name} {command}".rstrip(), {"dry_run"}
        for flag in refused:
            raise usage_error(
                f"{name} has no option --{flag.replace('_', '-')}.",
                f"Type %{self.name}? for help.",
                code="unknown-option",
            )

    def run(self, call: Call) -> Any:
        """Do what the line says; by default: the step that it means."""
        self.refuse_body(call)
        step = self.parse(call.words)
        return self.bare(call) if step is None else self.apply_step(step, call)

    def parse(self, words: Sequence[str]) -> Optional[Step]:
        """Return the step that a line means, with its paths as they are recorded."""
        step = parse(self.name, words)
        return None if step is None else self.session.locate(step)

    def bare(self, call: Call) -> Any:
        """Show the state, and change nothing."""
        raise usage_error(f"%{self.name}: nothing to do.", f"Type %{self.name}? for examples.")

    def refuse_body(self, call: Call) -> None:
        """Refuse the body of a cell."""
        if call.body is not None and call.body.strip():
            raise usage_error(f"%%{self.name} takes no body.", f"Use %{self.name}, one line.")

    def apply_step(self, step: Step, call: Call) -> Optional[Outcome]:
        """Apply a step, show the outcome, and keep the step for the setup cell."""
        quiet = "quiet" in call.flags
        with Status(self.host, quiet) as status:
            if "dry_run" in call.flags:
                status.done(step.preview(self.host, status))
                return None
            for hook in self.session.hooks:
                hook.step_begins(step)
            outcome = apply_step(step, self.host, status, self._announce)
        status.done(None if quiet else self.report(outcome, call))
        for hook in self.session.hooks:
            hook.step_ended(step, outcome, call.flags)
        if outcome.step is not None and "no_record" not in call.flags:
            self.session.remember(outcome.step)
        if outcome.error is not None:
            self.stop(outcome.error, call)
        return outcome

    def _announce(self, step: Step) -> None:
        for hook in self.session.hooks:
            hook.step_applies(step)

    def stop(self, error: Exception, call: Call) -> None:
        """Raise the error of a step that is done and kept."""
        raise error

    def report(self, outcome: Outcome, call: Call) -> Report:
        """Return what is shown of an outcome."""
        return Report(tuple(text for text in (outcome.message, outcome.hint) if text))

    @classmethod
    def parser(cls) -> Parser:
        """Return the tree of the magic's commands and options."""
        return Parser(f"%{cls.name}")

    @classmethod
    def help(cls) -> str:
        """Return the help: the docstring without its markup, then usage and options."""
        text = _MARKUP.sub("", inspect.cleandoc(cls.__doc__ or ""))
        return f"{text}\n\n{cls.parser().format_tree()}"

    def complete(self, line: str, symbol: str) -> List[str]:
        """Return what Tab offers for a half-typed word."""
        words = line.split()[1:]
        return self.parser().complete(words[:-1] if symbol else words, symbol)
