"""GPUs, whoever made them: one small interface, one file for each vendor."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import (
    ContextManager,
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


# ---------------------------------------------------------------------- details
# What ``%gpu -v`` and ``%gpu --json`` add: power, clocks, links, and who is using a GPU.
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
    """None where the driver or the card does not say; never 0 for that.

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


def rows(gpus: Sequence[Gpu], found: Sequence[Details]) -> Tuple[Tuple[str, ...], ...]:
    """A table: a row for each thing, a column for each GPU."""
    lines = [
        ("power", [_power(one) for one in found]),
        ("energy since the driver started", [_unit(one.energy, "J", 0) for one in found]),
        ("clocks, of the memory", [_clocks(one) for one in found]),
        ("slowed down by", [_slowed(one) for one in found]),
        ("memory errors (ECC)", [_unit(one.ecc, "", 0) for one in found]),
        ("PCIe", [f"gen {one.pcie[0]} x{one.pcie[1]}" if one.pcie else "n/a" for one in found]),
        ("MIG", [{True: "on", False: "off", None: "n/a"}[one.mig] for one in found]),
        ("processes", [_processes(one) for one in found]),
    ]
    head = ("", *(f"{number(gpu)} {gpu.name}" for gpu in gpus))
    table = [head, *((name, *cells) for name, cells in lines)]
    table += [row for at, one in enumerate(found) for row in _of(at, one, len(found))]
    return tuple(tuple(row) for row in table)


def _of(at: int, one: Details, columns: int) -> Sequence[Tuple[str, ...]]:
    """A row for each process, in the column of its GPU."""
    return [
        (f"  {process.pid}", *(_who(process) if column == at else "" for column in range(columns)))
        for process in one.processes or ()
    ]


def _who(process: Process) -> str:
    memory = "memory n/a" if process.memory is None else f"{process.memory / 1024**2:.0f} MiB"
    if not process.here:
        return f"{memory}, outside this container, or ended"
    own = " (this kernel)" if process.pid == os.getpid() else ""
    return ", ".join(filter(None, [memory, process.user, process.command[:60] + own]))


def _power(one: Details) -> str:
    limit = "" if one.power_limit is None else f" of {one.power_limit:.0f} W"
    return "n/a" if one.power is None else f"{one.power:.0f} W{limit}"


def _clocks(one: Details) -> str:
    return f"{_unit(one.clock, 'MHz', 0)}, {_unit(one.memory_clock, 'MHz', 0)}"


def _slowed(one: Details) -> str:
    return "n/a" if one.slowed is None else ", ".join(one.slowed) or "nothing"


def _processes(one: Details) -> str:
    return "n/a" if one.processes is None else str(len(one.processes) or "none")


def _unit(value: Optional[float], unit: str, places: int) -> str:
    return "n/a" if value is None else f"{value:,.{places}f} {unit}".strip()


# ---------------------------------------------------------------------- model
#: Adding a vendor is one file and one line here.
VENDORS = ("colab_magics.gpu.nvidia:Nvidia", "colab_magics.gpu.tpu:Tpu")

_GIB = 1024**3


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


class Reading(NamedTuple):
    """One GPU at one moment: bytes, percent, watts; None where the driver does not say."""

    used: Optional[int]
    load: Optional[int]
    power: Optional[float]


class Watch(Protocol):
    """GPUs that are looked at many times a second, with the driver kept open."""

    gpus: Sequence[Gpu]

    def read(self) -> List[Reading]:
        """What each does now."""

    def energy(self) -> List[Optional[float]]:
        """The joules that each has counted; None where it does not. It costs more (H100: 4 ms)."""

    def memory_of(self, pid: int) -> List[Optional[int]]:
        """The bytes that a process has on each; None where it is not seen. It costs more."""


@dataclass(frozen=True)
class Found:
    """The GPUs that are there, and what each vendor's driver said where it gave none."""

    gpus: Tuple[Gpu, ...]
    reasons: Tuple[str, ...] = ()


class Vendor(Protocol):
    """One vendor's driver library."""

    def find(self) -> Found:
        """The GPUs of this vendor; never raises, an absent driver is no GPU and no reason."""

    def details(self) -> Sequence[Details]:
        """More of each GPU that `find` gives, in that order; asked for seldom, may take longer."""

    def watch(self) -> ContextManager[Watch]:
        """The GPUs that `find` gives, to be read many times."""


def find() -> Found:
    """All GPUs of this machine."""
    gpus: List[Gpu] = []
    reasons: List[str] = []
    for target in VENDORS:
        one = load(target)().find()
        gpus += one.gpus
        reasons += one.reasons
    return Found(tuple(gpus), tuple(reasons))


def details() -> List[Details]:
    """More of each GPU that `find` gives, in that order."""
    return [one for target in VENDORS for one in load(target)().details()]


def columns(gpu: Gpu) -> Tuple[str, ...]:
    """What is said of one GPU, part by part: name, memory, load, temperature, driver."""
    driver = f"driver {gpu.driver}"
    if gpu.cuda[0]:
        driver += f" (CUDA up to {gpu.cuda[0]}.{gpu.cuda[1]})"
    load = "load n/a" if gpu.load is None else f"{gpu.load} %"
    if gpu.hidden is not False:
        driver += f" · {'' if gpu.hidden else 'perhaps '}hidden by {NAME}"
    heat = "n/a °C" if gpu.temperature is None else f"{gpu.temperature} °C"
    return f"{number(gpu)} {gpu.name}", memory(gpu), load, heat, driver


def number(gpu: Gpu) -> str:
    """``0``, or ``0:1`` for an instance of a card that is divided."""
    return str(gpu.index) if gpu.mig is None else f"{gpu.index}:{gpu.mig}"


def describe(gpus: Sequence[Gpu]) -> List[str]:
    """One line for each GPU, their parts below each other."""
    rows = [columns(gpu) for gpu in gpus]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        " · ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows
    ]


def cards(gpus: Sequence[Gpu]) -> List[Card]:
    """The GPUs that frameworks see, those of which the driver says what they are."""
    return [
        Card(gpu.name, gpu.capability, gpu.driver, gpu.cuda)
        for gpu in gpus
        if gpu.capability is not None and not gpu.hidden
    ]


def memory(gpu: Gpu) -> str:
    """``14.6 of 15.0 GiB free``."""
    if gpu.total is None:
        return "memory n/a"
    if gpu.free is None:
        return f"{gpu.total / _GIB:.1f} GiB"
    whose = " (the machine's)" if gpu.shared else ""
    return f"{gpu.free / _GIB:.1f} of {gpu.total / _GIB:.1f} GiB free{whose}"


def names(gpus: Sequence[Gpu]) -> str:
    """What a machine has, for people: ``Tesla T4``, ``2 x NVIDIA L4``, ``no GPU``."""
    counted = {gpu.name: 0 for gpu in gpus}
    for gpu in gpus:
        counted[gpu.name] += 1
    texts = [name if count == 1 else f"{count} x {name}" for name, count in counted.items()]
    return ", ".join(texts) or "no GPU"


def advice(host: Host, found: Found) -> str:
    """What to do here where there is no GPU, or not the right one."""
    if found.reasons:
        return "; ".join(found.reasons)
    if host.colab:
        return "Runtime > Change runtime type > GPU; this clears the machine, so do it first"
    if host.ephemeral:
        return "Choose an accelerator in the notebook's settings; this restarts the machine"
    if found.gpus:
        return "Take a machine that has it"
    return "If this machine has one, install its driver; else go on without"
