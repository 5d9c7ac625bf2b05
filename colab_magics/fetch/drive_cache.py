"""``--cache``: a folder of the drive with what was fetched, each file by its hash.

Another machine copies a file from there, and verifies it, instead of asking the web. A cache that
cannot be used is no error, since the web is there; the line says it.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Iterator, Literal, Optional, Protocol

from ..core.errors import ColabMagicsError
from ..core.host import Host
from ..core.registry import load
from .cache import digest

if TYPE_CHECKING:
    from ..core.meter import Meter, Track

#: Prefix of a folder -> the class of a `HashStore`, called with a host, the folder and a meter.
STORES: Dict[str, str] = {"drive": "colab_magics.drive.transfer.hash_store:HashStore"}


class HashStore(Protocol):
    """A folder whose files are named by their hashes."""

    #: Whether it is on this machine, and goes with it.
    is_local: bool

    def size(self, name: str) -> Optional[int]:
        """Return the bytes of a file; None where there is none."""

    def get(self, name: str, place: Path, track: Track) -> None:
        """Copy a file to a place on this machine."""

    def put(self, name: str, file: Path, track: Track) -> None:
        """Copy a file there, whole or not at all."""


class DriveCache:
    """The cache of one or more lines, opened once; ``trouble`` says why it cannot be."""

    def __init__(self, folder: str, host: Host, meter: Meter) -> None:
        self.folder, self.meter = folder, meter
        self.store: Optional[HashStore] = None
        self.trouble = ""
        try:
            self.store = load(STORES[folder.partition(":")[0]])(host, folder, meter)
        except (ColabMagicsError, OSError) as error:
            self.trouble = _reason(error)


class CachedFile:
    """One file on its way from the cache, or into it. What fails is noted, and raises nothing.

    ``status``: ``copied`` from there, ``stored`` there (before or now), ``left out`` since it
    cannot be, or empty where that failed.
    """

    def __init__(self, cache: DriveCache, label: str) -> None:
        self.folder, self._cache, self._label = cache.folder, cache, label
        self.status: Literal["", "copied", "stored", "left out"] = ""
        self._trouble, self._damaged = cache.trouble, ""

    @property
    def note(self) -> str:
        """What to add to the line about the file; empty where that says it already."""
        store = self._cache.store
        notes = []
        if self.status == "stored" and store is not None:
            here = ", on this machine" if store.is_local else ""
            notes = [f"kept in {self.folder}{here}"]
        if self._damaged:
            fate = "was damaged and is replaced" if self.status == "stored" else "is damaged"
            notes.append(f"{self.folder}/{self._damaged} {fate}")
        if self._trouble:
            notes.append(f"{self.folder} not used: {self._trouble}")
        return "; ".join(notes)

    def copy(self, sha256: str, part: Path) -> bool:
        """Copy the file with this hash to ``part``; tell whether it is there and whole."""
        copied = False
        with self._noted() as store:
            if store is not None and store.size(sha256) is not None:
                with self._tracked("copying from") as track:
                    store.get(sha256, part, track)
                copied = digest(part) == sha256
                self._damaged = "" if copied else sha256
        if copied:
            self.status = "copied"
        elif self._damaged:
            with suppress(OSError):
                part.unlink()
        return copied

    def has(self, sha256: str, size: int) -> bool:
        """Tell whether the file is there already, as far as its size says."""
        with self._noted() as store:
            if store is not None and not self._damaged and store.size(sha256) == size:
                self.status = "stored"
        return self.status == "stored"

    def put(self, sha256: str, file: Path) -> None:
        """Copy a file there, unless it is there."""
        if self.status == "copied" or self.has(sha256, file.stat().st_size):
            return
        with self._noted() as store:
            if store is not None:
                with self._tracked("copying to") as track:
                    store.put(sha256, file, track)
                self.status = "stored"

    def leave_out(self, reason: str) -> None:
        """Note why a file is not put there."""
        if not self.status:
            self.status, self._trouble = "left out", reason

    @contextmanager
    def _noted(self) -> Iterator[Optional[HashStore]]:
        """Yield the store while nothing has failed; note what fails."""
        try:
            yield None if self._trouble else self._cache.store
        except (ColabMagicsError, OSError) as error:
            self._trouble = _reason(error)

    @contextmanager
    def _tracked(self, way: str) -> Iterator[Track]:
        track = self._cache.meter.track(f"{self._label} ({way} {self.folder})")
        try:
            yield track
        finally:
            track.ended = True


def _reason(error: Exception) -> str:
    """Return what failed, as a part of a sentence."""
    strerror = error.strerror if isinstance(error, OSError) else ""
    return (getattr(error, "message", "") or strerror or type(error).__name__).rstrip(".")
