"""``%gpu`` and ``%gpu require`` as steps."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, FrozenSet, List, Optional, Sequence, Tuple

from ..core.arguments import Parser
from ..core.errors import GpuUnmet, usage_error
from ..core.host import Host
from ..core.steps import Outcome, Progress, Step, Verdict
from .cuda_visible import NAME
from .frameworks import FRAMEWORKS, unusable, verdicts
from .model import GIB, Gpu, Snapshot, advice, cards, describe, find, names

#: A card is sold by a nominal size: a "16 GB" one reports 15 GiB.
_TOLERANCE = 0.93
_UNITS = {"": 10**9, "g": 10**9, "gb": 10**9, "gib": GIB, "m": 10**6, "mb": 10**6, "mib": 2**20}
_USAGE = (
    "%gpu [require [NAME] [--count 2] [--memory 15GB] [--compute 8.0] [--cuda 12.4] "
    "[--framework torch]]"
)
_MADE_ON = re.compile(r"#\s*made on (.+)")


@dataclass(frozen=True)
class GpuLine(Step):
    """A line on the GPU. ``snapshot`` is what it is judged by; without one the driver is read."""

    word: ClassVar[str] = "gpu"
    rank: ClassVar[int] = 10
    snapshot: Optional[Snapshot] = field(default=None, compare=False, repr=False)

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`."""
        return frozenset({"gpu"})

    def read(self) -> Snapshot:
        """Return the snapshot that was handed down, or read the GPUs now."""
        return self.snapshot or find()

    def note(self, host: Host) -> str:
        """Name the GPU that the notebook was made on, for later runs to compare with."""
        return f"made on {names(self.read().gpus)}"


@dataclass(frozen=True)
class GpuStep(GpuLine):
    """``%gpu``: show which GPU is here, and whether that has changed; it never raises."""

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        return ()

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        snapshot = self.read()
        if not snapshot.gpus:
            return Verdict("differs", f"No GPU assigned. {advice(host, snapshot)}")
        gpus = snapshot.gpus
        lines = [*describe(gpus), *snapshot.reasons, *verdicts(cards(gpus))]
        return Verdict("ok", "\n".join(lines))

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Report the state: nothing can be done from here."""
        return Outcome("unchanged", self.check(host).message)

    def recorded(self, host: Host) -> Optional[Step]:
        """See `Step`: kept only where there is a GPU."""
        return self if self.read().gpus else None


@dataclass(frozen=True)
class GpuRequire(GpuLine):
    """``%gpu require``: a name to match word by word, and the least of what else is asked for.

    ``memory`` as typed; ``compute`` a capability such as ``8.0``, ``cuda`` that of the driver.
    """

    name: Tuple[str, ...] = ()
    memory: str = ""
    count: int = 1
    compute: str = ""
    cuda: str = ""
    framework: str = ""

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

    def joined(self, other: Step) -> Optional[Step]:
        """See `Step`: a plain ``%gpu`` does not take a requirement back."""
        return self if isinstance(other, GpuStep) else super().joined(other)

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        gpus = self.read().gpus
        reason = self._lacking(gpus) or self._unusable(gpus)
        if reason:
            return Verdict("differs", reason)
        return Verdict("ok", f"{names(self._met(gpus))} is here, as required")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Raise: what is required cannot be made."""
        snapshot = self.read()
        lacking, edit = self._lacking(snapshot.gpus), " ".join(("%gpu", *self.arguments()))
        hint = f"{self._todo(host, snapshot)}. " if lacking else ""
        raise GpuUnmet(
            f"{lacking or self._unusable(snapshot.gpus)}.", f"{hint}Or edit this line: {edit}"
        )

    def _todo(self, host: Host, snapshot: Snapshot) -> str:
        """Say what may bring the card that is required."""
        if any(gpu.hidden and self._met_by(gpu) for gpu in snapshot.gpus):
            return f"Set {NAME} otherwise, and restart the kernel"
        return advice(host, snapshot)

    def _lacking(self, gpus: Sequence[Gpu]) -> str:
        """Say which card is not here; empty where all are."""
        if len(self._met(gpus)) >= self.count:
            return ""
        return f"{self._wish()} is required; here: {_summary(gpus)}"

    def _unusable(self, gpus: Sequence[Gpu]) -> str:
        """Say why the framework cannot use them; empty where it can."""
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
        kind = " ".join(self.name) or ("A GPU" if self.count == 1 else "GPU")
        cards = f"{self.count} x {kind}" if self.count > 1 else kind
        return " ".join(filter(None, [cards, *parts]))

    def _met_by(self, gpu: Gpu) -> bool:
        words = [word for text in self.name for word in _words(text)]
        return (
            {*words} <= {*_words(gpu.name)}
            and (not self.memory or (gpu.total or 0) >= _size(self.memory) * _TOLERANCE)
            and (not self.compute or (gpu.capability or (0, 0)) >= _version(self.compute))
            and (not self.cuda or gpu.cuda >= _version(self.cuda))
        )


def _words(name: str) -> List[str]:
    return re.split(r"[^a-z0-9]+", name.lower())


def _summary(gpus: Sequence[Gpu]) -> str:
    """Write which kinds of card are here, with all that may be required of them."""
    kinds = dict.fromkeys(
        (gpu.name, gpu.total, gpu.capability, gpu.cuda, gpu.hidden) for gpu in gpus
    )
    texts = []
    for name, total, capability, cuda, hidden in kinds:
        parts = [
            f"{total / GIB:.0f} GiB" if total else "memory n/a",
            "compute {}.{}".format(*capability) if capability else "",
            "CUDA up to {}.{}".format(*cuda) if cuda[0] else "",
            f"hidden by {NAME}" if hidden else "",
        ]
        texts.append(f"{name} ({', '.join(filter(None, parts))})")
    return ", ".join(texts) or names(gpus)


def changed(comment: str, gpus: Tuple[Gpu, ...]) -> str:
    """Say ``made on Tesla T4, now NVIDIA L4`` by a line's comment; empty where it is the same."""
    match = _MADE_ON.match(comment)
    if not match or match.group(1).strip() == names(gpus):
        return ""
    return f"made on {match.group(1).strip()}, now {names(gpus)}"


def _size(text: str) -> float:
    """Read ``15GB`` as bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if not match or match.group(2) not in _UNITS:
        raise usage_error(f"%gpu: {text} is no size.", "Write it like 15GB or 15GiB.")
    return float(match.group(1)) * _UNITS[match.group(2)]


def _version(text: str) -> Tuple[int, int]:
    """Read ``8.0`` as (8, 0)."""
    match = re.fullmatch(r"(\d+)(?:\.(\d+))?", text)
    if not match:
        raise usage_error(f"%gpu: {text} is no version.", "Write it like 8.0.")
    return int(match.group(1)), int(match.group(2) or 0)


def parse(words: List[str]) -> Optional[Step]:
    """Read the step that a ``%gpu`` line means."""
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
    options = parser.parse_intermixed_args(words)
    if options.memory:
        _size(options.memory)
    for version in filter(None, (options.compute, options.cuda)):
        _version(version)
    if options.framework and options.framework not in FRAMEWORKS:
        raise usage_error(
            f"%gpu: nothing is known of {options.framework}.", f"Known: {', '.join(FRAMEWORKS)}."
        )
    if options.count < 1:
        raise usage_error("%gpu: --count is 1 or more.", "Or take it out.")
    return GpuRequire(
        name=tuple(options.name),
        memory=options.memory,
        count=options.count,
        compute=options.compute,
        cuda=options.cuda,
        framework=options.framework,
    )
