"""What the writer of checkpoints takes beside ``cp`` of the same bytes, in the same run.

``python tests/benchmarks/checkpoint_store.py`` prints seconds (the best of two): 1 GB of arrays,
first and unchanged, from the spool to the store; 10,000 files of 2 kB, there and back. ``cp`` has
the same priority, and ``sync -f``, since the store has all on the disk when a manifest names it.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, List

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
ROUNDS = 2
#: The priority of the writer.
NICE = ["nice", "-n", "10"]


def seconds(do: Callable[[], object]) -> float:
    """Seconds of one run."""
    os.sync()  # what others wrote is not to be waited for
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def tell(name: str, taken: List[float], size: float = 0) -> None:
    """Print the best of some rounds."""
    rate = f"{size / min(taken) / 1e6:9.0f} MB/s" if size else ""
    print(f"  {name:<44}{min(taken):8.2f} s{rate}", flush=True)


def copy(source: Path, target: Path, sync: bool) -> float:
    """Copy as a person would, and wait for the disk where that is to be compared."""

    def work() -> None:
        subprocess.run([*NICE, "cp", "-r", str(source), str(target)], check=True)
        if sync:
            subprocess.run([*NICE, "sync", "-f", str(target)], check=True)

    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    return seconds(work)


def measure(folder: Path, size: int, count: int) -> None:
    """Make the data and time each way."""
    from support.snapshots import restore_root

    from colab_magics.checkpoint.manifest import hash_bytes
    from colab_magics.checkpoint.spool import SnapshotInfo, SpoolWriter, choose_place, read_progress
    from colab_magics.checkpoint.store import Store

    arrays = [os.urandom(size // 8) for _ in range(8)]
    store, many = Store(folder / "store"), folder / "many"
    many.mkdir()
    for at in range(count):
        (many / str(at)).write_bytes(os.urandom(2000))
    (folder / "large").write_bytes(b"".join(arrays))

    def write(has_arrays: bool) -> List[float]:
        spool = SpoolWriter(choose_place(size))
        roots = () if has_arrays else (("many", str(many)),)
        data = arrays if has_arrays else []
        sizes = tuple(map(len, data))
        spooled = seconds(lambda: [spool.write_buffer(each) for each in data])
        spool.finish(
            SnapshotInfo(
                str(store.folder), "nb", "k", time.time(), 5, buffer_sizes=sizes, roots=roots
            )
        )
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken = seconds(lambda: spool.start_writer().wait())
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert read_progress(spool.folder).state == "done", read_progress(spool.folder)
        spool.remove()
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return [spooled, taken, cpu]

    rounds = []
    for has_arrays in (True, False):
        for _ in range(ROUNDS):
            if store.folder.exists():
                store.forget()
            store.create()
            first = write(has_arrays)
            time.sleep(2.1)  # a file that was just written is not trusted to stay
            write(has_arrays)
            rounds.append((*first, *write(has_arrays)[1:]))
    arrays_rounds, many_rounds = rounds[:ROUNDS], rounds[ROUNDS:]
    print(f"{size / 1e9:g} GB of arrays")
    tell("kernel: into the spool", [r[0] for r in arrays_rounds], size)
    tell("writer: first", [r[1] for r in arrays_rounds], size)
    tell("  of the processor", [r[2] for r in arrays_rounds])
    tell("writer: unchanged", [r[3] for r in arrays_rounds], size)
    tell("  of the processor", [r[4] for r in arrays_rounds])
    tell(
        "hash of the same bytes, one thread", [seconds(lambda: list(map(hash_bytes, arrays)))], size
    )
    for sync in (True, False):
        taken = [copy(folder / "large", folder / "copy", sync) for _ in range(ROUNDS)]
        tell("cp, sync -f" if sync else "cp, not on the disk yet", taken, size)
    print(f"{count:,} files of 2 kB")
    tell("writer: first", [r[1] for r in many_rounds])
    tell("  of the processor", [r[2] for r in many_rounds])
    tell("writer: unchanged", [r[3] for r in many_rounds])
    tell("  of the processor", [r[4] for r in many_rounds])
    (root,) = store.load(store.names()[0]).roots
    tell("restore", [seconds(lambda: restore_root(root, folder / "back", store))])
    tell("restore, all there", [seconds(lambda: restore_root(root, folder / "back", store))])
    for sync in (True, False):
        taken = [copy(many, folder / "copy", sync) for _ in range(ROUNDS)]
        tell("cp -r, sync -f" if sync else "cp -r, not on the disk yet", taken)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument(
        "--place", help="a folder of the disk to measure (default: a temporary one)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.place) as folder:
        measure(Path(folder), options.megabytes * 10**6, options.files)


if __name__ == "__main__":
    main()
