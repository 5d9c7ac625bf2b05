"""Google's TPUs: named where one is, and not measured.

Source: the PCI numbers that JAX goes by, ``jax/_src/hardware_utils.py``.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from .model import Details, Found, Gpu, Reading

#: Where Linux lists what is on the bus.
DEVICES = Path("/sys/bus/pci/devices")
_GOOGLE = "0x1ae0"
_NAMES = {
    "0x0027": "v2 or v3",
    "0x005e": "v4",
    "0x0062": "v5p",
    "0x0063": "v5e",
    "0x006f": "v6e",
    "0x0076": "7x",
}


class Tpu:
    """No GPU, so that nothing is said but that it is here."""

    def find(self) -> Found:
        """See `Vendor`."""
        chips: Dict[str, int] = {}
        for device in sorted(DEVICES.glob("*")):
            if _read(device / "vendor") == _GOOGLE and _read(device / "device") in _NAMES:
                name = _NAMES[_read(device / "device")]
                chips[name] = chips.get(name, 0) + 1
        text = ", ".join(name if n == 1 else f"{n} x {name}" for name, n in chips.items())
        said = f"A TPU is here ({text}), which is no GPU and is not measured"
        return Found((), (said,) if text else ())

    def details(self) -> Tuple[Details, ...]:
        """See `Vendor`."""
        return ()

    @contextmanager
    def watch(self) -> Iterator[_Nothing]:
        """See `Vendor`."""
        yield _Nothing()


class _Nothing:
    """See `Watch`."""

    gpus: Sequence[Gpu] = ()

    def read(self) -> List[Reading]:
        """See `Watch`."""
        return []

    def energy(self) -> List[Optional[float]]:
        """See `Watch`."""
        return []

    def memory_of(self, pid: int) -> List[Optional[int]]:
        """See `Watch`."""
        return []


def _read(place: Path) -> str:
    try:
        return place.read_text(encoding="ascii").strip()
    except OSError:
        return ""
