"""The process that writes a checkpoint: it goes on when the kernel ends, and delays no cell."""

from __future__ import annotations

import mmap
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any, List, Optional, Sequence, Tuple

from ..core.display import amount
from ..core.errors import ColabMagicsError
from .files import Known, identify, list_root, snapshot_root
from .manifest import Cell, Content, Manifest, Root, Variables
from .packs import PackWriter
from .spool import FinishedCell, SnapshotInfo, Written, read_snapshot, write_progress
from .store import Store

#: Seconds between two notes of progress.
_INTERVAL = 0.2


class _Progress:
    """How far the writer is, for the kernel; counted by several threads."""

    def __init__(self, folder: Path, place: str, total: int) -> None:
        self._folder, self._lock, self._next = folder, threading.Lock(), 0.0
        self.written = Written(place, "writing", 0, total)

    def advance(self, size: int) -> None:
        """Note that so many bytes more are done."""
        with self._lock:
            self.written = replace(self.written, done=self.written.done + size)
            if time.monotonic() >= self._next:
                self._next = time.monotonic() + _INTERVAL
                write_progress(self._folder, self.written)


def write_checkpoint(folder: Path) -> str:
    """Write the snapshot of a spool into its store, and return the checkpoint's name.

    `ColabMagicsError` where that cannot be: the earlier checkpoints are as they were.
    """
    info = read_snapshot(folder)
    store = Store(Path(info.place))
    left_out = {identify(path) for path in (store.folder, folder) if path.exists()}
    listings = [(spelled, list_root(Path(path), left_out)) for spelled, path in info.roots]
    streams = [_map(folder / name) for name in ("stream", "buffers")]
    size = sum(map(len, streams)) + sum(listing.size for _, listing in listings)
    progress = _Progress(folder, info.place, size)
    _refuse_too_large(size, info.limit)
    progress.advance(0)
    with store.locked():
        known = store.known()
        with store.writer(known, progress.advance) as packs:
            stream, buffers = streams
            contents = packs.add_all([*_split(buffers, info.buffer_sizes), stream])
            roots = [
                snapshot_root(spelled, listing, packs, Known(known, spelled))
                for spelled, listing in listings
            ]
            cells = [_store_cell(cell, packs) for cell in info.cells]
            running = _store_cell(info.running, packs) if info.running else None
            packs.close()
            name = store.put(_make_manifest(info, contents, roots, cells, running))
        with suppress(ColabMagicsError):  # the next one removes what is too old
            store.prune(info.keep, info.limit)
    write_progress(folder, replace(progress.written, state="done", name=name))
    return name


def _make_manifest(
    info: SnapshotInfo,
    contents: Sequence[Content],
    roots: Sequence[Root],
    cells: Sequence[Cell],
    running: Optional[Cell],
) -> Manifest:
    *buffers, stream = contents
    segments, packages = info.segments, info.packages
    has_variables = bool(segments or info.lost)
    variables = Variables(info.python, stream, segments, tuple(buffers), packages, info.lost)
    return Manifest(
        float(info.time),
        info.kernel,
        info.notebook,
        tuple(roots),
        variables if has_variables else None,
        tuple(cells),
        running,
    )


def _store_cell(cell: FinishedCell, packs: PackWriter) -> Cell:
    return Cell(cell.id, cell.hash, packs.add(cell.outputs.encode("utf-8", "surrogatepass")))


def _map(path: Path) -> Any:
    """Return the bytes of a file of the spool, which are read when they are needed."""
    if not path.exists() or not path.stat().st_size:
        return memoryview(b"")
    with path.open("rb") as stream:
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))


def _split(data: Any, sizes: Tuple[int, ...]) -> List[Any]:
    parts, start = [], 0
    for size in sizes:
        parts.append(data[start : start + size])
        start += size
    if start != len(data):
        raise ColabMagicsError("The snapshot is not whole.", code="no-snapshot")
    return parts


def _refuse_too_large(size: int, limit: Optional[int]) -> None:
    if limit is not None and size > limit:
        raise ColabMagicsError(
            f"The checkpoint would take {amount(size)}, more than --max allows.",
            "Leave something out (--except NAMES, --only NAMES), or allow more: --max SIZE",
            code="too-large",
        )


def main() -> int:
    """Write the checkpoint of the spool that the first argument names; 1: its error is noted.

    The second is the kernel's number: where it has ended, nobody else takes the spool away.
    """
    folder, problem = Path(sys.argv[1]), None
    with suppress(AttributeError, OSError):
        os.nice(10)
    try:
        write_checkpoint(folder)
    except ColabMagicsError as error:
        problem = error.code, error.message, error.hint
    except Exception as error:  # the kernel shows it: nobody sees what this process prints
        problem = "failed", f"The checkpoint was not written: {type(error).__name__}: {error}", ""
    if problem is not None:
        write_progress(folder, Written("", "failed", error=problem))
    if os.name == "posix" and os.getppid() != int(sys.argv[2]):
        rmtree(folder, ignore_errors=True)
    for name in ("stream", "buffers"):
        with suppress(OSError):
            (folder / name).unlink()
    return int(problem is not None)


if __name__ == "__main__":
    sys.exit(main())
