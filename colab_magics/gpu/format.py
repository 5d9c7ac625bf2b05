"""GPUs as text: a line for each, and the table of ``%gpu -v``."""

from __future__ import annotations

import os
from collections import Counter
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from .cuda_visible import NAME
from .model import GIB, DetailedGpu, Gpu, Process


def describe_gpus(gpus: Sequence[Gpu]) -> List[str]:
    """Return one line for each GPU, their columns aligned."""
    rows = [make_columns(gpu) for gpu in gpus]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        " · ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows
    ]


def make_columns(gpu: Gpu) -> Tuple[str, ...]:
    """Return the columns of a GPU's line: name, memory, load, temperature, driver."""
    driver = f"driver {gpu.driver}"
    if gpu.cuda[0]:
        driver += " (CUDA up to {}.{})".format(*gpu.cuda)
    if gpu.hidden is not False:
        driver += f" · {'' if gpu.hidden else 'perhaps '}hidden by {NAME}"
    load = "load n/a" if gpu.load is None else f"{gpu.load} %"
    heat = "n/a °C" if gpu.temperature is None else f"{gpu.temperature} °C"
    return gpu.label, describe_memory(gpu), load, heat, driver


def describe_memory(gpu: Gpu) -> str:
    """Return ``14.6 of 15.0 GiB free``."""
    if gpu.total is None:
        return "memory n/a"
    if gpu.free is None:
        return f"{gpu.total / GIB:.1f} GiB"
    owner = " (the machine's)" if gpu.shared else ""
    return f"{gpu.free / GIB:.1f} of {gpu.total / GIB:.1f} GiB free{owner}"


def list_names(gpus: Sequence[Gpu]) -> str:
    """Return ``Tesla T4``, ``2 x NVIDIA L4`` or ``no GPU``."""
    return count_names(gpu.name for gpu in gpus) or "no GPU"


def count_names(parts: Iterable[str]) -> str:
    """Return each name once, with its number where there are several."""
    counts = Counter(parts).items()
    return ", ".join(name if count == 1 else f"{count} x {name}" for name, count in counts)


def make_detail_rows(gpus: Sequence[DetailedGpu]) -> Tuple[Tuple[str, ...], ...]:
    """Return the details as a table: a row for each of them, a column for each GPU."""
    cells = [_make_cells(gpu) for gpu in gpus]
    rows = [("", *(gpu.label for gpu in gpus))]
    rows += [(name, *(column[name] for column in cells)) for name in cells[0]] if cells else []
    for at, gpu in enumerate(gpus):
        for process in gpu.processes or ():
            row = [""] * len(gpus)
            row[at] = _format_process(process)
            rows.append((f"  {process.pid}", *row))
    return tuple(rows)


def _make_cells(gpu: DetailedGpu) -> Dict[str, str]:
    limit = "" if gpu.power_limit is None else f" of {gpu.power_limit:.0f} W"
    slowed, processes = gpu.slowed, gpu.processes
    return {
        "power": "n/a" if gpu.power is None else f"{gpu.power:.0f} W{limit}",
        "energy since the driver started": _format_value(gpu.energy, "J"),
        "clocks, of the memory": ", ".join(
            _format_value(clock, "MHz") for clock in (gpu.clock, gpu.memory_clock)
        ),
        "slowed down by": "n/a" if slowed is None else ", ".join(slowed) or "nothing",
        "memory errors (ECC)": _format_value(gpu.ecc),
        "PCIe": "gen {} x{}".format(*gpu.pcie) if gpu.pcie else "n/a",
        "MIG": {True: "on", False: "off", None: "n/a"}[gpu.mig],
        "processes": "n/a" if processes is None else str(len(processes) or "none"),
    }


def _format_process(process: Process) -> str:
    size = "memory n/a" if process.memory is None else f"{process.memory / 1024**2:.0f} MiB"
    if not process.here:
        return f"{size}, outside this container, or ended"
    own = " (this kernel)" if process.pid == os.getpid() else ""
    return ", ".join(filter(None, [size, process.user, process.command[:60] + own]))


def _format_value(value: Optional[float], unit: str = "") -> str:
    return "n/a" if value is None else f"{value:,.0f} {unit}".strip()
