"""What a cell cost: seconds, memory, load and energy, each with its source, and a picture of it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..core.display import TONES, Mark, Report, draw_html, duration
from .model import GIB
from .sampler import Samples
from .sampler_process import COUNTED, Tally
from .torch import Peak

#: Joules: a smaller estimate means nothing.
_LEAST = 0.05
#: Seconds after which a first sample does not show the state before the cell.
_LATE = 0.15
#: Fewer points are no picture.
_DRAWN = 4
#: A picture in a terminal is of these; in HTML it has a size.
_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT = 560, 64
_GREY = TONES["quiet"][0]

#: A line to draw: seconds, and a share from 0 to 1.
Line = List[Tuple[float, float]]


@dataclass(frozen=True)
class Cost:
    """What a cell cost. ``samples`` is None where there are none; ``error`` names what ended the
    cell where it failed; ``notes`` are lines on what could not be measured.
    """

    seconds: float
    samples: Optional[Samples] = None
    peaks: Tuple[Peak, ...] = ()
    error: str = ""
    notes: Tuple[str, ...] = ()

    def lines(self) -> Tuple[str, ...]:
        """Return a line for the cell, for each GPU that it used, and for each peak of torch."""
        head = f"{self.error} after " if self.error else ""
        head += _format_time(self.seconds)
        used, gpus = self._used_gpus(), self.samples.gpus if self.samples else ()
        if self.samples and gpus:
            unit = "sample" if self.samples.count == 1 else "samples"
            head += f" · {self.samples.count} {unit}, longest gap {self.samples.gap:.2f} s"
        lines = [head, *(_format_gpu(gpu, self.seconds) for gpu in used)]
        lines += [f"{len(gpus) - len(used)} more not used"] if len(gpus) > len(used) else []
        lines += [
            f"{peak.device} · peak memory {_format_size(peak.tensors)} in tensors, "
            f"{_format_size(peak.reserved)} reserved, by its own counters"
            for peak in self.peaks
        ]
        return (*lines, *self.notes)

    def _used_gpus(self) -> Sequence[Tally]:
        """Return the GPUs that did something; the first where none did."""
        gpus = self.samples.gpus if self.samples else ()
        used = [gpu for gpu in gpus if gpu.max_load or _rise(gpu) > 0 or gpu.own is not None]
        return used or gpus[:1]

    def report(self) -> CostReport:
        """Return what is displayed."""
        drawn = tuple(gpu for gpu in self._used_gpus() if len(gpu.points) >= _DRAWN)
        return CostReport(self.lines(), gpus=drawn)

    def __str__(self) -> str:
        return self.report().text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, str]:
        return self.report()._repr_mimebundle_()


@dataclass(frozen=True)
class CostReport(Report):
    """A report, and below it memory and load of GPUs over time.

    They are pictures in HTML, block characters in text.
    """

    gpus: Tuple[Tally, ...] = ()

    def text(self, width: int = 0, colours: bool = False) -> str:
        """See `Report`."""
        rows = tuple(
            (f"{label} {gpu.number}", text)
            for gpu in self.gpus
            for label, text in zip(("memory", "load"), map(draw_blocks, make_timelines(gpu)))
            if text
        )
        parts = [super().text(width, colours), *([Report(rows=rows).text()] if rows else [])]
        return "\n".join(filter(None, parts))

    def _body(self) -> str:
        return "\n".join([super()._body(), *(draw_picture(gpu) for gpu in self.gpus)])


def _rise(gpu: Tally) -> int:
    """Return the bytes by which the memory rose; 0 of a machine's own, which others use too."""
    return 0 if gpu.shared else (gpu.peak or 0) - (gpu.before or 0)


def _is_late(gpu: Tally) -> bool:
    """Tell whether the first sample came too late to show the state before: in a first cell."""
    return bool(gpu.points) and gpu.points[0][0] > _LATE


def _format_gpu(gpu: Tally, seconds: float) -> str:
    load = "load n/a"
    if gpu.mean_load is not None:
        load = f"load mean {gpu.mean_load:.0f} %, max {gpu.max_load} %"
    return " · ".join(
        [f"{gpu.number} {gpu.name}", _format_memory(gpu), load, _format_energy(gpu, seconds)]
    )


def _format_memory(gpu: Tally) -> str:
    if gpu.peak is None:
        return "peak memory n/a"
    scope = "GPU" if gpu.instance is None else "instance"
    where = "of the whole machine" if gpu.shared else f"on the whole {scope}"
    own = f"{_format_size(gpu.own)} of this process, " if gpu.own is not None else ""
    rise = 0 if _is_late(gpu) else _rise(gpu)
    more = f" (+{_format_size(rise)})" if rise > 0 else ""
    return f"peak memory {own}{_format_size(gpu.peak, '')} of {_format_total(gpu)} {where}{more}"


def _format_energy(gpu: Tally, seconds: float) -> str:
    if gpu.counter and seconds >= COUNTED and not _is_late(gpu):
        return f"{_format_joules(gpu.counter)} by its counter"
    if gpu.power is not None and gpu.power >= _LEAST:
        return f"about {_format_joules(gpu.power)}, an estimate from its power"
    return "energy n/a"


def _format_joules(value: float) -> str:
    return f"{value / 1000:,.1f} kJ" if value >= 10_000 else f"{value:.{1 if value < 10 else 0}f} J"


def _format_total(gpu: Tally) -> str:
    return _format_size(gpu.total) if gpu.total else "n/a"


def _format_size(size: int, unit: str = " GiB") -> str:
    """Return a size; a small one has a digit more, so that 20 MiB is not 0."""
    return f"{size / GIB:.{1 if size >= GIB or not size else 2}f}{unit}"


def _format_time(seconds: float) -> str:
    if seconds < 0.0005:
        return "under 1 ms"
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 59.995 else duration(round(seconds))


def make_timelines(gpu: Tally) -> Tuple[Line, Line]:
    """Return memory and load over time, each from 0 to 1; empty where it is not known.

    Memory is a share of what the card has, or of the peak where that is not known.
    """
    full = gpu.total or gpu.peak or 1
    return (
        [(at, used / full) for at, used, _ in gpu.points if used is not None],
        [(at, load / 100) for at, _, load in gpu.points if load is not None],
    )


def draw_blocks(line: Line, width: int = 40) -> str:
    """Draw a line in block characters; each shows the maximum of its time."""
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


def draw_picture(gpu: Tally) -> str:
    """Draw an image for HTML with its data in it, which front ends show in any notebook.

    Memory is an area, load a line. The texts are below the image: in it they could not have the
    colour of the page's text.
    """
    memory, load = make_timelines(gpu)
    end = max((line[-1][0] for line in (memory, load) if line), default=0.0)
    if not end:
        return ""
    parts = [f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="{_GREY}" fill-opacity=".1"/>']
    if memory:
        area = _format_points([(0.0, 0.0), (0.0, memory[0][1]), *memory, (end, 0.0)], end)
        parts.append(f'<polygon points="{area}" fill="{TONES["active"][0]}" fill-opacity=".6"/>')
    if load:
        curve = _format_points([(0.0, load[0][1]), *load], end)
        style = f'fill="none" stroke="{TONES["caution"][0]}" stroke-width="2"'
        parts.append(f'<polyline points="{curve}" {style}/>')
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(parts)}</svg>'
    data = base64.b64encode(svg.encode()).decode()
    alt = escape(f"memory and load of {gpu.number} {gpu.name} over {end:.1f} s", quote=True)
    image = f'<img alt="{alt}" {size} style="display:block" src="data:image/svg+xml;base64,{data}">'
    return f"{image}\n{_draw_legend(gpu, bool(load), end)}"


def _draw_legend(gpu: Tally, has_load: bool, end: float) -> str:
    texts = (
        Mark.of(f"memory, of {_format_total(gpu)}", "active"),
        Mark.of("load, of 100 %" if has_load else "load n/a", "caution"),
        f"GPU {gpu.number}, {end:.1f} s",
    )
    spans = "".join(f"<span>{draw_html(text)}</span>" for text in texts)
    return f'<div style="display:flex;justify-content:space-between;width:{_WIDTH}px">{spans}</div>'


def _format_points(line: Sequence[Tuple[float, float]], end: float) -> str:
    return " ".join(f"{_WIDTH * x / end:.1f},{_HEIGHT * (1 - min(y, 1.0)):.1f}" for x, y in line)
