"""Finished cells that are shown instead of run, while Run All goes past them."""

from __future__ import annotations

import json
import sys
from typing import Any, Dict, Literal, Optional, Sequence

from .cells import Run
from .manifest import hash_source
from .resume import NotebookCell, Plan

#: ``refuse``: the plan does not hold for it.
Decision = Literal["show", "run", "refuse"]


class Replay:
    """A plan that a run from the top follows, each cell once, until it is past those done."""

    def __init__(self, cells: Sequence[NotebookCell], plan: Plan) -> None:
        self._plan = plan
        self._left = {at: (cell.id, hash_source(cell.source)) for at, cell in enumerate(cells)}
        self._ids = {cell.id for cell in cells}

    def decide(self, identity: str, source: str) -> Decision:
        """Return what is to be done with a cell that is about to run."""
        at = self._find(identity, source)
        if at is None or any(x in self._left for x in self._plan.again if x < at):
            return "refuse"
        return "show" if at in self._plan.done else "run"

    def take(self, identity: str, source: str) -> Optional[Run]:
        """Return the run that is to be shown; None for a cell that runs. It is not taken again."""
        at = self._find(identity, source)
        if at is None:
            return None
        del self._left[at]
        return self._plan.done.get(at)

    @property
    def is_over(self) -> bool:
        """Whether each cell was taken."""
        return not self._left

    def is_past(self, identity: str, source: str) -> bool:
        """Tell whether a cell stands behind all that were done."""
        return self._find(identity, source) in self._plan.rest

    def _find(self, identity: str, source: str) -> Optional[int]:
        """Return the next cell that it can be: not every front end names cells."""
        digest, is_known = hash_source(source), identity in self._ids
        places = (
            at
            for at, cell in self._left.items()
            if cell[1] == digest and (not identity or not is_known or cell[0] == identity)
        )
        return next(places, None)


def publish(outputs: Sequence[Dict[str, Any]], kernel: Any) -> None:
    """Send outputs of a notebook file as those of the running cell."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    for output in outputs:
        content = {name: value for name, value in output.items() if name != "output_type"}
        if "execution_count" in content:
            content["execution_count"] = kernel.execution_count
        kernel.send_response(kernel.iopub_socket, output["output_type"], content)


def decode_outputs(run: Run) -> Sequence[Dict[str, Any]]:
    """Return the outputs of a run; a line in their place where they were too large."""
    if run.outputs is not None:
        outputs: Sequence[Dict[str, Any]] = json.loads(run.outputs)
        return outputs
    text = "What this cell had shown was too large to keep.\n"
    return [{"output_type": "stream", "name": "stderr", "text": text}]
