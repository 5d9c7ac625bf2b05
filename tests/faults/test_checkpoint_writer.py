"""The process that writes checkpoints is killed at any moment: each one listed is whole."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any, Callable, List

import pytest
from support.snapshots import fill_root, restore_version, spool

from colab_magics.checkpoint.spool import SpoolWriter, read_progress
from colab_magics.checkpoint.store import Store

pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere: kill -9")

#: Kills with ``--long``, and in a slice.
ROUNDS, FEW = 150, 6


def begun(made: SpoolWriter) -> Any:
    """A writer process that has begun to write."""
    process = made.start_writer()
    while read_progress(made.folder).state == "waiting" and process.poll() is None:
        time.sleep(0.001)
    return process


def test_each_checkpoint_listed_is_of_one_version(
    tmp_path: Path, long: bool, held: Callable[[int, int], None]
) -> None:
    """Killed while it hashes, writes packs, the manifest, or prunes: nothing is mixed or half."""
    store, data = Store(tmp_path / "store"), tmp_path / "data"
    store.create()
    moments = random.Random(26 if not long else None)
    fill_root(data, 1)
    first = spool(tmp_path, store.folder, 1, root=data, keep=3)
    process, started = begun(first), time.monotonic()
    assert process.wait(60) == 0
    lasts, failed, killed = time.monotonic() - started, [], 0
    first.remove()
    for version in range(2, 2 + (ROUNDS if long else FEW)):
        fill_root(data, version)
        made = spool(tmp_path, store.folder, version, root=data, keep=3)
        process = begun(made)
        time.sleep(moments.uniform(0, 1.2 * lasts))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        made.remove()
        failed += wrong_checkpoints(store, tmp_path / "back")
    assert killed
    held(killed, killed - len(failed))
    assert failed == []
    for version in range(1000, 1003):
        last = spool(tmp_path, store.folder, version, keep=3)
        assert last.start_writer().wait(60) == 0, read_progress(last.folder)
        last.remove()
    assert not [*store.folder.rglob("*.part")] and len(store.names()) == 3


def wrong_checkpoints(store: Store, target: Path) -> List[str]:
    """What is wrong with a checkpoint that is listed."""
    failed: List[str] = []
    names = store.names()
    if not names:
        return ["none is left"]
    for name in names:
        shutil.rmtree(target, ignore_errors=True)
        try:
            manifest = store.load(name)
            problems = store.verify(manifest)
            restore_version(store, manifest, target)
        except Exception as error:
            problems = [repr(error)]
        failed += [f"{name}: {problem}" for problem in problems]
    return failed


def test_files_that_are_written_meanwhile_are_of_one_state(tmp_path: Path, long: bool) -> None:
    """A program rewrites files in place while checkpoints are made: each is whole, or is named."""
    store, data = Store(tmp_path / "store"), tmp_path / "data"
    store.create()
    data.mkdir()
    stop = threading.Event()

    def rewrite() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            for name in ("a", "b", "c"):
                with (data / name).open("wb", buffering=0) as stream:
                    for _ in range(50):
                        stream.write(turn.to_bytes(4, "big") * 1000)
            stop.wait(0.1 if turn % 3 else 0)

    thread = threading.Thread(target=rewrite)
    thread.start()
    try:
        for version in range(1, 21 if long else 6):
            made = spool(tmp_path, store.folder, version, root=data, buffers=[], keep=1)
            assert made.start_writer().wait(60) == 0, read_progress(made.folder)
            made.remove()
            (root,) = store.load(store.names()[0]).roots
            for file in root.files:
                held = bytes(store.read_all(file.content))
                assert held == held[:4] * (len(held) // 4) and len(held) % 4000 == 0, file.path
            assert {"a", "b", "c"} == {*root.missed} | {f.path for f in root.files} - {"."}
    finally:
        stop.set()
        thread.join()
