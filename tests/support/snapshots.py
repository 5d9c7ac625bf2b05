"""Snapshots that a kernel would hand to the writer, each of a version that is told by its bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, List, Optional

from colab_magics.checkpoint.files import RestoredRoot, StagedRoot
from colab_magics.checkpoint.manifest import Manifest, Root, Segment, hash_source
from colab_magics.checkpoint.spool import FinishedCell, SnapshotInfo, SpoolWriter
from colab_magics.checkpoint.store import Store

__all__ = ["content", "fill_root", "restore_root", "restore_version", "spool"]


def content(version: int, name: str, size: int) -> bytes:
    """Bytes that no other version or name has, each block of them another."""
    blocks = []
    for at in range(0, size, 1 << 16):
        seed = hashlib.sha256(f"{version} {name} {at}".encode()).digest()
        blocks.append((seed * 2048)[: min(1 << 16, size - at)])
    return b"".join(blocks)


def fill_root(folder: Path, version: int, files: int = 20, large: int = 5_000_000) -> None:
    """Small files and a large one of a version."""
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    for at in range(files):
        (folder / "sub" / f"{at}.txt").write_bytes(content(version, str(at), 300))
    (folder / "large.bin").write_bytes(content(version, "large", large))


def spool(
    place: Path,
    store: Path,
    version: int,
    buffers: Optional[List[Any]] = None,
    root: Optional[Path] = None,
    **info: Any,
) -> SpoolWriter:
    """A finished spool: a stream, buffers (two of this version, unless given), a cell, a root."""
    writer = SpoolWriter(place)
    stream = content(version, "stream", 1000)
    writer.write_stream(stream)
    if buffers is None:
        buffers = [content(version, "b0", 6_000_000), content(version, "b1", 70_000)]
    for data in buffers:
        writer.write_buffer(data)
    details = {
        "keep": 5,
        "kernel": "kernel",
        "time": 1.7e9 + version,
        "roots": ((("drive:data", str(root)),) if root else ()),
        **info,
    }
    writer.finish(
        SnapshotInfo(
            str(store),
            "nb.ipynb",
            python="3.13.0",
            packages={"numpy": "2.1.3"},
            segments=(Segment("x", "variable", len(stream)),),
            buffer_sizes=tuple(len(data) for data in buffers),
            cells=(FinishedCell("a", hash_source("x = 1"), f'["{version}"]'),),
            running=FinishedCell("b", hash_source("y = 1")),
            **details,
        )
    )
    return writer


def restore_root(root: Root, target: Path, store: Store, overwrite: bool = False) -> RestoredRoot:
    """Put a root back."""
    return StagedRoot(root, target, store, lambda size: None, overwrite).commit()


def restore_version(store: Store, manifest: Manifest, target: Path) -> int:
    """Read all of a checkpoint of `spool`, and return the one version that it is."""
    version = int(manifest.time - 1.7e9)
    variables = manifest.variables
    assert variables is not None
    assert store.read_all(variables.stream) == content(version, "stream", 1000)
    for at, (buffer, size) in enumerate(zip(variables.buffers, (6_000_000, 70_000))):
        assert store.read_all(buffer) == content(version, f"b{at}", size)
    (cell,) = manifest.cells
    assert cell.outputs and store.read_all(cell.outputs) == f'["{version}"]'.encode()
    for root in manifest.roots:
        restore_root(root, target, store)
        assert (target / "large.bin").read_bytes() == content(version, "large", 5_000_000)
        for at in range(20):
            assert (target / "sub" / f"{at}.txt").read_bytes() == content(version, str(at), 300)
    return version
