"""What ``setup check`` comes to, as data: each line, and what else is not as it was recorded.

As JSON it is one object: ``schema`` and ``format`` are 1, ``state`` is ``ok``, ``differs`` or
``unknown``, the worst of the lines' states (``differs`` is worse than ``unknown``). ``lines`` has
an object for each line with ``line``, ``state`` and ``reason``; ``changes`` one for each value that
was recorded of something outside the notebook, with the fields of `Change`. Changes do not count in
the object's ``state``: where a line depends on one, the line differs.
"""

from __future__ import annotations

import re
import time
from contextvars import copy_context
from dataclasses import asdict, dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from ..core.display import Mark, Report, printable
from ..core.errors import SetupDiffers
from ..core.host import Host
from ..core.process import within
from ..core.redact import redact
from ..core.steps import Change, Step, Verdict, VerdictState
from ..record.cell import Line, brief
from .magic_status import Judge, judge, judge_lines, row

#: Seconds for one line (a large file is hashed), for what it recorded, and for all of it.
LINE, RECORDED, ALL = 30.0, 15.0, 60.0
#: The most rows of a table of changes, and of lines in an error.
_ROWS, _NAMES = 12, 8
_COMMIT = re.compile(r"([0-9a-f]{7})[0-9a-f]{33,57}")


@dataclass(frozen=True)
class CheckedLine:
    """A line of the setup cell, without secrets, and how it stands."""

    line: str
    state: VerdictState
    reason: str


@dataclass(frozen=True)
class Checkup:
    """How a setup cell stands on this machine."""

    lines: Tuple[CheckedLine, ...]
    changes: Tuple[Change, ...] = ()
    #: What the steps came to, so that none is checked twice.
    verdicts: Dict[Step, Verdict] = field(default_factory=dict, repr=False, compare=False)

    @property
    def state(self) -> VerdictState:
        """The worst state of a line; ``ok`` where there is none."""
        states = {line.state for line in self.lines}
        return "differs" if "differs" in states else "unknown" if "unknown" in states else "ok"

    @property
    def differences(self) -> Tuple[Change, ...]:
        """The changes that are known."""
        return tuple(change for change in self.changes if change.state == "differs")

    def judge(self, step: Step, host: Host) -> Verdict:
        """Return what a step came to."""
        return self.verdicts.get(step) or judge(step, host)

    def as_json(self) -> Dict[str, Any]:
        """Return it as the object that this module describes."""
        lines = [{key: printable(x) for key, x in asdict(line).items()} for line in self.lines]
        changes = [{k: printable(x) for k, x in asdict(each).items()} for each in self.changes]
        return {"schema": 1, "format": 1, "state": self.state, "lines": lines, "changes": changes}

    def table(self) -> Report:
        """Return the lines as a table."""
        rows = [row(x.line, Verdict(x.state, x.reason)) for x in self.lines]
        return Report(("In this environment:",), tuple(rows), (), ("state", "line", "why"))

    def changes_table(self) -> Report:
        """Return what has changed as a table, with a line that names what has not."""
        rows = [_change_row(x) for x in self.changes if x.state != "same" or x.note]
        same = [x for x in self.changes if x.state == "same" and not x.note]
        more = len(rows) - _ROWS
        after = [f"and {more} more: --json has them all"] if more > 0 else []
        if same:
            others = f" and {len(same) - _ROWS} more" if len(same) > _ROWS else ""
            names = ", ".join(f"{x.name} {_brief(x.recorded)}" for x in same[:_ROWS])
            after.append(f"As recorded: {names}{others}")
        if not rows:
            return Report(tuple(after))
        head = ("changed", "recorded", "now", "note")
        return Report((), tuple(rows[:_ROWS]), tuple(after), head)

    def error(self) -> Optional[SetupDiffers]:
        """Return the error of ``--strict``; None where each line holds."""
        differing = tuple(brief(x.line) for x in self.lines if x.state == "differs")
        unknown = tuple(brief(x.line) for x in self.lines if x.state == "unknown")
        if not differing and not unknown:
            return None
        bad, verb = (differing, "differ") if differing else (unknown, "cannot be checked")
        names = "; ".join(bad[:_NAMES]) + (f" and {len(bad) - _NAMES} more" if bad[_NAMES:] else "")
        error = SetupDiffers(
            f"{len(bad)} of {len(self.lines)} lines of the setup cell {verb}: {names}.",
            "Run the setup cell, or edit the line.",
            code="setup-differs" if differing else "setup-unknown",
        )
        error.lines, error.unknown = differing, unknown
        error.changes = tuple(change.name for change in self.differences)
        return error


def _change_row(change: Change) -> Tuple[str, ...]:
    name = Mark.of(change.name, "caution" if change.state == "differs" else "quiet")
    nothing = "none" if change.state == "differs" else "not known"
    return name, _brief(change.recorded), _brief(change.now) or nothing, change.note


def _brief(text: str) -> str:
    """Return a hash or a commit by its first digits."""
    return brief(_COMMIT.sub(r"\1", text)) if len(text) == 40 else brief(text)


# ---------------------------------------------------------------------- checking
class TimeBox:
    """The time for a whole check; it runs each part in a thread of its own, which may hang."""

    def __init__(self, seconds: float = ALL) -> None:
        self._until = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._until

    def run(self, limit: float, call: Callable[[], Any]) -> Any:
        """Return what a call returns; `TimeoutError` where it takes too long, or none is left."""
        if self.is_over:
            raise TimeoutError("the time for all of it is over")
        context = copy_context()  # a kernel finds the request that it answers in it
        left = max(self._until - time.monotonic(), 0.1)
        return within(min(limit, left), lambda: context.run(call))


def check_lines(lines: Sequence[Line], host: Host, box: TimeBox) -> Checkup:
    """Check lines, and compare what they have recorded; nothing is changed, no error raised."""
    verdicts: Dict[Step, Verdict] = {}

    def judge_step(step: Step, host: Host) -> Verdict:
        verdicts[step] = _judge_within(step, host, box)
        return verdicts[step]

    checked = list(_check_each(lines, host, judge_step))
    changes: List[Change] = []
    for line in lines:
        if line.step is not None and verdicts.get(line.step, _UNKNOWN).state != "unknown":
            changes += _compare_within(line.step, line.comment, host, box)
    return Checkup(tuple(checked), tuple(changes), verdicts)


_UNKNOWN = Verdict("unknown", "")


def _check_each(lines: Sequence[Line], host: Host, judge: Judge) -> Iterator[CheckedLine]:
    for text, verdict in judge_lines(lines, host, judge):
        reason = verdict.message.split("\n")[0]
        yield CheckedLine(redact(text.replace(" \\\n   ", "")), verdict.state, redact(reason))


def _judge_within(step: Step, host: Host, box: TimeBox) -> Verdict:
    if step.asks_page:  # which has a time box of its own
        return judge(step, host)
    try:
        verdict: Verdict = box.run(LINE, lambda: judge(step, host))
        return verdict
    except TimeoutError as error:
        return Verdict("unknown", str(error))
    except Exception as error:  # a step of another package
        return Verdict("unknown", f"its check failed: {type(error).__name__}")


def _compare_within(step: Step, comment: str, host: Host, box: TimeBox) -> Sequence[Change]:
    """Return the changes of a line; none where it cannot be compared: the line itself says why."""
    if type(step).compare is Step.compare:  # it records nothing: no thread is needed
        return ()
    try:
        if step.compare_ends:
            return () if box.is_over else step.compare(host, comment)
        changes: Sequence[Change] = box.run(RECORDED, lambda: step.compare(host, comment))
        return changes
    except Exception:  # a step of another package, too
        return ()
