"""What a cell cost: seconds, memory, load and energy, each with its source, and a picture of it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from typing import Any, Dict, Iterable, List, Optional, Protocol, Sequence, Tuple

from ..core.display import Report
from ..core.registry import load
from .model import GIB
from .sampler import Samples
from .sampler_process import COUNTED, Tally

#: Frameworks that count their own memory. Adding one is one file and one line here.
METERS = ("colab_magics.gpu.torch:TorchMemory",)

#: Joules: an estimate of less says nothing.
_LEAST = 0.05
#: Seconds after which a first sample says nothing of how it was before.
_LATE = 0.15
#: Fewer points are no picture.
_DRAWN = 4
#: A picture in a terminal is of these; in HTML it has a size, room for text, and colours.
_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT, _TEXT = 480, 64, 16
_MEMORY, _LOAD = "rgb(66,133,244)", "rgb(232,113,10)"

#: Where a line goes: seconds, and a share from 0 to 1.
Line = List[Tuple[float, float]]


@dataclass(frozen=True)
class Peak:
    """The most that a framework had on a device, in bytes: in tensors, and with what it keeps."""

    device: str
    tensors: int
    reserved: int


class Meter(Protocol):
    """A framework's own count of its memory."""

    def begin(self) -> None:
        """Count from now on; nothing where the framework does not use a GPU."""

    def peaks(self) -> Sequence[Peak]:
        """Return the peaks since `begin`, once all work of the GPU is done."""

    def free(self) -> None:
        """Give back to the GPU what is kept for later."""

    def held(self, variables: Iterable[Tuple[str, Any]]) -> Dict[str, int]:
        """Measure the bytes on GPUs that variables hold, by name; without those that hold none."""


def meters() -> List[Meter]:
    """Make a meter of each framework that counts its own memory."""
    return [load(target)() for target in METERS]


def first_line(meter: Meter, error: Exception) -> str:
    """Write an error of a framework as one line."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"{type(meter).__name__}: {text[:150]}"


@dataclass(frozen=True)
class Measured:
    """What a cell cost. ``samples`` is None where none could be taken; ``ended`` is how the cell
    ended where it did not succeed; ``notes`` are lines on what could not be measured.
    """

    seconds: float
    samples: Optional[Samples] = None
    peaks: Tuple[Peak, ...] = ()
    ended: str = ""
    notes: Tuple[str, ...] = ()

    def lines(self) -> Tuple[str, ...]:
        """Write a line for the cell, for each GPU, and for what a framework counted."""
        head = f"{self.ended} after {_time(self.seconds)}" if self.ended else _time(self.seconds)
        shown = self._shown()
        if self.samples and self.samples.gpus:
            times = "1 sample" if self.samples.count == 1 else f"{self.samples.count} samples"
            head += f" · {times}, longest gap {self.samples.gap:.2f} s"
        lines = [head, *(_line(tally, self.seconds) for tally in shown)]
        idle = len(self.samples.gpus if self.samples else ()) - len(shown)
        lines += [f"{idle} more not used"] if idle else []
        lines += [
            f"{peak.device} · peak memory {_gib(peak.tensors)} in tensors, {_gib(peak.reserved)} "
            "reserved, by its own counters"
            for peak in self.peaks
        ]
        return (*lines, *self.notes)

    def _shown(self) -> Sequence[Tally]:
        """Return the GPUs that did something; the first where none did."""
        gpus = self.samples.gpus if self.samples else ()
        return [gpu for gpu in gpus if _used(gpu)] or gpus[:1]

    def report(self) -> Cost:
        """Return what is displayed."""
        drawn = tuple(gpu for gpu in self._shown() if len(gpu.points) >= _DRAWN)
        return Cost.of(self.lines(), drawn)

    def __str__(self) -> str:
        return self.report().text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, str]:
        return self.report()._repr_mimebundle_()


@dataclass(frozen=True)
class Cost(Report):
    """The lines of a measurement, with pictures in HTML in place of block characters."""

    gpus: Tuple[Tally, ...] = ()

    @classmethod
    def of(cls, lines: Tuple[str, ...], gpus: Tuple[Tally, ...]) -> Cost:
        """Add to lines what memory and load of these GPUs were over time."""
        rows = tuple(
            (f"{label} {gpu.name.split()[0]}", text)
            for gpu in gpus
            for label, text in zip(("memory", "load"), map(sparkline, timelines(gpu)))
            if text
        )
        return cls(lines, rows, gpus=gpus)

    def html(self) -> str:
        """Draw the lines, and a picture of each GPU."""
        drawn = [f"<div>{picture(gpu)}</div>" for gpu in self.gpus]
        return "\n".join([Report(self.lines).html(), *drawn])


def _used(gpu: Tally) -> bool:
    return bool(gpu.max_load) or _more(gpu) > 0 or gpu.own is not None


def _more(gpu: Tally) -> int:
    """Return the bytes by which the memory rose; 0 of a machine's own, which others use too."""
    return 0 if gpu.shared else (gpu.peak or 0) - (gpu.before or 0)


def _late(gpu: Tally) -> bool:
    """Tell whether the first sample came too late to know what was before: in a first cell."""
    return bool(gpu.points) and gpu.points[0][0] > _LATE


def _line(gpu: Tally, seconds: float) -> str:
    parts = [gpu.name, _memory(gpu), "load n/a", _energy(gpu, seconds)]
    if gpu.mean_load is not None:
        parts[2] = f"load mean {gpu.mean_load:.0f} %, max {gpu.max_load} %"
    return " · ".join(parts)


def _memory(gpu: Tally) -> str:
    if gpu.peak is None:
        return "peak memory n/a"
    more = 0 if _late(gpu) else _more(gpu)
    where = "of the whole machine" if gpu.shared else "on the whole GPU"
    where = "on the whole instance" if ":" in gpu.name.split()[0] else where
    device = f"{_gib(gpu.peak, '')} of {_total(gpu)} {where}"
    device += f" (+{_gib(more)})" if more > 0 else ""
    own = f"{_gib(gpu.own)} of this process, " if gpu.own is not None else ""
    return f"peak memory {own}{device}"


def _energy(gpu: Tally, seconds: float) -> str:
    if gpu.counter and seconds >= COUNTED and not _late(gpu):
        return f"{_joules(gpu.counter)} by its counter"
    if gpu.power is not None and gpu.power >= _LEAST:
        return f"about {_joules(gpu.power)}, an estimate from its power"
    return "energy n/a"


def _joules(value: float) -> str:
    return f"{value / 1000:,.1f} kJ" if value >= 10_000 else f"{value:.{1 if value < 10 else 0}f} J"


def _total(gpu: Tally) -> str:
    return _gib(gpu.total) if gpu.total else "n/a"


def _gib(size: int, unit: str = " GiB") -> str:
    """Write a size; a small one keeps a digit more, so that 20 MiB is not none."""
    return f"{size / GIB:.{1 if size >= GIB or not size else 2}f}{unit}"


def _time(seconds: float) -> str:
    if seconds < 0.0005:
        return "under 1 ms"
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.995:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def timelines(tally: Tally) -> Tuple[Line, Line]:
    """Return memory and load over time, each from 0 to 1; empty where it is not known.

    Memory is a share of what the card has, or of the peak where that is not said.
    """
    full = tally.total or tally.peak or 1
    return (
        [(at, used / full) for at, used, _ in tally.points if used is not None],
        [(at, load / 100) for at, _, load in tally.points if load is not None],
    )


def sparkline(line: Line, width: int = 40) -> str:
    """Draw a line in block characters; each shows the highest of its time."""
    if not line:
        return ""
    end = line[-1][0] or 1.0
    heights: List[Optional[float]] = [None] * min(width, len(line))
    for at, share in line:
        slot = min(int(len(heights) * at / end), len(heights) - 1)
        heights[slot] = max(heights[slot] or 0.0, share)
    last, text = 0.0, ""
    for height in heights:  # between two samples it is as it was
        last = last if height is None else height
        text += _BLOCKS[min(int(last * len(_BLOCKS)), len(_BLOCKS) - 1)]
    return text


def picture(tally: Tally) -> str:
    """Draw an image for HTML with its data in it, which front ends show in any notebook.

    Memory is an area, load a line; colours that light and dark pages both show.
    """
    memory, load = timelines(tally)
    end = max((line[-1][0] for line in (memory, load) if line), default=0.0)
    if not end:
        return ""
    parts = [
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="rgb(128,128,128)" fill-opacity=".1"/>'
    ]
    if memory:
        area = [(0.0, 0.0), (0.0, memory[0][1]), *memory, (end, 0.0)]
        parts.append(f'<polygon points="{_points(area, end)}" fill="{_MEMORY}" fill-opacity=".4"/>')
    if load:
        drawn = _points([(0.0, load[0][1]), *load], end)
        style = f'fill="none" stroke="{_LOAD}" stroke-width="1.5"'
        parts.append(f'<polyline points="{drawn}" {style}/>')
    parts += [
        _text(0, "start", _MEMORY, f"memory, {_total(tally)}"),
        _text(_WIDTH / 2, "middle", _LOAD, "load, of 100 %" if load else "load n/a"),
        _text(_WIDTH, "end", "rgb(128,128,128)", f"{end:.1f} s"),
    ]
    size = f'width="{_WIDTH}" height="{_HEIGHT + _TEXT}"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(parts)}</svg>'
    data = base64.b64encode(svg.encode()).decode()
    alt = escape(f"memory and load of {tally.name} over {end:.1f} s", quote=True)
    return f'<img alt="{alt}" {size} src="data:image/svg+xml;base64,{data}">'


def _points(line: Sequence[Tuple[float, float]], end: float) -> str:
    return " ".join(f"{_WIDTH * x / end:.1f},{_HEIGHT * (1 - min(y, 1.0)):.1f}" for x, y in line)


def _text(x: float, anchor: str, fill: str, text: str) -> str:
    place = f'x="{x:.0f}" y="{_HEIGHT + _TEXT - 4}" text-anchor="{anchor}" fill="{fill}"'
    return f'<text {place} font-family="sans-serif" font-size="11">{escape(text)}</text>'
