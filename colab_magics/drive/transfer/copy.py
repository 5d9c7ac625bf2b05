"""Copying between two stores: what is missing or older is sent, what is the same stays.

A plan is made before anything is written; each file is then in its place whole, or not at all. What
cannot be copied is named, and does not keep the rest.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import (
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
    TypeVar,
    Union,
)

from ...core.display import amount, files
from ...core.errors import DriveError
from ...core.meter import Meter, Track
from ...core.steps import Progress
from .arguments import JOBS
from .download import PART
from .export import Export
from .journal import clean_up
from .store import (
    REASONS,
    Entry,
    FileSource,
    Source,
    Store,
    in_ms,
    join,
    md5_of,
    refuse_name,
    same_name,
)

T = TypeVar("T")
Parts = Tuple[str, ...]
#: Names that an error shows of many.
_SHOWN = 5
#: Bytes of a file whose request takes longer than its bytes.
_TINY = 10**6
#: Codes of errors that the next file would have too.
FATAL = {"drive-full", "daily-limit", "login", "no-api", "no-answer", "no-space"}


class Location(NamedTuple):
    """A typed path in a store; ``in_it``: it ends in a slash, and means what is in the folder."""

    store: Store
    parts: Parts
    typed: str
    in_it: bool = False

    @property
    def path(self) -> str:
        """The path from the root of the store."""
        return "/".join(self.parts)


#: What is to be copied: a path in a store, or a name with what it holds.
Named = Union[Location, Tuple[str, Source]]


@dataclass
class Result:
    """What became of a line: files that were copied, and that were there already.

    ``passed_over`` has a line for what is no file (links, Google Docs); ``tiny``: files that took
    as long as a request takes.
    """

    copied: int = 0
    size: int = 0
    same: int = 0
    passed_over: List[str] = field(default_factory=list)
    tiny: int = 0

    def describe(self, place: str) -> str:
        """Return the line for people: ``3 files copied to drive:data, 1.2 MB``."""
        same = f"{files(self.same)} {'is' if self.same == 1 else 'are'} already there"
        if not self.copied:
            return same if self.same else "There is nothing to copy"
        text = f"{files(self.copied)} copied to {place}, {amount(self.size)}"
        return f"{text}; {same}" if self.same else text


class _Item(NamedTuple):
    """A file to be copied, and the place that it goes to."""

    source: Source
    parts: Parts
    old: Optional[Entry]


class _Folder(NamedTuple):
    """A folder that is to be copied, and its place; ``above`` has its id and those above it."""

    store: Store
    entry: Entry
    parts: Parts
    above: Parts


# ---------------------------------------------------------------------- where to
class Target:
    """The folders that files go into, each listed once. Those of ``base`` a person has typed."""

    def __init__(self, store: Store, base: Parts) -> None:
        self.store, self._base = store, base
        self._folders: Dict[Parts, Optional[Entry]] = {}
        self._names: Dict[Parts, Dict[str, List[Entry]]] = {}

    def folder(self, parts: Parts) -> Optional[Entry]:
        """Return a folder; None where there is none yet. `DriveError` where it is no folder."""
        if parts not in self._folders:
            typed = len(parts) <= len(self._base)
            entry = self.store.stat("/".join(parts)) if typed else self.find(parts)
            if entry is not None and entry.kind != "folder":
                raise in_the_way(parts)
            self._folders[parts] = entry
        return self._folders[parts]

    def find(self, parts: Parts) -> Optional[Entry]:
        """Return what is at a place; `DriveError` where several are."""
        entries = self.list(parts[:-1]).get(parts[-1], [])
        if len(entries) > 1:
            raise same_name(parts, entries)
        return entries[0] if entries else None

    def list(self, parts: Parts) -> Dict[str, List[Entry]]:
        """Return what is in a folder by name, which may stand several times; nothing for none."""
        if parts not in self._names:
            entry = self.folder(parts)
            # Stored when it is complete: other threads read it.
            self._names[parts] = group(self.store.list(entry)) if entry is not None else {}
        return self._names[parts]

    def missing(self, parts: Parts) -> Iterator[Parts]:
        """Yield a folder that is not there, and those above it that are not."""
        while parts and self.folder(parts) is None:
            yield parts
            parts = parts[:-1]

    def make(self, parts: Parts) -> Entry:
        """Return a folder, which is made where it is not there."""
        entry = self.folder(parts)
        if entry is None:
            entry = self.store.make_folder(self.make(parts[:-1]), parts[-1])
            self._folders[parts] = entry
        return entry


def group(entries: Iterable[Entry]) -> Dict[str, List[Entry]]:
    """Return entries by name, in the order in which they came."""
    names: Dict[str, List[Entry]] = {}
    for entry in entries:
        names.setdefault(entry.name, []).append(entry)
    return names


def in_the_way(parts: Sequence[str]) -> DriveError:
    """Return the error for a place that something of another kind has."""
    message = f"{join(parts)} is there, and of another kind: a folder, a file or a link."
    return DriveError(message, "Move it away, or name another place.", code="in-the-way")


def absent(typed: str) -> DriveError:
    """Return the error for a path where nothing is."""
    return DriveError(f"There is no {typed}.", "Check the path.", code="absent")


# ---------------------------------------------------------------------- the plan
class Copy:
    """One line: what it copies, and what became of it so far (``result``)."""

    def __init__(
        self,
        target: Location,
        meter: Meter,
        overwrite: bool = False,
        formats: Optional[Sequence[str]] = None,
    ) -> None:
        self._place, self._meter, self._overwrite = target, meter, overwrite
        #: In which formats Google documents are copied; None: they are not.
        self._formats = formats
        self.result = Result()
        self._items: List[_Item] = []
        self._folders: Set[Parts] = set()
        self._places: Set[Parts] = set()
        #: The ids of files that were there already.
        self._present: Set[str] = set()
        self._errors: List[DriveError] = []
        self._lock = threading.Lock()
        self._ends = threading.Event()

    def run(
        self,
        sources: Sequence[Named],
        progress: Progress,
        jobs: int = JOBS,
    ) -> Result:
        """Copy what sources name; a source may also be a name with what it holds.

        `DriveError` names the first that failed, and has the others in its details; what could be
        copied is there.
        """
        progress("comparing")
        self._plan(sources, progress, jobs)
        clean_up(self._present)
        self._make_folders(jobs)
        items = sorted(self._items, key=lambda item: item.source.size > 0)
        work = []
        for item in items:
            track = self._meter.track(join(item.parts[-1:]))
            track.advance(0, item.source.size)
            work.append(partial(self._copy, item, track))
        total = self.result.same + len(items)
        for done in self._meter.run_all(work, progress, jobs):
            done.result()
        self._raise_first(total)
        self.result.tiny = sum(item.source.size < _TINY for item in items)
        return self.result

    def _plan(self, sources: Sequence[Named], progress: Progress, jobs: int) -> None:
        place = self._place
        pairs = [(x, self._entry(x) if isinstance(x, Location) else None) for x in sources]
        target = place.store.stat(place.path) if not place.in_it else None
        is_folder = (
            place.in_it
            or len(sources) > 1
            or any(entry is not None and entry.kind == "folder" for _, entry in pairs)
            or (target is not None and target.kind == "folder")
        )
        base = place.parts if is_folder else place.parts[:-1]
        self._target = Target(place.store, base)
        folders: List[_Folder] = []
        for source, entry in pairs:
            if not isinstance(source, Location):
                self._add(source[1], (*base, source[0]) if is_folder else place.parts)
            elif entry is not None and entry.kind == "folder":
                into = base if source.in_it or not entry.name else (*base, entry.name)
                folders.append(_Folder(source.store, entry, into, (entry.id,)))
            elif entry is not None:
                if entry.kind == "document" and self._formats is None:
                    raise _not_exported(source.typed)
                parts = (*base, entry.name) if is_folder else place.parts
                self._add_entry(source.store, entry, parts)
        while folders:  # those of one depth at once: each may take a request
            futures = self._run_all([partial(self._list, folder) for folder in folders], jobs)
            level, folders = folders, []
            for folder, future in zip(level, futures):
                with self._named():
                    folders += self._add_folder(folder, future.result())
            progress(f"comparing: {files(len(self._places))} so far")

    def _entry(self, source: Location) -> Entry:
        entry = source.store.stat(source.path)
        if entry is None:
            raise absent(source.typed)
        if source.in_it and entry.kind != "folder":
            message = f"{source.typed} is no folder."
            raise DriveError(message, "Check the path.", code="not-a-folder")
        return entry

    def _run_all(self, work: Sequence[Callable[[], T]], jobs: int) -> List[Future[T]]:
        return self._meter.run_all(work, lambda line: None, jobs)

    def _list(self, folder: _Folder) -> List[Entry]:
        """Return what is in a folder; what is in its place is listed too, for the plan."""
        self._target.list(folder.parts)
        try:
            return folder.store.list(folder.entry)
        except PermissionError as error:  # does not keep the others
            message = f"{join(folder.parts)} cannot be read: {error.strerror}."
            raise DriveError(message, "Check it.", code="not-readable") from None

    def _add_folder(self, folder: _Folder, children: Sequence[Entry]) -> List[_Folder]:
        """Add what is in a folder; return the folders in it."""
        inner: List[_Folder] = []
        if self._target.folder(folder.parts) is None:
            self._folders.add(folder.parts)
        for name, entries in group(children).items():
            entry, parts = entries[0], (*folder.parts, name)
            with self._named():
                if name.endswith(PART):  # half received: a drive may have it from another machine
                    continue
                if len(entries) > 1:
                    raise same_name(parts, entries)
                if entry.kind == "folder" and entry.id in folder.above:
                    self.result.passed_over.append(f"{join(parts)}: it is in itself")
                elif entry.kind == "folder" and self._check_name(parts):
                    above = (*folder.above, entry.id)
                    inner.append(_Folder(folder.store, entry, parts, above))
                elif entry.kind != "folder":
                    self._add_entry(folder.store, entry, parts)
        return inner

    def _add_entry(self, store: Store, entry: Entry, parts: Parts) -> None:
        if entry.kind == "file":
            self._add(FileSource(store, entry), parts)
            return
        reason = REASONS[entry.kind]
        if entry.kind == "document":
            export = Export.of(store, entry, self._formats or ())
            if export is not None and self._formats is not None:
                self._add(export, (*parts[:-1], export.rename(parts[-1])))
                return
            reason += " (to get it: --export)" if export else ""
        self.result.passed_over.append(f"{join(parts)}: {reason}")

    def _make_folders(self, jobs: int) -> None:
        """Make the folders that are missing, those of one depth at once."""
        missing = {x for parts in self._folders for x in self._target.missing(parts)}
        for depth in sorted({*map(len, missing)}):
            level = [x for x in sorted(missing) if len(x) == depth]
            for future in self._run_all([partial(self._target.make, x) for x in level], jobs):
                future.result()

    def _check_name(self, parts: Parts) -> bool:
        reason = refuse_name(parts[-1])
        if reason:
            raise DriveError(f"{join(parts)}: {reason}.", "Rename it.", code="bad-name")
        return True

    def _add(self, source: Source, parts: Parts) -> None:
        """Add a file, unless it is plainly there already."""
        with self._named():
            self._check_name(parts)
            if parts in self._places:
                message = f"Two files would be {join(parts)}."
                raise DriveError(message, "Copy them apart.", code="same-place")
            self._places.add(parts)
            old = self._target.find(parts)
            if old is not None and old.kind != "file":
                raise in_the_way(parts)
            if old is not None and source.is_alike(old):
                self.result.same += 1
                self._present.add(old.id)
                return
            if parts[:-1] and self._target.folder(parts[:-1]) is None:
                self._folders.add(parts[:-1])
            self._items.append(_Item(source, parts, old))

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Note the error of one file, which does not keep the others."""
        try:
            yield
        except DriveError as error:
            if error.code in FATAL:
                raise
            self._errors.append(error)

    # ------------------------------------------------------------------ one file
    def _copy(self, item: _Item, track: Track) -> None:
        """Copy one file, unless its bytes are there."""
        try:
            track.check()
            if not self._ends.is_set():
                self._write(item, track)
        except DriveError as error:
            with self._lock:
                self._errors.append(error)
            if error.code in FATAL:
                self._ends.set()
        finally:
            track.ended = True

    def _write(self, item: _Item, track: Track) -> None:
        source, old = item.source, item.old
        if isinstance(source, Export):
            source = source.load(track)
        if old is not None and self._is_same(source, old, track):
            with self._lock:
                self.result.same += 1
            track.advance(source.size, source.size)
            return
        if old is not None and _is_newer(old, source) and not self._overwrite:
            raise DriveError(
                f"{join(item.parts)} is newer there than here; it was left alone.",
                "To replace it: --overwrite",
                code="newer",
            )
        self._target.store.write(
            self._target.make(item.parts[:-1]), item.parts[-1], source, old, track
        )
        with self._lock:
            self.result.copied += 1
            self.result.size += source.size

    def _is_same(self, source: Source, old: Entry, track: Track) -> bool:
        """Tell whether the same bytes are there."""
        if source.size != old.size:
            return False
        track.say("comparing")
        present = md5_of(FileSource(self._target.store, old), track)
        return md5_of(source, track) == present

    def _raise_first(self, total: int) -> None:
        """Raise the first error, with what was done and the others as its details."""
        if not self._errors:
            return
        done = self.result.copied + self.result.same
        raise_first(self._errors, f"{done} of {files(total)} are there." if total else "")


def raise_first(errors: Sequence[DriveError], line: str) -> None:
    """Raise the error that the others may come from; a line and the others are its details."""
    first, *others = sorted(errors, key=lambda error: error.code not in FATAL)
    lines = [line] * bool(line) + [error.message for error in others[:_SHOWN]]
    if len(others) > _SHOWN:
        lines.append(f"and {len(others) - _SHOWN} more")
    raise DriveError(first.message, first.hint, "\n".join(lines), code=first.code)


def _is_newer(entry: Entry, source: Source) -> bool:
    return in_ms(entry.mtime_ns) > in_ms(source.mtime_ns)


def _not_exported(typed: str) -> DriveError:
    message = f"{typed} is a Google document, which has no bytes of its own."
    return DriveError(message, "To get it as a file: --export", code="document")
