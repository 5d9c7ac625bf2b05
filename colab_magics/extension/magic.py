"""The base class of magics: a line is parsed, its step applied, the outcome shown."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, List, Optional, Tuple

from ..core.arguments import Parser, split
from ..core.display import Report
from ..core.errors import usage_error
from ..core.host import Host
from ..core.steps import Outcome, Step, apply_step, parse
from .output import Status

if TYPE_CHECKING:
    from .session import Session


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

    def __init__(self, session: Session) -> None:
        self.session = session
        self.host: Host = session.host

    def __call__(self, line: str, cell: Optional[str] = None) -> Any:
        """Run one use of the magic; return its result where ``-o`` asks for it."""
        parts = split(line)
        if "help" in parts.flags:
            print(self.help())  # as text, in which columns stay aligned
            return None
        for flag in {"restart", "keep_going", "no_lock"} & {*parts.flags} - {*self.own_flags}:
            raise usage_error(
                f"%{self.name} has no option --{flag.replace('_', '-')}.",
                f"Type %{self.name}? for help.",
                code="unknown-option",
            )
        call = Call(tuple(parts.words), parts.flags, parts.comment, cell)
        result = self.run(call)
        return result if "output" in call.flags else None

    def run(self, call: Call) -> Any:
        """Do what the line says; by default: the step that it means."""
        self.refuse_body(call)
        step = parse(self.name, call.words)
        return self.bare(call) if step is None else self.apply_step(step, call)

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
            outcome = apply_step(step, self.host, status)
        status.done(None if quiet else self.report(outcome, call))
        for hook in self.session.hooks:
            hook.step_ended(step, outcome, call.flags)
        if outcome.step is not None and "no_record" not in call.flags:
            self.session.remember(outcome.step)
        if outcome.error is not None:
            self.stop(outcome.error, call)
        return outcome

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
        """Return the help: the docstring, then usage and options from the tree."""
        return f"{inspect.cleandoc(cls.__doc__ or '')}\n\n{cls.parser().format_tree()}"

    def complete(self, line: str, symbol: str) -> List[str]:
        """Return what Tab offers for a half-typed word."""
        words = line.split()[1:]
        return self.parser().complete(words[:-1] if symbol else words, symbol)
