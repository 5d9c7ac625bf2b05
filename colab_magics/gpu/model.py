"""GPUs, whoever made them: what is known of each, and how it is written in lines and tables."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import (
    ContextManager,
    Dict,
    Iterable,
    List,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
)

from ..core.host import Host
from ..core.registry import load
from .cuda_visible import NAME
from .frameworks import Card

#: Adding a vendor is one file and one line here.
VENDORS = ("colab_magics.gpu.nvidia:Nvidia", "colab_magics.gpu.tpu:Tpu")

GIB = 1024**3


@dataclass(frozen=True)
class Gpu:
    """One GPU. None, or (0, 0) for the CUDA, where the driver does not say.

    Memory in bytes, ``shared`` where it is the machine's own; ``load`` in percent, ``temperature``
    in degrees Celsius; ``capability`` such as (7, 5); ``driver`` is its version, ``cuda`` up to
    which CUDA it goes; ``index`` is the driver's. A card that is divided (MIG) is one for each
    instance, which ``mig`` counts: that is what programs see, unless it is ``hidden`` from them
    (None: it is not known).
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
    mig: Optional[int] = None
    shared: bool = False
    hidden: Optional[bool] = False

    @property
    def label(self) -> str:
        """``0 Tesla T4``, or ``0:1`` and the name for an instance of a card that is divided."""
        number = str(self.index) if self.mig is None else f"{self.index}:{self.mig}"
        return f"{number} {self.name}"


@dataclass(frozen=True)
class Process:
    """A process on a GPU. Memory in bytes; None where nobody says.

    ``here`` is whether its number means this process table: in a container drivers give the
    numbers of the machine around it.
    """

    pid: int
    memory: Optional[int] = None
    user: str = ""
    command: str = ""
    here: bool = True


@dataclass(frozen=True)
class Details:
    """What ``%gpu -v`` adds. None where the driver or the card does not say; never 0 for that.

    Power in watts, ``energy`` in joules since the driver was loaded, clocks in MHz, ``slowed`` why
    the clocks are held down now (empty: they are not), ``ecc`` errors that could not be corrected,
    ``pcie`` generation and lanes, ``mig`` whether the card is divided.
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
    """The GPUs at one moment, and what each vendor's driver said where it gave none.

    ``details`` are those of each GPU, in that order, where they were asked for.
    """

    gpus: Tuple[Gpu, ...] = ()
    reasons: Tuple[str, ...] = ()
    details: Tuple[Details, ...] = ()


class Reading(NamedTuple):
    """One GPU at one moment of a `Watch`: bytes, percent, watts; None where nobody says."""

    used: Optional[int]
    load: Optional[int]
    power: Optional[float]


class Watch(Protocol):
    """GPUs that are read many times a second, with the driver kept open."""

    gpus: Sequence[Gpu]

    def read(self) -> List[Reading]:
        """Read what each does now."""

    def energy(self) -> List[Optional[float]]:
        """Read the joules that each has counted; None where it does not. It costs more (4 ms)."""

    def memory_of(self, pid: int) -> List[Optional[int]]:
        """Read the bytes that a process has on each; None where it is not seen. It costs more."""


class Vendor(ABC):
    """One vendor's driver library."""

    @abstractmethod
    def find(self, detailed: bool) -> Snapshot:
        """Read the GPUs of this vendor, in one session of its driver.

        Raises nothing: an absent driver is no GPU and no reason.
        """

    def watch(self) -> ContextManager[Watch]:
        """Open the GPUs that `find` gives; called only where it gives some."""
        raise NotImplementedError


def find(detailed: bool = False) -> Snapshot:
    """Read all GPUs of this machine, each vendor's driver started once; details take longer."""
    parts: List[Snapshot] = [load(target)().find(detailed) for target in VENDORS]
    return Snapshot(
        tuple(gpu for part in parts for gpu in part.gpus),
        tuple(reason for part in parts for reason in part.reasons),
        tuple(details for part in parts for details in part.details),
    )


def details() -> Sequence[Details]:
    """Read the details alone."""
    return find(detailed=True).details


def cards(gpus: Sequence[Gpu]) -> List[Card]:
    """Return the GPUs that frameworks see, those of which the driver says what they are."""
    return [
        Card(gpu.name, gpu.capability, gpu.driver, gpu.cuda)
        for gpu in gpus
        if gpu.capability is not None and not gpu.hidden
    ]


def describe(gpus: Sequence[Gpu]) -> List[str]:
    """Write one line for each GPU, their parts below each other."""
    rows = [columns(gpu) for gpu in gpus]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        " · ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows
    ]


def columns(gpu: Gpu) -> Tuple[str, ...]:
    """Write the parts of a GPU's line: name, memory, load, temperature, driver."""
    driver = f"driver {gpu.driver}"
    if gpu.cuda[0]:
        driver += f" (CUDA up to {gpu.cuda[0]}.{gpu.cuda[1]})"
    if gpu.hidden is not False:
        driver += f" · {'' if gpu.hidden else 'perhaps '}hidden by {NAME}"
    load = "load n/a" if gpu.load is None else f"{gpu.load} %"
    heat = "n/a °C" if gpu.temperature is None else f"{gpu.temperature} °C"
    return gpu.label, memory(gpu), load, heat, driver


def memory(gpu: Gpu) -> str:
    """Write the memory: ``14.6 of 15.0 GiB free``."""
    if gpu.total is None:
        return "memory n/a"
    if gpu.free is None:
        return f"{gpu.total / GIB:.1f} GiB"
    whose = " (the machine's)" if gpu.shared else ""
    return f"{gpu.free / GIB:.1f} of {gpu.total / GIB:.1f} GiB free{whose}"


def names(gpus: Sequence[Gpu]) -> str:
    """Write what a machine has: ``Tesla T4``, ``2 x NVIDIA L4``, ``no GPU``."""
    return count_names(gpu.name for gpu in gpus) or "no GPU"


def count_names(parts: Iterable[str]) -> str:
    """Write each name once, with how many there are of it."""
    counts = Counter(parts).items()
    return ", ".join(name if count == 1 else f"{count} x {name}" for name, count in counts)


def detail_rows(snapshot: Snapshot) -> Tuple[Tuple[str, ...], ...]:
    """Lay the details out as a table: a row for each of them, a column for each GPU."""
    cells = [_detail_cells(details) for details in snapshot.details]
    rows = [("", *(gpu.label for gpu in snapshot.gpus))]
    rows += [(name, *(column[name] for column in cells)) for name in cells[0]] if cells else []
    for at, details in enumerate(snapshot.details):
        after = [""] * (len(cells) - at - 1)
        for process in details.processes or ():
            rows.append((f"  {process.pid}", *[""] * at, _process_cell(process), *after))
    return tuple(rows)


def _detail_cells(details: Details) -> Dict[str, str]:
    """The texts of one GPU by the names of their rows."""
    limit = "" if details.power_limit is None else f" of {details.power_limit:.0f} W"
    clocks = f"{_unit(details.clock, 'MHz')}, {_unit(details.memory_clock, 'MHz')}"
    slowed, processes = details.slowed, details.processes
    return {
        "power": "n/a" if details.power is None else f"{details.power:.0f} W{limit}",
        "energy since the driver started": _unit(details.energy, "J"),
        "clocks, of the memory": clocks,
        "slowed down by": "n/a" if slowed is None else ", ".join(slowed) or "nothing",
        "memory errors (ECC)": _unit(details.ecc),
        "PCIe": "gen {} x{}".format(*details.pcie) if details.pcie else "n/a",
        "MIG": {True: "on", False: "off", None: "n/a"}[details.mig],
        "processes": "n/a" if processes is None else str(len(processes) or "none"),
    }


def _process_cell(process: Process) -> str:
    size = "memory n/a" if process.memory is None else f"{process.memory / 1024**2:.0f} MiB"
    if not process.here:
        return f"{size}, outside this container, or ended"
    own = " (this kernel)" if process.pid == os.getpid() else ""
    return ", ".join(filter(None, [size, process.user, process.command[:60] + own]))


def _unit(value: Optional[float], unit: str = "") -> str:
    return "n/a" if value is None else f"{value:,.0f} {unit}".strip()


def advice(host: Host, snapshot: Snapshot) -> str:
    """Say what to do here where there is no GPU, or not the right one."""
    if snapshot.reasons:
        return "; ".join(snapshot.reasons)
    if host.colab:
        return "Runtime > Change runtime type > GPU; this clears the machine, so do it first"
    if host.ephemeral:
        return "Choose an accelerator in the notebook's settings; this restarts the machine"
    if snapshot.gpus:
        return "Take a machine that has it"
    return "If this machine has one, install its driver; else go on without"
