"""The folder by which a kernel hands a snapshot to the process that writes the checkpoint.

The kernel writes ``stream`` and ``buffers``, last ``snapshot``, a pickle for its own child alone.
The process puts ``progress.json`` there, which all kernels read; it goes on when its kernel ends.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Any, Callable, Dict, Iterator, Literal, Mapping, Optional, Sequence, Tuple

from ..core.errors import ColabMagicsError
from ..core.file_lock import try_lock
from ..core.files import explain_write_errors, save
from ..core.folders import MEMORY, has_room, remove_abandoned
from ..core.ownership import is_own
from ..core.process import start
from .manifest import Lost, Segment

State = Literal["waiting", "writing", "done", "failed"]
#: Bytes that are written at once: between two of them a snapshot can be stopped.
SLICE = 8 << 20
_PREFIX, _SUFFIX = "colab-magics-", ".spool"
_NAME = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}" + re.escape(_SUFFIX))
#: What a writer process runs, in a clean interpreter: the current directory and the environment may
#: hold other modules of the same names.
_BOOTSTRAP = "import sys; sys.path[:] = sys.argv[3:]; from colab_magics.checkpoint import writer; "
_BOOTSTRAP += "sys.exit(writer.main())"


@dataclass(frozen=True)
class FinishedCell:
    """A cell of a snapshot; ``outputs`` is its record: see `cells.encode_run`."""

    id: str
    hash: str
    outputs: str = ""


@dataclass(frozen=True)
class SnapshotInfo:
    """What a checkpoint is made of beside the pickles: see `manifest.Manifest`.

    ``place`` is the store's folder, which is there; ``roots`` are paths as they are recorded, each
    with the absolute one; ``limit`` is bytes that all checkpoints together may take.
    """

    place: str
    notebook: str
    kernel: str
    time: float
    keep: int
    limit: Optional[int] = None
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    segments: Tuple[Segment, ...] = ()
    buffer_sizes: Tuple[int, ...] = ()
    lost: Tuple[Lost, ...] = ()
    cells: Tuple[FinishedCell, ...] = ()
    running: Optional[FinishedCell] = None
    roots: Tuple[Tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Written:
    """How far a writer is, in bytes; ``name`` is that of a checkpoint that is done.

    ``place`` is the store's folder.
    """

    place: str
    state: State = "waiting"
    done: int = 0
    total: int = 0
    name: str = ""
    error: Tuple[str, str, str] = ("", "", "")  # code, message, hint


def choose_place(size: int) -> Path:
    """Return where a snapshot of so many bytes is to be: in memory if that leaves as much."""
    import psutil

    fits = psutil.virtual_memory().available > 2 * size and has_room(MEMORY, size)
    return MEMORY if fits else Path(tempfile.gettempdir())


class SpoolWriter:
    """A new spool. It is locked while this process or the writer lives; the next takes it away.

    ``check`` is called before each slice, and may raise to stop. `NotebookError` (``no-space``)
    where it does not fit.
    """

    def __init__(self, place: Path, check: Callable[[], None] = lambda: None) -> None:
        remove_abandoned(place, _NAME)
        self._check, self._lock = check, -1
        self._streams: Dict[str, int] = {}
        with self._explaining(place):
            fresh = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=str(place)))
            with suppress(OSError):  # Windows opens no folder
                self._lock = os.open(str(fresh), os.O_RDONLY)
                try_lock(self._lock)
            self.folder = fresh.with_name(fresh.name + _SUFFIX)
            fresh.rename(self.folder)

    def write_stream(self, data: Any) -> None:
        """Write bytes of the pickles."""
        self._write("stream", data)

    def write_buffer(self, data: Any) -> None:
        """Write an out-of-band buffer, without the GIL."""
        self._write("buffers", data)

    def finish(self, info: SnapshotInfo) -> None:
        """Write the rest: from now on it may be written to the store."""
        self._close_streams()
        with self._explaining(self.folder):
            write_progress(self.folder, Written(info.place))
            (self.folder / "snapshot").write_bytes(pickle.dumps(info))

    def start_writer(self) -> subprocess.Popen[Any]:
        """Start the process that writes the checkpoint; it goes on when this one ends."""
        options: Dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {}
        if os.name == "posix" and self._lock >= 0:
            options["pass_fds"] = (self._lock,)  # a lock lasts until all who have it end
        nothing = subprocess.DEVNULL
        return start(
            [
                sys.executable,
                "-I",
                "-S",
                "-c",
                _BOOTSTRAP,
                str(self.folder),
                str(os.getpid()),
                *_module_paths(),
            ],
            cwd=str(self.folder),
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            **options,
        )

    def remove(self) -> None:
        """Take it away: the snapshot was stopped, or its writer has ended."""
        self._close_streams()
        rmtree(self.folder, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _write(self, name: str, data: Any) -> None:
        rest = memoryview(data).cast("B")
        with self._explaining(self.folder):
            if name not in self._streams:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
                self._streams[name] = os.open(str(self.folder / name), flags, 0o600)
            while rest:
                self._check()
                rest = rest[os.write(self._streams[name], rest[:SLICE]) :]

    def _close_streams(self) -> None:
        while self._streams:
            os.close(self._streams.popitem()[1])

    def _explaining(self, place: Path) -> Any:
        return explain_write_errors(place, "no checkpoint was made", "leave out what is large")


def read_snapshot(folder: Path) -> SnapshotInfo:
    """Return what a finished spool of the parent process says."""
    try:
        with (folder / "snapshot").open("rb") as stream:
            info: SnapshotInfo = pickle.load(stream)  # noqa: S301 - what this process was started for
        return info
    except OSError as error:
        raise ColabMagicsError(f"The snapshot is gone: {error}.", "", code="no-snapshot") from None


def read_progress(folder: Path) -> Written:
    """Return how far the writer of a spool is; of no place where the spool is not finished."""
    try:
        record = json.loads((folder / "progress.json").read_bytes())
        return Written(**{**record, "error": tuple(record["error"])})
    except (OSError, ValueError, TypeError, KeyError):  # that of another version, too
        return Written("")


def find_writing(place: Path) -> Iterator[Written]:
    """Yield how far the processes are that write to a store; they outlive their kernels.

    What a kernel that was killed has left is taken away.
    """
    if os.name == "nt":  # which has no locks of folders: nothing tells that a process has ended
        return
    for folder in {MEMORY, Path(tempfile.gettempdir())}:
        remove_abandoned(folder, _NAME)
        for spool in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            with suppress(OSError):
                written = read_progress(spool) if is_own(spool.lstat()) else Written("")
                if written.place == str(place) and written.state in ("waiting", "writing"):
                    yield written


def write_progress(folder: Path, written: Written) -> None:
    """Tell the kernel how far the writer is; nothing where the spool is gone or full."""
    with suppress(OSError):
        save(folder / "progress.json", json.dumps(asdict(written)))


def _module_paths() -> Sequence[str]:
    """Return where modules are imported from, ours first, without the current directory."""
    ours = str(Path(__file__).resolve().parents[2])
    return [
        ours,
        *(path for path in sys.path if path and Path(path).is_absolute() and path != ours),
    ]
