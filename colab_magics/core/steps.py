"""A step: one line of the setup cell, with what it means on this machine.

A step is its magic line. It can be checked, applied, rendered back, and merged with the
steps that a setup cell already has; it never prints and never waits for a person.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import (
    Callable,
    ClassVar,
    FrozenSet,
    Iterable,
    List,
    Literal,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from .controls import has_controls
from .display import Report
from .errors import usage_error
from .host import Host
from .registry import entry_points, load

VerdictState = Literal["ok", "differs", "cannot tell"]
OutcomeStatus = Literal["unchanged", "applied"]
#: Called with what is going on while a step is applied, in one line; a report stays above them.
Progress = Callable[[Union[str, Report]], None]

#: First word of a line -> the function that reads the other words into a step (or None). Other
#: packages add to it by the entry points ``colab_magics.steps``.
STEPS = {
    **entry_points("colab_magics.steps"),
    "gpu": "colab_magics.gpu.step:parse",
    "secret": "colab_magics.secret.step:parse",
    "drive": "colab_magics.drive.step:parse",
    "github": "colab_magics.github.step:parse",
    "apt": "colab_magics.apt.step:parse",
    "pin": "colab_magics.pin.step:parse",
    "fetch": "colab_magics.fetch.step:parse",
    "env_persist": "colab_magics.env_persist.step:parse",
    "cd_persist": "colab_magics.cd_persist.step:parse",
    "setup": "colab_magics.setup.step:parse",
}


@dataclass(frozen=True)
class Verdict:
    """Whether a step holds on this machine, and the line that says so."""

    state: VerdictState
    message: str


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    ``step`` is what to record, which may say more than what was typed (``%pin torch`` records the
    version), or None for nothing.
    """

    status: OutcomeStatus
    message: str
    step: Optional[Step] = None
    hint: str = ""
    #: Raised after the step was remembered, so that Run All stops here.
    error: Optional[Exception] = None


class Step(ABC):
    """One line of a setup cell. Subclasses are frozen dataclasses, equal when they mean the same.

    ``rank`` orders kinds: what may ask a person comes first, what others read from comes
    before them.
    """

    word: ClassVar[str]
    rank: ClassVar[int]

    @abstractmethod
    def arguments(self) -> Tuple[str, ...]:
        """Return the words after the magic's name, unquoted, from which `parse` makes this."""

    @property
    @abstractmethod
    def keys(self) -> FrozenSet[str]:
        """What this step decides; a later step with the same key takes its place."""

    @abstractmethod
    def check(self, host: Host) -> Verdict:
        """Tell whether it holds, changing nothing and starting no process."""

    @abstractmethod
    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Make it hold, or raise."""

    def preview(self, host: Host, progress: Progress) -> Report:
        """Report what `apply` would do, changing nothing; unlike `check`, it may take seconds."""
        verdict = self.check(host)
        return Report((f"dry run: {verdict.state}: {verdict.message}",))

    def recorded(self, host: Host) -> Optional[Step]:
        """Return the step to record once it holds; None where there is nothing to keep."""
        return self

    def note(self, host: Host) -> str:
        """Return a comment worth keeping beside the line when it is first recorded."""
        return ""

    def parts(self) -> Sequence[Step]:
        """Return the step taken apart so that each part has one key."""
        return (self,)

    def after(self, old: Step) -> Step:
        """Return this part as it takes the place of ``old``, a part with the same key."""
        return self

    def joined(self, other: Step) -> Optional[Step]:
        """Return this line with ``other`` taken in; None where each needs a line of its own."""
        return other if self.keys == other.keys else None

    def without(self, keys: FrozenSet[str]) -> Optional[Step]:
        """Return this line less what ``keys`` name; None where nothing is left."""
        return None if self.keys <= keys else self


def parse(word: str, words: Sequence[str]) -> Optional[Step]:
    """Return the step that a line means, or None where it is no step."""
    if word not in STEPS:
        return None
    hidden = [char for text in words if has_controls(text) for char in text if has_controls(char)]
    if hidden:  # before it is looked at or set; the text is not shown: it may hold a secret
        raise usage_error(
            f"%{word}: an argument has an invisible character, U+{ord(hidden[0]):04X}.",
            "Remove it: a line break, a tab or another control cannot be in a line.",
            code="invisible-character",
        )
    step: Optional[Step] = load(STEPS[word])(list(words))
    return step


def parts_of(word: str, steps: Iterable[Optional[Step]]) -> List[Step]:
    """Return the parts of all steps of one kind."""
    return [part for step in steps if step and step.word == word for part in step.parts()]


def apply_step(step: Step, host: Host, progress: Progress) -> Outcome:
    """Apply a step unless it already holds."""
    verdict = step.check(host)
    if verdict.state == "ok":
        return Outcome("unchanged", verdict.message, step.recorded(host))
    return step.apply(host, progress)
