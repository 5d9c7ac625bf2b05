"""``%jobs``."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Tuple

from ..core.arguments import Parser
from ..core.display import Report, amount, duration
from ..core.errors import CommandFailed, usage_error
from ..core.redact import redact_secrets
from ..extension.magic import Call, Magic
from ..extension.output import Status, say, show
from .job import ELSEWHERE, Job, every, find
from .launch import remove, stop
from .magic_follow import follow, printed, unless_done, wait
from .magic_start import VERBS, became, notes, told
from .store import LOG, names, starts


class JobsMagic(Magic):
    """The jobs that ``%shell --background train python train.py`` has started, as ``train``.

    A job outlives its cell, the browser's tab and the kernel, killed or restarted, and is found
    again by any notebook of this user on this machine. All that it writes is in a log. It is done,
    failed, stopped (by you), killed, or lost with the machine that it ran on; one on another
    machine that has this home too is told of, and is stopped there.

    Examples
    --------
    ::

        %jobs                        # each job: state, time, memory, the last line it has written
        %jobs train                  # one of them
        %jobs log train              # the last lines of its log
        %jobs log train -n 500
        %jobs follow train           # its output as it comes, until it ends
        %jobs wait train             # until it ends; the next cell runs then
        %jobs stop train
        %jobs remove train           # one that has ended, and its log

    Options
    -------
    ``log``: ``-n N`` lines, ``--all`` (of a very long one the last 100 to 200 MB are kept),
    ``--before`` for the log of the job that had the name before. ``wait`` and ``follow``:
    ``--timeout SECONDS``; a job that does not succeed is an error there. Ctrl-C ends the waiting,
    not the job. They wait for the copy of its log too (``--log``), a minute at most. ``--json``:
    all that is known of each. ``-o``: return it. ``-q``: show nothing.
    """

    name = "jobs"
    offers = (*VERBS, "--json", "-o")

    def run(self, call: Call) -> Any:
        """Do one thing with the jobs that are named, or list them."""
        self.no_body(call)
        words = list(call.words)
        if words and words[0] in VERBS:
            return getattr(self, f"_{words[0]}")(words[1:], call)
        return self._list(words, call)

    def complete(self, line: str, symbol: str) -> List[str]:
        """Verbs first, then names."""
        words = line.split()[1:]
        begun = len(words) > (1 if symbol else 0)
        found = []
        with suppress(CommandFailed):
            found = [name for name in names() if name.startswith(symbol)]
        return found if begun else [*super().complete(line, symbol), *found]

    # ------------------------------------------------------------------ what can be done
    def _list(self, words: List[str], call: Call) -> Any:
        parser = Parser("%jobs")
        parser.add_argument("names", nargs="*")
        parser.add_argument("--json", action="store_true")
        asked = parser.parse_args(words)
        found = [_named(name) for name in asked.names] if asked.names else every()
        for job in found:
            told(self.session, job)
        if asked.json:
            print(redact_secrets(json.dumps([_known(job) for job in found], indent=2)))
        elif "quiet" not in call.flags:
            show(self._report(found))
        return [_known(job) for job in found]

    def _log(self, words: List[str], call: Call) -> Any:
        parser = Parser("%jobs log")
        parser.add_argument("name")
        parser.add_argument("-n", type=int, default=20, dest="lines")
        parser.add_argument("--all", action="store_true")
        parser.add_argument("--before", action="store_true")
        asked = parser.parse_args(words)
        if asked.lines < 1:
            raise usage_error(f"%jobs log -n {asked.lines}: not a number of lines.", "Say -n 100")
        job = _named(asked.name)
        path = _before(job) if asked.before else job.log
        return printed(self.host, path, None if asked.all else asked.lines, "quiet" in call.flags)

    def _follow(self, words: List[str], call: Call) -> Any:
        job, timeout = _waited("%jobs follow", words)
        quiet = "quiet" in call.flags
        job = follow(self.host, job, timeout, quiet)
        told(self.session, job)
        unless_done(job, self._precise, last=0)
        if not quiet:
            say(f"{job.name}: {became(job, self._precise)}", *notes(job))
        return _known(job)

    def _wait(self, words: List[str], call: Call) -> Any:
        job, timeout = _waited("%jobs wait", words)
        status = Status(self.host, "quiet" in call.flags)
        shown = [0.0]

        def tick() -> None:
            if self.host.live and time.monotonic() - shown[0] > 1:
                shown[0] = time.monotonic()
                now = _named(job.name)
                status("; ".join((self._now(now), *notes(now))))

        try:
            job = wait(job, timeout, tick)
            told(self.session, job)
            unless_done(job, self._precise, last=5)
        except BaseException:
            status.done(None)
            raise
        status.done(None if "quiet" in call.flags else Report((self._now(job), *notes(job))))
        return _known(job)

    def _stop(self, words: List[str], call: Call) -> Any:
        jobs = _all("%jobs stop", words)
        for job in jobs:
            _here(job)
        status = Status(self.host, "quiet" in call.flags)
        said = []
        for job in jobs:
            if job.running:
                status(f"{job.name}: asked to end")
                said.append(f"{job.name}: {became(stop(job), self._precise)}")
            else:
                said.append(f"{job.name} had ended already: {became(job, self._precise)}")
        status.done(None if "quiet" in call.flags else Report(tuple(said)))
        return [_known(_named(job.name)) for job in jobs]

    def _remove(self, words: List[str], call: Call) -> Any:
        jobs = _all("%jobs remove", words)
        for job in jobs:
            _here(job)
            if job.running:
                raise usage_error(f"{job.name} runs.", f"First: %jobs stop {job.name}")
        for job in jobs:
            remove(job)
        if "quiet" not in call.flags:
            say("Removed, with the logs: " + ", ".join(job.name for job in jobs))

    # ------------------------------------------------------------------ how it is shown
    @property
    def _precise(self) -> bool:
        """Whether times and sizes are shown: executors compare what is."""
        return self.host.may_ask

    def _now(self, job: Job) -> str:
        last = f" - {job.last[:80]}" if job.last else ""
        return f"{job.name}: {became(job, self._precise)}{last}"

    def _report(self, jobs: List[Job]) -> Report:
        if not jobs:
            return Report(("No jobs. Start one: %shell --background NAME COMMAND",))
        after = tuple(note for job in jobs for note in notes(job))
        return Report((), tuple(self._row(job) for job in jobs), after)

    def _row(self, job: Job) -> Tuple[str, ...]:
        if not self._precise:
            return (job.name, became(job, False), job.last[:80])
        memory = amount(job.memory) if job.state == "running" else ""
        return (job.name, became(job, False), duration(job.seconds), memory, job.last[:80])


def _named(name: str) -> Job:
    job = find(name)
    if job is None:
        there = ", ".join(names())
        raise usage_error(
            f"There is no job {name}.", f"There are: {there}" if there else "There are none."
        )
    return job


def _here(job: Job) -> None:
    if job.state == ELSEWHERE:
        raise usage_error(f"{job.name} runs on {job.host}, another machine.", "Do this there.")


def _before(job: Job) -> Path:
    """The log of the job that had the name before."""
    found = [place for place in starts(job.folder.parent) if place != job.folder]
    if not found:
        raise usage_error(f"There was no job {job.name} before.", "See %jobs")
    return found[-1] / LOG


def _all(prog: str, words: List[str]) -> List[Job]:
    parser = Parser(prog)
    parser.add_argument("names", nargs="+")
    return [_named(name) for name in parser.parse_args(words).names]


def _waited(prog: str, words: List[str]) -> Any:
    parser = Parser(prog)
    parser.add_argument("name")
    parser.add_argument("--timeout", type=float)
    asked = parser.parse_args(words)
    return _named(asked.name), asked.timeout


def _known(job: Job) -> Dict[str, Any]:
    """All that is known of a job, as JSON has it."""
    known: Dict[str, Any] = {**asdict(job), "log": str(job.log), "last": job.last}
    known["folder"] = str(job.folder)
    return known
