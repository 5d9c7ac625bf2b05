"""``%drive sync --watch`` and ``--stop``: folders that are kept in step while the kernel lives."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Callable, List, Tuple

from ..core.display import Report
from ..core.errors import ColabMagicsError, DriveError, usage_error
from ..extension.session import Session
from .hooks import Watches
from .transfer.commands import Transfer
from .transfer.places import is_on_drive
from .transfer.sync.command import limits, locate, sync_ends
from .transfer.sync.run import Ends, SyncResult
from .transfer.sync.watch import ENDING, Watch, WatchThread


def start(transfer: Transfer, session: Session) -> Report:
    """Bring two folders in step, then keep them so in a thread, unless one does it already."""
    hook = session.hooks.of(Watches)
    key = _key(transfer)
    running = hook.running.get(key)
    if running is not None and running.running:
        return Report((f"{running.watch.ends.label} are kept in step already. {_END}",))
    shown, ends = _sync_once(transfer)
    watch = _make(transfer, ends, partial(hook.note, ends), partial(hook.fail, ends))
    hook.running[key] = WatchThread(watch, transfer.meter)
    line = f"Kept in step while this kernel lives. {_END}"
    return replace(shown, lines=(*shown.lines, line))


def stop(transfer: Transfer, session: Session) -> Report:
    """End the watch of a pair, or all of them."""
    hook, paths = session.hooks.of(Watches), transfer.arguments.paths
    keys = [_key(transfer)] if paths else sorted(hook.running)
    lines: List[str] = []
    for key in keys:
        thread = hook.running.pop(key, None)
        if thread is not None:
            was_running = thread.running
            thread.end()
            lines += [f"Not kept in step any more: {thread.watch.ends.label}"] * was_running
    return Report(tuple(lines) or ("Nothing is kept in step.",))


def run_in_terminal(transfer: Transfer) -> Report:
    """Keep two folders in step until Ctrl-C."""
    shown, ends = _sync_once(transfer)
    transfer.progress(replace(shown, lines=(*shown.lines, "Kept in step until Ctrl-C.")))

    def show(lines: List[str]) -> None:
        now = f"{datetime.now():%H:%M:%S}"
        transfer.progress(Report(tuple(f"{now} {line}" for line in lines)))

    def on_result(result: SyncResult) -> None:
        show(result.brief())

    def on_error(error: ColabMagicsError) -> None:
        show([f"{error.message} {error.hint}"])

    watch = _make(transfer, ends, on_result, on_error)
    watch.run()
    if watch.error is not None:
        raise watch.error
    return Report()


_END = "To end that: %drive sync --stop"


def _make(
    transfer: Transfer,
    ends: Ends,
    on_result: Callable[[SyncResult], None],
    on_error: Callable[[ColabMagicsError], None],
) -> Watch:
    return Watch(
        ends, limits(transfer), transfer.meter, transfer.arguments.jobs, on_result, on_error
    )


def _key(transfer: Transfer) -> str:
    """Return what names a pair of typed folders, however their paths are written."""
    host, paths = transfer.host, transfer.arguments.paths
    if len(paths) != 2:
        raise usage_error(
            "%drive sync: name two folders.",
            "For instance: %drive sync ~/project drive:project --watch",
            code="no-target",
        )
    names = (
        f"drive:{text[6:].strip('/')}" if is_on_drive(text) else str(host.resolve(spelled))
        for text in paths
        for spelled in [host.spell_typed(text)]
    )
    return "\0".join(sorted(names))


def _sync_once(transfer: Transfer) -> Tuple[Report, Ends]:
    """Bring them in step; an error that the next round may not have is shown."""
    try:
        return sync_ends(transfer)
    except DriveError as error:
        if error.code in ENDING:
            raise
        ends, lines, _ = locate(transfer)
        return Report((*lines, f"{error.message} {error.hint}")), ends
