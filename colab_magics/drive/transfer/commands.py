"""``push``, ``pull``, ``rm`` and ``du``, as a notebook and a terminal run them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Callable, List, Optional, Sequence, Tuple

from ...core.display import Report, amount, files
from ...core.errors import usage_error
from ...core.host import Host
from ...core.meter import Meter
from ...core.steps import Progress
from .arguments import JOBS
from .copy import Copy, Location, Named, Result, absent
from .login import login, login_as_service, logout, whoami
from .pack import SUFFIX, Pack
from .places import Drive, is_on_drive, locate_here, locate_on_drive, open_drive
from .retry import Backoff
from .store import Entry, Store, join
from .usage import Usage, sum_folders, sum_packed

#: Lines about what was passed over that are shown.
_SHOWN = 5
#: Small files that are better sent as one.
_MANY = 100


@dataclass
class Transfer:
    """One line that is run; ``result`` is what became of it so far, also after Ctrl-C."""

    host: Host
    arguments: argparse.Namespace
    progress: Progress
    meter: Meter = field(default_factory=Meter)
    result: Result = field(default_factory=Result)

    def open(self) -> Drive:
        """Return the drive, after its line is shown."""
        drive = open_drive(self.host, self.meter, getattr(self.arguments, "jobs", JOBS))
        self.progress(Report((drive.line,)))
        return drive

    def copy(self, sources: Sequence[Named], target: Location) -> Result:
        """Copy, with the result within reach."""
        formats: Optional[str] = getattr(self.arguments, "formats", None)
        wanted = None if formats is None else formats.split(",")
        copy = Copy(target, self.meter, self.arguments.overwrite, wanted)
        self.result = copy.result
        return copy.run(sources, self.progress, self.arguments.jobs)


def push(transfer: Transfer) -> Report:
    """Send files and folders of this machine to a drive, or to any other folder."""
    arguments, host = transfer.arguments, transfer.host
    *sources, target = split_paths(arguments, "push")
    lines, hints, is_slow = [], [], False
    if is_on_drive(target):
        drive = transfer.open()
        lines, hints, is_slow = [drive.line], [drive.hint], drive.is_slow
        place = locate_on_drive(target, drive.store)
    else:
        place = locate_here(target, host)
    named: List[Named] = [locate_here(text, host) for text in sources]
    packs: List[Pack] = []
    if arguments.pack:
        named, packs = _pack(named)
        place = place if target.endswith(SUFFIX) else place._replace(in_it=True)
    result = transfer.copy(named, place)
    for pack in packs:
        result.passed_over += pack.passed_over
    if result.tiny > _MANY and is_slow:
        hints.append(f"{result.tiny} small files take long; as one they do not: --pack")
    message = result.describe(target)
    if packs:
        message += f"; {files(sum(pack.files for pack in packs))} in it"
    return report(lines, result.passed_over, message, hints if result.copied else [])


def _pack(named: Sequence[Named]) -> Tuple[List[Named], List[Pack]]:
    """Return each folder as one file, and each file as it is; and the packed ones."""
    sources: List[Named] = []
    packs: List[Pack] = []
    for location in named:
        entry = location.store.stat(location.path) if isinstance(location, Location) else None
        if entry is None or entry.kind != "folder":
            sources.append(location)
        else:
            pack = Pack(entry)
            packs.append(pack)
            sources.append((pack.name, pack))
    return sources, packs


def pull(transfer: Transfer) -> Report:
    """Get files and folders of a drive, or of any other folder."""
    *sources, target = split_paths(transfer.arguments, "pull")
    places, lines = open_sources(transfer, sources)
    result = transfer.copy(places, locate_here(target, transfer.host))
    return report(lines, result.passed_over, result.describe(target), [])


def open_sources(transfer: Transfer, sources: Sequence[str]) -> Tuple[List[Location], List[str]]:
    """Return what a pull names, and the line of the drive if something is on it."""
    if not any(map(is_on_drive, sources)):
        return [locate_here(text, transfer.host) for text in sources], []
    drive = transfer.open()
    places = [
        locate_on_drive(text, drive.store)
        if is_on_drive(text)
        else locate_here(text, transfer.host)
        for text in sources
    ]
    return places, [drive.line]


def remove(transfer: Transfer) -> Report:
    """Delete files of the drive, or folders; by Google's interface they go to the trash."""
    paths = transfer.arguments.paths
    drive = transfer.open()
    entries: List[Entry] = []
    for text in paths:
        place = _on_drive(text, drive.store, "rm")
        entry = drive.store.stat(place.path)
        if entry is None:
            raise absent(text)
        if not place.parts:
            raise usage_error("%drive rm: that is all of the drive.", "Name a path.", code="all")
        is_folder = entry.kind == "folder" and not entry.via
        if is_folder and not transfer.arguments.recursive:
            raise usage_error(
                f"%drive rm: {text} is a folder.", "To delete all in it: -r", code="is-a-folder"
            )
        entries.append(entry)
    for entry in entries:
        drive.store.delete(entry)
    return Report((drive.line, f"{drive.deleted}: {', '.join(paths)}"))


def usage(transfer: Transfer) -> Report:
    """Show how much is in each folder and file of a path."""
    text = transfer.arguments.path or "drive:"
    lines: Tuple[str, ...] = ()
    if is_on_drive(text):
        drive = transfer.open()
        lines = (drive.line,)
        place = locate_on_drive(text, drive.store)
    else:
        place = locate_here(text, transfer.host)
    entry = place.store.stat(place.path)
    if entry is None:
        raise absent(text)
    packed = ""
    sums: List[Usage] = []
    if entry.kind == "folder":
        children = place.store.list(entry)
        sums = sum_folders(place.store, children, entry, transfer.meter, transfer.progress)
    elif entry.kind == "file" and entry.name.endswith(SUFFIX):
        transfer.progress(f"reading what is in {join([entry.name])}")
        sums = sum_packed(place.store, entry, Backoff(transfer.meter.stop, transfer.progress))
        packed = f" ({amount(entry.size)}, packed)" if sums else ""
    if entry.kind != "folder" and not sums:
        sums = [Usage(join([entry.name]), entry.size, 1)]
    sums.sort(key=lambda row: -row.size)
    rows = tuple((amount(x.size), files(x.files), x.name) for x in sums)
    total = f"{amount(sum(x.size for x in sums))} in {files(sum(x.files for x in sums))}"
    return Report((*lines, f"{text}{packed} has {total}"), rows, head=("size", "files", "name"))


#: The name of a command -> what runs it.
COMMANDS: dict[str, Callable[[Transfer], Report]] = {
    "push": push,
    "pull": pull,
    "rm": remove,
    "du": usage,
    "login": lambda transfer: (
        login_as_service(transfer.host, transfer.arguments.service_account)
        if transfer.arguments.service_account
        else login(transfer.host, transfer.arguments.client, transfer.progress)
    ),
    "logout": lambda transfer: logout(),
    "whoami": lambda transfer: whoami(),
}


def split_paths(arguments: argparse.Namespace, command: str) -> List[str]:
    """Return what to copy, and last where to."""
    paths: List[str] = arguments.paths
    if len(paths) < 2:
        raise usage_error(
            f"%drive {command}: name what to copy, and where to.",
            f"For instance: %drive {command} "
            + ("results drive:project" if command == "push" else "drive:project/results ."),
            code="no-target",
        )
    for text in paths[:-1] if command == "push" else paths[-1:]:
        if is_on_drive(text):
            hint = "To get it: %drive pull" if command == "push" else "To send to it: %drive push"
            raise usage_error(f"%drive {command}: {text} is on the drive.", hint, code="wrong-way")
    return paths


def _on_drive(text: str, drive: Store, command: str) -> Location:
    if not is_on_drive(text):
        raise usage_error(
            f"%drive {command}: {text} is not on the drive.", "Write drive:PATH.", code="not-drive"
        )
    return locate_on_drive(text, drive)


def report(
    lines: Sequence[str], passed_over: Sequence[str], message: str, hints: Sequence[str]
) -> Report:
    """Return the line of the drive, the outcome, what was passed over, and what to do next."""
    after = [f"passed over: {text}" for text in passed_over[:_SHOWN]]
    if len(passed_over) > _SHOWN:
        after.append(f"passed over: {len(passed_over) - _SHOWN} more")
    return Report((*lines, message, *after, *filter(None, hints)))
