"""What ``%gpu -v`` and ``%gpu --json`` add: power, clocks, links, and who is using a GPU."""

import os
from dataclasses import dataclass
from typing import Optional, Sequence, Tuple

from .model import Gpu, number


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
