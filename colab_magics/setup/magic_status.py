"""How the lines of a setup cell stand on this machine: ok, differs, cannot tell."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from ..core.errors import bad_input
from ..core.host import Host
from ..core.redact import redact
from ..core.steps import Step, Verdict
from ..core.system_errors import explain_system_errors
from ..pin.step import PinStep
from ..record.cell import Line, render_step

#: State, the line, and why.
Row = Tuple[str, ...]


def judge(step: Step, host: Host) -> Verdict:
    """How one step stands; what cannot be found out is said, not raised."""
    try:
        with explain_system_errors():
            return step.check(host)
    except bad_input() as error:
        return Verdict("differs", str(error).split("\n")[0])


def standing(pins: Sequence[PinStep], host: Host) -> Tuple[Row, ...]:
    """For each pin: state, requirement, installed version, loaded version, and why."""
    from ..pin.environment import Installed, canonical_name
    from ..pin.loaded import STALE, owned
    from ..pin.requirements import requirement

    installed = Installed()
    here, loaded = installed.versions(), owned(installed)
    found: List[Row] = []
    for pin in pins:
        state, line, why = _row(" ".join(pin.arguments()), judge(pin, host))
        name = canonical_name(requirement(pin.requirements[0]).name) if pin.requirements else ""
        now = (
            f"{STALE[name].old}" if name in STALE else here.get(name, "") if name in loaded else ""
        )
        found.append((state, line, here.get(name, ""), now, "" if state == "ok" else why))
    return tuple(found)


def verdicts(lines: Sequence[Line], host: Host) -> Tuple[Row, ...]:
    """A row for each line that does something, below the head of the cell."""
    heads = [i for i, line in enumerate(lines) if "reload_ext colab_magics" in line.text]
    below = lines[heads[0] + 1 :] if heads else lines
    found: List[Row] = []
    for line in below:
        if line.step is not None:
            found.append(_row(render_step(line.step), judge(line.step, host)))
        elif line.problem:
            found.append(_row(line.text, Verdict("cannot tell", line.problem)))
        elif line.text.strip() and not line.text.startswith("#"):
            found.append(_row(line.text, Verdict("cannot tell", "not one of our magics")))
    return tuple(found)


def _row(text: str, verdict: Verdict) -> Row:
    line = redact(text.replace(" \\\n   ", ""))
    return (verdict.state, line, verdict.message.split("\n")[0])
