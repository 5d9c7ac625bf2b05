"""A stub of ``google.colab.drive``: it mounts a plain folder, and writes down who asked for what.

In a real kernel it asks the page for the permission first, as Colab does, by the real protocol.

`MOUNTS` is the list of mounts of the pretended machine, in the form of ``/proc/mounts``. `FAILURE`
is raised by the next mount, `FLUSH_FAILURE` by the next flush, which leaves Drive mounted unless
`FLUSH_UNMOUNTS`; `FLUSHING` is called while it flushes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import _message

CALLS: List[Tuple[str, Dict[str, Any]]] = []
FAILURE: Optional[BaseException] = None
FLUSH_FAILURE: Optional[BaseException] = None
FLUSH_UNMOUNTS = True
FLUSHING: Callable[[], object] = list
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
    _request_permission(timeout_ms // 1000)
    if not force_remount:
        _check(point)
    cloud = point.with_name(point.name + "-in-the-cloud")
    point.mkdir(exist_ok=True)
    if cloud.is_dir() and not (point / "MyDrive").exists():
        cloud.rename(point / "MyDrive")
    (point / "MyDrive").mkdir(parents=True, exist_ok=True)
    lines = [x for x in MOUNTS.read_text().splitlines() if x.split()[1] != mountpoint]
    lines.append(f"drive {mountpoint} fuse.drive rw,nosuid,nodev,relatime 0 0")
    MOUNTS.write_text("\n".join(lines) + "\n")
    print(f"Mounted at {mountpoint}")


def _request_permission(seconds: int) -> None:
    from IPython import get_ipython

    if hasattr(getattr(get_ipython(), "kernel", None), "stdin_socket"):
        request = {"authType": "dfs_ephemeral"}
        _message.blocking_request("request_auth", request=request, timeout_sec=seconds)


def _check(point: Path) -> None:
    """Refuse a mount point as Colab does, in its words."""
    if point.is_symlink():
        raise ValueError("Mountpoint must not be a symlink")
    if point.is_dir() and any(point.iterdir()):
        raise ValueError("Mountpoint must not already contain files")
    if not point.is_dir() and point.exists():
        raise ValueError("Mountpoint must either be a directory or not exist")
    if not point.parent.exists():
        raise ValueError("Mountpoint must be in a directory that exists")


def flush_and_unmount(timeout_ms: int = 24 * 60 * 60 * 1000) -> None:
    """Unmount: the files are in the cloud, and no longer here."""
    CALLS.append(("flush_and_unmount", {}))
    FLUSHING()
    if FLUSH_UNMOUNTS:
        _unmount()
    if FLUSH_FAILURE is not None:
        raise FLUSH_FAILURE


def _unmount() -> None:
    for line in MOUNTS.read_text().splitlines():
        if " fuse.drive " in line:
            point = Path(line.split()[1])
            (point / "MyDrive").rename(point.with_name(point.name + "-in-the-cloud"))
    lines = [x for x in MOUNTS.read_text().splitlines() if " fuse.drive " not in x]
    MOUNTS.write_text("\n".join(lines) + "\n")
