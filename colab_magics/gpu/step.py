"""``%gpu`` and ``%gpu require`` as steps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, FrozenSet, List, Optional, Sequence, Tuple

from ..core.arguments import Parser
from ..core.errors import GpuUnmet, usage_error
from ..core.host import Host
from ..core.steps import Outcome, Progress, Step, Verdict
from .cuda_visible import NAME
from .frameworks import FRAMEWORKS, unusable, verdicts
from .model import Found, Gpu, advice, cards, describe, find, names

#: A card is sold by a nominal size: a "16 GB" one reports 15 GiB.
_TOLERANCE = 0.93
_UNITS = {"": 10**9, "g": 10**9, "gb": 10**9, "gib": 1024**3, "m": 10**6, "mb": 10**6}
_UNITS["mib"] = 1024**2
_MADE_ON = re.compile(r"#\s*made on (.+)")


@dataclass(frozen=True)
class GpuStep(Step):
    """``%gpu``: say which GPU is here, and whether that has changed; it never raises."""

    word: ClassVar[str] = "gpu"
    rank: ClassVar[int] = 10

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        return ()

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`."""
        return frozenset({"gpu"})

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        found = find()
        if not found.gpus:
            return Verdict("differs", f"No GPU assigned. {advice(host, found)}")
        lines = [*describe(found.gpus), *found.reasons, *verdicts(cards(found.gpus))]
        return Verdict("ok", "\n".join(lines))

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Nothing can be done from here: the state is reported."""
        return Outcome("unchanged", self.check(host).message)

    def recorded(self, host: Host) -> Optional[Step]:
        """See `Step`: kept only where there is a GPU."""
        return self if find().gpus else None

    def note(self, host: Host) -> str:
        """The GPU that the notebook was made on, for later runs to compare with."""
        return f"made on {names(find().gpus)}"


@dataclass(frozen=True)
class GpuRequire(Step):
    """``%gpu require``: a name to match word by word, and the least of what else is asked for.

    ``memory`` as typed; ``compute`` a capability such as ``8.0``, ``cuda`` that of the driver.
    """

    name: Tuple[str, ...] = ()
    memory: str = ""
    count: int = 1
    compute: str = ""
    cuda: str = ""
    framework: str = ""

    word: ClassVar[str] = "gpu"
    rank: ClassVar[int] = 10

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        count = str(self.count) if self.count != 1 else ""
        options = (
            ("--count", count),
            ("--memory", self.memory),
            ("--compute", self.compute),
            ("--cuda", self.cuda),
            ("--framework", self.framework),
        )
        return ("require", *self.name, *(word for pair in options if pair[1] for word in pair))

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`."""
        return frozenset({"gpu"})

    def note(self, host: Host) -> str:
        """See `GpuStep.note`."""
        return f"made on {names(find().gpus)}"

    def joined(self, other: Step) -> Optional[Step]:
        """A look at the GPU does not take a requirement back."""
        return self if isinstance(other, GpuStep) else super().joined(other)

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        gpus = find().gpus
        reason = self._lacking(gpus) or self._unusable(gpus)
        if reason:
            return Verdict("differs", reason)
        return Verdict("ok", f"{names(self._met(gpus))} is here, as required")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Raise: what is required cannot be made."""
        found = find()
        lacking, edit = self._lacking(found.gpus), " ".join(("%gpu", *self.arguments()))
        todo = f"{self._todo(host, found)}. " if lacking else ""
        raise GpuUnmet(
            f"{lacking or self._unusable(found.gpus)}.", f"{todo}Or edit this line: {edit}"
        )

    def _todo(self, host: Host, found: Found) -> str:
        """What may bring the card that is required."""
        if any(gpu.hidden and self._met_by(gpu) for gpu in found.gpus):
            return f"Set {NAME} otherwise, and restart the kernel"
        return advice(host, found)

    def _lacking(self, gpus: Sequence[Gpu]) -> str:
        """Which card is not here; empty where all are."""
        if len(self._met(gpus)) >= self.count:
            return ""
        return f"{self._wish()} is required; here: {_found(gpus)}"

    def _unusable(self, gpus: Sequence[Gpu]) -> str:
        """Why the framework cannot use them; empty where it can."""
        reason = unusable(self.framework, cards(self._met(gpus))) if self.framework else ""
        return f"{self.framework} has to run here; {reason}" if reason else ""

    def _met(self, gpus: Sequence[Gpu]) -> List[Gpu]:
        return [gpu for gpu in gpus if self._met_by(gpu) and not gpu.hidden]

    def _wish(self) -> str:
        parts = [
            f"with {self.memory}" if self.memory else "",
            f"of compute capability {self.compute}" if self.compute else "",
            f"with a driver for CUDA {self.cuda}" if self.cuda else "",
        ]
        what = " ".join(self.name) or ("A GPU" if self.count == 1 else "GPU")
        many = f"{self.count} x {what}" if self.count > 1 else what
        return " ".join(filter(None, [many, *parts]))

    def _met_by(self, gpu: Gpu) -> bool:
        tokens = re.split(r"[^a-z0-9]+", gpu.name.lower())
        return (
            all(
                part in tokens
                for word in self.name
                for part in re.split(r"[^a-z0-9]+", word.lower())
            )
            and (not self.memory or (gpu.total or 0) >= _size(self.memory) * _TOLERANCE)
            and (not self.compute or (gpu.capability or (0, 0)) >= _version(self.compute))
            and (not self.cuda or gpu.cuda >= _version(self.cuda))
        )


def _found(gpus: Sequence[Gpu]) -> str:
    """What is here, with all that may be required of it."""
    if not gpus:
        return names(gpus)
    about = []
    kinds = ((one.name, one.total, one.capability, one.cuda, one.hidden) for one in gpus)
    for name, total, capability, cuda, hidden in dict.fromkeys(kinds):
        size = f"{total / 1024**3:.0f} GiB" if total else "memory n/a"
        compute = f"compute {capability[0]}.{capability[1]}" if capability else ""
        driver = f"CUDA up to {cuda[0]}.{cuda[1]}" if cuda[0] else ""
        unseen = f"hidden by {NAME}" if hidden else ""
        about.append(f"{name} ({', '.join(filter(None, [size, compute, driver, unseen]))})")
    return ", ".join(about)


def changed(comment: str, gpus: Tuple[Gpu, ...]) -> str:
    """``made on Tesla T4, now NVIDIA L4`` from a line's comment; empty where it is the same."""
    found = _MADE_ON.match(comment)
    if not found or found.group(1).strip() == names(gpus):
        return ""
    return f"made on {found.group(1).strip()}, now {names(gpus)}"


def _size(text: str) -> float:
    """``15GB`` in bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if not found or found.group(2) not in _UNITS:
        raise usage_error(f"%gpu: {text} is no size.", "Write it like 15GB or 15GiB.")
    return float(found.group(1)) * _UNITS[found.group(2)]


def _version(text: str) -> Tuple[int, int]:
    """``8.0`` as (8, 0)."""
    found = re.fullmatch(r"(\d+)(?:\.(\d+))?", text)
    if not found:
        raise usage_error(f"%gpu: {text} is no version.", "Write it like 8.0.")
    return int(found.group(1)), int(found.group(2) or 0)


def parse(words: List[str]) -> Optional[Step]:
    """The step that a ``%gpu`` line means."""
    if words[:1] and words[0] in {"request", "watch", "free"}:  # which are no steps
        return None
    if {*words} <= {"-v", "--verbose", "--json"}:  # which say how to show it
        return GpuStep()
    parser = Parser("%gpu", usage=_USAGE)
    parser.add_argument("command", choices=["require"])
    parser.add_argument("name", nargs="*")
    parser.add_argument("--count", type=int, default=1)
    for option in ("--memory", "--compute", "--cuda", "--framework"):
        parser.add_argument(option, default="")
    found = parser.parse_intermixed_args(words)
    if found.memory:
        _size(found.memory)
    for version in filter(None, (found.compute, found.cuda)):
        _version(version)
    if found.framework and found.framework not in FRAMEWORKS:
        raise usage_error(
            f"%gpu: nothing is known of {found.framework}.", f"Known: {', '.join(FRAMEWORKS)}."
        )
    if found.count < 1:
        raise usage_error("%gpu: --count is 1 or more.", "Or take it out.")
    return GpuRequire(
        tuple(found.name), found.memory, found.count, found.compute, found.cuda, found.framework
    )


_USAGE = (
    "%gpu [require [NAME] [--count 2] [--memory 15GB] [--compute 8.0] [--cuda 12.4] "
    "[--framework torch]]"
)
