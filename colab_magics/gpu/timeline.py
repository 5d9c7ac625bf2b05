"""A measurement over time as a picture: SVG for browsers, block characters for terminals."""

import base64
from html import escape
from typing import Callable, List, Optional, Sequence, Tuple

from .sampler_process import Tally


_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT, _TEXT = 480, 64, 16
_MEMORY, _LOAD = "rgb(66,133,244)", "rgb(232,113,10)"

#: Where a line goes: seconds, and a share from 0 to 1.
Line = List[Tuple[float, float]]


def lines(tally: Tally) -> Tuple[Line, Line]:
    """Memory and load over time, each from 0 to 1; empty where it is not known.

    Memory is a share of what the card has, or of the peak where that is not said.
    """
    full = tally.total or tally.peak or 1
    return (
        [(at, used / full) for at, used, _ in tally.points if used is not None],
        [(at, load / 100) for at, _, load in tally.points if load is not None],
    )


def sparkline(line: Line, width: int = 40) -> str:
    """A line in block characters; each shows the highest of its time."""
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


def picture(tally: Tally, label: Callable[[Tally], str]) -> str:
    """An image for HTML with its data in it, which front ends show in any notebook.

    Memory is an area, load a line; colours that light and dark pages both show.
    """
    memory, load = lines(tally)
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
        _text(0, "start", _MEMORY, f"memory, {label(tally)}"),
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
