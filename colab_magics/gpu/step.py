"""``%gpu`` and ``%gpu require`` as steps."""

import re
from dataclasses import dataclass
from typing import ClassVar, FrozenSet, List, Optional, Tuple

from ..arguments import Parser
from ..errors import GpuUnmet, usage_error
from ..host import Host
from ..steps import Outcome, Progress, Step, Verdict
from .devices import Gpu, advice, describe, find, names

__all__ = ["GpuRequire", "GpuStep", "changed", "parse"]

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
        return Verdict("ok", "\n".join(describe(i, gpu) for i, gpu in enumerate(found.gpus)))

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
    """``%gpu require``: a name to match word by word, and a least memory as typed."""

    name: Tuple[str, ...] = ()
    memory: str = ""

    word: ClassVar[str] = "gpu"
    rank: ClassVar[int] = 10

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        return ("require", *self.name, *(("--memory", self.memory) if self.memory else ()))

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`."""
        return frozenset({"gpu"})

    def joined(self, other: Step) -> Optional[Step]:
        """A look at the GPU does not take a requirement back."""
        return self if isinstance(other, GpuStep) else super().joined(other)

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        found = find()
        for gpu in found.gpus:
            if self._met_by(gpu):
                return Verdict("ok", f"{gpu.name} is here, as required")
        return Verdict("differs", f"{self._wish()} is required; here: {names(found.gpus)}")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Raise: what is required cannot be made."""
        line = " ".join(("%gpu", *self.arguments()))
        raise GpuUnmet(
            f"{self.check(host).message}.",
            f"{advice(host, find())}. Or edit this line: {line}",
        )

    def _wish(self) -> str:
        size = f" with {self.memory}" if self.memory else ""
        return (" ".join(self.name) or "A GPU") + size

    def _met_by(self, gpu: Gpu) -> bool:
        tokens = re.split(r"[^a-z0-9]+", gpu.name.lower())
        named = all(
            part in tokens for word in self.name for part in re.split(r"[^a-z0-9]+", word.lower())
        )
        if not self.memory:
            return named
        return named and gpu.total is not None and gpu.total >= _size(self.memory) * _TOLERANCE


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


def parse(words: List[str]) -> Optional[Step]:
    """The step that a ``%gpu`` line means."""
    if not words:
        return GpuStep()
    parser = Parser("%gpu", usage="%gpu [require [NAME] [--memory 15GB]]")
    parser.add_argument("command", choices=["require"])
    parser.add_argument("name", nargs="*")
    parser.add_argument("--memory", default="")
    found = parser.parse_intermixed_args(words)
    if found.memory:
        _size(found.memory)
    return GpuRequire(tuple(found.name), found.memory)
