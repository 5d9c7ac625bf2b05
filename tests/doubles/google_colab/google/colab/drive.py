"""A stub of ``google.colab.drive``: it mounts a plain folder, and writes down who asked for what.

`MOUNTS` is the list of mounts of the pretended machine, in the form of ``/proc/mounts``;
`FAILURE` is raised by the next mount.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

CALLS: List[Tuple[str, Dict[str, Any]]] = []
FAILURE: Optional[Exception] = None
MOUNTS = Path("/nonexistent")


def mount(
    mountpoint: str, force_remount: bool = False, timeout_ms: int = 120000, readonly: bool = False
) -> None:
    """Mount, as Colab does once the person has allowed it."""
    CALLS.append(("mount", {"mountpoint": mountpoint, "force_remount": force_remount}))
    point = Path(mountpoint)
    assert MOUNTS.exists(), "a test that forgot to say where the mounts are"
    if FAILURE is not None:
        raise FAILURE
    if point.is_dir() and any(point.iterdir()) and not force_remount:
        raise ValueError("Mountpoint must not already contain files")
    cloud = point.with_name(point.name + "-in-the-cloud")
    point.mkdir(parents=True, exist_ok=True)
    if cloud.is_dir() and not (point / "MyDrive").exists():
        cloud.rename(point / "MyDrive")
    (point / "MyDrive").mkdir(parents=True, exist_ok=True)
    lines = [x for x in MOUNTS.read_text().splitlines() if x.split()[1] != mountpoint]
    lines.append(f"drive {mountpoint} fuse.drive rw,nosuid,nodev,relatime 0 0")
    MOUNTS.write_text("\n".join(lines) + "\n")
    print(f"Mounted at {mountpoint}")


def flush_and_unmount(timeout_ms: int = 24 * 60 * 60 * 1000) -> None:
    """Unmount: the files are in the cloud, and no longer here."""
    CALLS.append(("flush_and_unmount", {}))
    for line in MOUNTS.read_text().splitlines():
        if " fuse.drive " in line:
            point = Path(line.split()[1])
            (point / "MyDrive").rename(point.with_name(point.name + "-in-the-cloud"))
    lines = [x for x in MOUNTS.read_text().splitlines() if " fuse.drive " not in x]
    MOUNTS.write_text("\n".join(lines) + "\n")
