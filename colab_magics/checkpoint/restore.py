"""Restore a checkpoint: files below the paths of the line, and variables that the kernel lacks.

Nothing is unpickled unless the folder is the user's own, and Python and the packages fit.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Iterable, List, Mapping, Optional, Sequence, Tuple

from ..core.arguments import quote
from ..core.display import files
from ..core.errors import ColabMagicsError, NotebookError, usage_error
from ..core.host import Host
from ..core.steps import Progress
from ..core.transfer import Transfer
from ..notebook.locate import locate
from ..notebook.reading import read_notebook
from ..record.cell import is_setup
from .files import RestoredRoot, StagedRoot
from .manifest import Content, DamagedManifest, Lost, Manifest, Variables, hash_source
from .namespace import Mismatch, load, mismatches, set_states, user_names
from .packs import DamagedData
from .spool import find_writing
from .store import Store, refuse_untrusted

#: Names that a message lists before it counts the rest.
_NAMED = 5
#: A line of a cell that is neither a line magic nor a comment.
_CODE = re.compile(r"(?m)^\s*[^\s%#]")
#: Seconds to wait for a checkpoint that is being written, and between two looks at it.
_LONGEST, _INTERVAL = 600.0, 0.1


@dataclass(frozen=True)
class Settings:
    """A line of ``%checkpoint`` on this machine.

    ``place`` is the folder as people write it, ``every`` seconds, ``limit`` bytes or None;
    ``roots`` are the paths as they are recorded, and where they are here. ``is_by_name``: the
    folder goes by the notebook's name, which another may have too.
    """

    place: str
    folder: Path
    notebook: str
    every: float
    keep: int
    limit: Optional[int]
    roots: Tuple[Tuple[str, Path], ...]
    has_variables: bool
    only: Tuple[str, ...]
    exclude: Tuple[str, ...]
    trust: bool
    is_by_name: bool

    def choose(self, names: Iterable[str]) -> List[str]:
        """Return those of the kernel's variables that are kept."""
        chosen = (name for name in names if name not in self.exclude)
        return [name for name in chosen if not self.only or name in self.only]


@dataclass(frozen=True)
class Restored:
    """What a restore has come to; ``error`` says why the variables are not back.

    ``names`` are the variables that are back, ``present`` those that the kernel had already;
    ``states`` belong to no name, see `Segment`.
    """

    name: str
    manifest: Manifest
    names: Tuple[str, ...] = ()
    present: Tuple[str, ...] = ()
    states: Mapping[str, object] = field(default_factory=dict)
    lost: Tuple[Lost, ...] = ()
    message: str = ""
    hint: str = ""
    error: Optional[Exception] = None


def restore_newest(host: Host, settings: Settings, progress: Progress) -> Optional[Restored]:
    """Restore what is missing from the newest whole checkpoint; None where there is none.

    Of one that turns out to be damaged nothing is restored, and the one before it is taken.
    """
    wait_for_writing(settings.folder, progress)
    store, restorer = Store(settings.folder), Restorer(host, settings, progress)
    damage, newer = None, ""
    for name in store.names():
        try:
            manifest = store.load(name)
            if store.is_whole(manifest):
                restored = restorer.restore(name, manifest)
                return replace(restored, hint=f"{restored.hint} {newer}".strip())
        except DamagedManifest:
            pass
        except DamagedData as error:
            damage = error
        newer = "A newer one is damaged: %checkpoint list"
    if damage is not None:
        raise damage
    return None


def find_checkpoint(store: Store, which: str) -> str:
    """Return the checkpoint that a word means: its number in the list, or its name."""
    names = store.names()
    if which.isdecimal() and 0 < int(which) <= len(names):
        return names[int(which) - 1]
    if which in names:
        return which
    raise usage_error(
        f"%checkpoint: there is no checkpoint {which} of this notebook.",
        "See which there are: %checkpoint list" if names else "Make one: %checkpoint now",
        code="no-checkpoint",
    )


# ---------------------------------------------------------------------- what is being written
def wait_for_writing(folder: Path, progress: Progress) -> None:
    """Wait until what an earlier kernel has left to be written is there, 10 minutes at most."""
    transfer, end = Transfer(), time.monotonic() + _LONGEST
    while time.monotonic() < end:
        written = next(find_writing(folder), None)
        if written is None:
            return
        line = transfer.describe(written.done, written.total, time.monotonic())
        progress(f"Waiting for the newest checkpoint  {line}")
        time.sleep(_INTERVAL)


class Restorer:
    """Restores checkpoints of one line into one kernel.

    ``only`` are variables that are restored though they are there; ``overwrite``: all are, and
    files too. ``random``: so are the states of the random generators.
    """

    def __init__(
        self,
        host: Host,
        settings: Settings,
        progress: Progress,
        only: Sequence[str] = (),
        overwrite: bool = False,
        random: bool = True,
    ) -> None:
        self._host, self._settings = host, settings
        self._only, self._overwrite, self._random = only, overwrite, random
        self._store, self._progress = Store(settings.folder), progress
        self._transfer = Transfer()
        self._done, self._total = 0, 0

    def restore(self, name: str, manifest: Manifest) -> Restored:
        """Restore one: its files, then all variables that are wanted, or none of them."""
        refuse_other_notebook(self._host, self._settings, manifest)
        if not self._settings.trust:
            places = (find() for find in self._host.places.values())
            refuse_untrusted(self._settings.folder, [*filter(None, places), Path.home()])
        self._done, self._total = 0, manifest.size
        restored = Restored(name, manifest)
        roots = [] if self._only else self._stage_files(manifest)
        try:  # nothing is put back where a part of it is damaged
            if manifest.variables is not None:
                restored = self._restore_variables(restored, manifest.variables)
            results = [root.commit() for root in roots]
        finally:
            for root in roots:
                root.remove()
        return _describe(restored, results)

    def _stage_files(self, manifest: Manifest) -> List[StagedRoot]:
        """Stage the roots that the line has; any other path is a stranger's."""
        targets, roots = dict(self._settings.roots), []
        try:
            for root in manifest.roots:
                if root.path in targets:
                    place, overwrite = targets[root.path], self._overwrite
                    roots.append(StagedRoot(root, place, self._store, self._advance, overwrite))
        except BaseException:
            for staged in roots:
                staged.remove()
            raise
        return roots

    def _restore_variables(self, restored: Restored, variables: Variables) -> Restored:
        """Load those that are wanted; the namespace is changed once all are there."""
        shell, only = self._host.shell, self._only
        saved = [x.name for x in variables.segments if x.kind == "variable"]
        if only:
            _check_names(only, saved)
        here = set(user_names(shell.user_ns, shell.user_ns_hidden))
        present = [] if self._overwrite else [x for x in saved if x in here]
        wanted = only or tuple(x for x in saved if x not in present)
        present = [x for x in present if not isinstance(shell.user_ns[x], ModuleType)]
        restored = replace(restored, present=() if only else tuple(present))
        restored = replace(restored, lost=variables.lost)
        if not wanted:
            return restored
        differing = mismatches(variables)
        if differing:
            return replace(restored, error=_refuse(differing))
        stream = self._store.read_all(variables.stream)
        self._advance(len(stream))
        loaded = load(
            variables, stream, [*map(self._read, variables.buffers)], shell.user_ns, wanted
        )
        if self._random:
            set_states(loaded.states)
        return replace(
            restored,
            names=tuple(loaded.names),
            states=loaded.states,
            lost=(*variables.lost, *loaded.lost),
            hint=" ".join(f"{note}." for note in loaded.notes),
        )

    def _read(self, content: Content) -> bytearray:
        data = self._store.read_all(content)
        self._advance(len(data))
        return data

    def _advance(self, size: int) -> None:
        self._done += size
        line = self._transfer.describe(self._done, self._total, time.monotonic())
        self._progress(f"Restoring  {line}")


def refuse_other_notebook(host: Host, settings: Settings, manifest: Manifest) -> None:
    """Raise a `ColabMagicsError` where the folder of a name has those of another notebook.

    That is where no cell of the open one has the id of a cell of the checkpoint, and more than half
    of the sources are not there either. A folder that the line names is the person's own choice.
    """
    cells = [cell for cell in manifest.cells if cell.hash != hash_source("")]
    notebook = None
    with suppress(NotebookError):  # one that cannot be read now is not known to be another
        notebook = read_notebook(host, locate(host)) if settings.is_by_name and cells else None
    if notebook is None:
        return
    document = notebook.document
    ids = {head.get("id") or head.get("metadata", {}).get("id") for head in document.heads}
    sources = [document.source(x) for x in document.heads if x.get("cell_type") == "code"]
    sources = [source for source in sources if not is_setup(source)]
    hashes = {hash_source(source) for source in sources}
    # One that has not been saved yet has no cells but those of our lines: it is not known.
    is_known = not _CODE.search("\n".join(sources)) or any(x.id and x.id in ids for x in cells)
    if not is_known and 2 * sum(cell.hash in hashes for cell in cells) < len(cells):
        place, own = settings.place, quote(f"{settings.place}-2")
        raise ColabMagicsError(
            f"{place} has the checkpoints of another notebook of this name.",
            f"For this one: %checkpoint --to {own}. Or take them all the same: --to {quote(place)}",
            code="other-notebook",
        )


def _check_names(names: Sequence[str], saved: Sequence[str]) -> None:
    missing = [name for name in names if name not in saved]
    if missing:
        raise usage_error(
            f"%checkpoint restore: it has no {', '.join(missing)}.",
            f"It has: {_names(saved)}",
            code="no-variable",
        )


def _refuse(differing: Sequence[Mismatch]) -> Exception:
    """Return the error of variables that need other versions: with them they may be wrong."""
    texts = [f"{x.package} {x.saved} (here {x.here or 'none'})" for x in differing]
    pins = " ".join(f"{x.package}=={x.saved}" for x in differing if x.package != "python")
    pythons = [".".join(x.saved.split(".")[:2]) for x in differing if x.package == "python"]
    options = "".join(f" --python {version}" for version in pythons)
    return ColabMagicsError(
        f"The variables were not restored: they were made with {', '.join(texts)}.",
        f"Above this line: %pin {pins or 'PACKAGES'}{options}, then run it again. "
        "To begin anew: %checkpoint forget",
        code="other-versions",
    )


def _describe(restored: Restored, results: Sequence[RestoredRoot]) -> Restored:
    """Return it with its message: what is back, and what is not."""
    count, written = len(restored.names), sum(len(result.written) for result in results)
    parts = [f"{count} variable{'s' * (count != 1)}"] * bool(count)
    parts += [files(written)] * bool(written)
    when = datetime.fromtimestamp(restored.manifest.time).strftime("%Y-%m-%d %H:%M")
    text = f"{' and '.join(parts)} of {when} restored" if parts else ""
    if not text:
        text = "nothing restored" if restored.error else "nothing is missing of the checkpoint"
    hints = [restored.hint] if restored.hint else []
    if restored.present:
        hints.append(
            f"As the kernel has them: {_names(restored.present)}; "
            "those of the checkpoint: %checkpoint restore --only NAMES."
        )
    differing = [path for result in results for path in result.kept]
    if differing:
        hints.append(f"Files that differ stay as they are: {_names(differing)}.")
    if restored.lost:
        hints.append(f"Not kept: {describe_lost(restored.lost)}.")
    return replace(restored, message=text, hint=" ".join(hints))


def describe_lost(lost: Sequence[Lost]) -> str:
    """Return what could not be kept: each with its type, or why, and the line that made it."""
    lines = {x.name: f": {x.cell}" if x.cell else "" for x in lost}
    return _names([f"{x.name} ({x.type or x.reason}{lines[x.name]})" for x in lost])


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
