"""What ``setup doctor`` finds out for a bug report: probes, each in a time box, and what is hidden.

As JSON it is one object: ``schema`` and ``format`` are 1; ``rows`` has an object for each probe
with ``section``, ``name``, ``value`` and ``state``: ``ok``, or ``failed`` where the value is the
reason.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Literal, NamedTuple, Sequence, Tuple

from ..core.display import Mark, Report, printable
from ..core.redact import redact
from ..core.secret_scan import find, looks_secret
from .check import TimeBox

#: Seconds for one probe, and for all of them.
PROBE, ALL = 5.0, 40.0
#: What is hidden is at least so long: shorter values would garble what is shown.
_SHORTEST = 6
#: Variables whose values say where somebody's packages come from, or how they get there.
_SETTINGS = re.compile(r"(PIP|UV)_.*|.*_PROXY", re.I)
_PATH = re.compile(r"[~/]|[A-Za-z]:[\\/]")
HIDDEN = "****"

_NOTE = (
    "This may be pasted into an issue: logins, secrets and values of settings are hidden, and ~ is "
    "your home."
)


class Probe(NamedTuple):
    """A question to this machine: its section, its name, and what answers it.

    ``asks_page``: only the thread that runs the cell may do that.
    """

    section: str
    name: str
    call: Callable[[], object]
    asks_page: bool = False


@dataclass(frozen=True)
class Finding:
    """The answer to a probe, with nothing in it that is to be hidden."""

    section: str
    name: str
    value: str
    state: Literal["ok", "failed"] = "ok"


@dataclass(frozen=True)
class Diagnosis:
    """All findings, by section."""

    findings: Tuple[Finding, ...]

    def as_json(self) -> Dict[str, Any]:
        """Return it as the object that this module describes."""
        rows = [{k: printable(v) for k, v in asdict(x).items()} for x in self.findings]
        return {"schema": 1, "format": 1, "rows": rows}

    def report(self) -> Report:
        """Return it as a table with the sections as headings."""
        rows: List[Tuple[str, ...]] = []
        section = ""
        for finding in self.findings:
            heading = finding.section if finding.section != section else ""
            section = finding.section
            failed = finding.state == "failed"
            value = Mark.of(f"failed: {finding.value}", "bad") if failed else finding.value
            rows.append((heading, finding.name, value))
        return Report((), tuple(rows), (_NOTE,), ("section", "what", "state"))


def diagnose(probes: Iterable[Probe], secrets: Iterable[str] = ()) -> Diagnosis:
    """Run the probes; one that fails, or takes too long, has its reason for a value."""
    box, hidden = TimeBox(ALL), [*secrets, *secret_values()]
    return Diagnosis(tuple(_run(probe, box, hidden) for probe in probes))


def _run(probe: Probe, box: TimeBox, hidden: Sequence[str]) -> Finding:
    try:
        value = probe.call() if probe.asks_page else box.run(PROBE, probe.call)
        text = str(value if value not in (None, "") else "none")
        return Finding(probe.section, probe.name, hide(text, hidden))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a broken part of this machine is what is to be shown
        message = (str(error).splitlines() or [""])[0]
        reason = f"{type(error).__name__}: {message}" if message else type(error).__name__
        return Finding(probe.section, probe.name, hide(reason, hidden), "failed")


# ---------------------------------------------------------------------- what is hidden
def secret_values() -> List[str]:
    """Return the values of variables that are secrets, or settings of indexes and proxies."""
    values = []
    for name, value in os.environ.items():
        if looks_secret(name, value):
            values.append(value)
        elif _SETTINGS.fullmatch(name):
            values += [word for word in value.split() if not _PATH.match(word)]
    return values


def hide(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text in one row without these secrets, logins in URLs and tokens; home as ``~``."""
    text = " ".join(text.split())
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, HIDDEN)
    text = redact(text)
    if find(text):
        return f"{HIDDEN} (a token was in it)"
    return _shorten_home(text)


def _shorten_home(text: str) -> str:
    homes = {os.path.expanduser("~"), os.path.realpath(os.path.expanduser("~"))}  # noqa: PTH111
    for home in sorted(homes, key=len, reverse=True):
        if len(Path(home).parts) > 1:
            text = re.sub(rf"(?<![\w.-]){re.escape(home)}(?![\w.-])", "~", text)
    return text
