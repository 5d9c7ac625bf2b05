"""How the lines of a setup cell stand on this machine: ok, differs, cannot tell."""

from typing import List, Sequence, Tuple

from ..errors import bad_input, scrub
from ..host import Host
from ..steps import Step, Verdict
from .cell import Line, render_step

__all__ = ["Row", "judge", "rows", "verdicts"]

#: State, the line, and why.
Row = Tuple[str, ...]


def judge(step: Step, host: Host) -> Verdict:
    """How one step stands; what cannot be found out is said, not raised."""
    try:
        return step.check(host)
    except bad_input() as error:
        return Verdict("differs", str(error).split("\n")[0])


def rows(steps: Sequence[Step], host: Host) -> Tuple[Row, ...]:
    """A row for each step."""
    return tuple(_row(render_step(step), judge(step, host)) for step in steps)


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
    line = scrub(text.replace(" \\\n   ", ""))
    return (verdict.state, line, verdict.message.split("\n")[0])
