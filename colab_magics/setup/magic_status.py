"""How the lines of a setup cell stand on this machine: ok, differs, unknown."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

from ..core.display import printable
from ..core.errors import input_errors
from ..core.host import Host
from ..core.redact import redact
from ..core.steps import Step, Verdict
from ..core.system_errors import explain_system_errors
from ..record.cell import Line, brief, render_step

#: State, the line, and why.
Row = Tuple[str, ...]
Judge = Callable[[Step, Host], Verdict]


def judge(step: Step, host: Host) -> Verdict:
    """Check a step; an error becomes a verdict."""
    try:
        with explain_system_errors():
            return step.check(host)
    except input_errors() as error:
        return Verdict("differs", str(error).split("\n")[0])


def verdicts(lines: Sequence[Line], host: Host, judge: Judge = judge) -> Tuple[Row, ...]:
    """Return a row for each line that does something, below the head of the cell."""
    return tuple(row(text, verdict) for text, verdict in judge_lines(lines, host, judge))


def judge_lines(
    lines: Sequence[Line], host: Host, judge: Judge = judge
) -> Iterator[Tuple[str, Verdict]]:
    """Yield the text and the verdict of each of the `body_lines`."""
    for line in body_lines(lines):
        if line.step is not None:
            yield render_step(line.step), judge(line.step, host)
        else:
            yield line.text, Verdict("unknown", line.problem or "not one of our magics")


def body_lines(lines: Sequence[Line]) -> List[Line]:
    """Return the lines that do something, below the head of the cell."""
    heads = [i for i, line in enumerate(lines) if "reload_ext colab_magics" in line.text]
    body = lines[heads[0] + 1 :] if heads else lines
    return [x for x in body if x.step or (x.text.strip() and not x.text.startswith("#"))]


def row(text: str, verdict: Verdict) -> Row:
    """Return a line in a single row, without secrets, beside its verdict."""
    return (
        verdict.mark,
        redact(brief(text)),
        verdict.message.split("\n")[0],
    )


class Rows:
    """Rows of the table as data, for the front-end extension, which asks for them by this name."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, Any]:
        rows = [[printable(cell) for cell in row] for row in self._rows]
        return {"application/vnd.colab-magics.setup+json": rows}


def rows_for_page() -> Rows:
    """Return how the setup cell of the page that asks stands in this kernel."""
    from IPython import get_ipython

    from ..extension.session import get_session

    session = get_session(get_ipython())
    return Rows(verdicts(session.lines()[0] or (), session.host))
