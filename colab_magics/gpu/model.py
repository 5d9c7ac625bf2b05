"""GPUs as data: what a driver says of each, of what runs on it, and of one moment of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Optional, Tuple

GIB = 1024**3


@dataclass(frozen=True)
class Gpu:
    """One GPU. None, or (0, 0) for the CUDA, where the driver does not say.

    Memory in bytes, ``shared`` where it is the machine's own; ``load`` in percent, ``temperature``
    in degrees Celsius; ``capability`` such as (7, 5); ``driver`` is its version, ``cuda`` the
    newest CUDA that it runs; ``index`` is the driver's. Each MIG instance of a divided card is a
    Gpu of its own, numbered by ``instance``. ``hidden``: programs do not see it (None: unknown).
    """

    name: str
    free: Optional[int] = None
    total: Optional[int] = None
    driver: str = "n/a"
    cuda: Tuple[int, int] = (0, 0)
    load: Optional[int] = None
    temperature: Optional[int] = None
    capability: Optional[Tuple[int, int]] = None
    index: int = 0
    instance: Optional[int] = None
    shared: bool = False
    hidden: Optional[bool] = False

    @property
    def number(self) -> str:
        """``0``, or ``0:1`` for an instance of a divided card."""
        return f"{self.index}" if self.instance is None else f"{self.index}:{self.instance}"

    @property
    def label(self) -> str:
        """``0 Tesla T4``."""
        return f"{self.number} {self.name}"


@dataclass(frozen=True)
class Process:
    """A process on a GPU. Memory in bytes; None where the driver does not say.

    ``here``: the pid is of this process table. In a container drivers give the host's pids.
    """

    pid: int
    memory: Optional[int] = None
    user: str = ""
    command: str = ""
    here: bool = True


@dataclass(frozen=True)
class DetailedGpu(Gpu):
    """What ``%gpu -v`` adds. None where the driver or the card does not say, never 0 for that.

    Power in watts, ``energy`` in joules since the driver was loaded, clocks in MHz, ``slowed``: the
    reasons for which the clocks are held down now, ``ecc``: errors that could not be corrected,
    ``pcie``: generation and lanes, ``mig``: whether the card is divided.
    """

    uuid: str = ""
    power: Optional[float] = None
    power_limit: Optional[float] = None
    energy: Optional[float] = None
    clock: Optional[int] = None
    memory_clock: Optional[int] = None
    slowed: Optional[Tuple[str, ...]] = None
    ecc: Optional[int] = None
    pcie: Optional[Tuple[int, int]] = None
    mig: Optional[bool] = None
    processes: Optional[Tuple[Process, ...]] = None


@dataclass(frozen=True)
class Snapshot:
    """The GPUs at one moment, `DetailedGpu` where asked for, and why others are missing."""

    gpus: Tuple[Gpu, ...] = ()
    reasons: Tuple[str, ...] = ()

    @property
    def detailed(self) -> Tuple[DetailedGpu, ...]:
        """The GPUs whose details were read: all or none."""
        return tuple(gpu for gpu in self.gpus if isinstance(gpu, DetailedGpu))


class Reading(NamedTuple):
    """One sample of a GPU: bytes, percent, watts; None where the driver does not say."""

    used: Optional[int]
    load: Optional[int]
    power: Optional[float]
