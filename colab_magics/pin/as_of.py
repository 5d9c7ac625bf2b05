"""Versions as they were on a day: what a line needs is resolved as the index was then.

That is done first, whatever is installed, since installers keep what is newer; they are then held
to the result. What the kernel itself needs stays as it is. Which versions a name had on a day is
noted, so that a line with a bare name is known to hold without asking an index.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Iterator, Sequence, Tuple

from ..core.errors import input_errors
from ..core.host import Host
from .environment import Needs, canonical_name, find, with_needs
from .installer import KERNEL
from .job import Job
from .journal import load_resolved, save_resolved
from .options import Options
from .requirements import requirement

#: This package, whose own needs stay as they are too.
_OWN = ("colab-magics",)


def hold_to_day(job: Job, needs: Needs, lines: Sequence[str], wheels_only: bool) -> None:
    """Hold a job to the versions that its line needed on its day, where it has one.

    What the kernel needs, and what other lines pin, is not held to them.
    """
    if not job.day:
        return
    stays = {*(with_needs([*KERNEL, *_OWN]) | {*needs.others}) - {*needs.names}, *KERNEL}
    texts = job.resolve(lines, wheels_only)
    job.dated = [text for text in texts if canonical_name(text.split("==")[0]) not in stays]


def with_others(needs: Needs, options: Options, host: Host) -> Needs:
    """Return the needs of a line, with what other lines of the notebook pin if it has a day."""
    if not options.day:
        return needs
    with suppress(*input_errors()):  # of a notebook that cannot be read now
        parts = host.context.recorded_parts("pin")
        return needs._replace(others=frozenset(name for part in parts for name in part.names))
    return needs


def find_open(texts: Sequence[str], options: Options) -> str:
    """Return the name of a requirement whose version on the day of the line is not known here.

    Empty where all are installed in just that version.
    """
    known = load_resolved() if options.day else {}
    pairs = _installed(texts, options) if options.day else ()
    return next((key.split()[0] for key, version in pairs if known.get(key) != version), "")


def note_versions(texts: Sequence[str], options: Options) -> None:
    """Note the installed versions as those of the day of the line, where it has one."""
    if options.day:
        save_resolved(dict(_installed(texts, options)))


def _installed(texts: Sequence[str], options: Options) -> Iterator[Tuple[str, str]]:
    """Yield each requirement that leaves its version open, with its options; and its version."""
    for text in texts:
        need = requirement(text)
        distribution = find(need.name)
        exact = re.fullmatch(r"==[^*,]+", str(need.specifier))
        if distribution is not None and not need.url and not exact:
            yield " ".join([text, *options.words]), distribution.version
