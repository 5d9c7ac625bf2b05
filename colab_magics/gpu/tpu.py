"""Google's TPUs, which are no GPUs: named, so that it is clear why no GPU is shown.

Source: the PCI numbers that JAX goes by, ``jax/_src/hardware_utils.py``.
"""

from __future__ import annotations

from pathlib import Path

from .model import Snapshot, Vendor, count_names

#: Where Linux lists the devices on the bus.
DEVICES = Path("/sys/bus/pci/devices")
#: By the PCI numbers of the vendor and of the device.
_NAMES = {
    ("0x1ae0", "0x0027"): "v2 or v3",
    ("0x1ae0", "0x005e"): "v4",
    ("0x1ae0", "0x0062"): "v5p",
    ("0x1ae0", "0x0063"): "v5e",
    ("0x1ae0", "0x006f"): "v6e",
    ("0x1ae0", "0x0076"): "7x",
}


class Tpu(Vendor):
    """Google's chips: a reason, and no GPU."""

    def find(self, detailed: bool) -> Snapshot:
        """See `Vendor`."""
        numbers = ((_read(at / "vendor"), _read(at / "device")) for at in DEVICES.glob("*"))
        chips = count_names(sorted(_NAMES[pair] for pair in numbers if pair in _NAMES))
        reason = f"A TPU is here ({chips}), which is no GPU and is not measured"
        return Snapshot(reasons=(reason,) if chips else ())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
