"""A folder of checkpoints: manifests, newest first, and the packs whose bytes they name.

A manifest gets its name when all its packs have theirs and are on the disk, so that a kill, a full
drive or one that goes away leaves the earlier checkpoints, and never a part of a new one.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from ..core.errors import ColabMagicsError, NotebookError
from ..core.file_lock import alone
from ..core.files import content as read_file
from ..core.folders import cache_folder, hash_path
from ..core.ownership import is_own, others_write
from .manifest import Content, DamagedManifest, Manifest, Piece, hash_bytes, parse, render
from .packs import (
    AT_ONCE,
    DamagedData,
    Packs,
    PackWriter,
    Sizes,
    explaining,
    is_held,
    sync_folder,
)

#: A number that grows by one, the time in UTC, and the kernel.
_NAME = re.compile(r"(\d{6,9})-\d{8}T\d{6}Z-[0-9a-f]{8}")
#: Seconds to wait for another process that writes the same store.
WAIT = 3600.0
#: Where Colab puts what others share: a shortcut is a link to it.
_SHARED = {".shortcut-targets-by-id", "Shareddrives", "Shared drives"}


def _nothing(size: int) -> None:
    """Take no notice of progress."""


class Store:
    """The checkpoints of a notebook. What is read is verified, what is written is whole.

    All of it raises `ColabMagicsError`; what was there before is there after.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packs = Packs(folder / "packs")
        self._manifests = folder / "checkpoints"
        self._known: Dict[str, Optional[Manifest]] = {}

    # ------------------------------------------------------------------ reading
    def names(self) -> List[str]:
        """Return the names of checkpoints, newest first: the clock may have been set back."""
        names: List[str] = []
        try:
            names = [path.stem for path in self._manifests.iterdir() if path.suffix == ".json"]
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _unreadable(error) from None
        return sorted(filter(_NAME.fullmatch, names), key=_order, reverse=True)

    def load(self, name: str) -> Manifest:
        """Read a manifest; `DamagedManifest` where it is not as it was written, or a link."""
        path = self._path(name)
        try:
            if path.is_symlink():
                raise DamagedManifest("The checkpoint is a link.", "Take another one.")
            return parse(read_file(path))
        except NotebookError as error:
            if error.code == "not-found":
                raise _no_checkpoint(name) from None
            raise ColabMagicsError(error.message, error.hint, code="not-readable") from None

    def is_whole(self, manifest: Manifest, sizes: Optional[Sizes] = None) -> bool:
        """Tell whether all packs are there with their sizes; `verify` reads them too."""
        held = self._sizes() if sizes is None else sizes
        return all(is_held(piece, held) for piece in _pieces(manifest))

    def read(self, content: Content) -> Iterator[bytes]:
        """Yield the bytes of a content, each piece verified; `DamagedData` names a bad one."""
        for piece in content:
            yield self.packs.read(piece)

    def read_all(self, content: Content) -> bytearray:
        """Return the bytes of a content, verified, which may be written to."""
        if len(content) < 2:
            return bytearray().join(self.read(content))
        sizes, starts, end = self._sizes(), [], 0
        for piece in content:
            if not is_held(piece, sizes):  # no memory is taken for what is not there
                raise DamagedData(piece, "is missing or cut")
            starts.append(end)
            end += piece.size
        data = bytearray(end)

        def fill(start: int, piece: Piece) -> None:
            data[start : start + piece.size] = self.packs.read(piece)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(fill, starts, content))
        return data

    def verify(self, manifest: Manifest, progress: Callable[[int], None] = _nothing) -> List[str]:
        """Read all bytes of a checkpoint, and return a line for each problem; unpickle nothing.

        A damaged pack is set aside: the next checkpoint writes its bytes again.
        """
        problems: List[str] = []
        for piece in _pieces(manifest):
            try:
                self.packs.read(piece)
            except DamagedData as error:
                problems.append(error.message)
                self.packs.set_aside(piece)
            progress(piece.size)
        return [*dict.fromkeys(problems)]

    # ------------------------------------------------------------------ writing
    def create(self) -> None:
        """Make the folder. Nothing else does: that of a drive that is gone must not be made."""
        with explaining(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self, wait: float = WAIT) -> Iterator[None]:
        """Be the only process of this machine that writes here; code ``busy`` after some time."""

        def waiting(seconds: float) -> None:
            if seconds > wait:
                raise ColabMagicsError(
                    "Another checkpoint is being written to the same place.",
                    "Run this when it has ended: %checkpoint list",
                    code="busy",
                )

        with ExitStack() as stack:
            with suppress(OSError):  # without the lock where its file cannot be made
                lock = cache_folder("checkpoint") / f"{hash_path(self.folder.resolve())}.lock"
                stack.enter_context(alone(lock, waiting))
            yield

    def known(self) -> List[Manifest]:
        """Return the checkpoints that are not damaged, newest first."""
        return [manifest for name in self.names() if (manifest := self._try_load(name))]

    def writer(
        self, known: Iterable[Manifest], advance: Callable[[int], None] = _nothing
    ) -> PackWriter:
        """Return what stores contents, for who holds the lock; ``known`` is newest first."""
        if not self.folder.is_dir():
            raise ColabMagicsError(
                "The folder of the checkpoints is gone.",
                "Mount its drive again (%drive mount), or name another place: --to FOLDER",
                code="no-place",
            )
        with explaining(self.folder):
            self.packs.remove_parts()
            return PackWriter(self.packs, known, advance)

    def put(self, manifest: Manifest) -> str:
        """Write a manifest, whose packs must all be there, and return its name."""
        self._check_packs(manifest)
        names, data = self.names(), render(manifest)
        if parse(data) != manifest:
            raise DamagedManifest("The checkpoint holds what no manifest can.", "")
        number = 1 + (_order(names[0])[0] if names else 0)
        when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(manifest.time))
        name = f"{number:06}-{when}-{hash_bytes(manifest.kernel.encode())[:8]}"
        path = self._path(name)
        with explaining(self.folder):
            path.parent.mkdir(exist_ok=True)
            _write_synced(path, data)
        try:
            if read_file(path) != data:
                raise DamagedManifest("The manifest was changed at once.", "Save it again.")
            self._check_packs(manifest)  # another machine may have removed old ones meanwhile
        except ColabMagicsError:
            with suppress(OSError):
                path.unlink()
            raise
        self._known[name] = manifest
        return name

    def prune(self, keep: int, limit: Optional[int] = None) -> None:
        """Remove checkpoints beyond ``keep`` whole ones or ``limit`` bytes; for who has the lock.

        The newest whole one stays. Packs go that only the removed ones named, and after a day what
        nobody names.
        """
        sizes, whole = self._sizes(), 0
        named: Set[str] = set()
        removed: List[str] = []
        for name in self.names():
            manifest, packs = self._try_load(name), self._packs_of(name)
            size = sum(sizes.get(pack, 0) for pack in named | packs)
            if whole and (whole >= keep or (limit is not None and size > limit)):
                removed.append(name)
                whole = max(whole, keep)
                continue
            named |= packs
            whole += manifest is not None and self.is_whole(manifest, sizes)
        self._remove(removed, named)

    def forget(self, name: Optional[str] = None) -> None:
        """Remove a checkpoint, or all of them with the folder, unless it holds something else."""
        with self.locked():
            names = self.names()
            if name is not None and name not in names:
                raise _no_checkpoint(name)
            gone = names if name is None else [name]
            others = (self._packs_of(item) for item in names if item not in gone)
            self._remove(gone, set().union(*others))
            if name is None:
                with explaining(self.folder):
                    self.packs.remove_stale((), 0)
                for folder in (self.packs.folder, self._manifests, self.folder):
                    with suppress(OSError):
                        folder.rmdir()

    def _packs_of(self, name: str) -> Set[str]:
        manifest = self._try_load(name)
        return {piece.pack for piece in _pieces(manifest)} if manifest else set()

    def _remove(self, gone: Sequence[str], named: Set[str]) -> None:
        packs = set().union(*map(self._packs_of, gone))
        with explaining(self.folder):
            for name in gone:  # first, so that none names what is missing
                with suppress(FileNotFoundError):
                    self._path(name).unlink()
            self.packs.remove(packs - named)
            self.packs.remove_stale(named)
            if self._manifests.is_dir():
                for part in self._manifests.glob("*.part"):
                    part.unlink()

    def _check_packs(self, manifest: Manifest) -> None:
        sizes = self._sizes()
        for piece in _pieces(manifest):
            if not is_held(piece, sizes):
                raise DamagedData(piece, "was removed meanwhile")

    def _try_load(self, name: str) -> Optional[Manifest]:
        """Return a manifest, None where it is damaged; raise where it cannot be read now."""
        if name not in self._known:  # it does not change: it is read once
            try:
                self._known[name] = self.load(name)
            except ColabMagicsError as error:
                if error.code not in (DamagedManifest.code, "not-found"):
                    raise
                self._known[name] = None
        return self._known[name]

    def _sizes(self) -> Sizes:
        try:
            return self.packs.sizes()
        except OSError as error:
            raise _unreadable(error) from None

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise _no_checkpoint(name)
        return self._manifests / f"{name}.json"


def refuse_untrusted(place: Path, roots: Iterable[Path]) -> None:
    """Raise a `ColabMagicsError` (``untrusted``) where others may have written a checkpoint.

    Its folder must be below one of the roots (the user's own drive, home), be reached without a
    link or a shortcut of Drive, and belong to this user alone: restoring runs what pickles say.
    """
    path = Path(os.path.abspath(place))  # noqa: PTH100 - `resolve` would follow the links
    inside = [root for root in map(Path, roots) if root == path or root in path.parents]
    reason = "is outside your drive and your home" if not inside else ""
    for root in inside[:1]:
        parts = path.relative_to(root).parts
        steps = [root.joinpath(*parts[: at + 1]) for at in range(len(parts))]
        for step in [*steps, path / "checkpoints", path / "packs"]:
            reason = reason or _suspect(step)
    if reason:
        raise ColabMagicsError(
            f"The checkpoint {reason}: who wrote it could run code here.",
            "If you trust who wrote it: add --trust",
            code="untrusted",
        )


def _suspect(path: Path) -> str:
    """Return why a folder may hold what others wrote; empty: it does not, or is not there."""
    if path.name in _SHARED:
        return "is shared by others"
    try:
        status = path.lstat()
    except OSError:
        return ""
    if stat.S_ISLNK(status.st_mode):
        return "is reached through a link or a shortcut"
    if not (is_own(status) or status.st_uid == 0) or others_write(status):
        return "is in a folder that others own or can write"
    return ""


def _write_synced(path: Path, data: bytes) -> None:
    """Put a file on the disk, whole or not at all."""
    part = path.with_name(f"{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink()
    sync_folder(path.parent)


def _order(name: str) -> Tuple[int, str]:
    number, _, rest = name.partition("-")
    return int(number), rest


def _pieces(manifest: Manifest) -> List[Piece]:
    """Return the pieces that a manifest names, each once, in its order."""
    return [*dict.fromkeys(piece for content in manifest.contents() for piece in content)]


def _no_checkpoint(name: str) -> ColabMagicsError:
    return ColabMagicsError(
        f"There is no checkpoint {name}.", "See which there are: %checkpoint list", code="not-found"
    )


def _unreadable(error: OSError) -> ColabMagicsError:
    return ColabMagicsError(
        f"The checkpoints cannot be read: {error.strerror or error}.",
        "Check that their drive is there: %drive",
        code="not-readable",
    )
