"""Report packages that a cell installed other than by ``%pin``, such as by ``!pip install``."""

from __future__ import annotations

import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..core.errors import input_errors
from ..record.cell import Line, is_setup
from ..record.record import is_off
from .environment import Installed, canonical_name, versions, why_not
from .loaded import loaded_versions, mark
from .requirements import requirement
from .step import PinStep

#: ``!pip install``, ``%pip install``, ``python -m pip install``, ``uv pip install``, conda's.
_INSTALLS = re.compile(r"(?m)(?:^|[!%;&|\s])(?:pip3?|conda|mamba)\s+(?:\S+\s+)*?install\b")


class Snapshot(NamedTuple):
    """What was installed, and what was loaded of it."""

    versions: Dict[str, str]
    loaded: Dict[str, str]


def installs(source: str) -> bool:
    """Return whether a cell may install something other than by ``%pin``."""
    return not is_setup(source) and bool(_INSTALLS.search(source))


def snapshot() -> Snapshot:
    """Return what is installed and loaded now."""
    installed = Installed()
    return Snapshot(installed.versions(), loaded_versions(installed))


def report_changes(session: Any, before: Snapshot) -> None:
    """Say what the running cell changed that the setup cell does not know; each change once."""
    if session.site.kind == "executor":
        return
    now = versions()
    changed = {name: (before.versions.get(name, ""), version) for name, version in now.items()}
    changed = {name: (old, new) for name, (old, new) in changed.items() if old != new}
    mark(changed, changed, before.loaded)
    pins = _pins(session) if changed else None
    if pins is None:
        return
    pinned = {canonical_name(requirement(text).name) for text in pins} | {"colab-magics"}
    words = map(canonical_name, re.findall(r"[A-Za-z0-9][A-Za-z0-9._-]*", session.source))
    new = [name for name in dict.fromkeys(words) if name in changed and name not in pinned]
    for text in (
        *filter(None, (_drift(text, changed) for text in pins)),
        *(f"{n} {now[n]} is not in the setup cell yet. To add it: %pin {n}" for n in new),
    ):
        session.notices.once(text)


def _pins(session: Any) -> Optional[List[str]]:
    """Return the requirements of the notebook; None if recording is off or it cannot be read."""
    try:
        lines = [*(session.lines()[0] or []), *(Line("", x) for x in session.pending.steps)]
    except input_errors():
        return None
    if is_off(lines):
        return None
    steps = [line.step for line in lines if isinstance(line.step, PinStep)]
    return [text for step in steps for text in step.requirements]


def _drift(text: str, changed: Dict[str, Tuple[str, str]]) -> str:
    """Return the message for a pin that does not hold any more; empty if it does."""
    pin = requirement(text)
    name = canonical_name(pin.name)
    if name not in changed or why_not(pin) is None:
        return ""
    version = str(pin.specifier).replace("==", "") or "another source"
    now = changed[name][1]
    return f"{pin.name} is now {now}; the setup cell says {version}. To keep {now}: %pin {name}"
