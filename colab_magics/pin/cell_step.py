"""A pin of the setup cell that runs, which is applied together with the others of that cell.

So there is one resolution, one restart, and no code of the cell in between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from ..core.errors import InstallFailed, RestartRequired, input_errors
from ..core.host import Host
from ..core.steps import Outcome, Progress
from .loaded import restart, stale
from .options import authenticated
from .requirements import split_extras
from .step import PinOutcome, PinStep


@dataclass(frozen=True)
class CellStep(PinStep):
    """A line of the setup cell that runs: where it does not hold, all of its pins are applied."""

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """See `PinStep`; lines that cannot be had together are applied each by itself."""
        line = PinStep(**vars(self))
        cell = _find_ready_lines(line, host)
        if len(cell) == 1:
            return line.apply(host, progress)
        try:
            return _apply_all(_join_lines(cell, host), host, progress)
        except InstallFailed as error:
            if error.code in _OF_MACHINE:
                raise
            is_resolved = error.code not in _UNRESOLVED
        # What holds may have come from a place that is not named.
        unmet = [each for each in cell if each.check(host).state != "ok"]
        if not is_resolved and len(unmet) < len(cell):
            try:
                return _apply_all(_join_lines(unmet, host), host, progress)
            except InstallFailed as error:
                if error.code in _OF_MACHINE:
                    raise
        # The later line wins, as where they were typed, and each reports its own failure.
        return line.apply(host, progress)


#: Codes of requirements that have no solution together.
_UNRESOLVED = ("conflict", "no-such-package", "no-such-version", "no-build")
#: Codes of failures that each line would meet.
_OF_MACHINE = ("disk-full", "not-writable", "externally-managed", "not-rolled-back")


def _find_ready_lines(line: PinStep, host: Host) -> List[PinStep]:
    """Return the pins of the cell that can be applied by now, ``line`` among them."""
    typed = replace(line, modes=line.modes - {"no_record"})  # which is a flag, not in the cell's
    cell = [
        line if each == typed else each
        for each in host.context.cell_steps("pin")
        if each == typed or (not each.renews and _is_ready(each, host))
    ]
    return cell if line in cell else [line, *cell]


def _join_lines(lines: Sequence[PinStep], host: Host) -> List[PinStep]:
    """Return these lines in as few steps as can be.

    Lines with other options, or that a lock does not hold as it does others, stay apart.
    """
    steps: List[PinStep] = []
    for line in lines:
        new = replace(line, lines=(line,))
        for at, other in enumerate(steps):
            joined = _join(other, new, host)
            if joined is not None:
                steps[at] = joined
                break
        else:
            steps.append(new)
    return steps


def _join(step: PinStep, new: PinStep, host: Host) -> Optional[PinStep]:
    """Return two steps as one, if they can be; nobody is asked whether to build in a setup cell."""
    joined = step.merged_with(replace(new, build=step.build))
    if not isinstance(joined, PinStep) or step.modes != new.modes:
        return None
    if _governs_others(step, host) or _governs_others(new, host):
        return None
    if (host.context.lock_for(step) is None) != (host.context.lock_for(new) is None):
        return None
    return replace(joined, build=step.build and new.build, lines=(*step.lines, *new.lines))


def _governs_others(step: PinStep, host: Host) -> bool:
    """Return whether its files hold options or hashes, which count for all that is installed."""
    needs = step.needs(host) if step.files else None
    return needs is not None and bool(needs.lines or any("--hash" in x for x in needs.texts))


def _is_ready(step: PinStep, host: Host) -> bool:
    """Return whether all that a line names is there by now: a line in between may bring it."""
    try:
        needs = step.check_places(host)
        authenticated(step.place(host))
    except input_errors():
        return False
    return all(Path(split_extras(str(folder))[0]).is_dir() for folder in needs.folders)


def _apply_all(steps: Sequence[PinStep], host: Host, progress: Progress) -> PinOutcome:
    """Apply steps, and return one outcome, which asks for one restart for all.

    Any other error, such as a switch to another Python, ends it there.
    """
    changes: Dict[str, Tuple[str, str]] = {}
    outcomes: List[Outcome] = []
    error: Optional[Exception] = None
    for step in steps:
        outcome = step.apply(host, progress)
        outcomes.append(outcome)
        changes.update(outcome.changes if isinstance(outcome, PinOutcome) else {})
        if outcome.error is not None and type(outcome.error) is not RestartRequired:
            error = outcome.error
            break
    else:
        behind = stale([name for step in steps for name in step.needs(host).names])
        error = restart(behind) if behind else None
    message = "; ".join(dict.fromkeys(each.message for each in outcomes if each.message))
    hint = ". ".join(dict.fromkeys(each.hint for each in outcomes if each.hint))
    return PinOutcome("applied", message, None, hint, error, changes)
