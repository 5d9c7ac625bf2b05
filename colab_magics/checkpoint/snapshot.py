"""Keep checkpoints of a kernel: variables are read while no cell runs, a process writes them.

What is read goes into a spool, a folder of this machine; the writer process takes it from there
into the store, and outlives the kernel.
"""

from __future__ import annotations

import platform
import re
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from subprocess import TimeoutExpired
from types import ModuleType
from typing import Any, Callable, List, Mapping, Optional, Sequence, Tuple
from weakref import WeakKeyDictionary

from ..core.errors import ColabMagicsError
from ..core.folders import MEMORY
from ..core.host import Host
from ..core.steps import Progress
from ..core.transfer import Transfer
from .namespace import Stopped, dump, get_states, user_names
from .restore import Restored, Settings
from .spool import FinishedCell, SnapshotInfo, SpoolWriter, choose_place, read_progress

#: Seconds that the beginning of a cell waits for variables that are being read; then reading them
#: is stopped, which takes a moment too: together not more than a second.
PATIENCE = 0.9
#: After a try that a cell has cut, the kernel must be idle for so many seconds; twice as long
#: after each further one, up to the second number.
_CALM, _CALMEST = 2.0, 30.0
#: The part of the machine's memory that a spool in memory leaves free.
_RESERVE = 8
#: What gives a name to a variable, as far as a glance at a line tells; characters of it to show.
_MAKES, _SHOWN = r"\b{0}\b\s*([,=:](?!=))|\b(?:def|class|as|import|for)\s+{0}\b", 60
#: Seconds between two looks at a writer.
_INTERVAL = 0.1
#: Seconds for which the end of a kernel waits for a writer: Jupyter kills it after five.
_TURN = 1.5

#: A cell as `FinishedCell` has it; those that are finished, and the one that runs.
CellRecord = Tuple[str, str, str]
CellState = Tuple[Sequence[CellRecord], Optional[CellRecord]]


class Writing:
    """A checkpoint that a process of its own writes."""

    def __init__(self, spool: SpoolWriter) -> None:
        self._spool, self._process = spool, spool.start_writer()

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended, well or not."""
        return self._process.poll() is not None

    def wait(self, progress: Progress) -> None:
        """Wait until it has ended, with a line of the rate and the time that is left."""
        transfer = Transfer()
        while not self.has_ended:
            written = read_progress(self._spool.folder)
            line = transfer.describe(written.done, written.total, time.monotonic())
            progress(
                f"Writing the checkpoint  {line}" if written.total else "Writing the checkpoint"
            )
            time.sleep(_INTERVAL)

    def wait_shortly(self) -> None:
        """Wait for its end for a moment, in which it takes the lock of the store at least."""
        with suppress(TimeoutExpired):
            self._process.wait(_TURN)

    def close(self) -> str:
        """Take the spool of a process that has ended away; return the name of the checkpoint.

        Raise the error that the process has met.
        """
        written = read_progress(self._spool.folder)
        self._spool.remove()
        if written.state == "done":
            return written.name
        code, message, hint = written.error
        raise ColabMagicsError(
            message or "The process that wrote the checkpoint was ended.",
            hint or "Make another one: %checkpoint now",
            code=code or "not-written",
        )


class _Attempt:
    """Variables that are being read into a spool: by a thread, which can be stopped, or at once."""

    def __init__(self) -> None:
        self.stop, self.ended, self.began = threading.Event(), threading.Event(), time.monotonic()
        self.was_cut = False
        self.spool: Optional[SpoolWriter] = None

    def check(self) -> None:
        """Raise where it has to stop; where memory is short, so that the disk is taken."""
        if self.stop.is_set():
            raise Stopped
        if self.spool is not None and self.spool.folder.parent == MEMORY and _is_memory_short():
            raise ColabMagicsError("The memory is short.", code="no-space")

    def discard(self) -> None:
        """Take its spool away, unless a process has that."""
        if self.spool is not None:
            self.spool.remove()
            self.spool = None


class Keeper:
    """Keeps the checkpoints of one kernel; `begin` starts it."""

    def __init__(self, shell: Any) -> None:
        self.settings: Optional[Settings] = None
        self.restored: Optional[Restored] = None
        #: Set by who logs the cells.
        self.cells: Callable[[], CellState] = lambda: ((), None)
        #: Lines that are to be shown once the next cell ends.
        self.messages: List[str] = []
        self.writing: Optional[Writing] = None
        self._shell, self._id = shell, uuid.uuid4().hex
        self._change = threading.Condition()
        self._thread: Optional[threading.Thread] = None
        self._attempt: Optional[_Attempt] = None
        self._is_idle, self._is_changed = False, False
        self._idle_since, self._due = 0.0, 0.0
        self._cuts, self._is_explained, self._failure = 0, False, ""

    def begin(self, settings: Settings) -> None:
        """Keep checkpoints from the end of the running cell on."""
        with self._change:
            self.settings = settings
            values = (self._shell.user_ns[name] for name in self._names(settings))
            is_filled = any(not isinstance(value, ModuleType) for value in values)
            self._is_changed = self.restored is None and bool(is_filled or settings.roots)
            self._due = time.monotonic() + (settings.every if self.restored else 0)
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Keep none any more; what is being written is finished."""
        self._interrupt(0)
        with self._change:
            self.settings, self._thread = None, None
            self._change.notify_all()

    # ------------------------------------------------------------------ around cells
    def cell_begins(self) -> None:
        """Note that a cell begins; wait for variables that are being read, up to `PATIENCE`."""
        with self._change:
            self._is_idle = False
        was_cut = self._interrupt(PATIENCE)
        self._is_changed = True  # not before: what was being read is a checkpoint by now
        self._cuts += was_cut
        if was_cut and not self._is_explained:
            self._is_explained = True
            self.messages.append(
                "The variables take longer than a second to read: a checkpoint is made once no "
                "cell is waiting. To make one at once: %checkpoint now"
            )

    def cell_ended(self) -> None:
        """Note that the kernel is idle; a checkpoint that is due is made from now on."""
        self._poll()
        with self._change:
            self._is_idle, self._idle_since = True, time.monotonic()
            self._change.notify_all()

    def hurry(self) -> None:
        """Make one as soon as no cell runs: the machine may be gone soon."""
        with self._change:
            self._due, self._cuts = 0.0, 0
            self._change.notify_all()

    def pause(self) -> None:
        """Make none until the next cell has ended."""
        with self._change:
            self._is_idle = False
        self._interrupt(0)

    def save(self, states: Mapping[str, object]) -> float:
        """Make one now, in this thread; return the seconds that reading the variables took.

        It is being written when this returns. Where an earlier one still is, none is made.
        """
        self._interrupt(0)
        self._poll()
        began = time.monotonic()
        if self.writing is None:
            self._start(states)
        return time.monotonic() - began

    def save_last(self) -> None:
        """Make one before the kernel ends, if a cell has run since the last one.

        It is written beside an earlier one that takes long.
        """
        self._interrupt(0)
        if self.is_changed:
            if self.writing is not None:
                self.writing.wait_shortly()
            self._start({})
            self._is_changed = False

    def save_and_wait(self, progress: Progress) -> str:
        """Make one now, wait until it is written, and return its name; else raise."""
        self._interrupt(0)
        with suppress(ColabMagicsError):  # this one takes its place
            self._finish(progress)
        progress("Reading the variables")
        self._start({})
        return self._finish(progress)

    def _finish(self, progress: Progress) -> str:
        """Wait until what is being written is; return its name, the empty text where nothing is."""
        writing, self.writing = self.writing, None
        if writing is None:
            return ""
        try:
            writing.wait(progress)
        except BaseException:  # Ctrl-C: it goes on
            self.writing = writing
            raise
        return writing.close()

    @property
    def is_changed(self) -> bool:
        """Whether a cell has run since the last checkpoint."""
        return self.settings is not None and self._is_changed

    # ------------------------------------------------------------------ parts of them
    def _interrupt(self, patience: float) -> bool:
        """End what the thread reads, after so many seconds, and tell whether it was cut.

        No code of a cell runs beside it: so this waits until it has ended.
        """
        attempt = self._attempt
        if attempt is None:
            return False
        try:
            attempt.ended.wait(patience)
        finally:  # after Ctrl-C the cell runs all the same
            attempt.stop.set()
            attempt.ended.wait()
        return attempt.was_cut

    def _watch(self) -> None:
        """Make each checkpoint that is due while no cell runs."""
        thread = threading.current_thread()
        while True:
            with self._change:
                while self._thread is thread and not self._is_ready():
                    self._change.wait(self._until_due())
                if self._thread is not thread:
                    return
                self._attempt = attempt = _Attempt()
            try:
                self._try({}, attempt)
                if time.monotonic() < attempt.began + PATIENCE:
                    self._cuts = 0
            except Stopped:
                attempt.was_cut = True
            except Exception as error:
                self._fail(error)
            finally:
                self._attempt = None
                attempt.ended.set()
                attempt.discard()  # a cell does not wait for this

    def _is_ready(self) -> bool:
        self._poll()
        is_due = time.monotonic() >= self._next_try()
        return self._is_idle and self._is_changed and is_due and self.writing is None

    def _next_try(self) -> float:
        """Return when a checkpoint is due; where a cell has cut the last, an idle moment is too."""
        if not self._cuts or self.settings is None:
            return self._due
        calm = min(_CALM * 2.0 ** (self._cuts - 1), _CALMEST)
        return max(self._due, self._idle_since + calm)

    def _until_due(self) -> Optional[float]:
        """Return the seconds after which a checkpoint may be due; None: not before a cell ends."""
        if not (self._is_idle and self._is_changed):
            return None
        return max(self._next_try() - time.monotonic(), 0.2)

    def _start(self, states: Mapping[str, object]) -> None:
        """Read the variables in this thread, and start the process that writes them."""
        attempt = _Attempt()
        try:
            self._try(states, attempt)
        finally:
            attempt.discard()

    def _try(self, states: Mapping[str, object], attempt: _Attempt) -> None:
        settings = self.settings
        if settings is None:
            return
        self.writing, attempt.spool = Writing(self._fill_spool(settings, states, attempt)), None
        self._is_changed, self._failure = not self._is_idle, ""  # a cell may go on to change them
        self._due = time.monotonic() + settings.every

    def _fill_spool(
        self, settings: Settings, states: Mapping[str, object], attempt: _Attempt
    ) -> SpoolWriter:
        """Return a spool in memory, or on disk where it does not fit there."""
        names, disk = self._names(settings), Path(tempfile.gettempdir())
        place = choose_place(sum(map(self._size, names)))
        for folder in dict.fromkeys((place, disk)):
            attempt.spool = spool = SpoolWriter(folder, attempt.check)
            try:
                spool.finish(self._dump(settings, names, states, spool, attempt.stop.is_set))
                return spool
            except ColabMagicsError as error:
                if error.code != "no-space" or folder == disk:
                    raise
                attempt.discard()
        raise AssertionError  # the disk is the last

    def _dump(
        self,
        settings: Settings,
        names: Sequence[str],
        states: Mapping[str, object],
        spool: SpoolWriter,
        stopped: Callable[[], bool],
    ) -> SnapshotInfo:
        """Write the variables into a spool, and return the rest of the snapshot."""
        cells, running = self.cells()
        if settings.has_variables:
            states = {**get_states(), **states}
        space, write = self._shell.user_ns, spool.write_stream
        dumped = dump(space, names, states, write, spool.write_buffer, stopped)
        return SnapshotInfo(
            place=str(settings.folder),
            notebook=settings.notebook,
            kernel=self._id,
            time=time.time(),
            keep=settings.keep,
            limit=settings.limit,
            python=platform.python_version(),
            packages=dumped.packages,
            segments=tuple(dumped.segments),
            buffer_sizes=tuple(dumped.buffer_sizes),
            lost=tuple(replace(lost, cell=self._find_line(lost.name)) for lost in dumped.lost),
            cells=tuple(FinishedCell(*cell) for cell in cells),
            running=FinishedCell(*running) if running else None,
            roots=tuple((spelled, str(path)) for spelled, path in settings.roots),
        )

    def _names(self, settings: Settings) -> List[str]:
        """Return the variables that are kept."""
        if not settings.has_variables:
            return []
        return settings.choose(user_names(self._shell.user_ns, self._shell.user_ns_hidden))

    def _size(self, name: str) -> int:
        """Return the bytes of an array or a tensor; 0 where a variable does not say it."""
        try:
            return int(self._shell.user_ns[name].nbytes)
        except Exception:  # it may be anything
            return 0

    def _find_line(self, name: str) -> str:
        """Return the line that seems to have made a variable, in the last cell that has one."""
        made = re.compile(_MAKES.format(re.escape(name)))
        history = getattr(self._shell, "history_manager", None)
        cells = list(getattr(history, "input_hist_raw", ()))
        lines = (line for cell in reversed(cells) for line in str(cell).splitlines())
        return next(filter(made.search, lines), "").strip()[:_SHOWN]

    def _poll(self) -> None:
        """Take note of a writer that has ended."""
        with self._change:
            writing = self.writing
            if writing is None or not writing.has_ended:
                return
            self.writing = None
            try:
                writing.close()
            except ColabMagicsError as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Note what has failed, to be shown once; the next try is after the interval."""
        self._due = time.monotonic() + (self.settings.every if self.settings else 0)
        self._is_changed = True
        message = getattr(error, "message", "") or f"{type(error).__name__}: {error}"
        line = f"Checkpoint: not saved. {message} {getattr(error, 'hint', '')}".rstrip()
        if line != self._failure:
            self._failure = line
            self.messages.append(line)


def _is_memory_short() -> bool:
    import psutil

    memory = psutil.virtual_memory()
    return bool(memory.available < memory.total / _RESERVE)


_KEEPERS: WeakKeyDictionary[Host, Keeper] = WeakKeyDictionary()


def keeper_of(host: Host) -> Keeper:
    """Return the keeper of a kernel, which is made with its first line."""
    if host not in _KEEPERS:
        _KEEPERS[host] = Keeper(host.shell)
    return _KEEPERS[host]
