"""Folders in a checkpoint: read so that no file is half of one state, half of another; put back."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import (
    BinaryIO,
    Callable,
    Container,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Set,
    Tuple,
)

from ..core.errors import ColabMagicsError, NotebookError
from ..core.files import explain_write_errors, open_regular
from ..core.folders import scratch_folder
from .manifest import Content, File, Manifest, Root, hash_bytes
from .packs import LARGEST, PackWriter
from .store import Store

#: Folders that are made anew by who needs them.
_LEFT_OUT = {"__pycache__", ".ipynb_checkpoints"}
#: How often a file is read that changes meanwhile.
_TRIES = 3
#: Nanoseconds in which a file can change twice and have the same time; after which it cannot.
_TICK, _SETTLED = 20_000_000, 2_000_000_000

#: A device and an inode, by which a folder is known whatever leads to it.
Identity = Tuple[int, int]


def identify(path: Path) -> Identity:
    """Return by what a folder is known."""
    status = path.stat()
    return status.st_dev, status.st_ino


# ---------------------------------------------------------------------- reading
@dataclass
class Listing:
    """All that is below a path, before it is read: paths relative to it, and their states."""

    path: Path
    entries: List[Tuple[str, os.stat_result]] = field(default_factory=list)
    missed: List[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(status.st_size for _, status in self.entries if stat.S_ISREG(status.st_mode))


def list_root(path: Path, left_out: Container[Identity] = ()) -> Listing:
    """List a file or a folder, a link to one too; links below it are not followed.

    What is mounted below it is not entered.
    """
    listing = Listing(path)
    try:
        status = path.stat()
    except (OSError, ValueError):
        listing.missed.append(".")
        return listing
    listing.entries.append((".", status))
    folders = [""] if stat.S_ISDIR(status.st_mode) else []
    while folders:
        prefix = folders.pop()
        try:
            with os.scandir(path / prefix) as items:
                entries = sorted(items, key=lambda item: item.name)
        except OSError:
            listing.missed.append(prefix.rstrip("/") or ".")
            continue
        for item in entries:
            name = prefix + item.name
            try:
                state = item.stat(follow_symlinks=False)
            except OSError:  # deleted meanwhile
                continue
            if stat.S_ISDIR(state.st_mode):
                if item.name in _LEFT_OUT or (state.st_dev, state.st_ino) in left_out:
                    continue
                if state.st_dev != status.st_dev:
                    listing.missed.append(name)
                    continue
                folders.append(f"{name}/")
            listing.entries.append((name, state))
    return listing


class Known:
    """What files held when they were read for an earlier checkpoint: those need not be read again.

    Size and time alone would not tell: programs set the time of a file. The system sets that of its
    last change (``ctime``). A file that had just been written then is not relied on.
    """

    def __init__(self, manifests: Iterable[Manifest], spelled: str) -> None:
        self._files: Dict[str, File] = {}
        for manifest in manifests:
            settled = manifest.time * 1e9 - _SETTLED
            for root in manifest.roots:
                if root.path == spelled:
                    self._files = {x.path: x for x in root.files if x.changed < settled}
                    return

    def find(self, path: str, status: os.stat_result) -> Content:
        """Return the content of a file that is as it was; the empty one where that is not known."""
        file = self._files.get(path)
        now = (status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        return file.content if file and (file.modified, file.changed, file.size) == now else ()


def snapshot_root(spelled: str, listing: Listing, writer: PackWriter, known: Known) -> Root:
    """Store the files of a listing; those that cannot be read, or do not stand still, are missed.

    What is neither file nor folder nor link is missed too.
    """
    files: List[File] = []
    missed = list(listing.missed)
    for name, status in listing.entries:
        try:
            files.append(_read_entry(name, status, listing.path, writer, known))
        except FileNotFoundError:  # deleted meanwhile
            continue
        except (OSError, _Moving, NotebookError) as error:
            if isinstance(error, NotebookError) and error.code != "not-a-file":
                raise  # of the store
            missed.append(name)
    return Root(spelled, tuple(files), tuple(sorted(missed)))


class _Moving(Exception):
    """A file changes each time that it is read."""


def _read_entry(
    name: str, status: os.stat_result, top: Path, writer: PackWriter, known: Known
) -> File:
    path = top if name == "." else top / name
    mode, modified = stat.S_IMODE(status.st_mode), status.st_mtime_ns
    if stat.S_ISDIR(status.st_mode):
        return File(name, "folder", mode, modified)
    if stat.S_ISLNK(status.st_mode):
        return File(name, "link", mode, modified, target=os.readlink(path))
    if not stat.S_ISREG(status.st_mode):
        raise _Moving
    content = writer.recall(piece.hash for piece in known.find(name, status))
    if content:
        writer.advance(status.st_size)
    else:
        content, status = _read_file(path, writer)
    mode, modified = stat.S_IMODE(status.st_mode), status.st_mtime_ns
    return File(name, "file", mode, modified, content, changed=status.st_ctime_ns)


def _read_file(path: Path, writer: PackWriter) -> Tuple[Content, os.stat_result]:
    """Store a file; read it again if it was changed meanwhile."""
    for _ in range(_TRIES):
        with open_regular(path) as stream:
            before = os.fstat(stream.fileno())
            if abs(time.time_ns() - before.st_mtime_ns) < _TICK:
                time.sleep(_TICK / 1e9)  # a change from now on gives it another time
            content = writer.add_stream(_blocks(stream, before.st_size))
            after = os.fstat(stream.fileno())
        if _version(before) == _version(after) and after.st_size == _size(content):
            return content, after
    raise _Moving


def _version(status: os.stat_result) -> Tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _blocks(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield a file in blocks; not to the end of one that grows for ever."""
    while size >= 0 and (block := stream.read(min(size + 1, LARGEST))):
        size -= len(block)
        yield block


def _size(content: Content) -> int:
    return sum(piece.size for piece in content)


# ---------------------------------------------------------------------- putting back
@dataclass(frozen=True)
class RestoredRoot:
    """Paths below a root: written now, there already, there with other bytes and left alone."""

    written: Tuple[str, ...]
    unchanged: Tuple[str, ...]
    kept: Tuple[str, ...]


class StagedRoot:
    """A root whose bytes are all verified, beside the place; `commit` puts them there.

    With several, nothing is put back where one is damaged: all are staged first. What is there with
    other bytes is left alone unless ``overwrite``, a folder or link always. Nothing is written
    outside of ``target``, or through a link.
    """

    def __init__(
        self,
        root: Root,
        target: Path,
        store: Store,
        progress: Callable[[int], None] = lambda size: None,
        overwrite: bool = False,
    ) -> None:
        self._target, self._store, self._progress = target, store, progress
        self._overwrite = overwrite
        self._files = [file for file in root.files if _can_be_named(file.path)]
        self._unchanged: List[str] = []
        self._kept = [file.path for file in root.files if not _can_be_named(file.path)]
        self._staged: List[Tuple[File, Path]] = []
        self._real: Set[str] = set()
        self._folder: Optional[Path] = None
        try:
            for file in self._files:
                if file.kind != "folder":
                    self._stage(file)
        except BaseException:
            self.remove()
            raise

    def commit(self) -> RestoredRoot:
        """Put all in its place."""
        written: List[str] = []
        new_folders: List[Tuple[Path, int]] = []
        with explain_write_errors(self._target, "a part may be back", "restore it again"):
            try:
                for file in self._files:
                    if file.kind == "folder" and self._make_folder(file, new_folders):
                        written.append(file.path)
                # Links come last: nothing can be written through one of them.
                for file, part in sorted(self._staged, key=lambda item: item[0].kind == "link"):
                    place = self._place(file)
                    if place is None or (os.path.lexists(place) and not self._may_replace(place)):
                        self._kept.append(file.path)
                        continue
                    place.parent.mkdir(parents=True, exist_ok=True)
                    part.replace(place)
                    written.append(file.path)
                for place, mode in reversed(new_folders):  # a read-only one is filled first
                    place.chmod(mode)
            finally:
                self.remove()
        return RestoredRoot(tuple(written), tuple(self._unchanged), tuple(self._kept))

    def remove(self) -> None:
        """Take away what was staged."""
        if self._folder is not None:
            rmtree(self._folder, ignore_errors=True)

    def _stage(self, file: File) -> None:
        place = self._place(file)
        if place is None:
            self._kept.append(file.path)
            return
        if os.path.lexists(place):
            if self._is_same(file, place):
                self._unchanged.append(file.path)
                self._progress(file.size)
                return
            if not self._may_replace(place):
                self._kept.append(file.path)
                return
        with explain_write_errors(self._target, "nothing was put back", "name another place"):
            part = self._scratch() / str(len(self._staged))
            if file.kind == "link":
                part.symlink_to(file.target)
            else:
                self._write(file, part)
        self._staged.append((file, part))

    def _write(self, file: File, part: Path) -> None:
        with part.open("xb") as stream:
            for block in self._store.read(file.content):
                stream.write(block)
                self._progress(len(block))
        part.chmod(file.mode & 0o777)  # and no bit that would lend somebody our rights
        os.utime(part, ns=(file.modified, file.modified))

    def _scratch(self) -> Path:
        """Return a folder on the same disk; what a killed process left there is taken away."""
        if self._folder is None:
            is_file = any(file.path == "." and file.kind != "folder" for file in self._files)
            around = self._target.parent if is_file else self._target
            around.mkdir(parents=True, exist_ok=True)
            self._folder = scratch_folder(".checkpoint-", around)
        return self._folder

    def _place(self, file: File) -> Optional[Path]:
        """Return where a file belongs; None where something else than folders leads there."""
        if file.path == ".":
            return self._target
        parent = file.path.rpartition("/")[0]
        if parent and parent not in self._real:
            path = self._target
            for part in parent.split("/"):
                path = path / part
                try:
                    if not stat.S_ISDIR(path.lstat().st_mode):
                        return None
                except FileNotFoundError:  # nor is anything below it
                    break
            else:
                self._real.add(parent)
        return self._target / file.path

    def _may_replace(self, place: Path) -> bool:
        return self._overwrite and place.is_file() and not place.is_symlink()

    def _make_folder(self, file: File, new_folders: List[Tuple[Path, int]]) -> bool:
        place = self._place(file)
        is_link = file.path != "." and place is not None and place.is_symlink()
        if place is None or is_link or (place.exists() and not place.is_dir()):
            self._kept.append(file.path)
            return False
        if place.is_dir():
            return False
        place.mkdir(0o700, parents=True)
        place.chmod(file.mode & 0o777 | 0o700)  # a kill leaves none more open than it was
        new_folders.append((place, file.mode & 0o777))
        return True

    def _is_same(self, file: File, place: Path) -> bool:
        if file.kind == "link":
            return place.is_symlink() and os.readlink(place) == file.target
        try:
            with open_regular(place) as stream:
                if place.is_symlink() or os.fstat(stream.fileno()).st_size != file.size:
                    return False
                return all(
                    hash_bytes(stream.read(piece.size)) == piece.hash for piece in file.content
                )
        except (OSError, ColabMagicsError):
            return False


def _can_be_named(path: str) -> bool:
    """Tell whether this system takes a path for the parts that POSIX sees in it."""
    return os.name != "nt" or not {"\\", ":"} & {*path}
