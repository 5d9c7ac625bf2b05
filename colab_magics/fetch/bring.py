"""Fetching what a line asks for: several at once; those that came stay where another failed."""

from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Sequence

from ..core.display import amount, files
from ..core.errors import ColabMagicsError, SourceError
from ..core.host import Host
from ..core.steps import Outcome, Progress
from ..secret.lookup import value
from .cache import Entry, keep
from .fetcher import Done, Job, fetch
from .http import Web
from .meter import Meter, at_once
from .step import FetchStep, FetchSteps
from .target import look, memory
from .urls import source


def brought(steps: Sequence[FetchStep], host: Host, progress: Progress) -> Outcome:
    """Fetch them; those that came stay where another one failed."""
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
    status = "applied" if applied else "unchanged"
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
        details = "\n".join(one.what for one in others[:5])
        raise SourceError(first.what, first.todo, details) from None
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
