"""Fetching what a line asks for: several at once, each verified, in place whole or not at all."""

from __future__ import annotations

import errno
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence

from ..core.display import amount, files
from ..core.errors import ColabMagicsError, SourceError
from ..core.host import Host
from ..core.meter import Meter
from ..core.steps import Progress
from ..secret.lookup import value
from .archive import name_inside
from .cache import Entry, digest, load, locked, part_path, save
from .download import Arrival, Download
from .drive_cache import CachedFile, DriveCache
from .http import Web
from .install import install_file, install_members, not_ours
from .prefetch import take_over
from .spec import FetchSpec, Target, entry_key, inspect, lacks_copy
from .urls import Request, read_url


class Result(NamedTuple):
    """What became of one file; without ``step`` nothing is recorded.

    ``verb`` is the way that it took, ``note`` what there is to say of a cache.
    """

    step: Optional[FetchSpec]
    applied: bool
    message: str
    hint: str = ""
    size: int = 0
    verb: str = "fetched"
    note: str = ""


def fetch_all(steps: Sequence[FetchSpec], host: Host, progress: Progress) -> List[Result]:
    """Fetch the files of several lines; those that arrived stay if another one fails."""
    meter = Meter()
    webs: Dict[str, Web] = {}
    for name in {step.token for step in steps}:  # here, since a person may be asked
        token = value(host, name) if name else ""
        webs[name] = Web(meter.stop, token, name)
        meter.wakers.append(webs[name].wake)
    caches = {name: DriveCache(name, host, meter) for name in {step.cache for step in steps} - {""}}
    steps = [step.settled(host) for step in steps]
    make = [
        partial(_list_jobs, step, host, webs[step.token], meter, caches.get(step.cache))
        for step in steps
    ]
    lists = meter.run_all(make, progress)
    jobs = [job for future in lists for job in future.result()]
    with _folders({job.place.parent for job in jobs}):
        results = meter.run_all([job.run for job in jobs], progress)
    arrived = {job.request for job, future in zip(jobs, results) if not future.exception()}
    for step, future in zip(steps, lists):
        requests = [job.request for job in future.result()]
        if step.several and arrived.intersection(requests):
            urls = tuple(request.typed for request in requests)
            save(entry_key(step, host), Entry(step.url, files=urls))
    _raise_first([future.exception() for future in results])
    return [future.result() for future in results]


def _list_jobs(
    step: FetchSpec, host: Host, web: Web, meter: Meter, cache: Optional[DriveCache]
) -> List[Job]:
    """Return the files that a URL stands for, as its server lists them if it is a list."""
    request = read_url(step.url)
    if not request.several:
        return [Job(step, request, host, web, meter, cache)]
    requests = _read_listing(step, request, web)
    names = [request.name for request in requests]
    for name in names:
        if names.count(name) > 1:
            message = f"Several of its files are called {name}."
            hint = "Fetch each by its own address, into a folder of its own."
            raise SourceError(message, hint, code="same-place")
    return [Job(replace(step, url=each.typed), each, host, web, meter, cache) for each in requests]


def _read_listing(step: FetchSpec, request: Request, web: Web) -> List[Request]:
    requests = request.read(web.json(request.listing))
    if not requests:
        message = f"{step.url}: there is no such file."
        raise SourceError(message, "Check the URL in a browser.", code="absent")
    return requests


def _raise_first(errors: Sequence[Optional[BaseException]]) -> None:
    """Raise the first error, with the other messages as its details."""
    failed = [error for error in errors if error is not None]
    if not failed:
        return
    first = failed[0]
    others = [error.message for error in failed[1:] if isinstance(error, ColabMagicsError)]
    if isinstance(first, SourceError) and others:
        first.details = "\n".join(others[:5])
    raise first


@contextmanager
def _folders(paths: Iterable[Path]) -> Iterator[None]:
    """Make folders, and remove those that are still empty in the end."""
    made: List[Path] = []
    try:
        for path in paths:
            made += [folder for folder in (path, *path.parents) if not folder.exists()]
            path.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        message = f"The folder {path.name} cannot be made: {error.strerror}."
        raise SourceError(message, "Choose another folder.", code="not-writable") from None
    finally:
        for folder in sorted(made, reverse=True):  # inner ones first
            with suppress(OSError):  # it is not empty
                folder.rmdir()


# ---------------------------------------------------------------------- one file
class Job:
    """One file to be fetched."""

    def __init__(
        self,
        step: FetchSpec,
        request: Request,
        host: Host,
        web: Web,
        meter: Meter,
        cache: Optional[DriveCache] = None,
    ) -> None:
        self.step, self.request, self.place = step, request, step.place(host)
        self._host, self._web, self._meter = host, web, meter
        self._part = part_path(self.place)
        self._cached = CachedFile(cache, step.label()) if cache is not None else None

    def run(self) -> Result:
        """Fetch the file, while no other kernel does."""
        step = self.step
        self._web.check()
        track = self._track = self._meter.track(step.label())

        def on_wait(seconds: float) -> None:
            track.say("waiting for another kernel, which fetches it")
            self._web.check()

        try:
            with locked(self.place, on_wait):
                target = inspect(step, self._host)
                return self._untouched(target) or self._fetch(target)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                hint = "Free some space, and run it again."
                raise SourceError("The disk is full.", hint, code="disk-full") from None
            message = f"{step.label()} cannot be written: {error.strerror}."
            raise SourceError(message, "Choose another place.", code="not-writable") from None
        finally:
            track.ended = True

    def _untouched(self, target: Target) -> Optional[Result]:
        """Return the result for a target that stays as it is; None if it is to be fetched."""
        if target.status == "ok":
            return self._present(target, target.message)
        if self.step.update:
            return None
        if target.status == "edited":
            hint = (
                "To have it as it was: move it away, and run this again. "
                "To overwrite your changes with the server's file: --update"
            )
            return Result(None, False, f"{target.message}; left as it is", hint)
        if target.status == "foreign" and target.expected:
            raise not_ours(self.step.label("" if self.step.unpack else target.path.name))
        return None

    def _present(self, target: Target, message: str) -> Result:
        """Return the result for a file that is there; it is put into the cache that lacks it."""
        cached, entry = self._cached, load(self._key(target.path))
        if cached is not None and lacks_copy(self.step, entry) and not self.step.unpack:
            cached.put(entry.sha256, target.path)
        return self._result(message, target.path)

    def _key(self, path: Path) -> Path:
        """Return the path that a file, or what was unpacked, is remembered under."""
        return entry_key(self.step, self._host) if self.step.unpack else path

    def _result(self, message: str, path: Path, applied: bool = False, size: int = 0) -> Result:
        """Return the result for the file at a path, and remember whether the cache has it."""
        cached, key = self._cached, self._key(path)
        if cached is not None and cached.status:
            save(key, load(key)._replace(cached=cached.folder))
        note = cached.note if cached is not None else ""
        recorded = self.step.recorded_file(self._host)
        message = f"{message}; {note}" if note else message
        return Result(recorded, applied, message, "", size, self._verb, note)

    @property
    def _verb(self) -> str:
        cached = self._cached
        is_copy = cached is not None and cached.status == "copied"
        return f"copied from {self.step.cache}" if is_copy else "fetched"

    def _fetch(self, target: Target) -> Result:
        """Download the file, verify it, and put it in its place."""
        try:
            arrival = self._download(target)
        except BaseException:
            if not self._part.exists():  # nothing can be resumed
                save(self._part, Entry())
            raise
        if arrival.unchanged:
            message = f"{self.step.label()}: still the same, {_short(target.entry.sha256)}"
            return self._present(target, message)
        try:
            self._verify(target, arrival)
            put = self._unpack if self.step.unpack else self._put
            result = put(target, arrival)
        except KeyboardInterrupt:  # all of it is here: the next run begins behind this
            raise
        except BaseException:
            self._drop()
            raise
        self._drop()
        return result

    def _download(self, target: Target) -> Arrival:
        step, entry, part = self.step, target.entry, self._part
        arrival = take_over(step, self._host, part, self._track, self._web.check)
        arrival = arrival or self._copy_cached(target)
        if arrival is not None:
            return arrival
        if self.request.listing:
            self.request = _read_listing(step, self.request, self._web)[0]
        # With --update, the server need not send again what is here.
        current = step.update and target.complete and entry.url == step.url
        if step.unpack and self._cached is not None:  # which may lack what was unpacked
            current = current and self._cached.has(entry.sha256, entry.size)
        tag = entry.tag if current and target.expected in ("", entry.sha256) else ""
        download = Download(
            self.request,
            part,
            self.place.name,
            self._track,
            load(part).part,
            lambda known: save(part, Entry(part=known)),
            step.unpack,
        )
        return download.run(self._web, self._host, tag)

    def _copy_cached(self, target: Target) -> Optional[Arrival]:
        """Return the file from the cache; None where it is not there, or none is expected."""
        if self._cached is None or not target.expected:
            return None
        if not self._cached.copy(target.expected, self._part):
            return None
        name = "" if self.step.unpack else target.path.name
        return Arrival(target.expected, self._part.stat().st_size, name)

    def _drop(self) -> None:
        with suppress(OSError):
            self._part.unlink()
        save(self._part, Entry())

    def _verify(self, target: Target, arrival: Arrival) -> None:
        """Raise `SourceError` if this is not the file that was asked for."""
        label, expected, sha256 = self.step.label(), target.expected, arrival.sha256
        if self.request.md5 and digest(self._part, "md5") != self.request.md5:
            message = f"{label} arrived damaged: its md5 is not the one that the server lists."
            raise SourceError(message, "Run it again.", code="hash-differs")
        if expected and sha256 != expected:
            raise SourceError(
                f"{label} is another file now: sha256 {_short(sha256)}, not {_short(expected)}; "
                "it was not kept.",
                "If the new one is right, take and record it: --update, without --sha256",
                code="hash-differs",
            )

    def _put(self, target: Target, arrival: Arrival) -> Result:
        """Put a file in its place, and remember it also under the name that its URL says."""
        step, place = self.step, self.place
        name = (arrival.name or self.request.name) if step.in_folder else ""
        path = place.parent / (name or place.name)
        label = step.label(path.name)
        # Only the server's answer has named this place.
        with locked(path, lambda seconds: None) if path != place else nullcontext():
            old = load(path)
            # What another URL has put there under the name of this one must not be replaced.
            ours = old.sha256 if path == place or old.url == step.url else ""
            status = install_file(self._part, path, label, arrival.sha256, ours, step.update)
            stat = path.stat()
            stamp = stat.st_size, stat.st_mtime_ns
            save(path, Entry(step.url, "", arrival.sha256, *stamp, arrival.tag))
        if path != place:
            save(place, Entry(step.url, path.name))
        if self._cached is not None:
            self._cached.put(arrival.sha256, path)
        if status == "same" and not step.update:
            return self._result(f"{label} already there, nothing to do", path)
        message = f"{label} {self._verb}"
        return self._installed(message, path, label, old, arrival, status == "replaced")

    def _unpack(self, target: Target, arrival: Arrival) -> Result:
        """Unpack an archive into its folder; what only an older version of it had is deleted."""
        step = self.step

        def progress(line: object) -> None:
            self._web.check()
            self._track.say(str(line))

        progress("unpacking")
        key = entry_key(step, self._host)
        entry = Entry(step.url, "", arrival.sha256, arrival.size, 0, arrival.tag, step.strip)
        name, folder = arrival.name or self.place.name, self.place.parent
        replaced = install_members(self._part, folder, name, key, entry, step.update, progress)
        members = load(key).members
        message = f"{step.label()} {self._verb} and unpacked: {files(len(members))}"
        if self._cached is not None:
            # What is only compressed has no other name, and the cache has none.
            if name == self.place.name or [file.path for file in members] != [name_inside(name)]:
                self._cached.put(arrival.sha256, self._part)
            else:
                self._cached.leave_out("the server alone has the name of the file in it")
        return self._installed(message, self.place, step.label(), target.entry, arrival, replaced)

    def _installed(
        self, message: str, path: Path, label: str, old: Entry, arrival: Arrival, replaced: bool
    ) -> Result:
        """Return the result for what is in place now; ``replaced``: over what was not ours."""
        update, same = self.step.update, old.sha256 == arrival.sha256
        if update and same and not replaced:
            return self._result(f"{label}: still the same, {_short(arrival.sha256)}", path)
        if update and old.sha256 and not same:
            message = f"{label}: {_short(old.sha256)} -> {_short(arrival.sha256)}"
        message += f", {amount(arrival.size)}"
        if replaced:
            message += f"; {'your changes were' if old.sha256 else 'another file was'} replaced"
        return self._result(message, path, True, arrival.size)


def _short(sha256: str) -> str:
    return sha256[:8]
