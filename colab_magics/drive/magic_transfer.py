"""``%drive`` as it copies or logs in, in a notebook and in a terminal; nothing is recorded."""

from __future__ import annotations

import argparse
from typing import List, Optional

from ..core.display import Report, files
from ..core.errors import DriveError
from ..extension.output import Status
from ..extension.session import Session
from ..fetch.cache import Entry as Unpacked
from ..fetch.cache import compare, load
from .magic_watch import run_in_terminal, start, stop
from .transfer.arguments import LOGIN
from .transfer.commands import COMMANDS, Transfer, open_sources, report, split_paths
from .transfer.copy import Location, absent
from .transfer.places import locate_here
from .transfer.sync.command import sync


def run(session: Session, command: str, arguments: argparse.Namespace, quiet: bool) -> Report:
    """Run one line, and show how far it is in one display; Ctrl-C says how to go on."""
    status = Status(session.host, quiet)
    transfer = Transfer(session.host, arguments, status)
    shown = None
    try:
        shown = run_transfer(transfer, command, session)
        return shown
    except KeyboardInterrupt:
        shown = interrupted(transfer, command)
        raise
    finally:
        status.done(None if quiet else shown)


def run_transfer(transfer: Transfer, command: str, session: Optional[Session] = None) -> Report:
    """Run one line, in a terminal where there is no session; return what is shown of it."""
    if command == "pull" and transfer.arguments.unpack:
        return _pull_unpacked(transfer)
    if command == "sync":
        return _sync(transfer, session)
    return COMMANDS[command](transfer)


def _sync(transfer: Transfer, session: Optional[Session]) -> Report:
    arguments = transfer.arguments
    if arguments.watch and not (arguments.dry_run or arguments.stop):
        return run_in_terminal(transfer) if session is None else start(transfer, session)
    if arguments.stop and session is not None:
        return stop(transfer, session)
    return sync(transfer)


def interrupted(transfer: Transfer, command: str) -> Report:
    """Return what is shown after Ctrl-C."""
    if command in LOGIN:
        return Report(("Interrupted: nothing was changed.",))
    if command == "du":
        return Report(("Interrupted.",))
    if command == "rm":
        return Report(("Interrupted: some may be deleted. See what is left: %drive du",))
    done = transfer.result.copied + transfer.result.same
    return Report((f"Interrupted: {files(done)} there. The same line goes on from here.",))


# ---------------------------------------------------------------------- pull --unpack
def _pull_unpacked(transfer: Transfer) -> Report:
    """Unpack archives; what is unsafe in one is refused as by ``%fetch --unpack``."""
    *sources, target = split_paths(transfer.arguments, "pull")
    places, lines = open_sources(transfer, sources)
    messages: List[str] = []
    for place in places:
        messages.append(_unpack(transfer, place, target))
    return report((*lines, *messages[:-1]), transfer.result.passed_over, messages[-1], ())


def _unpack(transfer: Transfer, place: Location, target: str) -> str:
    """Get one archive beside its files and unpack it, unless that was done; return the message."""
    from ..fetch.install import install_members

    host, entry = transfer.host, place.store.stat(place.path)
    if entry is None:
        raise absent(place.typed)
    if entry.kind != "file":
        hint = "Without --unpack it is copied as it is."
        raise DriveError(f"{place.typed} is no archive.", hint, code="no-archive")
    folder, into = host.resolve(host.spell_typed(target)), locate_here(target, host)
    key, tag = folder / f"{entry.name} of {entry.id}", entry.md5 or f"{entry.mtime_ns}"
    before = load(key)
    if before.tag == tag and before.members and compare(folder, before.members) == (0, 0):
        return f"{files(len(before.members))} of {entry.name} are already there"
    beside = folder / f".{entry.name}.packed"
    transfer.copy([place], Location(into.store, (*into.parts, beside.name), target))
    unpacked = Unpacked(entry.id, size=entry.size, tag=tag)
    over = transfer.arguments.overwrite
    try:
        install_members(beside, folder, entry.name, key, unpacked, over, transfer.progress)
    finally:
        beside.unlink()
    return f"{entry.name} unpacked in {target}: {files(len(load(key).members))}"
