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
from ..core.steps import Outcome, Progress
from ..secret.lookup import value
from .cache import Entry, digest, load, locked, part_path, save
from .download import Arrival, Download
from .http import Web
from .install import install_file, install_members, not_ours
from .prefetch import take_over
from .progress import Meter, Track
from .step import FetchStep, FetchSteps, Target, entry_key, inspect
from .urls import Request, source


class Result(NamedTuple):
    """What became of one file; without ``step`` nothing is recorded."""

    step: Optional[FetchStep]
    applied: bool
    message: str
    hint: str = ""
    size: int = 0


class Job(NamedTuple):
    """One file to be fetched."""

    step: FetchStep
    request: Request
    host: Host
    web: Web
    meter: Meter


def fetch_all(steps: Sequence[FetchStep], host: Host, progress: Progress) -> Outcome:
    """Fetch the files of several steps; those that arrived stay if another one fails."""
    meter = Meter()
    webs: Dict[str, Web] = {}
    for name in {step.token for step in steps}:  # here, since a person may be asked
        token = value(host, name) if name else ""
        webs[name] = Web(meter.stop, token, name)
        meter.wakers.append(webs[name].wake)
    steps = [step.settled(host) for step in steps]
    lists = meter.run_all(
        [partial(_list_jobs, step, host, webs[step.token], meter) for step in steps], progress
    )
    jobs = [job for future in lists for job in future.result()]
    with _folders({job.step.place(host).parent for job in jobs}):
        results = meter.run_all([partial(fetch, job) for job in jobs], progress)
    arrived = {job.request for job, future in zip(jobs, results) if not future.exception()}
    for step, future in zip(steps, lists):
        requests = [job.request for job in future.result()]
        if step.several and arrived.intersection(requests):
            urls = tuple(request.typed for request in requests)
            save(entry_key(step, host), Entry(step.url, files=urls))
    _raise_first([future.exception() for future in results])
    return _outcome([future.result() for future in results])


def _list_jobs(step: FetchStep, host: Host, web: Web, meter: Meter) -> List[Job]:
    """Return the files that a URL stands for, as its server lists them if it is a list."""
    meaning = source(step.url)
    if not meaning.listing:
        return [Job(step, meaning.request, host, web, meter)]
    if not meaning.several and inspect(step, host).status == "ok":
        return []  # no need to ask
    requests = meaning.read(web.json(meaning.listing))
    if not requests:
        raise SourceError(
            f"{step.url}: there is no such file.", "Check the URL in a browser.", code="absent"
        )
    if not meaning.several:
        return [Job(step, requests[0], host, web, meter)]
    names = [request.name for request in requests]
    for name in names:
        if names.count(name) > 1:
            raise SourceError(
                f"Several of its files are called {name}.",
                "Fetch each by its own address, into a folder of its own.",
                code="same-place",
            )
    return [Job(replace(step, url=each.typed), each, host, web, meter) for each in requests]


def _outcome(results: Sequence[Result]) -> Outcome:
    steps = tuple(result.step for result in results if result.step is not None)
    step = FetchSteps(steps) if len(steps) > 1 else steps[0] if steps else None
    applied = [result for result in results if result.applied]
    status = "applied" if applied else "unchanged"
    if len(results) == 1:
        return Outcome(status, results[0].message, step, results[0].hint)
    untouched = [result for result in results if result.hint]
    present = len(results) - len(applied) - len(untouched)
    parts = []
    if applied:
        size = amount(sum(result.size for result in applied))
        parts.append(f"{files(len(applied))} fetched, {size}")
    if present:
        parts.append(f"{present} already there")
    parts += [result.message for result in untouched[:3]]
    return Outcome(status, "; ".join(parts), step, untouched[0].hint if untouched else "")


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
        raise SourceError(
            f"The folder {path.name} cannot be made: {error.strerror}.",
            "Choose another folder.",
            code="not-writable",
        ) from None
    finally:
        for folder in sorted(made, reverse=True):  # inner ones first
            with suppress(OSError):  # it is not empty
                folder.rmdir()


# ---------------------------------------------------------------------- one file
def fetch(job: Job) -> Result:
    """Fetch one file, while no other kernel does."""
    step, host = job.step, job.host
    job.web.check()
    track = job.meter.track(step.label())

    def on_wait(seconds: float) -> None:
        track.say("waiting for another kernel, which fetches it")
        job.web.check()

    try:
        with locked(step.place(host), on_wait):
            target = inspect(step, host)
            return _untouched(step, target, host) or _fetch(job, target, track)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message, hint = "The disk is full.", "Free some space, and run it again."
            raise SourceError(message, hint, code="disk-full") from None
        message = f"{step.label()} cannot be written: {error.strerror}."
        raise SourceError(message, "Choose another place.", code="not-writable") from None
    finally:
        track.ended = True


def _untouched(step: FetchStep, target: Target, host: Host) -> Optional[Result]:
    """Return the result for a target that stays as it is; None if it is to be fetched."""
    if target.status == "ok":
        return Result(step.recorded_file(host), False, target.message)
    if step.update:
        return None
    if target.status == "edited":
        hint = (
            "To have it as it was: move it away, and run this again. "
            "To overwrite your changes with the server's file: --update"
        )
        return Result(None, False, f"{target.message}; left as it is", hint)
    if target.status == "foreign" and target.expected:
        raise not_ours(step.label("" if step.unpack else target.path.name))
    return None


def _fetch(job: Job, target: Target, track: Track) -> Result:
    """Download a file, verify it, and put it in its place."""
    step, host = job.step, job.host
    place = step.place(host)
    part = part_path(place)
    arrival = take_over(step, host, part, track, job.web.check)
    try:
        if arrival is None:
            known = load(part).part
            arguments = (lambda known: save(part, Entry(part=known)), step.unpack)
            download = Download(job.request, part, place.name, track, known, *arguments)
            arrival = download.run(job.web, host, _known_tag(step, target))
    except BaseException:
        if not part.exists():  # nothing can be resumed
            save(part, Entry())
        raise
    if arrival.unchanged:
        message = f"{step.label()}: still the same, {_short(target.entry.sha256)}"
        return Result(step.recorded_file(host), False, message)
    try:
        _verify(job.request, step, target, arrival, part)
        put = _unpack if step.unpack else _put
        result = put(job, target, arrival, part, track)
    except KeyboardInterrupt:  # all of it is here: the next run begins behind this
        raise
    except BaseException:
        _drop(part)
        raise
    _drop(part)
    return result


def _known_tag(step: FetchStep, target: Target) -> str:
    """Return the tag of the file that is here, if ``--update`` need not fetch the same again."""
    entry = target.entry
    current = step.update and target.complete and entry.url == step.url
    return entry.tag if current and target.expected in ("", entry.sha256) else ""


def _drop(part: Path) -> None:
    with suppress(OSError):
        part.unlink()
    save(part, Entry())


def _verify(
    request: Request, step: FetchStep, target: Target, arrival: Arrival, part: Path
) -> None:
    """Raise `SourceError` if this is not the file that was asked for."""
    label, expected = step.label(), target.expected
    if request.md5 and digest(part, "md5") != request.md5:
        raise SourceError(
            f"{label} arrived damaged: its md5 is not the one that the server lists.",
            "Run it again.",
            code="hash-differs",
        )
    if expected and arrival.sha256 != expected:
        raise SourceError(
            f"{label} is another file now: sha256 {_short(arrival.sha256)}, not "
            f"{_short(expected)}; it was not kept.",
            "If the new one is right, take and record it: --update, without --sha256",
            code="hash-differs",
        )


def _put(job: Job, target: Target, arrival: Arrival, part: Path, track: Track) -> Result:
    """Put a file in its place, and remember it also under the name that its URL says."""
    step, host = job.step, job.host
    place = step.place(host)
    name = (arrival.name or job.request.name) if step.in_folder else ""
    path = place.parent / (name or place.name)
    label = step.label(path.name)
    # Only the server's answer has named this place.
    with locked(path, lambda seconds: None) if path != place else nullcontext():
        entry = load(path)
        # What another URL has put there under the name of this one must not be replaced.
        ours = entry.sha256 if path == place or entry.url == step.url else ""
        status = install_file(part, path, label, arrival.sha256, ours, step.update)
        stat = path.stat()
        stamp = stat.st_size, stat.st_mtime_ns
        save(path, Entry(step.url, "", arrival.sha256, *stamp, arrival.tag))
    if path != place:
        save(place, Entry(step.url, path.name))
    if status == "same" and not step.update:
        message = f"{label} already there, nothing to do"
        return Result(step.recorded_file(host), False, message)
    return _result(job, label, entry, arrival, "fetched", status == "replaced")


def _unpack(job: Job, target: Target, arrival: Arrival, part: Path, track: Track) -> Result:
    """Unpack an archive into its folder; what only an older version of it had is deleted."""
    step, host = job.step, job.host

    def progress(line: object) -> None:
        job.web.check()
        track.say(str(line))

    progress("unpacking")
    place, key = step.place(host), entry_key(step, host)
    entry = Entry(step.url, "", arrival.sha256, arrival.size, 0, arrival.tag, step.strip)
    name = arrival.name or place.name
    replaced = install_members(part, place.parent, name, key, entry, step.update, progress)
    verb = f"fetched and unpacked: {files(len(load(key).members))}"
    return _result(job, step.label(), target.entry, arrival, verb, replaced)


def _result(
    job: Job, label: str, old: Entry, arrival: Arrival, verb: str, replaced: bool
) -> Result:
    """Return the result for a file that has arrived; ``replaced``: over one that was not ours."""
    update, same = job.step.update, old.sha256 == arrival.sha256
    if update and same and not replaced:
        message = f"{label}: still the same, {_short(arrival.sha256)}"
    elif update and old.sha256 and not same:
        change = f"{_short(old.sha256)} -> {_short(arrival.sha256)}"
        message = f"{label}: {change}, {amount(arrival.size)}"
    else:
        message = f"{label} {verb}, {amount(arrival.size)}"
    if replaced:
        message += f"; {'your changes were' if old.sha256 else 'another file was'} replaced"
    applied = replaced or not (update and same)
    return Result(job.step.recorded_file(job.host), applied, message, size=arrival.size)


def _short(sha256: str) -> str:
    return sha256[:12]
