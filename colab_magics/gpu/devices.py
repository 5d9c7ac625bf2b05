"""The GPUs of this machine, and advice where there is none.

A TPU is named, so that it is clear why no GPU is shown. Source: the PCI numbers that JAX goes by,
``jax/_src/hardware_utils.py``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..core.host import Host
from ..core.menus import menu
from . import nvidia
from .format import count_names
from .model import Snapshot

#: Where Linux lists the devices on the bus.
DEVICES = Path("/sys/bus/pci/devices")
_GOOGLE = "0x1ae0"
_TPUS = {
    "0x0027": "v2 or v3",
    "0x005e": "v4",
    "0x0062": "v5p",
    "0x0063": "v5e",
    "0x006f": "v6e",
    "0x0076": "7x",
}


def take_snapshot(detailed: bool = False) -> Snapshot:
    """Read all GPUs of this machine, the driver started once; details take longer."""
    snapshot = nvidia.take_snapshot(detailed)
    numbers = [_read(at / "device") for at in DEVICES.glob("*") if _read(at / "vendor") == _GOOGLE]
    chips = count_names(sorted(_TPUS[number] for number in numbers if number in _TPUS))
    if not chips:
        return snapshot
    reason = f"A TPU is here ({chips}), which is no GPU and is not measured"
    return replace(snapshot, reasons=(*snapshot.reasons, reason))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def advise(host: Host, snapshot: Snapshot) -> str:
    """Say what to do here where there is no GPU, or not the right one."""
    if snapshot.reasons:
        return "; ".join(snapshot.reasons)
    if host.colab:
        more = "That starts another machine" if host.vscode else "That clears the machine"
        return f"In Colab: {menu(host, 'gpu')}. {more}, so do it first"
    if host.ephemeral:
        return "Choose an accelerator in the notebook's settings; this restarts the machine"
    if snapshot.gpus:
        return "Use a machine that has it"
    return "If there is one, install the NVIDIA driver. You can continue without one"
