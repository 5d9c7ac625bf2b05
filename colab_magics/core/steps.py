"""A step: one line of the setup cell, with what it means on this machine.

A step is its magic line. It can be checked, applied, rendered back, and merged with the
steps that a setup cell already has; it never prints and never waits for a person.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
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
from .display import Mark, Report
from .errors import usage_error
from .host import Host
from .registry import entry_points, load

if TYPE_CHECKING:
    from .effects import Effects

VerdictState = Literal["ok", "differs", "unknown"]
OutcomeStatus = Literal["unchanged", "applied"]
ChangeKind = Literal["python", "image", "gpu", "framework", "package", "file", "upstream"]
ChangeState = Literal["same", "differs", "unknown"]
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
    "checkpoint": "colab_magics.checkpoint.step:parse",
    "cd_persist": "colab_magics.cd_persist.step:parse",
    "setup": "colab_magics.setup.step:parse",
}


@dataclass(frozen=True)
class Verdict:
    """Whether a step holds on this machine, and the line that says so."""

    state: VerdictState
    message: str

    @property
    def mark(self) -> Mark:
        """The state, for the first column of a table."""
        return Mark.of(self.state)


@dataclass(frozen=True)
class Change:
    """Something outside the notebook: as it was recorded, and as it is now.

    ``name`` is what people call it, such as ``GPU`` or the path of a file. ``now`` is empty where
    it is not there (``differs``) or not known (``unknown``); ``note`` says why, or what to do.
    """

    kind: ChangeKind
    name: str
    recorded: str
    now: str
    state: ChangeState
    note: str = ""

    @classmethod
    def of(cls, kind: ChangeKind, name: str, recorded: str, now: str, note: str = "") -> Change:
        """Return the change of a value that is known now."""
        return cls(kind, name, recorded, now, "same" if recorded == now else "differs", note)


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
    #: Whether `check` asks the page, which only the thread that runs the cell may do.
    asks_page: ClassVar[bool] = False
    #: Whether `compare` ends by itself, within seconds and on an interrupt: no thread is needed,
    #: which would leave its process behind.
    compare_ends: ClassVar[bool] = False

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

    def effects(self, host: Host) -> Optional[Effects]:
        """Return what `apply` would do here, at most; None where the step does not tell.

        Starts no process, asks no server and changes nothing.
        """
        return None

    def compare(self, host: Host, comment: str) -> Sequence[Change]:
        """Return how what the line has recorded, in its comment too, stands now.

        Changes nothing; unlike `check`, it may ask a server and start a process.
        """
        return ()

    def spelled(self, spell: Callable[[str], str]) -> Step:
        """Return the step with each of its paths as ``spell`` writes it."""
        return self

    def preview(self, host: Host, progress: Progress) -> Report:
        """Report what `apply` would do, changing nothing; unlike `check`, it may take seconds."""
        return Report((f"Nothing was changed. {self.check(host).message}",))

    def recorded(self, host: Host) -> Optional[Step]:
        """Return the step to record once it holds; None where there is nothing to keep."""
        return self

    def note(self, host: Host) -> str:
        """Return a comment worth keeping beside the line when it is first recorded."""
        return ""

    def parts(self) -> Sequence[Step]:
        """Return the step taken apart so that each part has one key."""
        return (self,)

    def replacing(self, old: Step) -> Step:
        """Return this part as it takes the place of ``old``, a part with the same key."""
        return self

    def merged_with(self, other: Step) -> Optional[Step]:
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


def apply_step(
    step: Step, host: Host, progress: Progress, before: Callable[[Step], None] = lambda step: None
) -> Outcome:
    """Apply a step unless it already holds; ``before`` is called first, and may raise."""
    verdict = step.check(host)
    if verdict.state == "ok":
        return Outcome("unchanged", verdict.message, step.recorded(host))
    before(step)
    return step.apply(host, progress)
