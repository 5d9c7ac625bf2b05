"""Downloads that begin before their line, while an earlier line of the cell works.

Nothing is made where a file will be, since an earlier line may clone or mount there: what arrives
lies in the user's cache, and the line takes it over. If that is not possible, or failed, the line
does all of it itself, and reports what there is to report.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Optional, Tuple

from ..core.errors import ColabMagicsError
from ..core.folders import cache_folder, hash_path
from ..core.host import Host
from ..core.meter import AT_ONCE, Track
from .cache import Entry, load, locked, part_path, save
from .download import Arrival, Download
from .http import Web
from .spec import FetchSpec, inspect
from .urls import read_url

#: Seconds after which what a killed kernel has left in the cache is deleted.
_OLD = 86400.0
#: The downloads of this process, by the place of their file.
_RUNNING: Dict[Path, EarlyDownload] = {}


def begin(steps: Iterable[FetchSpec], host: Host) -> List[EarlyDownload]:
    """Begin to download the files of some lines, as far as that is possible now."""
    with suppress(OSError):
        for path in cache_folder("ahead").iterdir():
            if path.stat().st_mtime < time.time() - _OLD:
                path.unlink()
    turns = threading.Semaphore(AT_ONCE)
    downloads = [EarlyDownload(step, host, turns) for step in steps if _is_possible(step, host)]
    for download in downloads:
        _RUNNING[download.place] = download
        download.start()
    return downloads


def end(downloads: Iterable[EarlyDownload]) -> None:
    """End the downloads that no line has taken over, and delete their files."""
    for download in downloads:
        if _RUNNING.get(download.place) is download:
            del _RUNNING[download.place]
            download.end()
            download.delete()


def take_over(
    step: FetchSpec, host: Host, part: Path, track: Track, check: Callable[[], None]
) -> Optional[Arrival]:
    """Wait for the early download of a file, and move it to ``part``; None if it is not complete.

    A part of a file is moved too, to be resumed. ``check`` is called meanwhile, and may raise.
    """
    early = _RUNNING.pop(step.place(host), None)
    if early is None:
        return None
    same = early.step.url == step.url and not step.update
    try:
        while same and early.is_alive():
            early.join(0.1)
            track.advance(early.track.done, early.track.total)
            check()
    finally:
        early.end()
        arrival = early.move(part) if same else None
        early.delete()
    return arrival


class EarlyDownload(threading.Thread):
    """The early download of one file, which does not keep the kernel from ending."""

    def __init__(self, step: FetchSpec, host: Host, turns: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self.step, self.place, self.track = step, step.place(host), Track("")
        self._host, self._turns, self._stopping = host, turns, threading.Event()
        self._web = Web(self._stopping)
        self._part = cache_folder("ahead") / hash_path(self.place)
        self._arrival: Optional[Arrival] = None

    def run(self) -> None:
        """Download it; failures are ignored, since the line will meet them too."""

        def on_begin(known: Tuple[str, ...]) -> None:
            save(self._part, Entry(part=known))

        def on_wait(seconds: float) -> None:
            raise KeyboardInterrupt  # another kernel downloads it

        with self._turns, suppress(KeyboardInterrupt, ColabMagicsError, OSError):
            self._web.check()
            with locked(self._part, on_wait):
                request, known = read_url(self.step.url), load(self._part).part
                arguments = (self.place.name, self.track, known, on_begin, self.step.unpack)
                download = Download(request, self._part, *arguments)
                self._arrival = download.run(self._web, self._host)

    def end(self) -> None:
        """End it soon, and wait for that."""
        self._stopping.set()
        self._web.wake()
        self.join(10)

    def move(self, part: Path) -> Optional[Arrival]:
        """Move what has arrived to the part of the line; return it if it is complete."""
        known = load(self._part).part
        try:
            self._part.replace(part)
        except OSError:  # nothing has arrived, or it is on another disk
            return None
        save(part, Entry(part=known))
        return self._arrival

    def delete(self) -> None:
        """Delete what has arrived."""
        with suppress(OSError):
            self._part.unlink()
        save(self._part, Entry())


def _is_possible(step: FetchSpec, host: Host) -> bool:
    """Tell whether a download can begin now: it needs no secret and no drive, and is new.

    A drive with a cache may be mounted by an earlier line.
    """
    request = read_url(step.url)
    plain = request.url == step.url and request.page is None and request.open is None
    on_drive = any(step.dest.startswith(f"{name}:") for name in host.places)
    if not plain or on_drive or step.token or step.update or step.cache:
        return False
    place = step.place(host)
    try:
        if part_path(place).exists() or inspect(step, host).status != "absent":
            return False
        folder = next(folder for folder in place.parents if folder.exists())
        return folder.stat().st_dev == cache_folder("ahead").stat().st_dev
    except OSError:
        return False
