"""What samples add up to, by a clock and a card of the test's own, and how it is drawn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional

import pytest

from colab_magics.gpu import sampler_process
from colab_magics.gpu.measurement import Cost, draw_blocks
from colab_magics.gpu.model import GIB, Gpu, Reading
from colab_magics.gpu.sampler import Samples
from colab_magics.gpu.sampler_process import Measurement, Meter, Tally


class Card:
    """A device whose readings and counter are lists."""

    def __init__(self, readings: List[Reading], joules: List[Optional[float]]) -> None:
        self.readings, self.joules, self.listed = readings, joules, 0

    def sample(self) -> Reading:
        return self.readings.pop(0)

    def read_energy(self) -> Optional[float]:
        return self.joules.pop(0)

    def read_memory_of(self, pid: int) -> Optional[int]:
        self.listed += 1
        return self.listed


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the clock."""

    def clock(seconds: float) -> None:
        monkeypatch.setattr(sampler_process, "time", SimpleNamespace(monotonic=lambda: seconds))

    return clock


def measure(at: Any, card: Any, *times: float) -> Dict[str, Any]:
    """Samples at these times, the last one at the end."""
    meters = [Meter(Gpu("Tesla T4", total=10), card)] if card else []
    measurement = Measurement(meters, pid=1, started=0.0)
    for time in times[:-1]:
        at(time)
        measurement.step()
    at(times[-1])
    measurement.sample(last=True)
    return measurement.result(times[-1])


def test_load_and_energy_are_weighed_by_time(at: Any) -> None:
    """Load and power count for the time since the sample before; the counter for its rise."""
    readings = [Reading(4, 0, 0.0), Reading(9, 100, 50.0), Reading(5, 20, 10.0)]
    card = Card(readings, [1000.0, 1030.0])
    result = measure(at, card, 0.0, 0.01, 1.0, 2.0)  # at 0.01 the counter is read
    (gpu,) = result["gpus"]
    assert (result["count"], result["gap"]) == (3, 1.0)
    assert (gpu["before"], gpu["peak"], gpu["max_load"]) == (4, 9, 100)
    assert (gpu["mean_load"], gpu["power"], gpu["counter"]) == (60.0, 60.0, 30.0)
    assert gpu["points"] == [(0.0, 4, 0), (1.0, 9, 100), (2.0, 5, 20)]


def test_a_short_cell_has_no_counter(at: Any) -> None:
    """Below half a second it says little, so that it is not read at the end."""
    card = Card([Reading(1, 1, 1.0)] * 2, [1000.0])
    (gpu,) = measure(at, card, 0.0, 0.01, 0.4)["gpus"]
    assert gpu["counter"] is None and card.joules == []


def test_the_memory_of_the_process_is_read_seldom(at: Any) -> None:
    """At the first sample and the end, and between them at a new peak once a second at most."""
    readings = [Reading(used, 0, None) for used in (1, 2, 3, 9, 4, 4)]
    card = Card(readings, [None, None])
    measure(at, card, 0.0, 0.01, 0.1, 0.2, 1.2, 1.3, 1.4)
    assert card.listed == 3


def test_a_long_timeline_is_coarsened(at: Any) -> None:
    """It stays short, and a peak of one sample stays in it."""
    readings = [Reading(9 if number == 777 else 1, 0, None) for number in range(2000)]
    times = [number / 10 for number in range(2000)]
    card = Card(readings, [None, None])
    (gpu,) = measure(at, card, times[0], 0.01, *times[1:])["gpus"]
    assert 100 < len(gpu["points"]) < 240
    assert max(used for _, used, _ in gpu["points"]) == 9


def test_without_a_driver_samples_are_counted(at: Any) -> None:
    """There are no GPUs in the result."""
    assert measure(at, None, 0.0, 0.01, 0.1) == {"count": 2, "gap": 0.1, "gpus": []}


def test_a_line_in_blocks() -> None:
    """Each block is the maximum of its time, and lasts until the next sample."""
    assert draw_blocks([(0.0, 0.8), (1.0, 1.0), (2.0, 0.0)]) == "▇█▁"
    assert draw_blocks([(0.0, 0.0), (0.1, 1.0), (10.0, 0.0)], width=4) == "██▁"
    assert draw_blocks([]) == ""


@pytest.mark.parametrize(
    ("first", "text"),
    [
        (0.1, "(+1.0 GiB) · load n/a · 30 J by its counter"),
        (0.2, "GPU · load n/a · about 25 J, an estimate from its power"),
    ],
)
def test_the_source_of_each_number(first: float, text: str) -> None:
    """A first sample that came late does not show the state before, nor the whole counter."""
    gpu = Tally("T4", "0", total=4 * GIB, before=GIB, peak=2 * GIB, counter=30.0, power=25.0)
    gpu.points.append((first, GIB, None))
    cost = Cost(0.6, Samples(1, 0.3, (gpu,)))
    assert cost.lines()[0] == "600 ms · 1 sample, longest gap 0.30 s"
    assert cost.lines()[1].endswith(text)
