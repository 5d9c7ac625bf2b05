"""``%jobs``."""

from __future__ import annotations

import json
from argparse import Namespace
from contextlib import suppress
from typing import Any, List, Mapping, Tuple

from ..core.arguments import Parser, find_meant
from ..core.display import Mark, Report, Tone, amount, duration
from ..core.errors import CommandFailed, usage_error
from ..core.redact import redact_secrets
from ..extension.magic import Call, Magic
from ..extension.output import Status, say, show
from .description import describe, list_notes
from .job import Job, find_job, list_jobs
from .launch import remove, stop
from .magic_follow import follow, raise_unless_done, show_log, wait
from .magic_start import mark_reported, parser
from .store import LOG, list_names, list_starts

#: The tones of states; each other state is a bad one.
_TONES: Mapping[str, Tone] = {
    "running": "active",
    "elsewhere": "active",
    "done": "good",
    "stopped": "quiet",
}


class JobsMagic(Magic):
    """The jobs that ``%shell --background train python train.py`` has started, as ``train``.

    A job outlives its cell, the browser's tab and the kernel, killed or restarted, and is found
    again by any notebook of this user on this machine. All that it writes is in a log. It is done,
    failed, stopped (by you), killed, or lost with the machine that it ran on; one on another
    machine that has this home too is listed, and is stopped there.

    ``wait`` and ``follow`` raise an error if the job did not succeed, and wait for the copy of its
    log too (``--log``), a minute at most. Ctrl-C ends the waiting, not the job.

    Examples
    --------
    ::

        %jobs                        # each job: state, time, memory, its last line
        %jobs train                  # one of them
        %jobs log train              # the last lines of its log
        %jobs log train -n 500
        %jobs follow train           # its output as it comes, until it ends
        %jobs wait train             # until it ends; the next cell runs then
        %jobs stop train
        %jobs remove train           # one that has ended, and its log
    """

    name = "jobs"
    completes = "job"
    dry_run_commands = ()

    @classmethod
    def parser(cls) -> Parser:
        """Return the commands and options."""
        return parser()

    def run(self, call: Call) -> Any:
        """Run a command, or list the jobs."""
        self.refuse_body(call)
        command, arguments = parser().parse_words(call.words)
        return getattr(self, f"_{command or 'list'}")(arguments, "quiet" in call.flags)

    def complete(self, line: str, symbol: str) -> List[str]:
        """Return commands and options, and names of jobs."""
        offered = super().complete(line, symbol)
        with suppress(CommandFailed):
            offered += [name for name in list_names() if name.startswith(symbol)]
        return offered

    def _list(self, arguments: Namespace, quiet: bool) -> Any:
        jobs = [_get_job(name) for name in arguments.names] if arguments.names else list_jobs()
        for job in jobs:
            mark_reported(self.session, job)
        described = [job.to_dict() for job in jobs]
        if arguments.json:
            print(redact_secrets(json.dumps(described, indent=2)))
        elif not quiet:
            show(self._report(jobs))
        return described

    def _log(self, arguments: Namespace, quiet: bool) -> Any:
        lines, folder = arguments.lines, _get_job(arguments.name).folder
        if lines < 1:
            raise usage_error(f"%jobs log -n {lines}: not a number of lines.", "Example: -n 100")
        if arguments.before:
            earlier = [place for place in list_starts(folder.parent) if place != folder]
            if not earlier:
                message = f"There was no job {arguments.name} before."
                raise usage_error(message, "See %jobs", code="no-job")
            folder = earlier[-1]
        return show_log(self.host, folder / LOG, None if arguments.all else lines, quiet)

    def _follow(self, arguments: Namespace, quiet: bool) -> Any:
        job = follow(self.host, _get_job(arguments.name), arguments.timeout, quiet)
        mark_reported(self.session, job)
        raise_unless_done(job, self._precise, lines=0)
        if not quiet:
            say(f"{job.name}: {describe(job, self._precise)}", *list_notes(job))
        return job.to_dict()

    def _wait(self, arguments: Namespace, quiet: bool) -> Any:
        job, status = _get_job(arguments.name), Status(self.host, quiet)
        shown: List[Job] = []

        def on_tick(now: Job) -> None:
            if self.host.live and now not in shown[-1:]:
                shown.append(now)
                status("; ".join((self._describe(now), *list_notes(now))))

        with status:
            job = wait(job, arguments.timeout, on_tick)
            mark_reported(self.session, job)
            raise_unless_done(job, self._precise, lines=5)
        status.done(None if quiet else Report((self._describe(job), *list_notes(job))))
        return job.to_dict()

    def _stop(self, arguments: Namespace, quiet: bool) -> Any:
        jobs = _get_local_jobs(arguments.names)
        lines = []
        with Status(self.host, quiet) as status:
            for job in jobs:
                had_ended = "" if job.running else " had ended already"
                if job.running:
                    status(f"Stopping {job.name}")
                    job = stop(job)
                lines.append(f"{job.name}{had_ended}: {describe(job, self._precise)}")
            status.done(None if quiet else Report(tuple(lines)))
        return [_get_job(job.name).to_dict() for job in jobs]

    def _remove(self, arguments: Namespace, quiet: bool) -> None:
        jobs = _get_local_jobs(arguments.names)
        for job in jobs:
            if job.running:
                hint = f"First: %jobs stop {job.name}"
                raise usage_error(f"{job.name} is running.", hint, code="job-running")
        for job in jobs:
            remove(job)
        if not quiet:
            say("Removed, with the logs: " + ", ".join(job.name for job in jobs))

    @property
    def _precise(self) -> bool:
        """Whether times and sizes are shown: executors compare what is."""
        return self.host.may_ask

    def _describe(self, job: Job) -> str:
        last = f" - {job.last_line[:80]}" if job.last_line else ""
        return f"{job.name}: {describe(job, self._precise)}{last}"

    def _report(self, jobs: List[Job]) -> Report:
        if not jobs:
            return Report((f"No jobs. {_START}",))
        notes = tuple(note for job in jobs for note in list_notes(job))
        head = ("job", "state", *(("time", "memory") if self._precise else ()), "last line")
        return Report((), tuple(self._row(job) for job in jobs), (*notes, _suggest(jobs)), head)

    def _row(self, job: Job) -> Tuple[str, ...]:
        state = Mark.of(describe(job, precise=False), _TONES.get(job.state, "bad"))
        if not self._precise:
            return (job.name, state, job.last_line[:80])
        memory = amount(job.memory) if job.state == "running" else ""
        return (job.name, state, duration(job.seconds), memory, job.last_line[:80])


def _suggest(jobs: List[Job]) -> str:
    """Return what to type next, for one that runs, else for the last one that did not succeed."""
    job = sorted(jobs, key=lambda job: (job.running, job.state != "done"))[-1]
    if job.state == "running":
        return f"Its output: %jobs follow {job.name} - end it: %jobs stop {job.name}"
    return f"Its output: %jobs log {job.name}"


_START = "Start one: %shell --background NAME COMMAND"


def _get_job(name: str) -> Job:
    job = find_job(name)
    if job is None:
        names = list_names()
        raise usage_error(
            f"There is no job {name}.",
            f"There are: {', '.join(names)}." if names else _START,
            code="no-job",
            slip=parser().find_command(name) or find_meant(name, [*names, *parser().commands]),
        )
    return job


def _get_local_jobs(names: List[str]) -> List[Job]:
    """Return jobs to change, none of which may run on another machine."""
    jobs = [_get_job(name) for name in names]
    for job in jobs:
        if job.elsewhere:
            message = f"{job.name} runs{job.elsewhere}."
            raise usage_error(message, "Run this line there.", code="job-elsewhere")
    return jobs
