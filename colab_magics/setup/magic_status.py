"""How the lines of a setup cell stand on this machine: ok, differs, cannot tell."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from ..core.errors import input_errors
from ..core.host import Host
from ..core.redact import redact
from ..core.steps import Step, Verdict
from ..core.system_errors import explain_system_errors
from ..record.cell import Line, render_step

#: State, the line, and why.
Row = Tuple[str, ...]


def judge(step: Step, host: Host) -> Verdict:
    """Check a step; an error becomes a verdict."""
    try:
        with explain_system_errors():
            return step.check(host)
    except input_errors() as error:
        return Verdict("differs", str(error).split("\n")[0])


def verdicts(lines: Sequence[Line], host: Host) -> Tuple[Row, ...]:
    """Return a row for each line that does something, below the head of the cell."""
    heads = [i for i, line in enumerate(lines) if "reload_ext colab_magics" in line.text]
    rows: List[Row] = []
    for line in lines[heads[0] + 1 :] if heads else lines:
        if line.step is not None:
            rows.append(row(render_step(line.step), judge(line.step, host)))
        elif line.text.strip() and not line.text.startswith("#"):
            reason = line.problem or "not one of our magics"
            rows.append(row(line.text, Verdict("cannot tell", reason)))
    return tuple(rows)


def row(text: str, verdict: Verdict) -> Row:
    """Return a line in a single row, without secrets, beside its verdict."""
    return (
        verdict.state,
        redact(text.replace(" \\\n   ", "")),
        verdict.message.split("\n")[0],
    )
