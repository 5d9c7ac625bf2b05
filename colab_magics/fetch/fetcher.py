"""Fetching what a line asks for: several at once, each proved, in place whole or not at all."""

from __future__ import annotations

import errno
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import (
    ContextManager,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
)

from ..core.display import amount, files
from ..core.errors import ColabMagicsError, SourceError
from ..core.host import Host
from ..core.steps import Outcome, OutcomeStatus, Progress
from ..secret.lookup import value
from .cache import Entry, digest, keep, only, part_of, recall
from .download import Download, Got
from .http import Web
from .install import put, put_members
from .prefetch import take
from .progress import Meter, Track, at_once
from .step import FetchStep, FetchSteps
from .target import Look, look, memory
from .urls import Request, source

_SHORT = 12


class Done(NamedTuple):
    """What became of one file."""

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
    """Fetch the files of several steps; those that came stay where another one failed."""
    meter = Meter()
    webs: Dict[str, Web] = {}
    for name in {one.token for one in steps}:  # here, since a person may be asked
        token = value(host, name) if name else ""
        webs[name] = Web(meter.stop, token, name)
        meter.cuts.append(webs[name].cut)
    settled = [one.settled(host) for one in steps]
    lists = at_once(
        [partial(_jobs, one, host, webs[one.token], meter) for one in settled], meter, progress
    )
    found = [future.result() for future in lists]
    jobs = [job for those in found for job in those]
    with _folders({job.step.place(host).parent for job in jobs}):
        done = at_once([partial(fetch, job) for job in jobs], meter, progress)
    came = {job.request for job, future in zip(jobs, done) if not future.exception()}
    for one, those in zip(settled, found):
        if source(one.url).several and came.intersection(job.request for job in those):
            urls = tuple(job.request.typed for job in those)
            keep(memory(one, host), Entry(one.url, files=urls))
    _raise_first([future.exception() for future in done])
    return _told([future.result() for future in done])


def _jobs(step: FetchStep, host: Host, web: Web, meter: Meter) -> List[Job]:
    """The files that a URL stands for, as its server lists them where it stands for several."""
    meant = source(step.url)
    if not meant.listing:
        return [Job(step, meant.request, host, web, meter)]
    if not meant.several and look(step, host).state == "ok":
        return []  # nothing needs to be asked
    found = meant.read(web.json(meant.listing))
    if not found:
        raise SourceError(f"{step.url} has no such file.", "Check it in a browser.")
    if not meant.several:
        return [Job(step, found[0], host, web, meter)]
    _refuse_twice([one.name for one in found])
    return [Job(replace(step, url=one.typed), one, host, web, meter) for one in found]


def _refuse_twice(names: Sequence[str]) -> None:
    """One folder cannot hold what its server keeps in two under one name."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise SourceError(
            f"Several of its files are called {twice[0]}.",
            "Fetch each by its own address, into a folder of its own.",
        )


def _told(done: Sequence[Done]) -> Outcome:
    """One outcome of all."""
    steps = tuple(one.step for one in done if one.step is not None)
    step = FetchSteps(steps) if len(steps) > 1 else steps[0] if steps else None
    applied = [one for one in done if one.applied]
    status: OutcomeStatus = "applied" if applied else "unchanged"
    if len(done) == 1:
        return Outcome(status, done[0].message, step, done[0].hint)
    parts = [f"{files(len(applied))} fetched, {amount(sum(one.size for one in applied))}"]
    there = [one for one in done if not one.applied and not one.hint]
    parts += [f"{len(there)} already there"] if there else []
    left = [one for one in done if one.hint]
    parts += [one.message for one in left[:3]]
    said = "; ".join(parts if applied else parts[1:])
    return Outcome(status, said, step, left[0].hint if left else "")


def _raise_first(errors: Sequence[Optional[BaseException]]) -> None:
    """The first failure, and in its details what else failed."""
    failed = [error for error in errors if error is not None]
    if not failed:
        return
    first, others = failed[0], [one for one in failed[1:] if isinstance(one, ColabMagicsError)]
    if isinstance(first, SourceError) and others:
        details = "\n".join(one.message for one in others[:5])
        raise SourceError(first.message, first.hint, details) from None
    raise first


@contextmanager
def _folders(paths: Iterable[Path]) -> Iterator[None]:
    """Have folders; those that were made for it go again where nothing came into them."""
    made: List[Path] = []
    try:
        for path in paths:
            made += [one for one in (path, *path.parents) if not one.exists()]
            path.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise SourceError(
            f"{path.name} cannot be made a folder: {error.strerror}.", "Choose another folder."
        ) from None
    finally:
        for one in sorted(made, reverse=True):  # what is in a folder stands behind it
            with suppress(OSError):  # one that is not empty stays
                one.rmdir()


# ---------------------------------------------------------------------- one file
def fetch(job: Job) -> Done:
    """Fetch one file, when nobody else is at it."""
    step, host = job.step, job.host
    job.web.check()
    track = job.meter.track(step.label())

    def waits(seconds: float) -> None:
        track.say("waiting for another kernel, which fetches it")
        job.web.check()

    try:
        with only(step.place(host), waits):
            seen = look(step, host)
            kept = _kept(step, seen, host)
            return kept or _fetched(job, seen, track)
    except OSError as error:
        raise _unwritable(error) from None
    finally:
        track.ended = True


def _kept(step: FetchStep, seen: Look, host: Host) -> Optional[Done]:
    """What is said of a target that stays as it is; None where it is to be fetched."""
    if seen.state == "ok":
        return Done(_recorded(step, host), False, seen.message)
    if step.update:
        return None
    if seen.state == "edited":
        hint = (
            "To have it as it was: move it away, and run this again. "
            "To overwrite your changes with the server's file: --update"
        )
        return Done(None, False, f"{seen.message}; left as it is", hint)
    if seen.state == "foreign" and seen.wanted:
        raise _in_the_way(step.label("" if step.unpack else seen.path.name))
    return None


def _fetched(job: Job, seen: Look, track: Track) -> Done:
    """Bring it, prove that it is what was asked for, and put it in place."""
    step, host = job.step, job.host
    place = step.place(host)
    part = part_of(place)
    early = take(step, host, part, track, job.web.check)
    download = Download(
        job.request,
        part,
        place.name,
        track,
        recall(part).part,
        lambda known: keep(part, Entry(part=known)),
        step.unpack,
    )
    known = step.update and seen.whole and seen.entry.url == step.url
    known = known and seen.wanted in ("", seen.entry.sha256)
    try:
        got = early or download.run(job.web, host, seen.entry.tag if known else "")
    except BaseException:
        if not part.exists():  # nothing of it can be gone on with
            keep(part, Entry())
        raise
    if got.same:
        said = f"{step.label()}: still the same, {_short(seen.entry.sha256)}"
        return Done(_recorded(step, host), False, said)
    try:
        _prove(job.request, step, seen, got, part)
        done = _unpack(job, seen, got, part, track) if step.unpack else _put(job, got, part)
    except KeyboardInterrupt:  # all of it is here: the next run begins behind this
        raise
    except BaseException:
        _drop(part)
        raise
    _drop(part)
    return done


def _drop(part: Path) -> None:
    with suppress(OSError):
        part.unlink()
    keep(part, Entry())


def _prove(request: Request, step: FetchStep, seen: Look, got: Got, part: Path) -> None:
    """Refuse what is not what was asked for."""
    label, wanted = step.label(), seen.wanted
    if request.md5 and digest(part, "md5") != request.md5:
        raise SourceError(
            f"{label} did not arrive as its server lists it: the md5 differs.", "Run it again."
        )
    if wanted and got.sha256 != wanted:
        raise SourceError(
            f"{label} is another file now: sha256 {_short(got.sha256)}, not "
            f"{_short(wanted)}; nothing of it was kept.",
            "If the new one is right: --update, without --sha256; it is taken and recorded.",
        )


def _put(job: Job, got: Got, part: Path) -> Done:
    """A file in its place, remembered also under the name that its URL gives it."""
    step, host = job.step, job.host
    place = step.place(host)
    named = (got.name or job.request.name) if step.in_folder else ""
    path = place.parent / (named or place.name)
    label = step.label(path.name)
    with _alone(path, place):
        was = recall(path)
        # What another URL has brought under the name of this one is nobody's to replace.
        ours = was.sha256 if path == place or was.url == step.url else ""
        became = put(part, path, got.sha256, ours, step.update)
        if became == "refused":
            raise _in_the_way(label)
        stat = path.stat()
        keep(path, Entry(step.url, "", got.sha256, stat.st_size, stat.st_mtime_ns, got.tag))
    if path != place:
        keep(place, Entry(step.url, path.name))
    if became == "there" and not step.update:
        return Done(_recorded(step, host), False, f"{label} already there, nothing to do")
    return _said(step, host, label, was, got, "fetched", became == "replaced")


def _alone(path: Path, place: Path) -> ContextManager[object]:
    """The lock of a place that only the server's answer has named."""
    return only(path, lambda seconds: None) if path != place else nullcontext()


def _unpack(job: Job, seen: Look, got: Got, part: Path, track: Track) -> Done:
    """What is in an archive in its folder; what an older one had there and this has not goes."""
    step, host = job.step, job.host

    def told(line: object) -> None:
        job.web.check()
        track.say(str(line))

    told("unpacking")
    at = memory(step, host)
    fresh = Entry(step.url, "", got.sha256, got.size, 0, got.tag, step.strip)
    name = got.name or step.place(host).name
    over = put_members(part, step.place(host).parent, name, at, fresh, step.update, told)
    verb = f"fetched and unpacked: {files(len(recall(at).members))}"
    return _said(step, host, step.label(), seen.entry, got, verb, over)


def _said(
    step: FetchStep, host: Host, label: str, was: Entry, got: Got, verb: str, over: bool
) -> Done:
    """What is told of one that came; ``over``: what was there was not ours."""
    size, same = amount(got.size), was.sha256 == got.sha256
    if step.update and same and not over:
        message = f"{label}: still the same, {_short(got.sha256)}"
    elif step.update and was.sha256 and not same:
        message = f"{label}: {_short(was.sha256)} -> {_short(got.sha256)}, {size}"
    else:
        message = f"{label} {verb}, {size}"
    if over:
        message += f"; {'your changes were' if was.sha256 else 'another file was'} replaced"
    applied = over or not (step.update and same)
    return Done(_recorded(step, host), applied, message, size=got.size)


def _recorded(step: FetchStep, host: Host) -> Optional[FetchStep]:
    found = step.recorded(host)
    return found if isinstance(found, FetchStep) else None


def _unwritable(error: OSError) -> SourceError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SourceError("The disk is full.", "Free some space, and run it again.")
    return SourceError(f"It cannot be written: {error.strerror}.", "Choose another place.")


def _in_the_way(label: str) -> SourceError:
    return SourceError(
        f"{label} is there and is another file; it was left alone.",
        "Move it away. Or put what this line names in its place: --update",
    )


def _short(sha256: str) -> str:
    return sha256[:_SHORT]
