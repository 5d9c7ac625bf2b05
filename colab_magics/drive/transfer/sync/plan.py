"""What a sync has to do: both sides as they are, compared with how they were after the last one.

Nothing here reads or writes a file, but for the md5 that the caller gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import (
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Literal,
    NamedTuple,
    Optional,
    Set,
    Tuple,
)

from ....core.errors import DriveError
from ..copy import FATAL, Parts
from ..store import LONGEST, Entry, join

Side = Literal["local", "remote"]
SIDES: Tuple[Side, Side] = ("local", "remote")
#: ``same``: both have the same bytes, which was not known; ``forget``: both have deleted it;
#: ``keep``: the other side has deleted it, and it stays on this one.
Kind = Literal["copy", "conflict", "delete", "keep", "same", "forget", "make", "remove"]
#: Returns the md5 of a file, which is read for it if need be; `DriveError` where it cannot be.
Digest = Callable[[Side, Entry], str]
#: So many files may be deleted whatever their share is.
FEW = 10


class Version(NamedTuple):
    """The bytes of a file, as far as they are known; ``md5`` may be empty."""

    size: int
    mtime_ns: int
    md5: str = ""


class Pair(NamedTuple):
    """A file as it was on both sides when they were last alike."""

    local: Version
    remote: Version

    def on(self, side: Side) -> Version:
        """Return what it was on a side."""
        return self.local if side == "local" else self.remote


@dataclass
class Tree:
    """What is below a folder. What is at ``blocked``, and below it, is left alone: see the text."""

    files: Dict[Parts, Entry] = field(default_factory=dict)
    folders: Dict[Parts, Entry] = field(default_factory=dict)
    blocked: Dict[Parts, str] = field(default_factory=dict)


class Action(NamedTuple):
    """What happens with one path; ``side`` is where something is written or deleted.

    ``make`` and ``remove`` are of folders. In a ``conflict`` the local version has the path
    afterwards, on both sides, and the remote one is at ``other``; ``is_stored``: it is there
    locally, from a run that was cut off.
    """

    kind: Kind
    side: Side
    path: Parts
    size: int = 0
    other: Parts = ()
    is_stored: bool = False


@dataclass(frozen=True)
class Limits:
    """``deletes``: whether a file that one side has deleted is deleted on the other one too.

    ``share``: of all files, how many at most on one side; a few always may.
    """

    deletes: bool = False
    share: float = 0.25


@dataclass
class Plan:
    """The actions, by path; ``alike``: files with which nothing has to be done.

    ``too_many``: deletions that were more than the limit on a side, and so are none.
    """

    actions: List[Action] = field(default_factory=list)
    alike: Dict[Parts, Pair] = field(default_factory=dict)
    blocked: Dict[Parts, str] = field(default_factory=dict)
    errors: List[DriveError] = field(default_factory=list)
    too_many: Dict[Side, int] = field(default_factory=dict)

    def of(self, *kinds: Kind) -> List[Action]:
        """Return the actions of some kinds."""
        return [action for action in self.actions if action.kind in kinds]


def make_plan(
    local: Tree,
    remote: Tree,
    last: Dict[Parts, Pair],
    last_folders: Iterable[Parts],
    limits: Limits,
    digest: Digest,
) -> Plan:
    """Return what is to be done."""
    return _Planner(local, remote, last, limits, digest).run({*last_folders})


def opposite(side: Side) -> Side:
    """Return the other side."""
    return "remote" if side == "local" else "local"


def same_time(a: int, b: int) -> bool:
    """Tell whether two times are the same, or one is the other in milliseconds, as Drive has it.

    Two files that were written in the same millisecond are not of the same time.
    """
    return a == b or (a // 10**6 == b // 10**6 and 0 in (a % 10**6, b % 10**6))


def conflict_names(path: Parts, mtime_ns: int) -> Iterator[Parts]:
    """Yield names for the second version of a file, by the time when that was changed.

    So a run that is cut off and repeated finds the name that it has used.
    """
    *above, name = path
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    number = 1
    try:
        when = datetime.fromtimestamp(mtime_ns // 10**9).strftime("%Y-%m-%d %H%M")
    except (ValueError, OverflowError, OSError):
        when = "unknown time"
    while True:
        label = f" (conflict {when})" if number == 1 else f" (conflict {when} {number})"
        room = LONGEST - len(f"{label}{dot}{suffix}".encode())
        short = stem.encode()[: max(room, 1)].decode(errors="ignore")
        yield (*above, f"{short}{label}{dot}{suffix}")
        number += 1


class _Planner:
    def __init__(
        self, local: Tree, remote: Tree, last: Dict[Parts, Pair], limits: Limits, digest: Digest
    ) -> None:
        self._trees: Dict[Side, Tree] = {"local": local, "remote": remote}
        self._last, self._limits, self._digest = last, limits, digest
        self._plan = Plan(blocked={**local.blocked, **remote.blocked})
        #: The places of second versions.
        self._claimed: Set[Parts] = set()

    def run(self, last_folders: Set[Parts]) -> Plan:
        local, remote = self._trees["local"], self._trees["remote"]
        for path in ({*local.files} & {*remote.folders}) | ({*local.folders} & {*remote.files}):
            reason = "it is a folder on one side and a file on the other"
            self._plan.blocked[path] = f"{join(path)}: {reason}"
        paths = sorted({*local.files} | {*remote.files} | {*self._last})
        free = [path for path in paths if not self._is_blocked(path)]
        decided = [(path, self._decide(path)) for path in free]
        actions = [x for path, x in decided if x is not None and path not in self._claimed]
        self._plan.actions = self._limit(actions)
        self._plan.actions += self._plan_folders(last_folders)
        return self._plan

    def _is_blocked(self, path: Parts) -> bool:
        return any(path[:end] in self._plan.blocked for end in range(1, len(path) + 1))

    # ------------------------------------------------------------------ one file
    def _decide(self, path: Parts) -> Optional[Action]:
        """Return what is to be done with a file; an error leaves it as it is."""
        local, remote = (self._trees[side].files.get(path) for side in SIDES)
        last = self._last.get(path)
        try:
            if local is None or remote is None:
                return self._decide_alone(path, local, remote, last)
            return self._decide_pair(path, local, remote, last)
        except DriveError as error:
            if error.code in FATAL:
                raise
            self._plan.errors.append(error)
            return None

    def _decide_alone(
        self, path: Parts, local: Optional[Entry], remote: Optional[Entry], last: Optional[Pair]
    ) -> Action:
        """Decide about a file that is on one side at most."""
        entry = local or remote
        side: Side = "local" if local is not None else "remote"
        if entry is None:
            return Action("forget", "local", path)
        if last is None or self._is_changed(side, entry, last.on(side)):
            return Action("copy", opposite(side), path, entry.size)
        return Action("delete" if self._limits.deletes else "keep", side, path, entry.size)

    def _decide_pair(
        self, path: Parts, local: Entry, remote: Entry, last: Optional[Pair]
    ) -> Optional[Action]:
        """Decide about a file that is on both sides."""
        changed_here = last is None or self._is_changed("local", local, last.local)
        changed_away = last is None or self._is_changed("remote", remote, last.remote)
        if not changed_here and not changed_away and last is not None:
            self._plan.alike[path] = Pair(
                _version(local, last.local.md5), _version(remote, last.remote.md5)
            )
            return None
        if not changed_away:
            return Action("copy", "remote", path, local.size)
        if not changed_here:
            return Action("copy", "local", path, remote.size)
        if self._is_same(local, remote):
            md5 = local.md5 or remote.md5
            self._plan.alike[path] = Pair(_version(local, md5), _version(remote, md5))
            return Action("same", "local", path, local.size)
        return self._resolve_conflict(path, local, remote)

    def _resolve_conflict(self, path: Parts, local: Entry, remote: Entry) -> Action:
        """Find a free name for the remote version, or one that has it already."""
        for other in conflict_names(path, remote.mtime_ns):
            entries = [tree.files.get(other) or tree.folders.get(other) for tree in self._all()]
            is_used = entries[1] is not None or other in self._claimed or other in self._last
            stored = entries[0]
            is_stored = (
                stored is not None and stored.kind == "file" and self._is_same(stored, remote)
            )
            if is_used or self._is_blocked(other) or (stored is not None and not is_stored):
                continue
            self._claimed.add(other)
            size = local.size + remote.size
            return Action("conflict", "local", path, size, other, is_stored)
        raise AssertionError  # there are endless names

    def _all(self) -> List[Tree]:
        return [self._trees["local"], self._trees["remote"]]

    def _is_changed(self, side: Side, entry: Entry, version: Version) -> bool:
        """Tell whether a file has other bytes than at the last sync."""
        if entry.size != version.size:
            return True
        if entry.md5 and version.md5:
            return entry.md5 != version.md5
        if same_time(entry.mtime_ns, version.mtime_ns):
            return False
        return not version.md5 or self._digest(side, entry) != version.md5

    def _is_same(self, local: Entry, remote: Entry) -> bool:
        """Tell whether two files have the same bytes.

        Size and time are enough where both would have to be read: one may be on a mount.
        """
        if local.size != remote.size:
            return False
        if not (local.md5 or remote.md5) and same_time(local.mtime_ns, remote.mtime_ns):
            return True
        first = local.md5 or self._digest("local", local)
        return first == (remote.md5 or self._digest("remote", remote))

    # ------------------------------------------------------------------ how many are deleted
    def _limit(self, actions: List[Action]) -> List[Action]:
        """Return the actions, with no deletion on a side on which there would be too many."""
        for side in SIDES:
            count = sum(x.kind == "delete" and x.side == side for x in actions)
            is_many = count > FEW and count > self._limits.share * len(self._last)
            other = self._trees[opposite(side)]
            if is_many or (count > 1 and not other.files):  # a drive that is not there looks empty
                self._plan.too_many[side] = count
        return [
            x._replace(kind="keep") if x.kind == "delete" and x.side in self._plan.too_many else x
            for x in actions
        ]

    # ------------------------------------------------------------------ folders
    def _plan_folders(self, last: Set[Parts]) -> List[Action]:
        """Return the folders to be made on a side, then those to be removed, the deepest first."""
        makes: List[Action] = []
        alone: List[Tuple[Parts, Side]] = []
        for side in SIDES:
            mine, others = self._trees[side], self._trees[opposite(side)]
            for path in mine.folders.keys() - others.folders.keys():
                if self._is_blocked(path):
                    continue
                if path in last:
                    alone.append((path, side))
                else:
                    makes.append(Action("make", opposite(side), path))
        return [*sorted(makes, key=lambda x: x.path), *self._plan_removals(alone)]

    def _plan_removals(self, alone: List[Tuple[Parts, Side]]) -> List[Action]:
        """Return the folders that the other side has deleted and in which nothing stays."""
        if not self._limits.deletes:
            return []
        stays = self._staying()
        removals: List[Action] = []
        for path, side in sorted(alone, key=lambda x: -len(x[0])):
            gone = {x.path for x in removals}
            below = (x for x in self._trees[side].folders if x[:-1] == path)
            if path not in stays and all(x in gone for x in below):
                removals.append(Action("remove", side, path))
        return removals

    def _staying(self) -> Set[Parts]:
        """Return the folders in which something stays."""
        deleted = {x.path for x in self._plan.actions if x.kind in ("delete", "forget")}
        paths = {path for tree in self._all() for path in tree.files} - deleted
        paths |= {*self._plan.blocked}
        return {path[:end] for path in paths for end in range(1, len(path))}


def _version(entry: Entry, md5: str) -> Version:
    return Version(entry.size, entry.mtime_ns, entry.md5 or md5)


def describe(action: Action) -> str:
    """Return the path of an action for people."""
    if action.kind == "conflict":
        return f"{join(action.path)}, and {join(action.other[-1:])}"
    return join(action.path) + "/" * (action.kind in ("make", "remove"))
