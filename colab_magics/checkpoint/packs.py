"""Bytes by their hash, in a few files of up to 32 MB: a drive is slow with many small ones.

``packs/<name>``: a large piece is a pack of its own, whose name is its hash; small ones share one,
whose name is random. A pack gets its name when it is on the disk, and is not changed after that.
"""

from __future__ import annotations

import os
import platform
import secrets
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Callable, Deque, Dict, Iterable, List, Optional, Tuple, Union

from ..core.errors import ColabMagicsError
from ..core.files import explain_write_errors
from .manifest import Content, Manifest, Piece, hash_bytes

#: Bytes of the largest piece and of the largest pack; smaller contents than this share a pack.
LARGEST, SMALL = 32 << 20, 4 << 20
#: Pieces that are hashed and written, or read, at once; both are done without the GIL.
AT_ONCE = 4
#: A pack of which less than this part is still of use is not relied on any more: 1 / 4.
_FEWEST = 4
#: Seconds until what nobody names is taken away: another machine may be about to name it.
DAY = 86400.0
#: What the names of unfinished packs end in, those of this machine and all.
_PART = ".part"
_HERE = f".{hash_bytes(platform.node().encode('utf-8', 'replace'))[:8]}{_PART}"

Buffer = Union[bytes, bytearray, memoryview]
Sizes = Dict[str, int]


class DamagedData(ColabMagicsError):
    """Bytes of a checkpoint are missing, or are not those that were written; ``piece``: which."""

    code = "damaged-checkpoint"

    def __init__(self, piece: Piece, problem: str) -> None:
        super().__init__(
            f"The checkpoint is damaged: pack {piece.pack[:12]} {problem}.",
            "Take an earlier one: %checkpoint list",
        )
        self.piece = piece


class Packs:
    """The folder of packs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shared: Optional[Tuple[str, BinaryIO]] = None
        self._lock = threading.Lock()

    def sizes(self) -> Sizes:
        """Return the bytes of each pack; none where there is no folder."""
        sizes: Sizes = {}
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if len(entry.name) == 40 and entry.is_file(follow_symlinks=False):
                        sizes[entry.name] = entry.stat(follow_symlinks=False).st_size
        return sizes

    def read(self, piece: Piece) -> bytes:
        """Return the bytes of a piece; `DamagedData` where they are not those that were written."""
        if not _is_possible(piece):
            raise DamagedData(piece, "cannot have such a piece")
        try:
            data = self._read(piece)
        except FileNotFoundError:
            raise DamagedData(piece, "is missing") from None
        except OSError as error:
            raise ColabMagicsError(
                f"The checkpoint cannot be read: {error.strerror or error}.",
                "Check that its drive is there: %drive",
                code="not-readable",
            ) from None
        if hash_bytes(data) != piece.hash:
            raise DamagedData(piece, "was changed" if len(data) == piece.size else "is cut")
        return data

    def _read(self, piece: Piece) -> bytes:
        if piece.pack == piece.hash:
            with (self.folder / piece.pack).open("rb") as stream:
                return stream.read(piece.size)
        with self._lock:  # thousands of small pieces in one pack: it is opened once
            if self._shared is None or self._shared[0] != piece.pack:
                self.close()
                self._shared = piece.pack, (self.folder / piece.pack).open("rb")
            self._shared[1].seek(piece.offset)
            return self._shared[1].read(piece.size)

    def close(self) -> None:
        """Close the file that is open."""
        shared, self._shared = self._shared, None
        if shared is not None:
            shared[1].close()

    def set_aside(self, piece: Piece) -> None:
        """Rename a damaged pack, so that the next checkpoint writes its bytes again."""
        self.close()
        place = self.folder / piece.pack
        with suppress(OSError):
            place.replace(place.with_name(f"{piece.pack}.damaged{_PART}"))

    def remove(self, names: Iterable[str]) -> None:
        """Delete packs."""
        self.close()
        for name in names:
            with suppress(FileNotFoundError):
                (self.folder / name).unlink()

    def remove_stale(self, named: Iterable[str], after: float = DAY) -> None:
        """Delete what nobody names, some time after it was written, whatever the clock says."""
        keep, now = {*named}, time.time()
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                is_ours = len(entry.name) == 40 or entry.name.endswith(_PART)
                with suppress(FileNotFoundError):
                    age = abs(now - entry.stat(follow_symlinks=False).st_mtime)
                    if is_ours and entry.name not in keep and age >= after:
                        os.unlink(entry.path)  # noqa: PTH108

    def remove_parts(self) -> None:
        """Delete what a writer of this machine left that was killed; for who holds the lock."""
        with suppress(FileNotFoundError):
            for path in self.folder.glob(f"*{_HERE}"):
                path.unlink()


class PackWriter:
    """Stores contents; what is there already costs a hash. `close` before they are named.

    As a context manager it ends its threads; where the drive was full it takes away what it wrote.
    """

    def __init__(
        self, packs: Packs, known: Iterable[Manifest], advance: Callable[[int], None]
    ) -> None:
        self._packs, self.advance = packs, advance
        self._pieces = _usable_pieces(list(known), packs.sizes())
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._shared, self._name = bytearray(), secrets.token_hex(20)
        self._pending: Deque[Future[Any]] = deque()
        self._stopped = False
        self._written: List[str] = []

    def __enter__(self) -> PackWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._stopped = True
        self._pool.shutdown()
        if getattr(error, "code", "") == "no-space":
            with suppress(OSError):
                self._packs.remove(self._written)

    def recall(self, hashes: Iterable[str]) -> Optional[Content]:
        """Return the content of these pieces where all of them are stored already."""
        pieces = tuple(self._pieces.get(hash_) for hash_ in hashes)
        return None if None in pieces else tuple(piece for piece in pieces if piece)

    def add(self, data: Buffer) -> Content:
        """Store bytes."""
        return self.add_all([data])[0]

    def add_all(self, contents: Iterable[Buffer]) -> List[Content]:
        """Store several contents, of which large ones are hashed and written at once."""
        added = [[self._add(block) for block in _cut(data)] for data in contents]
        return [tuple(map(_piece, pieces)) for pieces in added]

    def add_stream(self, blocks: Iterable[bytes]) -> Content:
        """Store a content that comes in blocks of `LARGEST` bytes; a few are in memory at once."""
        added: List[Union[Piece, Future[Piece]]] = []
        for block in blocks:
            added.append(self._add(memoryview(block)))
            if len(added) >= AT_ONCE:
                _piece(added[-AT_ONCE])
        return tuple(map(_piece, added))

    def close(self) -> None:
        """Wait until all that was added is on the disk."""
        self._flush()
        for future in self._pending:
            future.result()
        sync_folder(self._packs.folder)

    def _add(self, block: memoryview) -> Union[Piece, Future[Piece]]:
        if len(block) >= SMALL:
            return self._pool.submit(self._add_large, block)
        hash_ = hash_bytes(block)
        self.advance(len(block))
        with self._lock:
            piece = self._pieces.get(hash_)
            if piece is None:
                piece = Piece(hash_, len(block), self._name, len(self._shared))
                self._pieces[hash_] = piece
                self._shared += block
        if len(self._shared) > LARGEST - SMALL:
            self._flush()
        return piece

    def _add_large(self, block: memoryview) -> Piece:
        hash_ = "" if self._stopped else hash_bytes(block)
        with self._lock:
            piece = self._pieces.get(hash_)
            is_new = piece is None
            if piece is None:  # another thread may have the same bytes
                piece = self._pieces[hash_] = Piece(hash_, len(block), hash_, 0)
        if is_new:
            self._write(hash_, block)
        self.advance(len(block))
        return piece

    def _flush(self) -> None:
        """Write the small pieces that were collected."""
        data, name = self._shared, self._name
        if data:
            self._shared, self._name = bytearray(), secrets.token_hex(20)
            self._pending.append(self._pool.submit(self._write, name, data))
        while len(self._pending) > AT_ONCE:
            self._pending.popleft().result()

    def _write(self, name: str, data: Buffer) -> None:
        """Put a pack on the disk, whole or not at all."""
        if self._stopped:
            return
        place = self._packs.folder / name
        part = place.with_name(f"{name}{_HERE}")
        with explaining(place.parent.parent):
            try:
                with suppress(FileNotFoundError):  # one that was not named before its writer ended
                    if place.stat().st_size == len(data):
                        return
                place.parent.mkdir(exist_ok=True)
                with part.open("wb", buffering=0) as stream:
                    _write_all(stream, data)
                    os.fsync(stream.fileno())
                part.replace(place)
                self._written.append(name)
            except BaseException:
                with suppress(OSError):
                    part.unlink()
                raise


def explaining(folder: Path) -> Any:
    """Return the context in which an `OSError` says why a store was not written."""
    return explain_write_errors(
        folder, "the earlier checkpoints are as they were", "name another place: --to FOLDER"
    )


def sync_folder(folder: Path) -> None:
    """Have the disk know the names in a folder, where it can."""
    with suppress(OSError):  # Windows opens no folder, and not all drives can
        handle = os.open(str(folder), os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def is_held(piece: Piece, sizes: Sizes) -> bool:
    """Tell whether the pack of a piece is there, and as long as the piece needs it."""
    return _is_possible(piece) and sizes.get(piece.pack, -1) >= piece.offset + piece.size


def _is_possible(piece: Piece) -> bool:
    return 0 < piece.size <= LARGEST and piece.offset >= 0


def _usable_pieces(known: List[Manifest], sizes: Sizes) -> Dict[str, Piece]:
    """Return what is stored, by its hash, but for packs of which little is still of use.

    The bytes of those are written again when they are met, so that old packs can go.
    """
    pieces: Dict[str, Piece] = {}
    for manifest in reversed(known):
        pieces.update((piece.hash, piece) for content in manifest.contents() for piece in content)
    useful = dict.fromkeys(sizes, 0)
    for piece in {piece for content in known[0].contents() for piece in content} if known else ():
        useful[piece.pack] = useful.get(piece.pack, 0) + piece.size
    return {
        hash_: piece
        for hash_, piece in pieces.items()
        if is_held(piece, sizes)
        and (piece.pack == hash_ or _FEWEST * useful[piece.pack] >= sizes[piece.pack])
    }


def _cut(data: Buffer) -> List[memoryview]:
    view = memoryview(data).cast("B")
    return [view[start : start + LARGEST] for start in range(0, len(view), LARGEST)]


def _piece(added: Union[Piece, Future[Piece]]) -> Piece:
    return added if isinstance(added, Piece) else added.result()


def _write_all(stream: Any, data: Buffer) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]
