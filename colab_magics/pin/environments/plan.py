"""What making an environment will bring, before anything is fetched: the plan, as of any pin."""

from pathlib import Path
from typing import Dict, Sequence

from ...core.display import Report
from ...core.errors import InstallFailed
from ..environment import canonical_name
from ..failure import reason_of
from ..installer import Job
from ..plan import table
from ..requirements import key
from ..sizes import with_sizes
from ..uv import Uv


def planned(
    python: Path, version: str, own: Sequence[str], texts: Sequence[str], line: Dict[str, str]
) -> Report:
    """The plan of ``own`` (what the kernel needs) and ``texts`` for this empty environment.

    ``line`` are the settings of the line that asks for them. `InstallFailed` where they cannot be
    had on that Python.
    """
    job = Job(lambda said: None, (), line, hold=False, installer=Uv(str(python)))
    (status, said), plan = job.rehearse([*own, *texts])
    if status or plan is None:
        raise _failed(version, said)
    names = [*(key(text).split(";")[0] for text in texts), *map(canonical_name, own[:1])]
    sized = with_sizes(plan, job.settings, names, version)
    report = table(sized, names, {}, job.advise(sized))
    first = f"Python {version}, in an environment of this notebook's own: {report.lines[0]}"
    return Report((first, *report.lines[1:]), report.rows, report.after)


def _failed(version: str, said: Sequence[str]) -> InstallFailed:
    lines = [one for one in said if not one.startswith("Using Python")]  # which is a passing one
    what, details = reason_of(lines)
    return InstallFailed(
        f"Not to be had for Python {version}: {what.rstrip('.')}; nothing was made.",
        "Loosen one of the versions, or check the network and the index; then run it again.",
        details,
    )
