"""One sync of two folders: both are listed, a plan is made and carried out.

The state is saved while it goes on, and what a killed run has done is found to be alike by the
next one: so it can end anywhere.
"""

from __future__ import annotations

import errno
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ....core.display import amount, files
from ....core.errors import DriveError
from ....core.meter import Meter, Track
from ....core.steps import Progress
from ..arguments import JOBS
from ..copy import FATAL, Location, Parts, Result, Target, absent, raise_first
from ..journal import clean_up
from ..store import Entry, FileSource, join, md5_of
from .plan import (
    SIDES,
    Action,
    Limits,
    Pair,
    Plan,
    Side,
    Tree,
    Version,
    make_plan,
    opposite,
    same_time,
)
from .state import State, StateFile, hold
from .tree import Node, Nodes, apply_changes, build_tree, list_nodes

#: Seconds between two times that the state is saved; longer where that takes long itself.
_INTERVAL, _SHARE = 5.0, 0.02


class Ends(NamedTuple):
    """The two folders. ``remote`` is on the drive where one is."""

    local: Location
    remote: Location

    def of(self, side: Side) -> Location:
        """Return the folder of a side."""
        return self.local if side == "local" else self.remote

    @property
    def label(self) -> str:
        """How people name the pair."""
        return f"{self.local.typed} and {self.remote.typed}"

    @property
    def key(self) -> str:
        """What names the pair; the state itself says which folders it is of."""
        return f"{self.local.path}\0{self.remote.path}\0{type(self.remote.store).__name__}"


@dataclass
class SyncResult(Result):
    """What became of a sync so far; of the files that were ``copied``, some were ``received``.

    ``conflicts``: for each the name of the second version. ``remaining``: files that one side has
    deleted, by the side where they still are; ``too_many`` as in `Plan`.
    """

    received: int = 0
    deleted: int = 0
    conflicts: Dict[str, str] = field(default_factory=dict)
    remaining: Dict[Side, List[str]] = field(default_factory=dict)
    too_many: Dict[Side, int] = field(default_factory=dict)

    @property
    def did_something(self) -> bool:
        """Whether anything was copied or deleted."""
        return bool(self.copied or self.deleted)

    def plus(self, other: SyncResult) -> SyncResult:
        """Return what became of this one and a later one together."""
        return SyncResult(
            self.copied + other.copied,
            self.size + other.size,
            received=self.received + other.received,
            deleted=self.deleted + other.deleted,
            conflicts={**self.conflicts, **other.conflicts},
        )

    def brief(self) -> List[str]:
        """Return the lines about what was done, without what was the same."""
        conflicts = self.conflicts.items()
        return [
            replace(self, same=0).describe(""),
            *(f"changed on both sides: {name}; the other is {other}" for name, other in conflicts),
        ]

    def describe(self, place: str) -> str:
        """Return the line for people: ``2 files sent, 1 file received, 3.1 MB``."""
        sent = self.copied - self.received
        parts = [f"{files(sent)} sent"] * bool(sent)
        parts += [f"{files(self.received)} received"] * bool(self.received)
        parts += [amount(self.size)] * bool(self.copied)
        parts += [f"{files(self.deleted)} deleted"] * bool(self.deleted)
        verb = "is" if self.same == 1 else "are"
        alike = f"{files(self.same)} {verb} the same on both sides"
        if not parts:
            return f"Nothing to do: {alike}"
        return f"{', '.join(parts)}; {alike}" if self.same else ", ".join(parts)


class Sync:
    """One run; ``result`` is what became of it so far, also after Ctrl-C.

    A folder that is missing is made, or with ``makes_roots`` false an error.
    """

    def __init__(
        self,
        ends: Ends,
        limits: Limits,
        meter: Meter,
        progress: Progress,
        jobs: int = JOBS,
        makes_roots: bool = True,
    ) -> None:
        self._ends, self._limits, self._jobs = ends, limits, jobs
        self._makes_roots = makes_roots
        self._meter, self._progress = meter, progress
        self.result = SyncResult()
        self._roots: Dict[Side, Optional[Entry]] = {}
        self._trees: Dict[Side, Tree] = {}
        self._state = State()
        self._digests: Dict[Tuple[Side, str], str] = {}
        self._errors: List[DriveError] = []
        self._lock, self._folders_lock = threading.RLock(), threading.RLock()
        self._ended = threading.Event()
        self._saves_at = time.monotonic() + _INTERVAL

    def preview(self) -> Plan:
        """Return what would be done; nothing is written."""
        with _explained(), hold(self._ends.key, self._ends.label) as file:
            return self._prepare(file)

    def run(self) -> SyncResult:
        """Bring both sides in step; `DriveError` names the first that failed, others go on."""
        with _explained(), hold(self._ends.key, self._ends.label) as file:
            plan = self._prepare(file)
            try:
                self._carry_out(plan, file)
            finally:
                file.save(self._state)
        self._errors += plan.errors
        if self._errors:
            raise_first(self._errors, "\n".join(self.result.brief() if self.result.copied else []))
        return self.result

    # ------------------------------------------------------------------ as it is
    def _prepare(self, file: StateFile) -> Plan:
        """List both sides, and return what is to be done."""
        state = file.load()
        for side in SIDES:
            self._roots[side] = self._find_root(side)
        local, remote = self._roots["local"], self._roots["remote"]
        if local is None and remote is None:
            raise absent(self._ends.local.typed)
        token = ""
        if remote is not None and remote.id not in state.roots:
            # Another folder than at the last sync, or one that has a lasting id too.
            remote, token = self._ends.remote.store.begin_changes(remote)
            self._roots["remote"] = remote
        roots = [entry.id for entry in (local, remote) if entry is not None]
        if roots != state.roots:
            # One that is missing has not deleted what was in it: it is all copied anew.
            state = State(roots, token=token)
        self._state = state
        self._trees["local"] = self._list(local, "local")
        self._trees["remote"] = self._list(remote, "remote")
        plan = make_plan(
            self._trees["local"],
            self._trees["remote"],
            state.pairs,
            state.folders,
            self._limits,
            self._digest,
        )
        self._take_over(plan)
        return plan

    def _find_root(self, side: Side) -> Optional[Entry]:
        place = self._ends.of(side)
        root = place.store.stat(place.path)
        if root is not None and root.kind != "folder":
            raise DriveError(f"{place.typed} is no folder.", "Name a folder.", code="not-a-folder")
        if root is None and not self._makes_roots:
            raise DriveError(  # an unmounted drive is not to be filled anew
                f"{place.typed} is gone; it is not kept in step any more.",
                "When it is there again, type the line again.",
                code="root-gone",
            )
        return root

    def _list(self, root: Optional[Entry], side: Side) -> Tree:
        """Return what is below a folder: what has changed is enough where the store tells it."""
        if root is None:
            return Tree()
        store, state, folders = self._ends.of(side).store, self._state, [root]
        nodes: Nodes = {}
        if side == "remote" and state.nodes and state.token:
            changes = store.changes(state.token)
            if changes is not None:
                folders = apply_changes(state.nodes, root, changes.changes)
                nodes, state.token = state.nodes, changes.token
            else:
                state.token = store.begin_changes(root)[1]
        nodes.update(list_nodes(store, folders, self._meter, self._progress, self._jobs))
        if side == "remote":
            state.nodes = nodes if state.token else {}
        return build_tree(nodes, root)

    def _digest(self, side: Side, entry: Entry) -> str:
        key = side, entry.id
        if key not in self._digests:
            self._progress(f"comparing {join([entry.name])}")
            source = FileSource(self._ends.of(side).store, entry)
            self._digests[key] = md5_of(source, Track(entry.name, self._meter.stop))
        return self._digests[key]

    def _take_over(self, plan: Plan) -> None:
        """Note what is alike, and what people are to know."""
        state, result = self._state, self.result
        state.pairs.update(plan.alike)
        for action in plan.of("forget"):
            del state.pairs[action.path]
        for action in plan.of("keep"):
            result.remaining.setdefault(action.side, []).append(join(action.path))
        both = {*self._trees["local"].folders} & {*self._trees["remote"].folders}
        either = {*self._trees["local"].folders} | {*self._trees["remote"].folders}
        state.folders = both | (state.folders & either)
        result.same, result.too_many = len(plan.alike), plan.too_many
        result.passed_over += [plan.blocked[path] for path in sorted(plan.blocked)]

    # ------------------------------------------------------------------ carrying it out
    def _carry_out(self, plan: Plan, file: StateFile) -> None:
        clean_up({self._trees[side].files[path].id for path in plan.alike for side in SIDES})
        for side in SIDES:
            if self._roots[side] is None:
                place = self._ends.of(side)
                self._roots[side] = Target(place.store, place.parts).make(place.parts)
                self._begin_root(side)
        for action in plan.of("make"):
            self._try(partial(self._make_folder, action.side, action.path))
        self._run_all(plan.of("copy"), self._copy, file)
        self._run_all(plan.of("conflict"), self._store_both, file)
        self._run_all(plan.of("delete"), self._delete, file)
        for action in plan.of("remove"):
            self._try(partial(self._remove_folder, action))

    def _begin_root(self, side: Side) -> None:
        """Note a folder that was made."""
        root = self._roots[side]
        assert root is not None  # noqa: S101 - it was made
        if side == "remote":
            root, self._state.token = self._ends.remote.store.begin_changes(root)
            self._roots[side] = root
        self._state.roots = [entry.id for entry in self._roots.values() if entry is not None]

    def _run_all(
        self, actions: List[Action], act: Callable[[Action, Track], None], file: StateFile
    ) -> None:
        """Do the same with several files at once."""
        work = []
        for action in sorted(actions, key=lambda x: x.size > 0):
            track = self._meter.track(join(action.path[-1:]))
            track.advance(0, action.size)
            work.append(partial(self._try_file, act, action, track, file))
        for future in self._meter.run_all(work, self._progress, self._jobs) if work else ():
            future.result()

    def _try_file(
        self,
        act: Callable[[Action, Track], None],
        action: Action,
        track: Track,
        file: StateFile,
    ) -> None:
        try:
            track.check()
            self._try(partial(act, action, track))
            with self._lock:
                self._save_sometimes(file)
        finally:
            track.ended = True

    def _try(self, act: Callable[[], object]) -> None:
        """Do it unless an error has ended all; note the error of one file."""
        if self._ended.is_set():
            return
        try:
            act()
        except OSError as error:
            self._fail(explain(error))
        except DriveError as error:
            self._fail(error)

    def _fail(self, error: DriveError) -> None:
        with self._lock:
            self._errors.append(error)
        if error.code in FATAL:
            self._ended.set()

    def _save_sometimes(self, file: StateFile) -> None:
        begun = time.monotonic()
        if begun >= self._saves_at:
            file.save(self._state)
            now = time.monotonic()
            self._saves_at = now + max(_INTERVAL, (now - begun) / _SHARE)

    # ------------------------------------------------------------------ one file
    def _copy(self, action: Action, track: Track) -> None:
        side, path = action.side, action.path
        entry = self._trees[opposite(side)].files[path]
        written = self._write(side, path, entry, self._trees[side].files.get(path), track)
        self._note_pair(path, side, written, entry)
        with self._lock:
            self.result.copied += 1
            self.result.received += side == "local"
            self.result.size += entry.size

    def _store_both(self, action: Action, track: Track) -> None:
        """Have both versions on both sides: the remote one gets another name.

        After a kill between these steps the next run finds what is done.
        """
        path, other = action.path, action.other
        local, remote = (self._trees[side].files[path] for side in SIDES)
        if action.is_stored:
            second = self._trees["local"].files[other]
        else:
            second = self._write("local", other, remote, None, track)
        first = self._write("remote", path, local, remote, track)
        self._note_pair(path, "remote", first, local)
        written = self._write("remote", other, second, None, track)
        self._note_pair(other, "remote", written, second)
        with self._lock:
            self.result.copied += 2
            self.result.received += 1
            self.result.size += action.size
            self.result.conflicts[join(path)] = join(other[-1:])

    def _write(
        self, side: Side, path: Parts, entry: Entry, old: Optional[Entry], track: Track
    ) -> Entry:
        """Write a file of the other side here; what it replaces must be as it was listed."""
        store = self._ends.of(side).store
        source = FileSource(self._ends.of(opposite(side)).store, entry)
        if old is not None:
            _refuse_changed(store.refresh(old), old, path)
        return store.write(self._make_folder(side, path[:-1]), path[-1], source, old, track)

    def _delete(self, action: Action, track: Track) -> None:
        side, path = action.side, action.path
        entry = self._trees[side].files[path]
        store = self._ends.of(side).store
        now = store.refresh(entry)
        if now is not None:
            _refuse_changed(now, entry, path)
            store.delete(entry)
        with self._lock:
            self._state.pairs.pop(path, None)
            self._drop_node(side, entry)
            self.result.deleted += 1

    # ------------------------------------------------------------------ folders
    def _make_folder(self, side: Side, path: Parts) -> Entry:
        """Return a folder of a side, which is made if it is not there."""
        root = self._roots[side]
        if not path:
            assert root is not None  # noqa: S101 - it was made
            return root
        with self._folders_lock:
            folders = self._trees[side].folders
            if path not in folders:
                above = self._make_folder(side, path[:-1])
                folders[path] = self._ends.of(side).store.make_folder(above, path[-1])
                self._put_node(side, above, folders[path])
                with self._lock:
                    self._state.folders.add(path)
            return folders[path]

    def _remove_folder(self, action: Action) -> None:
        """Delete a folder that the other side has deleted, if it is empty."""
        folders, store = self._trees[action.side].folders, self._ends.of(action.side).store
        entry = folders[action.path]
        if store.delete_empty(entry):
            self._state.folders.discard(action.path)
            self._drop_node(action.side, entry)

    # ------------------------------------------------------------------ what is known
    def _note_pair(self, path: Parts, side: Side, written: Entry, source: Entry) -> None:
        """Note that a file is alike on both sides, and what it is on the one that was written."""
        md5 = source.md5 or written.md5
        new, old = (Version(x.size, x.mtime_ns, md5) for x in (written, source))
        folder = self._make_folder(side, path[:-1])
        with self._lock:
            self._state.pairs[path] = Pair(new, old) if side == "local" else Pair(old, new)
            self._put_node(side, folder, written)

    def _put_node(self, side: Side, folder: Entry, entry: Entry) -> None:
        if side == "remote" and self._state.token:
            with self._lock:
                self._state.nodes[entry.id] = Node(folder.id, entry)

    def _drop_node(self, side: Side, entry: Entry) -> None:
        if side == "remote":
            with self._lock:
                self._state.nodes.pop(entry.id, None)


def _refuse_changed(now: Optional[Entry], entry: Entry, path: Parts) -> None:
    """Raise `DriveError` where a file is another one than when it was listed."""
    if now is not None and now.size == entry.size:
        if now.md5 and entry.md5:
            if now.md5 == entry.md5:
                return
        elif same_time(now.mtime_ns, entry.mtime_ns):
            return
    message = f"{join(path)} was changed meanwhile; it was left alone."
    raise DriveError(message, "Run it again.", code="changed")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise explain(error) from None


def explain(error: OSError) -> DriveError:
    """Return the error of a file system as one of a transfer."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    name = join([str(error.filename).rpartition("/")[2]]) if error.filename else "A file"
    return DriveError(
        f"{name} cannot be written: {error.strerror or type(error).__name__}.",
        "Make room, then run it again." if full else "Check it, then run it again.",
        code="no-space" if full else "not-written",
    )
