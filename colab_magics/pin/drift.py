"""Packages installed past ``%pin``: what has drifted from the setup cell is said, in one line."""

from __future__ import annotations

import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..core.errors import bad_input
from ..record.cell import Line, is_setup
from ..record.record import is_off
from .environment import Installed, canonical_name, versions, why_not
from .loaded import Owned, mark, owned
from .requirements import requirement
from .step import PinStep

#: ``!pip install``, ``%pip install``, ``python -m pip install``, ``uv pip install``, conda's.
_INSTALLS = re.compile(r"(?m)(?:^|[!%;&|\s])(?:pip3?|conda|mamba)\s+(?:\S+\s+)*?install\b")


class Before(NamedTuple):
    """What was installed, and what was loaded, before a cell that installs something."""

    versions: Dict[str, str]
    loaded: Dict[str, Owned]


def look_before(source: str) -> Optional[Before]:
    """A look at the environment, if this cell may change it by other ways than ours."""
    if is_setup(source) or not _INSTALLS.search(source):
        return None
    here = Installed()
    return Before(here.versions(), owned(here))


def look_after(session: Any, source: str, before: Optional[Before]) -> None:
    """Say what the cell has changed that the setup cell does not know; each thing once."""
    if before is None or session.site.kind == "executor":
        return
    now = versions()
    changed = {n: (before.versions.get(n, ""), v) for n, v in now.items()}
    changed = {n: (old, new) for n, (old, new) in changed.items() if old != new}
    mark(changed, changed, before.loaded)
    pins = _pins(session) if changed else None
    if pins is None:
        return
    drifted = [_drifted(text, changed) for text in pins]
    known = {canonical_name(requirement(text).name) for text in pins} | {"colab-magics"}
    named = [n for n in _words(source) if n in changed and n not in known]
    new = [f"{n} {now[n]} is installed, and not in the setup cell. Keep: %pin {n}" for n in named]
    for text in [*filter(None, drifted), *new]:
        session.notices.once(text)


def _pins(session: Any) -> Optional[List[str]]:
    """What the notebook pins; None where it wants nothing remembered, or cannot be read."""
    try:
        lines = session.lines()[0] or []
    except bad_input():
        return None
    steps = [*(line.step for line in lines), *(step for step, _ in session.pending)]
    if is_off([*lines, *(Line("", step) for step, _ in session.pending)]):
        return None
    return [text for step in steps if isinstance(step, PinStep) for text in step.requirements]


def _drifted(text: str, changed: Dict[str, Tuple[str, str]]) -> str:
    """What to say of a pin that does not hold any more; empty where it does."""
    asked = requirement(text)
    name = canonical_name(asked.name)
    if name not in changed or why_not(asked) is None:
        return ""
    says = str(asked.specifier).replace("==", "") or "another source"
    return f"{asked.name} is now {changed[name][1]}; the setup cell says {says}. Keep: %pin {name}"


def _words(source: str) -> List[str]:
    """The names in a cell's text that packages could have, as they are compared."""
    found = re.findall(r"[A-Za-z0-9][A-Za-z0-9._-]*", source)
    return list(dict.fromkeys(canonical_name(word) for word in found))
