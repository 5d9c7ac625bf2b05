"""GPUs, whoever made them: one small interface, one file for each vendor."""

from dataclasses import dataclass
from typing import List, Optional, Protocol, Sequence, Tuple

from ..host import Host
from ..registry import load

__all__ = ["VENDORS", "Found", "Gpu", "Vendor", "advice", "describe", "find", "names"]

#: Adding a vendor is one file and one line here.
VENDORS = ("colab_magics.gpu.nvidia:Nvidia",)

_GIB = 1024**3


@dataclass(frozen=True)
class Gpu:
    """One GPU. Memory in bytes; None where the driver does not say. ``driver`` is for people."""

    name: str
    free: Optional[int]
    total: Optional[int]
    driver: str


@dataclass(frozen=True)
class Found:
    """The GPUs that are there, and what each vendor's driver said where it gave none."""

    gpus: Tuple[Gpu, ...]
    reasons: Tuple[str, ...] = ()


class Vendor(Protocol):
    """One vendor's driver library."""

    def find(self) -> Found:
        """The GPUs of this vendor; never raises, an absent driver is no GPU and no reason."""


def find() -> Found:
    """All GPUs of this machine."""
    gpus: List[Gpu] = []
    reasons: List[str] = []
    for target in VENDORS:
        one = load(target)().find()
        gpus += one.gpus
        reasons += one.reasons
    return Found(tuple(gpus), tuple(reasons))


def describe(number: int, gpu: Gpu) -> str:
    """One line for one GPU."""
    if gpu.total is None:
        memory = "memory n/a"
    elif gpu.free is None:
        memory = f"{gpu.total / _GIB:.1f} GiB"
    else:
        memory = f"{gpu.free / _GIB:.1f} of {gpu.total / _GIB:.1f} GiB free"
    return f"{number} {gpu.name} · {memory} · {gpu.driver}"


def names(gpus: Sequence[Gpu]) -> str:
    """What a machine has, for people: ``Tesla T4``, ``2 x NVIDIA L4``, ``no GPU``."""
    counted = {gpu.name: 0 for gpu in gpus}
    for gpu in gpus:
        counted[gpu.name] += 1
    texts = [name if count == 1 else f"{count} x {name}" for name, count in counted.items()]
    return ", ".join(texts) or "no GPU"


def advice(host: Host, found: Found) -> str:
    """What to do here where there is no GPU."""
    if found.reasons:
        return "; ".join(found.reasons)
    if host.colab:
        return "Runtime > Change runtime type > GPU; this clears the machine, so do it first"
    if host.ephemeral:
        return "Choose an accelerator in the notebook's settings; this restarts the machine"
    return "If this machine has one, install its driver; else go on without"
