"""GPUs as text: the table of ``%gpu``, and that of ``%gpu -v``."""

from __future__ import annotations

import os
from collections import Counter
from typing import Dict, Iterable, Optional, Sequence, Tuple

from ..core.display import Bar, Report, Tone
from .cuda_visible import NAME
from .model import GIB, DetailedGpu, Gpu, Process

#: The headings of the table of GPUs.
HEAD = ("GPU", "memory used", "load", "temperature", "driver")
#: From which share on memory and load are moderate, and heavy: as in nvitop, whose class `Device`
#: has them as MEMORY_UTILIZATION_THRESHOLDS and GPU_UTILIZATION_THRESHOLDS.
_MEMORY, _LOAD = (0.10, 0.80), (0.10, 0.75)


def draw_rows(gpus: Sequence[Gpu]) -> Tuple[Tuple[str, ...], ...]:
    """Draw a row for each GPU, with bars for memory and load."""
    rows = []
    for gpu in gpus:
        memory, load = describe_memory(gpu), "n/a"
        if gpu.total and gpu.free is not None:
            memory = _draw_bar(memory, 1 - gpu.free / gpu.total, _MEMORY)
        if gpu.load is not None:
            load = _draw_bar(f"{gpu.load} %", gpu.load / 100, _LOAD)
        heat = "n/a" if gpu.temperature is None else f"{gpu.temperature} °C"
        rows.append((gpu.label, memory, load, heat, _describe_driver(gpu)))
    return tuple(rows)


def _draw_bar(text: str, share: float, thresholds: Tuple[float, float]) -> Bar:
    light, moderate = thresholds
    tone: Tone = "good" if share < light else "caution" if share < moderate else "bad"
    return Bar.of(text, share, tone)


def _describe_driver(gpu: Gpu) -> str:
    cuda = " (CUDA up to {}.{})".format(*gpu.cuda) if gpu.cuda[0] else ""
    hidden = (
        f" · {'' if gpu.hidden else 'perhaps '}hidden by {NAME}" if gpu.hidden is not False else ""
    )
    return f"{gpu.driver}{cuda}{hidden}"


def describe_memory(gpu: Gpu) -> str:
    """Return the memory in use: ``0.4 of 15.0 GiB``."""
    if gpu.total is None:
        return "n/a"
    if gpu.free is None:
        return f"n/a of {gpu.total / GIB:.1f} GiB"
    owner = " (the machine's)" if gpu.shared else ""
    return f"{(gpu.total - gpu.free) / GIB:.1f} of {gpu.total / GIB:.1f} GiB{owner}"


def list_names(gpus: Sequence[Gpu]) -> str:
    """Return ``Tesla T4``, ``2 x NVIDIA L4`` or ``no GPU``."""
    return count_names(gpu.name for gpu in gpus) or "no GPU"


def count_names(parts: Iterable[str]) -> str:
    """Return each name once, with its number where there are several."""
    counts = Counter(parts).items()
    return ", ".join(name if count == 1 else f"{count} x {name}" for name, count in counts)


def make_details(gpus: Sequence[DetailedGpu]) -> Report:
    """Return the details as a table: a row for each of them, a column for each GPU."""
    cells = [_make_cells(gpu) for gpu in gpus]
    rows = [(name, *(column[name] for column in cells)) for name in cells[0]] if cells else []
    for at, gpu in enumerate(gpus):
        for process in gpu.processes or ():
            row = [""] * len(gpus)
            row[at] = _format_process(process)
            rows.append((f"process {process.pid}", *row))
    return Report(rows=tuple(rows), head=("", *(gpu.label for gpu in gpus)))


def _make_cells(gpu: DetailedGpu) -> Dict[str, str]:
    limit = "" if gpu.power_limit is None else f" of {gpu.power_limit:.0f} W"
    slowed, processes = gpu.slowed, gpu.processes
    return {
        "power": "n/a" if gpu.power is None else f"{gpu.power:.0f} W{limit}",
        "energy since the driver started": _format_value(gpu.energy and gpu.energy / 1000, "kJ"),
        "clock of the processor": _format_value(gpu.clock, "MHz"),
        "clock of the memory": _format_value(gpu.memory_clock, "MHz"),
        "slowed down by": "n/a" if slowed is None else ", ".join(slowed) or "nothing",
        "memory errors not corrected": _format_value(gpu.ecc),
        "bus": "PCIe generation {}, {} lanes".format(*gpu.pcie) if gpu.pcie else "n/a",
        "divided (MIG)": {True: "yes", False: "no", None: "n/a"}[gpu.mig],
        "processes": "n/a" if processes is None else str(len(processes) or "none"),
    }


def _format_process(process: Process) -> str:
    size = "memory n/a" if process.memory is None else f"{process.memory / GIB:.1f} GiB"
    if not process.here:
        return f"{size}, outside this container, or ended"
    own = " (this kernel)" if process.pid == os.getpid() else ""
    return ", ".join(filter(None, [size, process.user, process.command[:60] + own]))


def _format_value(value: Optional[float], unit: str = "") -> str:
    return "n/a" if value is None else f"{value:,.0f} {unit}".strip()
