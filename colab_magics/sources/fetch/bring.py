"""Carrying out a ``%fetch``: some at a time, each verified, then in its place in one go.

A file that is there and is not the one that was fetched is a person's, and is left as it is.
"""

import hashlib
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import List, Optional, Sequence

from ...display import amount, files
from ...errors import SourceError
from ...host import Host
from ...locks import alone
from ...secrets.base import value
from ...steps import Outcome, Progress
from .download import Download
from .kinds import source_of
from .place import Edited, put, settled
from .state import Entry, folder, short
from .step import FetchStep, Target

__all__ = ["bring"]

#: Files that are fetched at once.
_AT_ONCE = 4
#: Seconds between two looks at how far they are.
_LOOK = 0.1


@dataclass
class _Job:
    """One address on its way."""

    part: FetchStep
    target: Target
    old: Optional[Entry]
    download: Optional[Download] = None
    said: str = ""
    error: Optional[SourceError] = None

    @property
    def wanted(self) -> str:
        """The hash that is asked for; empty where any will do."""
        if self.part.hashes:
            return self.part.hashes[0]
        return self.old.sha256 if self.old is not None and not self.part.update else ""


def bring(step: FetchStep, host: Host, progress: Progress) -> Outcome:
    """Fetch what is missing; what failed is raised once the rest is there and recorded."""
    token = value(host, step.token) if step.token else ""
    parts = list(step.parts())
    with ExitStack() as stack:
        for part in sorted(parts, key=lambda one: one.target(host).key):

            def waits(seconds: float, part: FetchStep = part) -> None:
                progress(f"waiting for another kernel, which fetches {part.label}")

            stack.enter_context(alone(_beside(part.target(host), ".lock"), waits))
        jobs = [_Job(part, part.target(host), None) for part in parts]
        for job in jobs:
            job.old = Entry.read(job.target.key)
            _prepare(job, host, token, progress)
        _run([job.download for job in jobs if job.download is not None], progress)
        for job in jobs:
            if job.download is not None:
                _finish(job, host, progress)
    return _outcome(step, jobs, host)


def _prepare(job: _Job, host: Host, token: str, progress: Progress) -> None:
    """See what is there already; else have a download ready."""
    verdict = job.part.verdict(host)
    if verdict.state == "ok":  # the others of the line were missing, or another kernel was faster
        job.said = verdict.message
        return
    progress(f"looking at {job.part.label}")
    try:
        said = settled(job.part, job.target, job.old, job.wanted)
        if said:
            job.said = said
            return
        source = source_of(job.part.urls[0], host)
        label = job.part.label if job.target.file or job.part.unpack else source.name
        job.download = Download(source, _half(job), token, label)
    except SourceError as error:
        job.error = error


def _half(job: _Job) -> Path:
    """Where a file is while it comes: beside its place; an archive, which does not stay, apart."""
    if job.part.unpack:
        return _beside(job.target, ".part")
    name = (
        job.target.file.name
        if job.target.file
        else hashlib.md5(  # noqa: S324 - no secret
            job.target.key.encode()
        ).hexdigest()[:8]
    )
    return job.target.folder / f".{name}.part"


def _beside(target: Target, suffix: str) -> Path:
    name = hashlib.sha256(target.key.encode("utf-8", "surrogateescape")).hexdigest()
    return folder() / f"{name}{suffix}"


def _run(downloads: Sequence[Download], progress: Progress) -> None:
    """Run them in threads, and say how far they are; Ctrl-C ends them, what is here stays."""
    waiting = list(downloads)
    running: List[threading.Thread] = []
    begun = time.monotonic()
    try:
        while waiting or running:
            running = [thread for thread in running if thread.is_alive()]
            while waiting and len(running) < _AT_ONCE:
                running.append(threading.Thread(target=waiting.pop(0).run, daemon=True))
                running[-1].start()
            if running:
                running[0].join(_LOOK)
                progress(_how_far(downloads, time.monotonic() - begun))
    except BaseException:
        for one in downloads:
            one.stopped.set()
        for thread in running:
            thread.join(1.0)
        raise


def _how_far(downloads: Sequence[Download], seconds: float) -> str:
    got, total = sum(one.got for one in downloads), sum(one.total for one in downloads)
    what = downloads[0].called if len(downloads) == 1 else files(len(downloads))
    of = f" of {amount(total)}" if total and all(one.total for one in downloads) else ""
    return f"fetching {what}: {amount(got)}{of}, {amount(got / max(seconds, 0.1))}/s"


def _finish(job: _Job, host: Host, progress: Progress) -> None:
    """Put what came in its place, if it is what was wanted."""
    download = job.download
    assert download is not None  # noqa: S101 - the caller chose those
    if download.error is not None:
        if not isinstance(download.error, SourceError):
            raise download.error
        job.error = download.error
        return
    try:
        if job.wanted and download.sha256 != job.wanted:
            raise _other(job, download.sha256)
        job.said = put(job.part, job.target, job.old, download, progress)
    except Edited as error:
        job.said = str(error)
    except SourceError as error:
        job.error = error
    finally:
        download.drop()


def _other(job: _Job, came: str) -> SourceError:
    """It is not what was recorded, or asked for."""
    line = " ".join(("%fetch", *replace(job.part, hashes=()).arguments()))
    return SourceError(
        f"{job.part.label} is not what it was: sha256 {short(came)}, not {short(job.wanted)}.",
        f"Nothing was changed here. To take what it is now: {line} --update",
    )


def _outcome(step: FetchStep, jobs: Sequence[_Job], host: Host) -> Outcome:
    """What became of them all; the first failure is raised when the others are kept."""
    bad = [job.error for job in jobs if job.error is not None]
    if len(bad) == len(jobs):
        raise bad[0]
    good = [job.part for job in jobs if job.error is None]
    kept = good[0] if len(jobs) == 1 else _joined(step, good)
    recorded = kept.recorded(host)
    done = [job for job in jobs if job.error is None and job.download is not None]
    said = "; ".join(job.said for job in jobs if job.said and job.error is None)
    hint = "" if recorded is not None else "That address holds for a while only: not remembered."
    return Outcome(
        "applied" if done else "unchanged", said, recorded, hint, bad[0] if bad else None
    )


def _joined(step: FetchStep, parts: Sequence[FetchStep]) -> FetchStep:
    whole = tuple(one for part in parts for one in part.hashes)
    hashes = whole if len(whole) == len(parts) else ()
    return replace(step, urls=tuple(part.urls[0] for part in parts), hashes=hashes)
